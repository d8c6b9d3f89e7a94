//! Options of a collection's table.

use std::collections::BTreeMap;
use std::str::FromStr;

use emporia_core::error::{Error, Result, nearest};
use mongodb::bson::Bson;

use super::indexes::IndexSpec;
use super::mapping::{Column, Malformed, Stored, ValueType};

/// The options that are plain words; `column.NAME` and `stored.NAME` come on top.
const KEYS: [&str; 9] = [
    "indexes",
    "key",
    "malformed",
    "mixed",
    "sample",
    "split_at",
    "split_by",
    "splits",
    "stored",
];

/// Documents that are read to find the schema, where none is declared.
const DEFAULT_SAMPLE: u32 = 1000;

/// What becomes of a field whose sampled values have no common type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mixed {
    /// The table cannot be opened.
    #[default]
    Error,
    /// The column is text; documents and lists in it are JSON.
    Text,
}

/// The parsed options of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CollectionOptions {
    /// Paths by column, where they are not the column's name.
    pub(super) paths: BTreeMap<String, String>,
    /// How the values of all columns without an entry in `stored_columns` are stored.
    pub(super) stored: Stored,
    pub(super) stored_columns: BTreeMap<String, Stored>,
    /// Columns that form `_id`.
    pub(super) key: Vec<String>,
    pub(super) indexes: Vec<IndexSpec>,
    pub(super) malformed: Malformed,
    pub(super) mixed: Mixed,
    pub(super) sample: u32,
    /// Number of splits, where it is not left to the size of the collection.
    pub(super) splits: Option<usize>,
    /// Path of the field by whose ranges the collection is split.
    pub(super) split_by: String,
    /// First values of all splits but one, ascending, where they are not sampled.
    pub(super) split_at: Vec<String>,
}

impl Default for CollectionOptions {
    fn default() -> Self {
        Self {
            paths: BTreeMap::new(),
            stored: Stored::default(),
            stored_columns: BTreeMap::new(),
            key: Vec::new(),
            indexes: Vec::new(),
            malformed: Malformed::default(),
            mixed: Mixed::default(),
            sample: DEFAULT_SAMPLE,
            splits: None,
            split_by: "_id".to_owned(),
            split_at: Vec::new(),
        }
    }
}

impl CollectionOptions {
    /// Parses the options of a catalog table.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown key (with the nearest one) or a bad value.
    pub(super) fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options {
            if let Some(column) = key.strip_prefix("column.") {
                parsed.paths.insert(column.to_owned(), path(key, value)?);
                continue;
            }
            if let Some(column) = key.strip_prefix("stored.") {
                let stored = one_of(key, value, &Stored::NAMES, Stored::parse)?;
                parsed.stored_columns.insert(column.to_owned(), stored);
                continue;
            }
            match key.as_str() {
                "indexes" => parsed.indexes = IndexSpec::parse_list(value)?,
                "key" => parsed.key = names(key, value)?,
                "malformed" => {
                    parsed.malformed = one_of(key, value, &["error", "null"], |v| match v {
                        "error" => Some(Malformed::Error),
                        "null" => Some(Malformed::Null),
                        _ => None,
                    })?;
                }
                "mixed" => {
                    parsed.mixed = one_of(key, value, &["error", "text"], |v| match v {
                        "error" => Some(Mixed::Error),
                        "text" => Some(Mixed::Text),
                        _ => None,
                    })?;
                }
                "sample" => parsed.sample = number(key, value)?,
                "split_at" => {
                    parsed.split_at = value.split(',').map(|v| v.trim().to_owned()).collect();
                }
                "split_by" => parsed.split_by = path(key, value)?,
                "splits" => parsed.splits = Some(number(key, value)? as usize),
                "stored" => parsed.stored = one_of(key, value, &Stored::NAMES[..3], Stored::parse)?,
                _ => return Err(unknown(key)),
            }
        }
        if parsed.splits.is_some() && !parsed.split_at.is_empty() {
            return Err(Error::invalid(
                "the options `splits` and `split_at` exclude each other",
            ));
        }
        Ok(parsed)
    }

    /// The values of `split_at`, of the type that the column at the path `split_by` has.
    ///
    /// # Errors
    /// `InvalidInput` where they are not of that type or not ascending.
    pub(super) fn limits(&self, columns: &[Column]) -> Result<Vec<Bson>> {
        if self.split_at.is_empty() {
            return Ok(Vec::new());
        }
        let column = columns.iter().find(|c| c.path == self.split_by);
        let is_id = column.is_some_and(|c| c.stored == Stored::ObjectId);
        let (limits, form) = match column.map_or(&ValueType::Text, |c| &c.value) {
            ValueType::Text if is_id => (ascending(&self.split_at, Bson::ObjectId), "object ids"),
            ValueType::Text => (ascending(&self.split_at, Bson::String), "texts"),
            ValueType::Int32 | ValueType::Int64 => {
                (ascending(&self.split_at, Bson::Int64), "integers")
            }
            _ => (None, "texts, integers or object ids, as the column is,"),
        };
        limits.ok_or_else(|| {
            Error::invalid(format!(
                "option `split_at` must be ascending {form} separated by commas"
            ))
        })
    }

    /// Where the values of the column are: as the options say; the value of a lone key column is
    /// `_id` itself.
    pub(super) fn path_of(&self, column: &str) -> String {
        match self.paths.get(column) {
            Some(path) => path.clone(),
            None if self.key == [column] => "_id".to_owned(),
            None => column.to_owned(),
        }
    }

    /// How the values of the column are stored.
    pub(super) fn stored_of(&self, column: &str) -> Stored {
        *self.stored_columns.get(column).unwrap_or(&self.stored)
    }

    /// Checks that every column that the options name exists.
    ///
    /// # Errors
    /// `InvalidInput` with the nearest column.
    pub(super) fn check_columns(&self, columns: &[&str]) -> Result<()> {
        let named = (self.paths.keys().map(|c| ("column", c)))
            .chain(self.stored_columns.keys().map(|c| ("stored", c)))
            .chain(self.key.iter().map(|c| ("key", c)));
        for (option, name) in named {
            if columns.contains(&name.as_str()) {
                continue;
            }
            let error = Error::invalid(format!(
                "option `{option}` names the column `{name}`, which the table does not have"
            ));
            return Err(match nearest(name, columns.iter().copied()) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("columns are {}", columns.join(", "))),
            });
        }
        Ok(())
    }
}

/// The values, where they can be parsed and each is greater than the one before.
fn ascending<T: FromStr + PartialOrd>(values: &[String], bson: fn(T) -> Bson) -> Option<Vec<Bson>> {
    let values: Vec<T> = values
        .iter()
        .map(|v| v.parse().ok())
        .collect::<Option<_>>()?;
    let is_ascending = values.is_sorted_by(|a, b| a < b);
    is_ascending.then(|| values.into_iter().map(bson).collect())
}

fn unknown(key: &str) -> Error {
    let error = Error::invalid(format!("`{key}` is not an option of a collection"));
    match nearest(key, KEYS) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!(
            "options are {}, column.NAME and stored.NAME",
            KEYS.join(", ")
        )),
    }
}

fn one_of<T>(
    key: &str,
    value: &str,
    names: &[&str],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    let known = names.contains(&value).then(|| parse(value)).flatten();
    known.ok_or_else(|| {
        Error::invalid(format!("option `{key}` cannot be `{value}`"))
            .with_hint(format!("it is one of {}", names.join(", ")))
    })
}

fn number(key: &str, value: &str) -> Result<u32> {
    let number = value.parse().ok().filter(|n| (1..=1_000_000).contains(n));
    number.ok_or_else(|| {
        Error::invalid(format!(
            "option `{key}` must be a number from 1 to 1000000, not `{value}`"
        ))
    })
}

/// A path as MongoDB has them; operators and array positions are none.
fn path(key: &str, value: &str) -> Result<String> {
    let is_path = value
        .split('.')
        .all(|part| !part.is_empty() && !part.starts_with('$') && !part.contains('\0'));
    if is_path {
        return Ok(value.to_owned());
    }
    Err(Error::invalid(format!(
        "option `{key}` must be a path such as address.city, not `{value}`"
    )))
}

/// Column names, separated by commas.
fn names(key: &str, value: &str) -> Result<Vec<String>> {
    let names: Vec<String> = value.split(',').map(|n| n.trim().to_owned()).collect();
    let is_distinct = (1..names.len()).all(|i| !names[..i].contains(&names[i]));
    if names.iter().any(String::is_empty) || !is_distinct {
        return Err(Error::invalid(format!(
            "option `{key}` must be distinct column names, separated by commas, not `{value}`"
        )));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<CollectionOptions> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        CollectionOptions::parse(&options.iter().map(owned).collect())
    }

    #[test]
    fn options_are_parsed() -> Result<()> {
        assert_eq!(parse(&[])?, CollectionOptions::default());
        let options = parse(&[
            ("column.city", "address.city"),
            ("stored", "native"),
            ("stored.ref", "objectid"),
            ("key", "user_id"),
            ("indexes", "city; unique email"),
            ("malformed", "null"),
            ("sample", "50"),
            ("splits", "4"),
        ])?;
        assert_eq!(options.path_of("city"), "address.city");
        assert_eq!(options.path_of("user_id"), "_id");
        assert_eq!(options.path_of("email"), "email");
        assert_eq!(options.stored_of("city"), Stored::Native);
        assert_eq!(options.stored_of("ref"), Stored::ObjectId);
        assert_eq!(options.malformed, Malformed::Null);
        assert_eq!((options.sample, options.splits), (50, Some(4)));
        assert_eq!(options.indexes.len(), 2);
        Ok(())
    }

    #[test]
    fn limits_have_the_type_of_their_column() -> Result<()> {
        let column = |data_type: DataType| {
            let field = Field::new("k", data_type, false);
            Column::new(&field, "_id", Stored::Any)
        };
        let limits = |text: &str, data_type: DataType| {
            let options = parse(&[("split_at", text)])?;
            options.limits(&[column(data_type)?])
        };
        let texts = [Bson::from("10"), Bson::from("9")];
        assert_eq!(limits("10, 9", DataType::Utf8)?, texts);
        let numbers = [Bson::Int64(9), Bson::Int64(10)];
        assert_eq!(limits("9,10", DataType::Int64)?, numbers);
        assert_eq!(parse(&[("split_at", "a,b")])?.limits(&[])?.len(), 2);
        assert!(parse(&[])?.limits(&[column(DataType::Date32)?])?.is_empty());
        let id = "65a000000000000000000001";
        let object_id = Column::new(
            &Field::new("k", DataType::Utf8, false),
            "_id",
            Stored::ObjectId,
        )?;
        let parsed = parse(&[("split_at", id)])?.limits(std::slice::from_ref(&object_id))?;
        assert_eq!(
            parsed,
            [Bson::ObjectId(id.parse().map_err(|_| unknown(id))?)]
        );
        assert!(parse(&[("split_at", "a")])?.limits(&[object_id]).is_err());
        for (text, data_type) in [
            ("10,9", DataType::Int64),
            ("9,10", DataType::Utf8),
            ("9,9", DataType::Int32),
            ("a", DataType::Int32),
            ("a,", DataType::Utf8),
            ("2025-01-01", DataType::Date32),
        ] {
            assert!(limits(text, data_type).is_err(), "{text}");
        }
        assert!(parse(&[("split_at", "a"), ("splits", "2")]).is_err());
        Ok(())
    }

    #[test]
    fn joined_keys_leave_their_columns_where_they_are() -> Result<()> {
        let options = parse(&[("key", "order_id, line_no")])?;
        assert_eq!(options.key, ["order_id", "line_no"]);
        assert_eq!(options.path_of("line_no"), "line_no");
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        let check = |key: &str, value: &str, expected: &str| {
            let text = match parse(&[(key, value)]) {
                Ok(_) => "no error".to_owned(),
                Err(e) => format!("{e}; {}", e.hint().unwrap_or("no hint")),
            };
            assert!(text.contains(expected), "{text}");
        };
        check("sampel", "5", "did you mean `sample`?");
        check("zzzzzzzz", "5", "options are indexes, key");
        check("sample", "0", "from 1 to 1000000");
        check("malformed", "drop", "it is one of error, null");
        check("stored", "objectid", "it is one of any, native, text");
        check(
            "stored.x",
            "blob",
            "it is one of any, native, text, objectid",
        );
        check("column.x", "a..b", "must be a path");
        check("column.x", "$a", "must be a path");
        check("key", "a,a", "distinct");
        check("key", "", "distinct");
        check("indexes", "a;;b", "indexes");
    }

    #[test]
    fn named_columns_must_exist() -> Result<()> {
        let options = parse(&[("key", "user_di")])?;
        let error = options.check_columns(&["user_id", "city"]);
        assert!(error.is_err_and(|e| e.hint() == Some("did you mean `user_id`?")));
        parse(&[("column.city", "c")])?.check_columns(&["city"])
    }
}
