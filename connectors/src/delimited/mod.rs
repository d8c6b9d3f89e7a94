//! Delimited text (CSV): split by byte ranges, parsed straight into typed columns, and, where the
//! table says `permissive = "true"`, with bad fields reported instead of failing.
//!
//! One record is one line: a quoted field may hold the delimiter and doubled quotes but no line
//! break, which is what makes a file splittable at any byte.

mod column;
mod decoder;
mod fields;
mod key_filter;
mod lines;
mod marks;
mod options;
mod parse;
mod reader;
mod table;
#[cfg(test)]
mod tests;

pub use options::{DelimitedOptions, ERROR, META_COLUMNS, POSITION, RAW, SOURCE};
pub use reader::{DelimitedSource, SOURCE_KIND};
pub use table::{DelimitedTable, TextFile};
