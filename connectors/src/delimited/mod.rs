//! Delimited text (CSV): split by byte ranges, parsed straight into typed columns, and, where the
//! table says `permissive = "true"`, with bad fields reported instead of failing.
//!
//! A record is a line, or several where line breaks stand inside quotes; `cuts` says how such files are
//! read by several tasks, and `dialect` what a quote means where.

mod column;
mod cuts;
mod decoder;
mod dialect;
mod encoding;
mod failure;
mod fields;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod head;
mod key_filter;
mod lines;
mod marks;
mod options;
mod parse;
mod reader;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use encoding::Encoding;
#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz;
pub use options::{
    BlankLine, DelimitedOptions, ERROR, Empty, META_COLUMNS, POSITION, RAW, Ragged, Records, SOURCE,
};
pub use reader::{DelimitedSource, SOURCE_KIND};
pub use table::DelimitedTable;
pub use write::{Style, check_columns, encode, header};
