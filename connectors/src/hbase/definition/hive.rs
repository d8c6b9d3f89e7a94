//! Columns and key from the mapping of a table of Hive.
//!
//! `hbase.columns.mapping` lists, in the order of the columns, `:key`, `:timestamp` and
//! `family:qualifier`, each possibly with `#b` for binary or `#s` for text storage; others are
//! stored as the option `encoding` says, which is Hive's `hbase.table.default.storage.type`.

use arrow::datatypes::Field;
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, Result};

use super::super::key::KeySpec;
use super::super::mapping::{CellName, ColumnMapping, Place};
use super::super::value::{Kind, Style};
use super::columns::{Columns, key_columns};
use super::options::Options;

/// Columns and key as the mapping says.
pub(super) fn columns(
    mapping: &str,
    table: &TableDef,
    options: &mut Options<'_>,
) -> Result<Columns> {
    let schema = table.declared_schema()?.ok_or_else(|| {
        Error::invalid("it has no columns").with_hint(
            "hive_columns_mapping names places only: declare the columns and their types",
        )
    })?;
    let fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    let entries: Vec<&str> = mapping.split(',').map(str::trim).collect();
    if entries.len() != fields.len() {
        return Err(Error::invalid(format!(
            "hive_columns_mapping has {} entries for {} columns",
            entries.len(),
            fields.len()
        )));
    }
    let default = match options.text("encoding") {
        Some(name) => Style::parse(name)?,
        None => Style::default(),
    };
    let missing_is_error = options.missing_is_error()?;
    let key_columns = key_columns(&fields)?;
    let mut key = None;
    let mut columns = Vec::with_capacity(fields.len());
    for (index, (field, entry)) in fields.iter().zip(entries).enumerate() {
        let kind = key_columns[index].kind;
        let (place, style) = match entry.rsplit_once('#') {
            Some((place, "b" | "binary")) => (place, Style::Bytes),
            Some((place, "s" | "string")) => (place, Style::Text),
            Some((place, "-")) => (place, default),
            Some(_) => {
                return Err(Error::invalid(format!(
                    "`{entry}` of hive_columns_mapping has an unknown storage type"
                ))
                .with_hint("storage types are #b for binary, #s for text and #- for the default"));
            }
            None => (entry, default),
        };
        let place = match place {
            ":key" if key.is_none() => {
                key = Some(key_of(index, field, kind, style)?);
                Place::Key
            }
            ":key" => {
                return Err(Error::invalid("hive_columns_mapping names :key twice")
                    .with_hint("a key of several columns is written in the option key"));
            }
            ":timestamp" => Place::Timestamp,
            cell => {
                let cell = CellName::parse(cell)?;
                if cell.qualifier().is_empty() || cell.qualifier().ends_with('*') {
                    return Err(Error::invalid(format!(
                        "`{entry}` of hive_columns_mapping maps a whole family, which is not supported"
                    ))
                    .with_hint("map the qualifiers one by one"));
                }
                let encoding = style.encoding(kind);
                Place::Cell { cell, encoding }
            }
        };
        let may_be_missing = table.contract.is_some() && field.is_nullable();
        let is_cell = matches!(place, Place::Cell { .. });
        columns.push(ColumnMapping {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            kind,
            is_required: missing_is_error && is_cell && !may_be_missing,
            place,
        });
    }
    let key = key.ok_or_else(|| {
        Error::invalid("hive_columns_mapping has no :key")
            .with_hint("one of the columns has to be the key of the row")
    })?;
    Ok(Columns { columns, key })
}

/// The key that is one column, stored in this style.
fn key_of(index: usize, field: &Field, kind: Kind, style: Style) -> Result<KeySpec> {
    match (kind, style) {
        (Kind::Integer(_) | Kind::Timestamp, Style::Bytes) => {
            KeySpec::of_native(&[(index, kind, None)])
        }
        (Kind::Text | Kind::Binary, _) | (Kind::Integer(_) | Kind::Date, Style::Text) => {
            Ok(KeySpec::of_column(index, kind))
        }
        _ => Err(Error::invalid(format!(
            "column `{}` of the type {} cannot be the key of the row",
            field.name(),
            field.data_type()
        ))
        .with_hint("keys are strings, binaries and integers")),
    }
}
