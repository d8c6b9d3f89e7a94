//! Everything that knows how tables are stored: the shared split scan, delimited text, files read
//! through DataFusion, published result sets, and the distributed staged write.
//!
//! This crate knows no scheduler and no executor.

pub mod codec;
pub mod delimited;
pub mod error;
pub mod files;
pub mod published;
pub mod split;
pub mod write;
