//! What kind of server speaks MongoDB's protocol, where that makes a difference.

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;
use mongodb::{Collection, Database};

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// MongoDB, or one that keeps its data as MongoDB does.
    MongoDb,
    /// FerretDB 1, which keeps documents as JSON text in a relational database.
    FerretDb1,
}

impl Server {
    /// Asks the server what it is.
    pub(super) async fn of(database: &Database) -> Result<Self> {
        let info = database.run_command(doc! { "buildInfo": 1 }).await?;
        let ferretdb = info.get_str("ferretdbVersion").unwrap_or_default();
        Ok(if ferretdb.trim_start_matches('v').starts_with("1.") {
            Self::FerretDb1
        } else {
            Self::MongoDb
        })
    }

    /// About how many documents the collection has, without reading them.
    pub(super) async fn estimated_documents(
        self,
        database: &Database,
        collection: &Collection<Document>,
    ) -> Result<u64> {
        if self == Self::MongoDb {
            return collection.estimated_document_count().await;
        }
        // FerretDB's `count`, which the driver's estimate is, decodes every document.
        let stats = doc! { "collStats": collection.name() };
        let stats = database.run_command(stats).await?;
        Ok(match stats.get("count") {
            Some(Bson::Int32(n)) => u64::try_from(*n).unwrap_or_default(),
            Some(Bson::Int64(n)) => u64::try_from(*n).unwrap_or_default(),
            _ => 0,
        })
    }

    /// Whether documents come in the order of `_id` from an index. FerretDB 1 holds all that a
    /// request selects in memory to sort it.
    pub(super) fn reads_in_order(self) -> bool {
        self == Self::MongoDb
    }

    /// Whether a range of `_id` is read without reading the rest of the collection.
    pub(super) fn reads_ranges(self) -> bool {
        self == Self::MongoDb
    }

    /// Whether it stores decimals. FerretDB 1 closes the connection on which it meets one.
    pub(super) fn has_decimals(self) -> bool {
        self == Self::MongoDb
    }
}
