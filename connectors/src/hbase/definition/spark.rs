//! Columns and key from the JSON catalog of Spark's HBase connectors.
//!
//! ```text
//!   {"table": {"namespace": "shop", "name": "sessions"},
//!    "rowkey": "k1:k2",
//!    "columns": {"user_id": {"cf": "rowkey", "col": "k1", "type": "string", "length": "11"},
//!                "start":   {"cf": "rowkey", "col": "k2", "type": "bigint"},
//!                "city":    {"cf": "g", "col": "city", "type": "string"}}}
//! ```
//!
//! Values are those of `Bytes.toBytes`. Columns of the key stand next to each other without
//! separators; all text but the last has a `length`. Avro columns and other coders are refused.

use std::fmt;

use arrow::datatypes::{DataType, Field};
use emporia_core::catalog::{self, TableDef};
use emporia_core::contract;
use emporia_core::error::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::super::key::KeySpec;
use super::super::mapping::{CellName, ColumnMapping, Place};
use super::super::value::{Kind, Style};
use super::columns::{Columns, timestamp_column};
use super::options::Options;

/// The family that marks columns of the key.
const ROW_KEY: &str = "rowkey";

#[derive(Deserialize)]
struct Catalog {
    table: Table,
    rowkey: String,
    columns: InOrder<Column>,
}

#[derive(Deserialize)]
struct Table {
    namespace: Option<String>,
    name: String,
    #[serde(rename = "tableCoder")]
    coder: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    cf: String,
    col: String,
    #[serde(rename = "type")]
    type_name: Option<String>,
    length: Option<serde_json::Value>,
    avro: Option<String>,
    coder: Option<String>,
}

/// Columns and key as the catalog says.
pub(super) fn columns(
    text: &str,
    hbase_table: &str,
    table: &TableDef,
    options: &mut Options<'_>,
) -> Result<Columns> {
    let wrong = |what: String| {
        Error::invalid(format!("spark_catalog: {what}"))
            .with_hint("it is the JSON catalog of the Spark connector of HBase")
    };
    if table.declared_schema()?.is_some() {
        return Err(Error::invalid(
            "spark_catalog declares the columns, and so do columns or contract",
        )
        .with_hint("remove one of them"));
    }
    let catalog: Catalog = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let named = match catalog.table.namespace.as_deref() {
        None | Some("default" | "") => catalog.table.name.clone(),
        Some(namespace) => format!("{namespace}:{}", catalog.table.name),
    };
    if named != hbase_table {
        return Err(wrong(format!(
            "it describes the table `{named}`, and the location says `{hbase_table}`"
        )));
    }
    if let Some(coder) = catalog
        .table
        .coder
        .as_deref()
        .filter(|coder| *coder != "PrimitiveType")
    {
        return Err(wrong(format!("the table coder `{coder}` is not supported")));
    }
    let missing_is_error = options.missing_is_error()?;
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (name, column) in &catalog.columns.0 {
        let (Some(type_name), None, None) = (&column.type_name, &column.avro, &column.coder) else {
            return Err(wrong(format!(
                "column `{name}` has a coder, and only types are supported"
            )));
        };
        let data_type = data_type(type_name)?;
        let kind = Kind::of(&data_type)
            .ok_or_else(|| wrong(format!("column `{name}` cannot have the type {type_name}")))?;
        let place = if column.cf == ROW_KEY {
            Place::Key
        } else {
            Place::Cell {
                cell: CellName::new(&column.cf, &column.col)?,
                encoding: Style::Bytes.encoding(kind),
            }
        };
        fields.push(Field::new(name, data_type.clone(), true));
        columns.push(ColumnMapping {
            name: name.clone(),
            data_type,
            kind,
            is_required: missing_is_error && place != Place::Key,
            place,
        });
    }
    if let Some(index) = timestamp_column(&fields, options)? {
        columns[index].place = Place::Timestamp;
        columns[index].is_required = false;
    }
    let mut parts = Vec::new();
    let names: Vec<&str> = catalog.rowkey.split(':').collect();
    for (position, part) in names.iter().enumerate() {
        let mut candidates = catalog.columns.0.iter().enumerate();
        let found = candidates.find(|(_, (_, column))| column.cf == ROW_KEY && column.col == *part);
        let (index, (name, column)) = found.ok_or_else(|| {
            wrong(format!(
                "rowkey names `{part}`, and no column with the family rowkey has it"
            ))
        })?;
        let kind = columns[index].kind;
        let length = match &column.length {
            None => None,
            Some(length) => {
                let text = length.to_string();
                let length = text
                    .trim_matches('"')
                    .parse::<usize>()
                    .ok()
                    .filter(|n| *n > 0);
                Some(length.ok_or_else(|| {
                    wrong(format!(
                        "column `{name}` has the length {text}, which is not a number above 0"
                    ))
                })?)
            }
        };
        parts.push((index, kind, length));
        let is_last = position + 1 == names.len();
        if matches!(kind, Kind::Text | Kind::Binary) && length.is_none() && !is_last {
            return Err(wrong(format!(
                "column `{name}` of the key needs a length, because another one follows it"
            )));
        }
    }
    let n_in_key = columns
        .iter()
        .filter(|column| column.place == Place::Key)
        .count();
    if n_in_key != parts.len() {
        return Err(wrong(
            "rowkey does not name all columns of the family rowkey".to_owned(),
        ));
    }
    let key = KeySpec::of_native(&parts).map_err(|e| wrong(e.message().to_owned()))?;
    Ok(Columns { columns, key })
}

/// A type by its name in Spark.
fn data_type(name: &str) -> Result<DataType> {
    Ok(match name.trim().to_ascii_lowercase().as_str() {
        "tinyint" | "byte" => DataType::Int8,
        "smallint" | "short" => DataType::Int16,
        "int" | "integer" => DataType::Int32,
        "bigint" | "long" => DataType::Int64,
        "float" | "real" => DataType::Float32,
        "double" => DataType::Float64,
        "string" => DataType::Utf8,
        "boolean" => DataType::Boolean,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => contract::timestamp(),
        other => catalog::parse_type(other)?,
    })
}

/// The entries of a JSON object in the order in which they stand there.
struct InOrder<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = InOrder<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(InOrder(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}
