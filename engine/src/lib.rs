//! The one place that builds a session: functions, catalog, object stores, codecs and
//! configuration. Client, scheduler and executor all use it, so that a plan means the same in each.

mod ddl;
mod debug_form;
pub mod dialect;
mod empty;
mod failure;
pub mod functions;
mod grouping;
mod guard;
pub mod insert;
pub mod job;
mod managed;
pub mod options;
mod ordered_text;
mod output_names;
mod physical;
pub mod publish;
pub mod query;
pub mod rest;
mod rules;
pub mod session;
pub mod state;
pub mod statement;
mod true_functions;
mod wire;

pub use emporia_connectors::stores::Stores;
pub use failure::query_error;
pub use options::EngineOptions;
pub use session::{Made, Session, Target};
pub use statement::{Done, Statement, StatementError};
