//! The vocabulary that every Emporia process shares: errors, configuration, the table catalog, the
//! data contract, the words of a job, logging, shutdown, and how numbers are written for people.
//!
//! This crate knows no store and opens no socket.

pub mod catalog;
pub mod config;
pub mod contract;
pub mod error;
pub mod job;
pub mod key_hash;
pub mod location;
pub mod report;
pub mod shutdown;
pub mod telemetry;
pub mod text;

pub use error::{Error, ErrorKind, Result};
