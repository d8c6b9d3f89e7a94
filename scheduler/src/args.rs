//! Flags of `emporia-scheduler`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use emporia_core::config::{Loaded, Loader, SchedulerSettings};
use emporia_core::error::Result;

/// Plans queries and hands their tasks to executors.
///
/// Each flag overrides the key of the same name in the section `[scheduler]` of the configuration
/// file and its variable EMPORIA_SCHEDULER__KEY.
#[derive(Debug, Clone, Default, PartialEq, Parser)]
#[command(name = "emporia-scheduler", version)]
pub struct Args {
    /// Configuration file (TOML).
    #[arg(long, env = "EMPORIA_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long)]
    pub bind_host: Option<String>,
    /// Port for gRPC, REST, metrics and probes.
    #[arg(long)]
    pub bind_port: Option<u16>,
    /// Name under which executors and clients reach this scheduler.
    #[arg(long)]
    pub external_host: Option<String>,
    /// Folder for the event log of each job.
    #[arg(long)]
    pub event_log_dir: Option<String>,
    /// Silence after which an executor counts as dead.
    #[arg(long)]
    pub executor_timeout: Option<String>,
    /// How long running jobs may go on after SIGTERM.
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
    /// Ask the scheduler that runs here with these settings for its health; exit code 0 or 1.
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
    ) -> Result<Loaded<SchedulerSettings>> {
        Loader::new()
            .file(self.config.as_deref())?
            .env(env)?
            .flag("scheduler.bind_host", self.bind_host.as_ref())?
            .flag("scheduler.bind_port", self.bind_port.as_ref())?
            .flag("scheduler.external_host", self.external_host.as_ref())?
            .flag("scheduler.event_log_dir", self.event_log_dir.as_ref())?
            .flag("scheduler.executor_timeout", self.executor_timeout.as_ref())?
            .flag("scheduler.drain_timeout", self.drain_timeout.as_ref())?
            .flag("scheduler.log_format", self.log_format.as_ref())?
            .flag("scheduler.log_level", self.log_level.as_ref())?
            .load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthcheck_takes_the_settings_of_the_process() -> Result<()> {
        let args = Args::parse_from(["emporia-scheduler", "healthcheck", "--ready"]);
        assert_eq!(args.command, Some(Command::Healthcheck { ready: true }));
        let port = ("EMPORIA_SCHEDULER__BIND_PORT".into(), "7777".into());
        assert_eq!(args.load([port])?.settings.bind_port, 7777);
        assert_eq!(Args::parse_from(["emporia-scheduler"]).command, None);
        Ok(())
    }
}
