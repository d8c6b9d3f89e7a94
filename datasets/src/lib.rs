//! Data of Emporia: made up with a known truth, or imported from two public data sets.
//!
//! | module | what it is |
//! |---|---|
//! | [`generate()`] | users, goods, orders, sessions and dirty feeds at any scale |
//! | [`process`] | the parameters from which the generator draws |
//! | [`import`] | UCI Online Retail and CDNOW, as tables of the data contract |
//! | [`progress`] | what the caller hears of the work |
//!
//! Everything is written through an object store, as a folder of tables with the catalog
//! `emporia.toml` beside them. The same options give the same bytes, whatever the number of
//! threads is. The crate knows no query engine and prints nothing.

pub mod generate;
pub mod import;
pub mod process;
pub mod progress;

mod columns;
mod output;
mod rng;
#[cfg(test)]
mod stored;

pub use generate::{GenerateOptions, generate};
pub use import::{ImportOptions, import_cdnow, import_online_retail};
pub use output::{Format, open_local};
pub use progress::{NoProgress, Progress, Summary, TableSummary};
