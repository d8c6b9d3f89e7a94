//! The tables that results are written to: completing what the user left out.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result as DfResult;
use emporia_core::catalog::{TableDef, type_name};
use emporia_core::error::{Error, Result};
use emporia_hbase::{FamilySpec, TableSpec};

use super::definition::{Definition, table_of_location};
use super::mapping::Mapping;
use super::publication::ALL_VERSIONS;

/// The column that is the key of a result whose definition says nothing of keys.
pub(super) const ROW_KEY: &str = "row_key";
/// Family of the columns of such a result.
const FAMILY: &str = "r";
/// Cell that every row of such a result has.
const PRESENCE: &str = "r:_";
/// Between the values of a made key.
const SEPARATOR: char = '|';
const ESCAPE: char = '\\';

/// A table that rows of one schema can be written to.
#[derive(Debug, Clone)]
pub struct ResultTable {
    /// How rows become cells.
    pub mapping: Mapping,
    /// How the table is created where it is missing.
    pub spec: TableSpec,
    /// The columns whose text makes up [`ROW_KEY`]; none where the definition says what the key is.
    pub text_key: Vec<String>,
}

impl ResultTable {
    /// The table `name` for rows of `schema`, which `key` identifies. What the definition leaves
    /// out is made up: one family, text, and a key that any values can have.
    ///
    /// # Errors
    /// `InvalidInput` where the definition is wrong or there is no key.
    pub fn complete(name: &str, table: &TableDef, schema: &Schema, key: &[String]) -> Result<Self> {
        let mut table = table.clone();
        let mut text_key = Vec::new();
        if !is_declared(&table) {
            if key.is_empty() {
                return Err(Error::invalid(format!("table `{name}` has no key"))
                    .with_hint("declare its columns and the option `key` in the catalog"));
            }
            text_key = key.to_vec();
            declare(&mut table, schema)?;
        }
        let spec = table_spec(&table)?;
        let mapping = Definition::parse(name, &table)?.mapping;
        Ok(Self {
            mapping,
            spec,
            text_key,
        })
    }
}

/// Whether the definition says what the columns are.
pub(super) fn is_declared(table: &TableDef) -> bool {
    let has = |option: &str| table.options.contains_key(option);
    !table.columns.is_empty()
        || table.contract.is_some()
        || has("spark_catalog")
        || has("hive_columns_mapping")
}

fn declare(table: &mut TableDef, schema: &Schema) -> Result<()> {
    table.columns = vec![format!("{ROW_KEY} string")];
    let mut options = vec![
        ("row_key".to_owned(), ROW_KEY.to_owned()),
        ("family".to_owned(), FAMILY.to_owned()),
        ("presence".to_owned(), PRESENCE.to_owned()),
    ];
    for field in schema.fields() {
        let (name, data_type) = (field.name(), field.data_type());
        table
            .columns
            .push(format!("{name} {}", type_name(data_type)?));
        if matches!(data_type, DataType::List(_) | DataType::Struct(_)) {
            options.push((format!("column.{name}"), "json".to_owned()));
        }
    }
    for (name, value) in options {
        table.options.entry(name).or_insert(value);
    }
    Ok(())
}

/// How a table is created where it is missing, by the options that begin with `write.`
/// (`docs/store-options.md`).
///
/// # Errors
/// `InvalidInput` for another option or value.
pub fn table_spec(table: &TableDef) -> Result<TableSpec> {
    let mut versions = ALL_VERSIONS;
    let mut compression = "NONE".to_owned();
    let mut ttl = None;
    let mut split_keys = Vec::new();
    for (name, value) in &table.options {
        let wrong =
            |form: &str| Error::invalid(format!("option `{name}` must be {form}, not `{value}`"));
        match name.as_str() {
            "write.versions" if value == "all" => versions = ALL_VERSIONS,
            "write.versions" => {
                versions = value
                    .parse()
                    .ok()
                    .filter(|n| *n >= 1)
                    .ok_or_else(|| wrong("a number of at least 1, or `all`"))?;
            }
            "write.compression" => compression = value.to_uppercase(),
            "write.ttl" => {
                let seconds = value.parse().ok().filter(|n| *n >= 1);
                ttl = Some(seconds.ok_or_else(|| wrong("a number of seconds"))?);
            }
            "write.split_keys" => {
                split_keys = value
                    .split(',')
                    .map(|key| key.trim().as_bytes().to_vec())
                    .filter(|key| !key.is_empty())
                    .collect();
            }
            "write.null" => {
                deletes_nulls(table)?;
            }
            other if other.starts_with("write.") => {
                return Err(
                    Error::invalid(format!("unknown option `{other}`")).with_hint(
                        "options are write.versions, write.compression, write.ttl, \
                     write.split_keys and write.null",
                    ),
                );
            }
            _ => {}
        }
    }
    let name = table_of_location(&table.location)?;
    let families = if is_declared(table) {
        Definition::parse(&name, table)?.mapping.families()
    } else {
        vec![FAMILY.to_owned()]
    };
    let families = families.into_iter().map(|family| FamilySpec {
        name: family,
        max_versions: versions,
        compression: compression.clone(),
        ttl_seconds: ttl,
        ..FamilySpec::new("")
    });
    Ok(TableSpec {
        name,
        families: families.collect(),
        split_keys,
    })
}

/// What `write.null` says.
///
/// # Errors
/// `InvalidInput` for any other word.
pub fn deletes_nulls(table: &TableDef) -> Result<bool> {
    match table.options.get("write.null").map(String::as_str) {
        None | Some("delete") => Ok(true),
        Some("skip") => Ok(false),
        Some(other) => Err(Error::invalid(format!(
            "option `write.null` must be `delete` or `skip`, not `{other}`"
        ))),
    }
}

/// The rows with the column [`ROW_KEY`] before the others.
///
/// # Errors
/// When a value cannot be shown as text.
pub(super) fn with_text_key(rows: &RecordBatch, columns: &[String]) -> DfResult<RecordBatch> {
    let options = FormatOptions::default();
    let mut values = Vec::with_capacity(columns.len());
    for name in columns {
        let column = rows.column(rows.schema().index_of(name)?);
        values.push((
            Arc::clone(column),
            ArrayFormatter::try_new(column.as_ref(), &options)?,
        ));
    }
    let mut keys = Vec::with_capacity(rows.num_rows());
    let mut text = String::new();
    for row in 0..rows.num_rows() {
        let mut key = String::new();
        for (index, (column, formatter)) in values.iter().enumerate() {
            if index > 0 {
                key.push(SEPARATOR);
            }
            if column.is_null(row) {
                // No value looks so: an escape character in a value is doubled.
                key.push_str("\\N");
                continue;
            }
            text.clear();
            // Writing to a text cannot fail; a value that cannot be shown can.
            write!(text, "{}", formatter.value(row))
                .map_err(|e| datafusion::error::DataFusionError::External(Box::new(e)))?;
            for c in text.chars() {
                if c == SEPARATOR || c == ESCAPE {
                    key.push(ESCAPE);
                }
                key.push(c);
            }
        }
        keys.push(key);
    }
    let schema = rows.schema();
    let mut fields = vec![Arc::new(Field::new(ROW_KEY, DataType::Utf8, false))];
    fields.extend(schema.fields().iter().cloned());
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys))];
    arrays.extend(rows.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, Int64Array};

    use super::*;

    #[test]
    fn made_keys_tell_rows_apart() {
        let rows = RecordBatch::try_from_iter([
            (
                "a",
                Arc::new(StringArray::from(vec![
                    Some("x|y"),
                    Some("x"),
                    None,
                    Some("\\N"),
                    Some(""),
                ])) as ArrayRef,
            ),
            ("n", Arc::new(Int64Array::from(vec![1, 1, 1, 1, 1]))),
        ]);
        let keyed = rows
            .map_err(Into::into)
            .and_then(|rows| with_text_key(&rows, &["a".to_owned(), "n".to_owned()]));
        let keys: Vec<_> = keyed
            .iter()
            .flat_map(|rows| rows.column(0).as_string::<i32>().iter().flatten())
            .map(str::to_owned)
            .collect();
        assert_eq!(keys, ["x\\|y|1", "x|1", "\\N|1", "\\\\N|1", "|1"]);
    }
}
