//! Where rows are written: a collection, its key, and the paths of the columns in a document.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::Schema;
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, Result, nearest};
use serde::{Deserialize, Serialize};

use super::encode;
use super::indexes::IndexSpec;
use super::mapping::Stored;
use super::namespace::Namespace;
use super::options::CollectionOptions;

/// A collection as the target of a write; a recipe, without a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Serialize, Deserialize)]
pub struct CollectionTarget {
    pub(super) namespace: Namespace,
    /// Columns whose values form `_id`. Of one column it is the value itself; of several the texts
    /// of the values, joined by `|`, because a text can be compared, looked up and split by every
    /// server.
    pub(super) key: Vec<String>,
    /// Paths by column, where they are not the column's name.
    paths: BTreeMap<String, String>,
    stored: Stored,
    stored_columns: BTreeMap<String, Stored>,
    pub(super) indexes: Vec<IndexSpec>,
}

impl CollectionTarget {
    /// The target that a catalog definition describes; does no I/O.
    ///
    /// # Errors
    /// `InvalidInput` where location or options are wrong.
    pub fn of(table: &TableDef) -> Result<Self> {
        let options = CollectionOptions::parse(&table.options)?;
        let mut key = options.key.clone();
        if key.is_empty() {
            let id = options.paths.iter().find(|(_, path)| *path == "_id");
            key.push(id.map_or_else(|| "_id".to_owned(), |(column, _)| column.clone()));
        }
        Ok(Self {
            namespace: Namespace::parse(&table.location)?,
            key,
            paths: options.paths,
            stored: options.stored,
            stored_columns: options.stored_columns,
            indexes: options.indexes,
        })
    }

    /// Name of the database.
    pub fn database(&self) -> &str {
        &self.namespace.database
    }

    /// Name of the collection.
    pub fn collection(&self) -> &str {
        &self.namespace.collection
    }

    /// Columns whose values form `_id`.
    pub fn key(&self) -> &[String] {
        &self.key
    }

    /// The same target in another collection.
    pub(super) fn in_collection(&self, collection: String) -> Self {
        let mut target = self.clone();
        target.namespace.collection = collection;
        target
    }

    /// Where the values of the column are written; `_id` for a lone key column.
    pub(super) fn path_of<'a>(&'a self, column: &'a str) -> &'a str {
        match self.paths.get(column) {
            Some(path) => path,
            None if self.key == [column] => "_id",
            None => column,
        }
    }

    /// How the values of the column are written.
    pub(super) fn stored_of(&self, column: &str) -> Stored {
        *self.stored_columns.get(column).unwrap_or(&self.stored)
    }

    /// Checks, before anything is written, that rows of this schema can be.
    ///
    /// # Errors
    /// `InvalidInput` where a key column is missing or two columns have one place in a document,
    /// `Unsupported` for a type that BSON does not have.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let named = (self.key.iter())
            .chain(self.paths.keys())
            .chain(self.stored_columns.keys());
        for column in named {
            if names.contains(&column.as_str()) {
                continue;
            }
            let what = if self.key.contains(column) {
                "the key column"
            } else {
                "the column"
            };
            let error = Error::invalid(format!(
                "cannot write `{}`: the rows do not have {what} `{column}`",
                self.namespace
            ));
            return Err(match nearest(column, names.iter().copied()) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("name the columns that form `_id` in the option `key`"),
            });
        }
        let mut paths = BTreeSet::new();
        for field in schema.fields() {
            let path = self.path_of(field.name());
            let is_taken = paths.contains(path)
                || paths
                    .iter()
                    .any(|other: &&str| leads_to(other, path) || leads_to(path, other));
            if is_taken
                || (leads_to("_id", path) || (path == "_id" && self.key != [field.name().as_str()]))
            {
                return Err(Error::invalid(format!(
                    "cannot write `{}`: the place `{path}` of column `{}` is taken",
                    self.namespace,
                    field.name()
                ))
                .with_hint("set the option `column.NAME` to another path"));
            }
            paths.insert(path);
            encode::check_type(field.name(), field.data_type())?;
        }
        Ok(())
    }
}

fn leads_to(outer: &str, inner: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit};

    use super::*;

    fn target(options: &[(&str, &str)]) -> Result<CollectionTarget> {
        let mut table = TableDef::new("mongodb", "mongodb:shop.users");
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        table.options = options.iter().map(owned).collect();
        CollectionTarget::of(&table)
    }

    fn schema(names: &[&str]) -> Schema {
        let field = |name: &&str| Field::new(*name, DataType::Utf8, true);
        Schema::new(names.iter().map(field).collect::<Vec<_>>())
    }

    #[test]
    fn key_is_declared_mapped_or_called_id() -> Result<()> {
        assert_eq!(target(&[])?.key(), ["_id"]);
        assert_eq!(target(&[("column.user_id", "_id")])?.key(), ["user_id"]);
        let declared = target(&[("key", "user_id")])?;
        assert_eq!(declared.key(), ["user_id"]);
        assert_eq!(declared.path_of("user_id"), "_id");
        assert_eq!(declared.path_of("city"), "city");
        let joined = target(&[("key", "user_id,n")])?;
        assert_eq!(joined.path_of("user_id"), "user_id");
        assert_eq!((joined.database(), joined.collection()), ("shop", "users"));
        Ok(())
    }

    #[test]
    fn rows_that_cannot_be_written_are_refused() -> Result<()> {
        let check = |options: &[(&str, &str)], names: &[&str], expected: &str| {
            let checked = target(options).and_then(|t| t.check(&schema(names)));
            let text = match checked {
                Ok(()) => "fine".to_owned(),
                Err(e) => format!("{e}; {}", e.hint().unwrap_or("no hint")),
            };
            assert!(text.contains(expected), "{text}");
        };
        check(&[("key", "user_id")], &["user_id", "city"], "fine");
        check(
            &[("key", "user_id")],
            &["userid", "city"],
            "did you mean `userid`?",
        );
        check(&[], &["a"], "option `key`");
        check(
            &[("key", "a"), ("column.b", "c")],
            &["a", "b", "c"],
            "`c` of column `c` is taken",
        );
        check(
            &[("key", "a"), ("column.b", "c.d")],
            &["a", "b", "c"],
            "is taken",
        );
        check(
            &[("key", "a,b"), ("column.c", "_id")],
            &["a", "b", "c"],
            "`_id` of column `c`",
        );
        check(
            &[("key", "a"), ("column.b", "x.y"), ("column.c", "x.z")],
            &["a", "b", "c"],
            "fine",
        );
        let odd = Schema::new(vec![
            Field::new("_id", DataType::Utf8, false),
            Field::new("m", DataType::Interval(IntervalUnit::DayTime), true),
        ]);
        assert!(target(&[])?.check(&odd).is_err());
        Ok(())
    }
}
