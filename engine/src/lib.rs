//! The one place that builds a session: functions, catalog, object stores, codecs and
//! configuration. Client, scheduler and executor all use it, so that a plan means the same in each.

mod ddl;
pub mod dialect;
mod empty;
mod failure;
pub mod functions;
mod grouping;
pub mod insert;
pub mod job;
mod managed;
pub mod options;
mod ordered_text;
mod output_names;
mod physical;
#[cfg(test)]
mod plain;
pub mod publish;
pub mod query;
pub mod reach;
pub mod rest;
mod rules;
pub mod running;
pub mod session;
pub mod state;
pub mod statement;
mod times;
mod true_functions;
mod wire;

/// Stands for the executor where a task does not know which of those that it read from has lost its output.
pub const EVERY_EXECUTOR: &str = "*";

pub use emporia_connectors::nodes;
pub use emporia_connectors::split::is_fixed_scan;
pub use emporia_connectors::stores::Stores;
pub use emporia_connectors::write::writes_to_store;
pub use failure::{query_error, task_error};
pub use options::EngineOptions;
pub use physical::{is_estimate_or_mark, partitioned_hash_join, with_whole_frames};
pub use session::{Made, Session, Target};
pub use statement::{Done, Statement, StatementError};
