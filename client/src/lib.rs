//! The command line of Emporia.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | the flags, parsed into plain structs |
//! | [`exit`] | messages of errors and exit codes |
//! | [`local`] | the cluster inside this process |
//! | [`port`] | free ports for the processes of a cluster |
//!
//! Standard output carries results and nothing else; whatever is said about them goes to standard
//! error.

pub mod args;
pub mod exit;
pub mod local;
pub mod port;

mod cluster;
mod commands;
mod console;
mod interrupt;
mod output;
mod progress;
mod registry;
mod settings;
mod target;
mod type_name;

use std::panic::resume_unwind;
use std::thread;

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::{shutdown, telemetry};

use crate::args::Cli;
use crate::settings::Context;

/// Plans are built and encoded recursively; the default of 2 MiB is not enough for deep ones.
const STACK_BYTES: usize = 32 * 1024 * 1024;
/// Room for a text with subqueries that are nested as deeply as the parser takes them. Only what is used takes memory.
const STATEMENT_BYTES: usize = 256 * 1024 * 1024;

/// Runs the command.
///
/// # Errors
/// Those of the command; their kind says how the program ends.
pub fn run(cli: Cli) -> Result<()> {
    let context = Context::load(&cli.global)?;
    match telemetry::init(
        context.settings.log_format,
        &log_directives(&context.settings.log_level),
    ) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|e| Error::internal("cannot start the runtime").with_source(e))?;
    let result = with_stack(|| runtime.block_on(commands::run(cli.command, &context)));
    shutdown::end_runtime(runtime);
    result
}

/// Runs the work on a thread with room for the deepest text that is planned: the main thread has 8 MiB.
fn with_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("main".to_owned())
            .stack_size(STATEMENT_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|e| Error::internal("cannot start a thread").with_source(e))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Parts that log what the errors of queries say too; a person sees it once. The scheduler of the cluster inside this
/// process also tells of its executors, which end at Ctrl-C as the client does.
const QUIET: [&str; 4] = [
    "ballista_core",
    "ballista_executor",
    "ballista_scheduler",
    "emporia_scheduler",
];

/// What is logged at a level.
fn log_directives(level: &str) -> String {
    match level {
        "warn" | "error" => QUIET
            .iter()
            .fold(level.to_owned(), |all, part| format!("{all},{part}=off")),
        _ => level.to_owned(),
    }
}
