//! The executor process.

use std::process::ExitCode;

use clap::Parser;
use emporia_core::error::{Error, Result};
use emporia_core::{shutdown, telemetry};
use emporia_executor::args::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plans are decoded and executed recursively; the default of 2 MiB is not enough for deep ones.
const STACK_BYTES: usize = 32 * 1024 * 1024;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            emporia_core::report::to_stderr(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
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
    let drain = |token| emporia_executor::serve(settings, token);
    let result = runtime.block_on(shutdown::run_until_signal(drain_timeout, drain));
    // A task that outlived the drain must not hold the process.
    runtime.shutdown_background();
    result
}
