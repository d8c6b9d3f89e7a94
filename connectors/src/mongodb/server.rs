//! What kind of server speaks MongoDB's protocol, where that makes a difference.

use mongodb::Database;
use mongodb::bson::doc;
use mongodb::error::Result;

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

    /// Whether a range of `_id` is read without reading the rest of the collection.
    pub(super) fn reads_ranges(self) -> bool {
        self == Self::MongoDb
    }

    /// Whether it stores decimals. FerretDB 1 closes the connection on which it meets one.
    pub(super) fn has_decimals(self) -> bool {
        self == Self::MongoDb
    }
}
