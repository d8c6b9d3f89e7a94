//! How the columns of a table are found in documents: paths, types and what is stored.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use emporia_core::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The type of a value, as far as it can be decoded from BSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ValueType {
    Text,
    Int32,
    Int64,
    Double,
    Bool,
    Date,
    /// Microseconds.
    Timestamp {
        zone: Option<String>,
    },
    Decimal {
        precision: u8,
        scale: i8,
    },
    Binary,
    List(Box<NamedType>),
    Struct(Vec<NamedType>),
}

/// A field of a struct, or the item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NamedType {
    pub(super) name: String,
    pub(super) value: ValueType,
    /// Whether null is an error.
    pub(super) required: bool,
}

impl NamedType {
    fn of(field: &Field) -> Result<Self> {
        Ok(Self {
            name: field.name().clone(),
            value: ValueType::of(field.data_type())?,
            required: !field.is_nullable(),
        })
    }

    fn to_arrow(&self) -> Field {
        Field::new(&self.name, self.value.to_arrow(), !self.required)
    }
}

impl ValueType {
    /// The type that is decoded into `data_type`.
    ///
    /// # Errors
    /// `Unsupported` where BSON values are not decoded into it.
    pub(super) fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Utf8 => Self::Text,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::Float64 => Self::Double,
            DataType::Boolean => Self::Bool,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Self::Timestamp {
                zone: zone.as_deref().map(str::to_owned),
            },
            DataType::Decimal128(precision, scale) => Self::Decimal {
                precision: *precision,
                scale: *scale,
            },
            DataType::Binary => Self::Binary,
            DataType::List(item) => Self::List(Box::new(NamedType::of(item)?)),
            DataType::Struct(fields) => {
                let fields = fields.iter().map(|f| NamedType::of(f));
                Self::Struct(fields.collect::<Result<_>>()?)
            }
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("a column of a collection cannot have the type {other}"),
                ));
            }
        })
    }

    /// The type of the column in a batch.
    pub(super) fn to_arrow(&self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp { zone } => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.as_deref().map(Arc::from))
            }
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Binary => DataType::Binary,
            Self::List(item) => DataType::List(Arc::new(item.to_arrow())),
            Self::Struct(fields) => {
                DataType::Struct(fields.iter().map(NamedType::to_arrow).collect::<Fields>())
            }
        }
    }

    /// Lets null stand everywhere inside, because what is malformed becomes null.
    fn relax(&mut self) {
        match self {
            Self::List(item) => {
                item.required = false;
                item.value.relax();
            }
            Self::Struct(fields) => {
                for field in fields {
                    field.required = false;
                    field.value.relax();
                }
            }
            _ => {}
        }
    }
}

impl fmt::Display for ValueType {
    /// The name that a catalog file uses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("string"),
            Self::Int32 => f.write_str("int32"),
            Self::Int64 => f.write_str("int64"),
            Self::Double => f.write_str("float64"),
            Self::Bool => f.write_str("bool"),
            Self::Date => f.write_str("date"),
            Self::Timestamp { .. } => f.write_str("timestamp"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Binary => f.write_str("binary"),
            Self::List(item) => write!(f, "a list of {}", item.value),
            Self::Struct(_) => f.write_str("a struct"),
        }
    }
}

/// What is known of the BSON type under which the values of a column are stored.
///
/// It decides what a filter may take for granted: a comparison of MongoDB sees only values of the
/// type that it compares with, so a row whose date is a text would be lost silently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(super) enum Stored {
    /// Whatever can be decoded; filters let pass what they cannot judge.
    #[default]
    Any,
    /// The BSON type of the column's type; any other is malformed.
    Native,
    /// Text, also of numbers and times; filters are not handed to the server.
    Text,
    /// An `ObjectId`, which the column shows in hexadecimal digits.
    ObjectId,
}

impl Stored {
    pub(super) const NAMES: [&'static str; 4] = ["any", "native", "text", "objectid"];

    /// Parses a value of the option `stored`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Any),
            "native" => Some(Self::Native),
            "text" => Some(Self::Text),
            "objectid" => Some(Self::ObjectId),
            _ => None,
        }
    }
}

/// What happens to a value that is not of its column's type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Malformed {
    /// The query fails and names the document.
    #[default]
    Error,
    /// It becomes null.
    Null,
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    /// Path of the value in a document; dots separate the names of nested documents.
    pub(super) path: String,
    pub(super) value: ValueType,
    /// Whether a missing value is an error.
    pub(super) required: bool,
    pub(super) stored: Stored,
}

impl Column {
    /// A column of this field that is found at `path`.
    ///
    /// # Errors
    /// `Unsupported` for a type that is not decoded.
    pub(super) fn new(field: &Field, path: &str, stored: Stored) -> Result<Self> {
        let value = ValueType::of(field.data_type())
            .map_err(|e| Error::new(e.kind(), format!("column `{}`: {e}", field.name())))?;
        if stored == Stored::ObjectId && value != ValueType::Text {
            return Err(Error::invalid(format!(
                "column `{}` cannot be stored as an ObjectId: it is {value}, not string",
                field.name()
            )));
        }
        Ok(Self {
            name: field.name().clone(),
            path: path.to_owned(),
            value,
            required: !field.is_nullable(),
            stored,
        })
    }

    /// Makes null allowed, here and inside.
    pub(super) fn relax(&mut self) {
        self.required = false;
        self.value.relax();
    }
}

/// The schema of these columns.
pub(super) fn schema_of<'a>(columns: impl IntoIterator<Item = &'a Column>) -> SchemaRef {
    let field = |c: &Column| Field::new(&c.name, c.value.to_arrow(), !c.required);
    Arc::new(Schema::new(
        columns.into_iter().map(field).collect::<Vec<_>>(),
    ))
}

#[cfg(test)]
mod tests {
    use emporia_core::contract;

    use super::*;

    #[test]
    fn every_type_of_the_contract_is_decoded_as_declared() -> Result<()> {
        for table in contract::TABLES {
            if let Some(schema) = contract::schema(table) {
                let columns = schema
                    .fields()
                    .iter()
                    .map(|f| Column::new(f, f.name(), Stored::Any))
                    .collect::<Result<Vec<_>>>()?;
                assert_eq!(schema_of(&columns), schema, "{table}");
            }
        }
        Ok(())
    }

    #[test]
    fn other_types_are_refused_with_the_column() {
        let field = Field::new("t", DataType::Time32(TimeUnit::Second), true);
        let error = Column::new(&field, "t", Stored::Any).map_err(|e| e.to_string());
        assert!(error.is_err_and(|e| e.contains("column `t`")));
        let field = Field::new("n", DataType::Int32, true);
        assert!(Column::new(&field, "n", Stored::ObjectId).is_err());
    }
}
