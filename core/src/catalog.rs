//! The table catalog as data: name → connector, location, options, schema.
//!
//! A job names tables only; this file says where they are. See `docs/configuration.md` for the
//! format of `emporia.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use toml::Spanned;

#[cfg(any(test, fuzzing))]
mod fuzz;

#[cfg(any(test, fuzzing))]
pub use fuzz::{fuzz, fuzz_types};

use crate::contract;
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::location::Location;

/// One declared table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableDef {
    /// `parquet`, `csv`, `json`, `hbase` or `mongodb`.
    pub connector: String,
    /// Path or URI of a file or folder, see [`Location`], where a relative path is relative to the
    /// catalog file; `hbase:TABLE`; or `mongodb:DATABASE.COLLECTION`.
    pub location: String,
    /// Name of a table of the data contract whose schema this table has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Columns as `name type`, e.g. `price decimal(18,2)`; an alternative to `contract`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Connector options.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

impl TableDef {
    /// A definition without options and schema.
    pub fn new(connector: impl Into<String>, location: impl Into<String>) -> Self {
        Self {
            connector: connector.into(),
            location: location.into(),
            contract: None,
            columns: Vec::new(),
            options: BTreeMap::new(),
        }
    }

    /// The declared schema, `None` where the files define it.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown contract table or a column that does not parse.
    pub fn declared_schema(&self) -> Result<Option<SchemaRef>> {
        if let Some(table) = &self.contract {
            return contract::schema(table).map(Some).ok_or_else(|| {
                let error =
                    Error::invalid(format!("`{table}` is not a table of the data contract"));
                match nearest(table, contract::TABLES) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error,
                }
            });
        }
        if self.columns.is_empty() {
            return Ok(None);
        }
        let fields = self
            .columns
            .iter()
            .map(|column| {
                let (name, type_name) = column.trim().split_once(' ').ok_or_else(|| {
                    Error::invalid(format!("column `{column}` is not of the form `name type`"))
                })?;
                Ok(Field::new(name, parse_type(type_name.trim())?, true))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(Arc::new(Schema::new(fields))))
    }
}

/// Parses a column type of the catalog file.
///
/// # Errors
/// `InvalidInput` that lists the known types.
pub fn parse_type(text: &str) -> Result<DataType> {
    let lower = text.to_ascii_lowercase();
    let simple = match lower.as_str() {
        "string" | "text" | "varchar" => Some(DataType::Utf8),
        "int" | "int32" => Some(DataType::Int32),
        "bigint" | "int64" => Some(DataType::Int64),
        "double" | "float64" => Some(DataType::Float64),
        "bool" | "boolean" => Some(DataType::Boolean),
        "date" => Some(DataType::Date32),
        "timestamp" => Some(contract::timestamp()),
        "binary" => Some(DataType::Binary),
        _ => None,
    };
    if let Some(data_type) = simple {
        return Ok(data_type);
    }
    // Names of fields keep their case.
    let inside = |open: &str| {
        let is_one = lower.starts_with(open) && lower.ends_with(')');
        text.get(open.len()..text.len().checked_sub(1)?)
            .filter(|_| is_one)
    };
    if let Some(item) = inside("list(") {
        let item = Field::new("item", parse_type(item.trim())?, true);
        return Ok(DataType::List(Arc::new(item)));
    }
    if let Some(value) = inside("map(string,") {
        let value = Field::new("value", parse_type(value.trim())?, true);
        let key = Field::new("key", DataType::Utf8, false);
        let entries = DataType::Struct(vec![key, value].into());
        let entries = Field::new("entries", entries, false);
        return Ok(DataType::Map(Arc::new(entries), false));
    }
    if let Some(fields) = inside("struct(") {
        let fields = split_top(fields)
            .into_iter()
            .map(|field| {
                let (name, type_name) = field.trim().split_once(' ').ok_or_else(|| {
                    Error::invalid(format!("field `{field}` is not of the form `name type`"))
                })?;
                Ok(Field::new(name, parse_type(type_name.trim())?, true))
            })
            .collect::<Result<Vec<_>>>()?;
        return Ok(DataType::Struct(fields.into()));
    }
    let decimal = lower
        .strip_prefix("decimal(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|args| args.split_once(','))
        .and_then(|(p, s)| Some((p.trim().parse::<u8>().ok()?, s.trim().parse::<i8>().ok()?)))
        .filter(|(p, s)| (1..=38).contains(p) && (0..=*p as i8).contains(s));
    match decimal {
        Some((precision, scale)) => Ok(DataType::Decimal128(precision, scale)),
        None => Err(
            Error::invalid(format!("`{text}` is not a column type")).with_hint(
                "types are string, int32, int64, float64, bool, date, timestamp, binary, decimal(p,s), \
                 list(type), struct(name type, …) and map(string, type)",
            ),
        ),
    }
}

/// The catalog's name of a type, which [`parse_type`] reads.
///
/// # Errors
/// `Unsupported` for a type that no table has.
pub fn type_name(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float32 | DataType::Float64 => "float64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(item) => format!("list({})", type_name(item.data_type())?),
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|f| Ok(format!("{} {}", f.name(), type_name(f.data_type())?)))
                .collect::<Result<Vec<_>>>()?;
            format!("struct({})", fields.join(", "))
        }
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("no table can have a column of the type {other}"),
            ));
        }
    })
}

/// Splits at the commas that stand in no parentheses.
fn split_top(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// All declared tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// URI of the folder with the tables that statements make; without it they last as long as
    /// their session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<String>,
    /// Definitions by table name.
    #[serde(default)]
    pub tables: BTreeMap<String, TableDef>,
}

impl Catalog {
    /// Reads the warehouse and the `[tables.*]` sections of a TOML file; a relative location is one in
    /// the file's folder.
    ///
    /// # Errors
    /// `NotFound` or `InvalidInput`, with the line of the mistake.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::not_found(format!("cannot read catalog `{}`", path.display())).with_source(e)
        })?;
        let folder = std::path::absolute(path)
            .ok()
            .and_then(|p| p.parent().map(Path::to_owned));
        Self::parse(&text, folder.as_deref()).map_err(|e| {
            let hint = e.hint().map(str::to_owned);
            let error = Error::invalid(format!("catalog `{}` is not valid", path.display()));
            hint.into_iter()
                .fold(error.with_source(e), Error::with_hint)
        })
    }

    /// Parses the text of a catalog file; `folder` is what relative locations are relative to.
    ///
    /// # Errors
    /// `InvalidInput`, with the line of the mistake.
    pub fn parse(text: &str, folder: Option<&Path>) -> Result<Self> {
        let file: CatalogFile =
            toml::from_str(text).map_err(|e| Error::invalid(e.to_string().trim().to_owned()))?;
        let mut catalog = Self::default();
        if let Some(warehouse) = file.warehouse {
            let offset = warehouse.span().start;
            let location = warehouse.into_inner();
            let is_table = TABLE_SCHEMES.iter().any(|s| location.starts_with(s));
            let wrong = || {
                let line = 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count();
                let text = format!("line {line}: `{location}` is not a folder for tables");
                Error::invalid(text)
                    .with_hint("warehouse is a path or a URI such as hdfs://namenode/warehouse")
            };
            if location.trim().is_empty() || is_table {
                return Err(wrong());
            }
            let uri = absolute_uri(&location, folder).map_err(|e| wrong().with_source(e))?;
            // A root is nothing without its slashes.
            let trimmed = uri.trim_end_matches('/');
            let is_root = trimmed.ends_with(':');
            catalog.warehouse = Some(if is_root { &uri } else { trimmed }.to_owned());
        }
        for (name, table) in file.tables {
            let offset = table.span().start;
            let mut table = table.into_inner();
            let at_its_line = |e: Error| {
                let line = 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count();
                let error = Error::invalid(format!("line {line}: table `{name}`: {e}"));
                e.hint().into_iter().fold(error, Error::with_hint)
            };
            table.declared_schema().map_err(at_its_line)?;
            table.location = absolute_uri(&table.location, folder).map_err(at_its_line)?;
            catalog.tables.insert(name, table);
        }
        Ok(catalog)
    }

    /// Writes the catalog as TOML text.
    ///
    /// # Errors
    /// `Internal` when a definition cannot be written.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|e| Error::internal("cannot write the catalog as TOML").with_source(e))
    }
}

/// The whole file: the sections besides the tables are read by [`crate::config`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    warehouse: Option<Spanned<String>>,
    #[serde(default)]
    tables: BTreeMap<String, Spanned<TableDef>>,
    #[serde(rename = "scheduler")]
    _scheduler: Option<IgnoredAny>,
    #[serde(rename = "executor")]
    _executor: Option<IgnoredAny>,
    #[serde(rename = "client")]
    _client: Option<IgnoredAny>,
    #[serde(rename = "stores")]
    _stores: Option<IgnoredAny>,
}

/// Schemes of locations that name a table of a store and no path.
pub const TABLE_SCHEMES: [&str; 2] = ["hbase:", "mongodb:"];

/// The text of a location that does not depend on a folder: the URI of a path or URI, see
/// [`Location`]; a table of a store as it is.
///
/// # Errors
/// As of [`Location::parse`].
pub fn absolute_uri(location: &str, folder: Option<&Path>) -> Result<String> {
    if TABLE_SCHEMES.iter().any(|s| location.starts_with(s)) {
        return Ok(location.to_owned());
    }
    Location::parse(location, folder).map(|location| location.to_string())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Fields;

    use super::*;

    fn complaint<T>(result: Result<T>) -> String {
        match result {
            Ok(_) => "no error".to_owned(),
            Err(e) => format!("{e}; {}", e.hint().unwrap_or("no hint")),
        }
    }

    #[test]
    fn tables_are_parsed_and_other_sections_are_left_alone() -> Result<()> {
        let text = "[client]\naqe = true\n\
                    [tables.users]\nconnector = \"parquet\"\nlocation = \"data/users/\"\n\
                    contract = \"users\"\n\
                    [tables.prices]\nconnector = \"csv\"\nlocation = \"memory://x/p.csv\"\n\
                    columns = [\"id  bigint\", \"price decimal(18, 3)\"]\n\
                    options = { delimiter = \";\" }\n";
        let catalog = Catalog::parse(text, Some(Path::new("/srv/shop")))?;
        let users = &catalog.tables["users"];
        assert_eq!(users.location, "file:///srv/shop/data/users/");
        assert_eq!(users.declared_schema()?, contract::schema("users"));
        let prices = &catalog.tables["prices"];
        assert_eq!(prices.location, "memory://x/p.csv");
        assert_eq!(prices.options["delimiter"], ";");
        let schema = prices.declared_schema()?;
        let expected = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("price", DataType::Decimal128(18, 3), true),
        ]);
        assert_eq!(schema.as_deref(), Some(&expected));
        assert_eq!(TableDef::new("json", "x").declared_schema()?, None);
        Ok(())
    }

    #[test]
    fn catalog_survives_its_text_form() -> Result<()> {
        let mut catalog = Catalog::default();
        let location = absolute_uri("/data/10% off/shop #1?.csv", None)?;
        let mut table = TableDef::new("csv", location);
        table.columns = vec!["id string".to_owned()];
        table.options.insert("header".to_owned(), "true".to_owned());
        catalog.tables.insert("with space".to_owned(), table);
        assert_eq!(Catalog::parse(&catalog.to_toml()?, None)?, catalog);
        assert_eq!(Catalog::parse("", None)?, Catalog::default());
        Ok(())
    }

    #[test]
    fn every_type_is_parsed() -> Result<()> {
        for (text, expected) in [
            ("string", DataType::Utf8),
            ("VARCHAR", DataType::Utf8),
            ("int", DataType::Int32),
            ("bigint", DataType::Int64),
            ("double", DataType::Float64),
            ("boolean", DataType::Boolean),
            ("date", DataType::Date32),
            ("timestamp", contract::timestamp()),
            ("decimal(38,0)", DataType::Decimal128(38, 0)),
            ("Decimal(5, 4)", DataType::Decimal128(5, 4)),
            ("binary", DataType::Binary),
            (
                "list(struct(id string, price decimal(18, 2)))",
                DataType::new_list(
                    DataType::Struct(Fields::from(vec![
                        Field::new("id", DataType::Utf8, true),
                        Field::new("price", DataType::Decimal128(18, 2), true),
                    ])),
                    true,
                ),
            ),
        ] {
            let parsed = parse_type(text)?;
            assert_eq!(parsed, expected, "{text}");
            assert_eq!(parse_type(&type_name(&parsed)?)?, expected, "{text}");
        }
        for text in [
            "",
            "money",
            "decimal",
            "decimal(39,0)",
            "decimal(5,6)",
            "decimal(0,0)",
        ] {
            assert!(
                complaint(parse_type(text)).contains("types are string"),
                "{text}"
            );
        }
        Ok(())
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let check = |text: &str, expected: &[&str]| {
            let complaint = complaint(Catalog::parse(text, None));
            let complete = expected.iter().all(|part| complaint.contains(part));
            assert!(complete, "{complaint}");
        };
        let head = "\n[tables.t]\nconnector = \"csv\"\nlocation = \"x\"\n";
        check(
            &format!("{head}contracts = \"users\"\n"),
            &["line 5", "`contracts`", "`contract`"],
        );
        check(&format!("{head}columns = 3\n"), &["line 5"]);
        check(
            "[tables.t]\nconnector = \"csv\"\n",
            &["line 1", "`location`"],
        );
        check(
            "\n[table.t]\nconnector = \"csv\"\n",
            &["line 2", "`table`", "`tables`"],
        );
        check(
            &format!("{head}contract = \"user\"\n"),
            &[
                "line 2: table `t`: `user` is not a table of the data contract",
                "mean `users`?",
            ],
        );
        check(
            &format!("{head}columns = [\"price money\"]\n"),
            &["line 2: table `t`: `money` is not a column type; types are"],
        );
        check(
            &format!("{head}columns = [\"price\"]\n"),
            &["line 2: table `t`: column `price` is not of the form `name type`; no hint"],
        );
        check(
            "[tables.t]\nconnector = \"csv\"\nlocation = \"file://data\"\n",
            &["line 1: table `t`: `file://data`", "three slashes"],
        );
    }

    #[test]
    fn file_is_loaded_relative_to_its_folder() -> Result<()> {
        let fault =
            |e: std::io::Error| Error::internal("cannot write the test file").with_source(e);
        let folder = tempfile::tempdir().map_err(fault)?;
        let path = folder.path().join("emporia.toml");
        let body = "[tables.t]\nconnector = \"csv\"\nlocation = \"t.csv\"\n";
        std::fs::write(&path, body).map_err(fault)?;
        let expected = format!("file://{}/t.csv", folder.path().display());
        assert_eq!(Catalog::load(&path)?.tables["t"].location, expected);

        std::fs::write(&path, format!("{body}contract = \"user\"\n")).map_err(fault)?;
        let complaint = complaint(Catalog::load(&path));
        assert!(
            complaint.ends_with("emporia.toml` is not valid; did you mean `users`?"),
            "{complaint}"
        );

        let missing = Catalog::load(&folder.path().join("none.toml"));
        assert_eq!(missing.map_err(|e| e.kind()), Err(ErrorKind::NotFound));
        Ok(())
    }

    #[test]
    fn the_warehouse_is_a_folder() -> Result<()> {
        let parse = |text: &str| Catalog::parse(text, Some(Path::new("/srv/shop")));
        let catalog = parse("warehouse = \"tables/\"\n[client]\naqe = true\n")?;
        let expected = "file:///srv/shop/tables";
        assert_eq!(catalog.warehouse.as_deref(), Some(expected));
        assert_eq!(Catalog::parse(&catalog.to_toml()?, None)?, catalog);
        let remote = parse("warehouse = \"hdfs://namenode/shop\"")?;
        assert_eq!(remote.warehouse.as_deref(), Some("hdfs://namenode/shop"));
        let root = parse("warehouse = \"/\"")?;
        assert_eq!(root.warehouse.as_deref(), Some("file:///"));
        assert_eq!(Catalog::parse(&root.to_toml()?, None)?, root);
        for wrong in ["", " ", "hbase:shop"] {
            let complaint = complaint(parse(&format!("\nwarehouse = \"{wrong}\"")));
            assert!(
                complaint.starts_with(&format!("line 2: `{wrong}` is not a folder")),
                "{complaint}"
            );
        }
        Ok(())
    }

    #[test]
    fn plain_paths_become_absolute_uris() {
        let check = |location: &str, folder: Option<&str>, expected: &str| {
            let found = absolute_uri(location, folder.map(Path::new)).unwrap();
            assert_eq!(found, expected);
        };
        check("a.csv", Some("/srv"), "file:///srv/a.csv");
        check("./a/", Some("/srv"), "file:///srv/a/");
        check("/abs/a.csv", Some("/srv"), "file:///abs/a.csv");
        check("hdfs://nn:8020/a", Some("/srv"), "hdfs://nn:8020/a");
        check("hbase:ns:t", Some("/srv"), "hbase:ns:t");
        check("/abs/a.csv", None, "file:///abs/a.csv");
        let relative = absolute_uri("a.csv", None).unwrap();
        assert!(
            relative.starts_with("file:///") && relative.ends_with("/a.csv"),
            "{relative}"
        );
    }
}
