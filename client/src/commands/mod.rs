//! One module per command.

mod cluster;
mod completions;
mod config;
mod data;
mod demo;
mod describe;
mod entry;
mod explain;
mod jobs;
mod load;
mod repl;
mod rows;
mod script;
mod sql;
mod submit;
mod tables;
mod text_table;

use emporia_core::error::Result;

use crate::args::Command;
use crate::settings::Context;

/// Runs one command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Submit(args) => submit::run(&args, context).await,
        Command::Sql(args) => sql::run(&args, context).await,
        Command::Jobs(args) => jobs::run(&args),
        Command::Tables(args) => tables::run(&args, context).await,
        Command::Explain(args) => explain::run(&args, context).await,
        Command::Generate(args) => data::generate(&args, context).await,
        Command::Load(args) => load::run(&args, context).await,
        Command::Import(command) => data::import(&command, context).await,
        Command::Demo(args) => demo::run(&args, context).await,
        Command::Cluster(command) => cluster::run(&command, context).await,
        Command::Config(command) => config::run(&command, context),
        Command::Completions { shell } => completions::run(shell),
    }
}
