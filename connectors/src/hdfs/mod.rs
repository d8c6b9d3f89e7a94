//! HDFS as an object store, opened with the first `hdfs://` location.
//!
//! ```text
//!   StoreRegistry ─▶ HdfsStore ─▶ Cluster ─▶ FileSystem
//!   (sessions)       interface    patience   one try each: Native (client library), Memory (tests)
//! ```
//!
//! The engine retries none of the faults that an object store tells it: a scan that meets one fails
//! its job. So all waiting for HDFS happens here, for as long as `stores.patience` says and no bytes
//! come. A read goes on at the byte that it reached. A file is written under another name and
//! moved to its place when it is complete. What stays broken is told as a [`Fault`], in the causes
//! of the store's error.
//!
//! # Locations
//!
//! `hdfs://host:port/path` names a NameNode, `hdfs://host/path` one at port 8020,
//! `hdfs://name/path` a name service of the configuration with its NameNodes, and `hdfs:///path` the
//! `fs.defaultFS` of the configuration.
//!
//! `docs/store-options.md` says what of the Hadoop configuration is read, and who the user is.

mod cluster;
mod fault;
mod filesystem;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod names;
mod native;
mod open;
mod open_files;
mod placement;
mod read;
mod registry;
mod retry;
mod store;
#[cfg(test)]
mod tests;
mod write;

pub use fault::{Fault, FaultKind};
pub use registry::StoreRegistry;
