//! Flags of `emporia-executor`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use emporia_core::config::{ExecutorSettings, Loaded, Loader};
use emporia_core::error::Result;

/// Runs tasks and serves their results.
///
/// Each flag overrides the key of the same name in the section `[executor]` of the configuration
/// file and its variable EMPORIA_EXECUTOR__KEY.
#[derive(Debug, Clone, Default, PartialEq, Parser)]
#[command(name = "emporia-executor", version)]
pub struct Args {
    /// Configuration file (TOML).
    #[arg(long, env = "EMPORIA_CONFIG")]
    pub config: Option<PathBuf>,
    /// Name of this executor; a random one without it.
    #[arg(long)]
    pub id: Option<String>,
    /// Address to listen on.
    #[arg(long)]
    pub bind_host: Option<String>,
    /// Name under which the scheduler and other executors reach this one.
    #[arg(long)]
    pub external_host: Option<String>,
    /// Port that serves shuffle data and results.
    #[arg(long)]
    pub flight_port: Option<u16>,
    /// Port that takes tasks.
    #[arg(long)]
    pub grpc_port: Option<u16>,
    /// Port of the probes and the metrics.
    #[arg(long)]
    pub health_port: Option<u16>,
    /// The scheduler, e.g. http://127.0.0.1:50050.
    #[arg(long)]
    pub scheduler_url: Option<String>,
    /// Tasks at a time; 0 for the number of cores.
    #[arg(long)]
    pub task_slots: Option<usize>,
    /// Folder for shuffle data and spills.
    #[arg(long)]
    pub work_dir: Option<String>,
    /// Memory for queries, e.g. 2GiB; without it a fraction of what the machine or container has.
    #[arg(long)]
    pub memory_limit: Option<String>,
    /// How long running tasks may go on after SIGTERM.
    #[arg(long)]
    pub drain_timeout: Option<String>,
    /// text or json.
    #[arg(long)]
    pub log_format: Option<String>,
    /// Level or directives, e.g. info or emporia=debug.
    #[arg(long)]
    pub log_level: Option<String>,
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do besides its work.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Ask the executor that runs here with these settings for its health; exit code 0 or 1.
    Healthcheck {
        /// Whether it takes work, not only whether it lives.
        #[arg(long)]
        ready: bool,
    },
}

impl Args {
    /// Merges flags, environment and file.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown key or a bad value, with its origin.
    pub fn load(
        &self,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded<ExecutorSettings>> {
        Loader::new()
            .file(self.config.as_deref())?
            .env(env)?
            .flag("executor.id", self.id.as_ref())?
            .flag("executor.bind_host", self.bind_host.as_ref())?
            .flag("executor.external_host", self.external_host.as_ref())?
            .flag("executor.flight_port", self.flight_port.as_ref())?
            .flag("executor.grpc_port", self.grpc_port.as_ref())?
            .flag("executor.health_port", self.health_port.as_ref())?
            .flag("executor.scheduler_url", self.scheduler_url.as_ref())?
            .flag("executor.task_slots", self.task_slots.as_ref())?
            .flag("executor.work_dir", self.work_dir.as_ref())?
            .flag("executor.memory_limit", self.memory_limit.as_ref())?
            .flag("executor.drain_timeout", self.drain_timeout.as_ref())?
            .flag("executor.log_format", self.log_format.as_ref())?
            .flag("executor.log_level", self.log_level.as_ref())?
            .load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthcheck_takes_the_settings_of_the_process() -> Result<()> {
        let args = Args::parse_from(["emporia-executor", "healthcheck", "--ready"]);
        assert_eq!(args.command, Some(Command::Healthcheck { ready: true }));
        let port = ("EMPORIA_EXECUTOR__HEALTH_PORT".into(), "7777".into());
        assert_eq!(args.load([port])?.settings.health_port, 7777);
        assert_eq!(Args::parse_from(["emporia-executor"]).command, None);
        Ok(())
    }
}
