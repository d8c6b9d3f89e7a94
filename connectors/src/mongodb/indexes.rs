//! Indexes that a table declares, e.g. `indexes = "city; user_id, ts desc; unique email"`.

use emporia_core::error::{Error, ErrorKind, Result};
use mongodb::bson::Document;
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel};
use serde::{Deserialize, Serialize};

use super::fault::{self, Attempt};
use super::retry::patiently;
use super::target::CollectionTarget;
use crate::stores::Stores;

/// An index over columns or paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Serialize, Deserialize)]
pub struct IndexSpec {
    /// Column or path, and whether it descends.
    fields: Vec<(String, bool)>,
    is_unique: bool,
}

impl IndexSpec {
    /// Parses the option `indexes`: indexes separated by `;`, each of them names separated by `,`.
    ///
    /// # Errors
    /// `InvalidInput` where a name is missing or a word is unknown.
    pub(super) fn parse_list(text: &str) -> Result<Vec<Self>> {
        text.split(';')
            .map(|index| Self::parse(index.trim()))
            .collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!("option `indexes` has the wrong part `{text}`"))
                .with_hint("an index is `a`, `a, b desc` or `unique a`; `;` separates indexes")
        };
        let (is_unique, rest) = match text.strip_prefix("unique ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let field = |part: &str| {
            let mut words = part.split_whitespace();
            let name = words
                .next()
                .filter(|n| !n.starts_with('$'))
                .ok_or_else(wrong)?;
            let descends = match (words.next(), words.next()) {
                (None | Some("asc"), None) => false,
                (Some("desc"), None) => true,
                _ => return Err(wrong()),
            };
            Ok((name.to_owned(), descends))
        };
        Ok(Self {
            fields: rest.split(',').map(field).collect::<Result<_>>()?,
            is_unique,
        })
    }

    fn model(&self, target: &CollectionTarget) -> IndexModel {
        let direction = |descends: &bool| if *descends { -1 } else { 1 };
        let keys: Document = self
            .fields
            .iter()
            .map(|(name, descends)| (target.path_of(name).to_owned(), direction(descends).into()))
            .collect();
        let options = self
            .is_unique
            .then(|| IndexOptions::builder().unique(true).build());
        IndexModel::builder().keys(keys).options(options).build()
    }
}

/// Creates the indexes that the target declares, and with them the collection; those that exist
/// already stay as they are.
///
/// # Errors
/// `AlreadyExists` where an index of the same name or fields is another one, `InvalidInput` where
/// documents are not unique in a unique index, and as of any request.
pub async fn create_indexes(stores: &Stores, target: &CollectionTarget) -> Result<()> {
    let what = format!("create the indexes of `{}`", target.namespace);
    let attempt = Attempt::to(what, stores.settings());
    let client = stores.mongodb().await?;
    let collection: Collection<Document> = client
        .database(target.database())
        .collection(target.collection());
    for index in &target.indexes {
        // One by one: FerretDB 1 closes the connection when it is told of two that exist already.
        let model = index.model(target);
        let created = patiently(stores.settings().patience, || {
            let request = collection.create_index(model.clone());
            async move { request.await.map(drop) }
        });
        created
            .await
            .map_err(|error| match fault::code_of(&error) {
                Some(85 | 86) => Error::new(
                    ErrorKind::AlreadyExists,
                    format!(
                        "`{}` has another index of the same name or fields",
                        target.namespace
                    ),
                )
                .with_hint("drop it, or change the option `indexes`")
                .with_source(*error.kind),
                _ => attempt.failed(error),
            })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use emporia_core::catalog::TableDef;

    use super::*;

    #[test]
    fn indexes_are_parsed_and_follow_the_paths() -> Result<()> {
        let mut table = TableDef::new("mongodb", "mongodb:shop.users");
        let options = [
            ("indexes", "city; user_id, ts desc; unique email"),
            ("column.city", "address.city"),
            ("key", "user_id"),
        ];
        table.options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let target = CollectionTarget::of(&table)?;
        let models: Vec<_> = target.indexes.iter().map(|i| i.model(&target)).collect();
        let keys: Vec<_> = models.iter().map(|m| m.keys.to_string()).collect();
        assert_eq!(
            keys,
            [
                r#"{ "address.city": 1 }"#,
                r#"{ "_id": 1, "ts": -1 }"#,
                r#"{ "email": 1 }"#
            ]
        );
        let unique: Vec<_> = models
            .iter()
            .map(|m| m.options.as_ref().and_then(|o| o.unique).unwrap_or(false))
            .collect();
        assert_eq!(unique, [false, false, true]);
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        for wrong in ["", "a,", "a b", "a desc desc", "unique", "a;", "$x"] {
            let parsed = IndexSpec::parse_list(wrong);
            // `unique` alone is a column of that name.
            assert_eq!(parsed.is_ok(), wrong == "unique", "{wrong}: {parsed:?}");
        }
    }
}
