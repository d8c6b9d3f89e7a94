//! Collections of MongoDB.
//!
//! Reading: [`open`] asks the server on the client what a collection is (`open`, `sample`,
//! `boundaries`) and makes a [`CollectionTable`], whose scan hands filters (`filter`, `predicate`)
//! and splits (`splits`) to a [`CollectionSource`]. On an executor that fetches a split (`fetch`)
//! and decodes its documents (`decode`).
//!
//! Writing: a [`CollectionWriter`] turns rows into documents (`encode`) and replaces those with the
//! same key (`write`); a whole collection is replaced through a staged one (`overwrite`, `marker`).
//!
//! A recipe names database and collection; servers and credentials are settings of the process.

mod boundaries;
mod connect;
mod decimal;
mod decode;
mod encode;
mod fault;
mod fetch;
mod filter;
mod indexes;
mod mapping;
mod marker;
mod namespace;
mod open;
mod options;
mod overwrite;
#[cfg(test)]
mod overwrite_model;
#[cfg(test)]
mod overwrite_tests;
mod predicate;
mod replace;
mod retry;
mod sample;
mod server;
mod source;
mod splits;
mod table;
mod target;
mod wire;
mod write;

#[cfg(test)]
mod evaluate;
#[cfg(test)]
mod fake;

pub use connect::connect;
pub use indexes::{IndexSpec, create_indexes};
pub use open::open;
pub use overwrite::{Staging, begin_overwrite, create, discard, publish_overwrite};
pub use source::{CollectionSource, SOURCE_KIND};
pub use table::CollectionTable;
pub use target::CollectionTarget;
pub use write::{CollectionWriter, Written};

use emporia_core::error::{Error, ErrorKind};

/// The server sent bytes that are no BSON.
fn broken_bson() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the server sent a document that is not valid BSON",
    )
}
