//! How a value of a column is bytes of a cell, and back.
//!
//! A [`Kind`] says what the values of a column are, an [`Encoding`] how they stand in a cell, and a
//! [`Scalar`] is a value on its way between Arrow and bytes. Whatever an encoding writes it reads
//! back as the same value; what it cannot write without loss it refuses.
//!
//! `docs/store-options.md` has the encodings.

mod array;
mod builder;
mod encoding;
mod json;
mod native;
mod text;

pub(super) use array::ValueArray;
pub(super) use builder::ColumnBuilder;
pub(super) use encoding::{Encoding, Style};
pub(super) use json::row_to_json;
pub(super) use native::{
    Native, Unit, float_of_order, float_to_order, float32_to_order, read_integer, write_integer,
};
pub(super) use text::write_date;

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
    /// Truth values; as integers 0 and 1.
    Boolean,
    /// Signed integers of this many bytes.
    Integer(u8),
    /// Floats of 4 bytes.
    Float32,
    /// Floats of 8 bytes.
    Float64,
    /// Decimals; as integers their unscaled values.
    Decimal {
        /// Digits in total.
        precision: u8,
        /// Digits behind the point.
        scale: i8,
    },
    /// Days; as integers those since 1970.
    Date,
    /// Times; as integers the microseconds since 1970, UTC.
    Timestamp,
    /// Lists and structs.
    Nested,
}

impl Kind {
    /// The kind of a column type, `None` where the connector has none.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 => Self::Text,
            DataType::Binary => Self::Binary,
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Integer(1),
            DataType::Int16 => Self::Integer(2),
            DataType::Int32 => Self::Integer(4),
            DataType::Int64 => Self::Integer(8),
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Decimal128(precision, scale) if *scale >= 0 => Self::Decimal {
                precision: *precision,
                scale: *scale,
            },
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Timestamp,
            DataType::List(_) | DataType::Struct(_) => Self::Nested,
            _ => return None,
        })
    }

    /// Smallest and largest value of a kind whose values are integers.
    pub(super) fn bounds(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::Boolean => (0, 1),
            Self::Integer(width) => {
                let half = 1_i128 << (u32::from(width) * 8 - 1);
                (-half, half - 1)
            }
            Self::Decimal { precision, .. } => {
                let limit = 10_i128
                    .checked_pow(u32::from(precision))
                    .unwrap_or(i128::MAX);
                (1 - limit, limit - 1)
            }
            Self::Date => (i128::from(i32::MIN), i128::from(i32::MAX)),
            Self::Timestamp => (i128::from(i64::MIN), i128::from(i64::MAX)),
            Self::Text | Self::Binary | Self::Float32 | Self::Float64 | Self::Nested => {
                return None;
            }
        })
    }

    /// Whether `value` is a value of the kind.
    pub(super) fn holds(self, value: i128) -> bool {
        self.bounds()
            .is_some_and(|(low, high)| (low..=high).contains(&value))
    }
}

/// A value on its way between Arrow and bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    /// Of a kind whose values are integers.
    Integer(i128),
    /// Of a float, 4 bytes wide ones included.
    Float(f64),
    /// Of text, checked to be UTF-8, or of binary.
    Bytes(&'a [u8]),
}
