//! The executor process.

use std::process::ExitCode;

use clap::Parser;
use emporia_core::error::{Error, Result};
use emporia_core::{shutdown, telemetry};
use emporia_executor::args::{Args, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plans are decoded and executed recursively; the default of 2 MiB is not enough for deep ones.
const STACK_BYTES: usize = 32 * 1024 * 1024;

fn main() -> ExitCode {
    let args = Args::parse();
    let (result, is_healthcheck) = match args.command {
        Some(Command::Healthcheck { ready }) => (healthcheck(&args, ready), true),
        None => (run(&args), false),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            emporia_core::report::to_stderr(&error);
            // Container runtimes know no other code for a bad health.
            let code = if is_healthcheck {
                1
            } else {
                error.kind().exit_code()
            };
            ExitCode::from(code)
        }
    }
}

fn healthcheck(args: &Args, is_ready: bool) -> Result<()> {
    let settings = args.load(std::env::vars_os())?.settings;
    emporia_executor::healthcheck(&settings.bind_host, settings.health_port, is_ready)
}

fn run(args: &Args) -> Result<()> {
    let loaded = args.load(std::env::vars_os())?;
    let settings = loaded.settings;
    telemetry::init(settings.log_format, &settings.log_level)?;
    for value in &loaded.effective {
        tracing::info!(%value, "setting");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|e| Error::internal("cannot start the runtime").with_source(e))?;
    let drain_timeout = settings.drain_timeout;
    let drain = |token| emporia_executor::serve(settings, loaded.stores.of_service(), token);
    let result = runtime.block_on(shutdown::run_until_signal(drain_timeout, drain));
    shutdown::end_runtime(runtime);
    result
}
