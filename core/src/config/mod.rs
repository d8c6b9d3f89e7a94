//! Configuration: one table of keys, four places a value can come from, one typed result.
//!
//! `schema.rs` is the table. From it come the typed settings, their defaults, the checks of
//! [`Loader`] and the text of `docs/configuration.md`. A flag wins over an environment variable,
//! that over the file, that over the default; [`Effective`] says for every key who won.

mod file;
mod loader;
mod reference;
mod schema;
mod settings;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

pub use loader::Loader;
pub use reference::reference_markdown;
pub use schema::{ClientSettings, ExecutorSettings, SchedulerSettings, StoreSettings};
pub use settings::{Key, Settings};
pub use value::{ByteSize, Cluster, Folders, Secret, Switch, TaskDistribution};

/// Every key of every section.
pub fn keys() -> Vec<Key> {
    let mut keys = SchedulerSettings::keys();
    keys.extend(ExecutorSettings::keys());
    keys.extend(ClientSettings::keys());
    keys.extend(StoreSettings::keys());
    keys
}

/// Where a value was set; a later variant wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the built-in default holds.
    Default,
    /// In the configuration file.
    File {
        /// Path of the file as it was given.
        path: PathBuf,
        /// Line of the value, from 1.
        line: usize,
    },
    /// In the environment variable of this name.
    Env(String),
    /// On the command line.
    Flag,
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Env(_) => 2,
            Self::Flag => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One line of the effective configuration, fit to be printed: a secret shows as `***`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Full name, e.g. `scheduler.bind_port`.
    pub key: String,
    /// The value in the text form that the key accepts; empty where it is not set.
    pub value: String,
    /// Where the value was set.
    pub origin: Origin,
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.value.is_empty() {
            "(not set)"
        } else {
            &self.value
        };
        write!(f, "{} = {value} ({})", self.key, self.origin)
    }
}

/// What [`Loader::load`] makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<S> {
    /// The typed settings of the process.
    pub settings: S,
    /// How the stores are reached.
    pub stores: StoreSettings,
    /// Every key of the process's section and of the stores', in the order of the schema.
    pub effective: Vec<Effective>,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
}
