//! The name of a collection with its database.

use std::fmt;

use emporia_core::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Database and collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Serialize, Deserialize)]
pub(super) struct Namespace {
    pub(super) database: String,
    pub(super) collection: String,
}

impl Namespace {
    /// Parses the location of a table, `mongodb:DATABASE.COLLECTION`.
    ///
    /// A database name has no dot, so the first one ends it; a collection name may have dots.
    pub(super) fn parse(location: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "`{location}` is not the location of a collection: {why}"
            ))
            .with_hint("its form is mongodb:DATABASE.COLLECTION, without a server")
        };
        let name = location
            .strip_prefix("mongodb:")
            .ok_or_else(|| wrong("it does not start with `mongodb:`"))?;
        if name.starts_with("//") {
            // A whole connection string may hold a password, so it is not repeated.
            return Err(Error::invalid("a table's location names no MongoDB server")
                .with_hint("its form is mongodb:DATABASE.COLLECTION; set stores.mongodb_uri"));
        }
        let (database, collection) = name
            .split_once('.')
            .ok_or_else(|| wrong("it names no collection"))?;
        if database.is_empty() || database.contains(['/', '\\', ' ', '"', '$', '\0']) {
            return Err(wrong("the name of the database is wrong"));
        }
        if collection.is_empty() || collection.contains(['$', '\0']) {
            return Err(wrong("the name of the collection is wrong"));
        }
        Ok(Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
        })
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_dot_ends_the_database() -> Result<()> {
        let name = Namespace::parse("mongodb:shop.orders.2024")?;
        assert_eq!(
            (name.database.as_str(), name.collection.as_str()),
            ("shop", "orders.2024")
        );
        assert_eq!(name.to_string(), "shop.orders.2024");
        for wrong in [
            "shop.orders",
            "mongodb:shop",
            "mongodb:.x",
            "mongodb:shop.",
            "mongodb:a.$b",
        ] {
            assert!(Namespace::parse(wrong).is_err(), "{wrong}");
        }
        let secret = Namespace::parse("mongodb://user:secret@host/shop.orders");
        assert!(!format!("{secret:?}").contains("secret"));
        Ok(())
    }
}
