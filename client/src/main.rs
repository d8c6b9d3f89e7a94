//! The program `emporia`.

use std::process::ExitCode;

use clap::Parser;
use emporia_client::args::Cli;
use emporia_client::exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_verbose = cli.global.verbose;
    match emporia_client::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(exit::finish(&error, is_verbose)),
    }
}
