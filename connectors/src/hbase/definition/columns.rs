//! Columns and key from the options of a table.

use arrow::datatypes::{DataType, Field};
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, Result, nearest};

use super::super::key::{KeyColumn, KeySpec};
use super::super::mapping::{CellName, ColumnMapping, Place};
use super::super::value::{Encoding, Kind, Style};
use super::options::Options;

/// The columns of a table and its key.
pub(super) struct Columns {
    pub(super) columns: Vec<ColumnMapping>,
    pub(super) key: KeySpec,
}

/// The name of the column that is the key, where the definition says nothing else.
const ROW_KEY: &str = "row_key";

/// Columns and key as the options of Emporia say.
pub(super) fn columns(table: &TableDef, options: &mut Options<'_>) -> Result<Columns> {
    let schema = table.declared_schema()?.ok_or_else(|| {
        Error::invalid("it has no columns")
            .with_hint("declare columns, a contract, or the option spark_catalog")
    })?;
    let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    let key_text = options.text("key");
    let row_key = match key_text {
        Some(_) => None,
        None => Some(options.text("row_key").unwrap_or(ROW_KEY)),
    };
    if let Some(name) = row_key
        && !fields.iter().any(|field| field.name() == name)
    {
        fields.insert(0, Field::new(name, DataType::Utf8, true));
    }
    let key_columns = key_columns(&fields)?;
    let key = match (key_text, row_key) {
        (Some(text), _) => KeySpec::parse(text, &key_columns)?,
        (None, Some(name)) => {
            let quoted = format!("\"{name}\"");
            KeySpec::parse(&quoted, &key_columns)?
        }
        (None, None) => return Err(Error::internal("a table has neither key nor row key")),
    };
    let family = options.text("family");
    let style = match options.text("encoding") {
        Some(name) => Style::parse(name)?,
        None => Style::default(),
    };
    let timestamp = timestamp_column(&fields, options)?;
    let missing_is_error = options.missing_is_error()?;
    let mut columns = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let kind = key_columns[index].kind;
        let place = if key.columns().any(|column| column == index) {
            Place::Key
        } else if timestamp == Some(index) {
            Place::Timestamp
        } else {
            let option = options.column(field.name()).unwrap_or_default();
            cell(field.name(), kind, option, family, style)?
        };
        // What the contract lets be null may be missing; a list of columns says nothing of it.
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
    Ok(Columns { columns, key })
}

/// The columns as the key may name them.
///
/// # Errors
/// `InvalidInput` for a column of a type that HBase tables cannot have.
pub(super) fn key_columns(fields: &[Field]) -> Result<Vec<KeyColumn<'_>>> {
    fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let kind = Kind::of(field.data_type()).ok_or_else(|| {
                Error::invalid(format!(
                    "column `{}` of an hbase table cannot have the type {}",
                    field.name(),
                    field.data_type()
                ))
            })?;
            let name = field.name();
            Ok(KeyColumn { name, index, kind })
        })
        .collect()
}

/// The index of the column that is the timestamp of cells.
pub(super) fn timestamp_column(
    fields: &[Field],
    options: &mut Options<'_>,
) -> Result<Option<usize>> {
    let Some(name) = options.text("timestamp_column") else {
        return Ok(None);
    };
    if let Some(index) = fields.iter().position(|field| field.name() == name) {
        return Ok(Some(index));
    }
    let error = Error::invalid(format!(
        "the timestamp column `{name}` is not a column of the table"
    ));
    Err(
        match nearest(name, fields.iter().map(|field| field.name().as_str())) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("declare it as one of the columns, of the type timestamp"),
        },
    )
}

/// The place of a column whose option says `text`: a cell, an encoding, both or neither.
fn cell(name: &str, kind: Kind, text: &str, family: Option<&str>, style: Style) -> Result<Place> {
    let naming = |e: Error| {
        let error = Error::invalid(format!("column `{name}`: {}", e.message()));
        match e.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    };
    let (cell, encoding) = match text.split_once(char::is_whitespace) {
        Some((cell, encoding)) => (Some(cell), encoding.trim()),
        None if text.contains(':') => (Some(text), ""),
        None => (None, text),
    };
    let cell = match (cell, family) {
        (Some(cell), _) => CellName::parse(cell).map_err(naming)?,
        (None, Some(family)) => CellName::new(family, name).map_err(naming)?,
        (None, None) => {
            return Err(
                Error::invalid(format!("column `{name}` has no family")).with_hint(format!(
                    "set the option column.{name} = \"family:qualifier\", or family for all columns"
                )),
            );
        }
    };
    let encoding = match encoding {
        "" => style.encoding(kind),
        encoding => Encoding::parse(encoding, kind).map_err(naming)?,
    };
    Ok(Place::Cell { cell, encoding })
}
