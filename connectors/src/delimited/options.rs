//! Options of a delimited table and the columns that permissive reading adds.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use emporia_core::error::{Error, Result, nearest};
use serde::{Deserialize, Serialize};

/// Column with the raw text of the line.
pub const RAW: &str = "_raw";
/// Column with the location of the file.
pub const SOURCE: &str = "_source";
/// Column with the byte offset of the line in its (decompressed) file.
pub const POSITION: &str = "_position";
/// Column with the first fault of the line: `parse:<column>`, `field_count`, `quote` or `encoding`.
pub const ERROR: &str = "_error";
/// The columns that permissive reading appends to the declared ones.
pub const META_COLUMNS: [&str; 4] = [RAW, SOURCE, POSITION, ERROR];

const KEYS: [&str; 4] = ["header", "delimiter", "permissive", "null"];

/// How to read a delimited table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelimitedOptions {
    /// Whether the first line of each file names the columns; they are then found by name.
    pub header: bool,
    /// The byte between fields.
    pub delimiter: u8,
    /// Whether bad fields become null with an `_error`, instead of failing the query.
    pub permissive: bool,
    /// A text that means null, besides the empty field.
    pub null: Option<String>,
}

impl Default for DelimitedOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: b',',
            permissive: false,
            null: None,
        }
    }
}

impl DelimitedOptions {
    /// Parses the options of a catalog table.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown key (with the nearest one) or a bad value.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options {
            let truth = || match value.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(Error::invalid(format!(
                    "option `{key}` must be `true` or `false`, not `{value}`"
                ))),
            };
            match key.as_str() {
                "header" => parsed.header = truth()?,
                "permissive" => parsed.permissive = truth()?,
                "null" => parsed.null = Some(value.clone()),
                "delimiter" => {
                    parsed.delimiter = match value.as_bytes() {
                        b"\\t" => b'\t',
                        [byte] if !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
                        _ => {
                            return Err(Error::invalid(format!(
                                "option `delimiter` must be one byte, not `{value}`"
                            )));
                        }
                    }
                }
                _ => {
                    let error = Error::invalid(format!("`{key}` is not an option of a csv table"));
                    return Err(match nearest(key, KEYS) {
                        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                        None => error.with_hint(format!("options are {}", KEYS.join(", "))),
                    });
                }
            }
        }
        Ok(parsed)
    }

    /// The schema of the table: the declared columns, all nullable, and the columns that permissive
    /// reading adds.
    pub fn table_schema(&self, declared: &Schema) -> SchemaRef {
        let mut fields: Vec<Field> = declared
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true))
            .collect();
        if self.permissive {
            // Views share the text of the file; most queries need it of few lines.
            fields.push(Field::new(RAW, DataType::Utf8View, false));
            fields.push(Field::new(SOURCE, DataType::Utf8View, false));
            fields.push(Field::new(POSITION, DataType::Int64, false));
            fields.push(Field::new(ERROR, DataType::Utf8, true));
        }
        Arc::new(Schema::new(fields))
    }
}
