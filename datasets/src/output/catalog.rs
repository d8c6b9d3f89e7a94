//! The catalog entry of a written table.

use arrow::datatypes::{DataType, Schema};
use emporia_core::catalog::TableDef;
use emporia_core::{Error, Result, contract};

use super::Format;

/// The entry of a table in `<table>/`.
///
/// Parquet says itself what its columns are. The text formats name the table of the contract when
/// that has the very columns of the file, and list the columns otherwise.
pub(crate) fn definition(table: &str, schema: &Schema, format: Format) -> Result<TableDef> {
    let mut definition = TableDef::new(format.as_str(), format!("{table}/"));
    if format == Format::Parquet {
        return Ok(definition);
    }
    let is_nested = |schema: &Schema| schema.fields().iter().any(|f| f.data_type().is_nested());
    let is_contract = contract::schema(table).is_some_and(|known| known.as_ref() == schema);
    if is_contract && !(format == Format::Csv && is_nested(schema)) {
        definition.contract = Some(table.to_owned());
    } else {
        definition.columns = schema
            .fields()
            .iter()
            .map(|field| {
                Ok(format!(
                    "{} {}",
                    field.name(),
                    type_name(field.data_type())?
                ))
            })
            .collect::<Result<_>>()?;
    }
    if format == Format::Csv {
        definition.options.insert("header".into(), "true".into());
    }
    Ok(definition)
}

/// The entry of a table of the contract that is CSV text as it came, dirt included.
pub(crate) fn raw_csv_definition(table: &str, has_header: bool) -> TableDef {
    let mut definition = TableDef::new("csv", format!("{table}/"));
    definition.contract = Some(table.to_owned());
    definition
        .options
        .insert("header".into(), has_header.to_string());
    // Every line is a row, bad ones with the reason: what the cleaning job needs.
    definition
        .options
        .insert("permissive".into(), "true".into());
    definition
}

/// The name of a type in the catalog file; nested columns of CSV are text.
fn type_name(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Utf8 | DataType::List(_) => "string".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::Boolean => "bool".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => {
            return Err(Error::internal(format!(
                "type {other} has no name in the catalog"
            )));
        }
    })
}
