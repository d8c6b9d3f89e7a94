//! The flags of every command.

use std::path::PathBuf;

use clap::Args;
use emporia_core::config;

/// Flags of every command. Those below "Settings" override keys of the section `[client]`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct GlobalArgs {
    /// Configuration file [default: ./emporia.toml where there is one].
    #[arg(long, global = true, env = "EMPORIA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print results and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Show no progress.
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Show the causes of an error.
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Where to run: `local[N]` inside this process, or http://host:port.
    #[arg(long, global = true, value_parser = setting("client.cluster"), help_heading = "Settings")]
    pub cluster: Option<String>,
    /// File with the tables.
    #[arg(long, global = true, value_name = "FILE", value_parser = setting("client.catalog"), help_heading = "Settings")]
    pub catalog: Option<String>,
    /// Cancel the job after this time, e.g. 30s or 5m.
    #[arg(long, global = true, value_parser = setting("client.timeout"), help_heading = "Settings")]
    pub timeout: Option<String>,
    /// Partitions of a shuffle.
    #[arg(long, global = true, value_name = "N", value_parser = setting("client.target_partitions"), help_heading = "Settings")]
    pub target_partitions: Option<String>,
    /// Rows per batch.
    #[arg(long, global = true, value_name = "N", value_parser = setting("client.batch_size"), help_heading = "Settings")]
    pub batch_size: Option<String>,
    /// Size up to which one side of a join is sent to every task, e.g. 64MiB.
    #[arg(long, global = true, value_name = "SIZE", value_parser = setting("client.broadcast_threshold"), help_heading = "Settings")]
    pub broadcast_threshold: Option<String>,
    /// Plan a stage of a query again when the sizes of its inputs are known: true or false.
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = setting("client.aqe"), help_heading = "Settings")]
    pub aqe: Option<String>,
    /// What is logged, e.g. info.
    #[arg(long, global = true, value_parser = setting("client.log_level"), help_heading = "Settings")]
    pub log_level: Option<String>,
    /// Form of the log: text or json.
    #[arg(long, global = true, value_parser = setting("client.log_format"), help_heading = "Settings")]
    pub log_format: Option<String>,
}

impl GlobalArgs {
    /// The flags that override a key of the configuration, by its full name.
    pub fn settings(&self) -> [(&'static str, Option<&String>); 9] {
        [
            ("client.cluster", self.cluster.as_ref()),
            ("client.catalog", self.catalog.as_ref()),
            ("client.timeout", self.timeout.as_ref()),
            ("client.target_partitions", self.target_partitions.as_ref()),
            ("client.batch_size", self.batch_size.as_ref()),
            (
                "client.broadcast_threshold",
                self.broadcast_threshold.as_ref(),
            ),
            ("client.aqe", self.aqe.as_ref()),
            ("client.log_level", self.log_level.as_ref()),
            ("client.log_format", self.log_format.as_ref()),
        ]
    }
}

/// A value parser that accepts what the key of the configuration accepts.
fn setting(
    name: &'static str,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| {
        let key = config::keys()
            .into_iter()
            .find(|key| key.full_name() == name);
        match key {
            Some(key) if !key.accepts(text) => Err(format!("not {}", key.form)),
            _ => Ok(text.to_owned()),
        }
    }
}
