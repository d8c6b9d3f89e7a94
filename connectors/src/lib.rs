//! Everything that knows how tables are stored: the shared split scan, delimited text, JSON, files
//! read through DataFusion (local or on HDFS), HBase, MongoDB, published result sets, and the distributed
//! write.
//!
//! This crate knows no scheduler and no executor.

mod base64_text;
pub mod checked;
pub mod codec;
pub mod composed;
pub mod compression;
pub mod delimited;
pub mod error;
pub mod estimated;
mod exact_numbers;
mod exact_times;
pub mod files;
pub mod folded;
pub mod format;
#[cfg(any(test, fuzzing))]
mod fuzz;
pub mod hbase;
pub mod hdfs;
pub mod json;
pub mod key_set;
pub mod local;
pub mod location;
pub mod marked;
pub mod mongodb;
pub mod nodes;
pub mod offset;
pub mod provider;
pub mod published;
pub mod sealed;
#[cfg(test)]
mod search;
pub mod series;
pub mod split;
pub mod stores;
mod type_text;
pub mod windows;
pub mod write;
