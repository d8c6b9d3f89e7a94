//! A client of HBase's Thrift gateway that loses no row.
//!
//! HBase itself is spoken to by a gateway process, the Thrift server of HBase; this crate speaks
//! Thrift1 to one or several of them, and two calls of Thrift2 for tables with split keys. It
//! knows rows, cells and key ranges; it knows neither SQL nor Arrow.
//!
//! All calls block. Callers use threads of their own, never those of an async runtime.
//!
//! What it takes care of:
//!
//! - A scan resumes behind the last row that was received whole, on any fault and on any gateway
//!   ([`Scanner`]).
//! - Writes carry a fixed timestamp, so that repeating them changes nothing ([`Client::put`]).
//! - A gateway that speaks another protocol is named as such before real work is sent to it, and
//!   no length from the wire is trusted ([`Error::WrongProtocol`]).
//! - A dead gateway is avoided for a while, and every wait has an end ([`ClientOptions`]).

mod action;
mod backoff;
mod catalog;
mod client;
mod compare;
mod connection;
mod ddl;
mod error;
mod fault;
pub mod filter;
mod gateways;
mod get;
mod handshake;
mod java;
mod options;
mod page_size;
mod put;
mod range;
mod scan;
mod sink;
mod thrift2;
mod wire;

pub use catalog::{Family, Region};
pub use client::Client;
pub use ddl::{FamilySpec, TableSpec};
pub use error::{Error, Result};
pub use options::{ClientOptions, Protocol, TlsOptions, Transport};
pub use put::RowMutation;
pub use range::{KeyRange, after, prefix_end};
pub use scan::{ScanRequest, Scanner};
pub use sink::RowSink;
#[cfg(any(test, fuzzing))]
pub use wire::fuzz;
