//! Tables of HBase, reached through its Thrift gateways.
//!
//! ```text
//!   catalog ─definition─▶ Mapping ─┐
//!                                  ├─ HBaseTable ─predicate, fetch, splits─▶ HBaseSource ─reader─▶ rows
//!   HBase ─open: cuts, snapshot ───┘                                    ◀─encode, write── rows
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `definition` | options of a table in the catalog, also those of Spark and Hive |
//! | `mapping` | how cells are columns; travels in plans |
//! | `key` | how columns make up the key of a row |
//! | `value` | how a value is the bytes of a cell |
//! | `predicate` | what filters of a query mean for HBase: key ranges and a filter on cells |
//! | `fetch` | which cells a scan has to ask for, so that no row is lost |
//! | `cuts`, `splits` | how a table is read in parallel |
//! | `table`, `source` | the provider and the recipe of a scan |
//! | `reader`, `rows` | reading one split on a thread of its own, into Arrow columns |
//! | `encode` | from rows to keys and cells |
//! | `write`, `result` | writing rows, and the tables that results go to |
//! | `snapshot`, `publication` | which run of a result is read, and how it changes |
//! | `count`, `purge`, `pieces` | whether a run is whole, and removing older ones, a few pieces at a time |

mod connect;
mod count;
mod cuts;
mod definition;
mod encode;
mod error;
mod escape;
mod fetch;
mod key;
mod mapping;
mod open;
mod pieces;
mod predicate;
mod publication;
#[cfg(test)]
mod publication_model;
mod purge;
mod reader;
mod result;
mod rows;
mod snapshot;
mod source;
mod splits;
mod table;
mod value;
mod write;

pub use connect::connect;
pub use emporia_hbase::Client;
pub use encode::{EncodedRow, RowEncoder};
#[cfg(any(test, fuzzing))]
pub use key::fuzz;
pub use mapping::Mapping;
pub use open::open;
pub use publication::{Publication, Published, PublishedTable, upsert_sink};
pub use result::{ResultTable, deletes_nulls, table_spec};
pub use snapshot::{Snapshot, current_run};
pub use source::{HBaseSource, SOURCE_KIND};
pub use table::HBaseTable;
pub use write::{HBaseSink, HBaseWriter};
