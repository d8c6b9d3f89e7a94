//! Arrow columns under construction.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::json::NestedBuilder;
use super::{Encoding, Kind, Scalar};

/// A column under construction, filled from cells of one encoding or from scalars.
#[derive(Debug)]
pub(in super::super) struct ColumnBuilder {
    kind: Kind,
    encoding: Encoding,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Leaf(LeafBuilder),
    Nested(NestedBuilder),
}

impl ColumnBuilder {
    /// A builder for `data_type`; `None` where the connector has no such columns.
    pub(in super::super) fn new(data_type: &DataType, encoding: Encoding) -> Option<Self> {
        let kind = Kind::of(data_type)?;
        let values = match kind {
            Kind::Nested => Values::Nested(NestedBuilder::new(data_type)?),
            _ => Values::Leaf(LeafBuilder::new(data_type)?),
        };
        Some(Self {
            kind,
            encoding,
            values,
        })
    }

    /// Appends the value that the bytes of a cell are; `false`, and nothing is appended, where they
    /// are none of the column.
    #[inline]
    #[must_use]
    pub(in super::super) fn append_cell(&mut self, bytes: &[u8]) -> bool {
        match &mut self.values {
            Values::Leaf(leaf) => match self.encoding.decode(self.kind, bytes) {
                Some(value) => leaf.append(value),
                None => false,
            },
            Values::Nested(nested) => nested.append_json(bytes),
        }
    }

    /// Appends a scalar; `false`, and nothing is appended, where it is none of the column.
    #[must_use]
    pub(in super::super) fn append_scalar(&mut self, value: Scalar<'_>) -> bool {
        match &mut self.values {
            Values::Leaf(leaf) => leaf.append(value),
            Values::Nested(_) => false,
        }
    }

    /// Appends null.
    pub(in super::super) fn append_null(&mut self) {
        match &mut self.values {
            Values::Leaf(leaf) => leaf.append_null(),
            Values::Nested(nested) => nested.append_null(),
        }
    }

    /// The finished column; the builder is empty afterwards.
    ///
    /// # Errors
    /// Where a nested column got too large for its offsets.
    pub(in super::super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        match &mut self.values {
            Values::Leaf(leaf) => Ok(leaf.finish()),
            Values::Nested(nested) => nested.finish(),
        }
    }
}

/// A column, or a field of a nested one, that holds no other.
#[derive(Debug)]
pub(super) enum LeafBuilder {
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl LeafBuilder {
    pub(super) fn new(data_type: &DataType) -> Option<Self> {
        Some(match Kind::of(data_type)? {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Binary => Self::Binary(BinaryBuilder::new()),
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Integer(1) => Self::Int8(Int8Builder::new()),
            Kind::Integer(2) => Self::Int16(Int16Builder::new()),
            Kind::Integer(4) => Self::Int32(Int32Builder::new()),
            Kind::Integer(_) => Self::Int64(Int64Builder::new()),
            Kind::Float32 => Self::Float32(Float32Builder::new()),
            Kind::Float64 => Self::Float64(Float64Builder::new()),
            Kind::Decimal { .. } => {
                Self::Decimal(Decimal128Builder::new().with_data_type(data_type.clone()))
            }
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Timestamp => Self::Timestamp(
                TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()),
            ),
            Kind::Nested => return None,
        })
    }

    /// Appends a value of the column's kind; `false`, and nothing is appended, for any other.
    #[inline]
    #[must_use]
    pub(super) fn append(&mut self, value: Scalar<'_>) -> bool {
        // Appends the integer where it fits into the column's width.
        macro_rules! narrow {
            ($builder:ident, $value:ident) => {
                match $value.try_into() {
                    Ok(value) => $builder.append_value(value),
                    Err(_) => return false,
                }
            };
        }
        match (self, value) {
            (Self::Text(builder), Scalar::Bytes(value)) => match std::str::from_utf8(value) {
                Ok(text) => builder.append_value(text),
                Err(_) => return false,
            },
            (Self::Binary(builder), Scalar::Bytes(value)) => builder.append_value(value),
            (Self::Boolean(builder), Scalar::Integer(value)) => builder.append_value(value != 0),
            (Self::Int8(builder), Scalar::Integer(value)) => narrow!(builder, value),
            (Self::Int16(builder), Scalar::Integer(value)) => narrow!(builder, value),
            (Self::Int32(builder), Scalar::Integer(value)) => narrow!(builder, value),
            (Self::Int64(builder), Scalar::Integer(value)) => narrow!(builder, value),
            (Self::Date(builder), Scalar::Integer(value)) => narrow!(builder, value),
            (Self::Timestamp(builder), Scalar::Integer(value)) => narrow!(builder, value),
            (Self::Decimal(builder), Scalar::Integer(value)) => builder.append_value(value),
            (Self::Float32(builder), Scalar::Float(value)) => builder.append_value(value as f32),
            (Self::Float64(builder), Scalar::Float(value)) => builder.append_value(value),
            _ => return false,
        }
        true
    }

    pub(super) fn append_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}
