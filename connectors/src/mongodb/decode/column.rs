//! Column builders that take BSON values.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int32Builder, Int64Builder, ListArray, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::arrow::error::ArrowError;
use mongodb::bson::{RawBsonRef, RawDocument};

use super::super::mapping::{Malformed, NamedType, Stored, ValueType};
use super::scalar;

/// Why a value is not one of its column.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Names on the way down from the column's value, outermost last.
    pub(super) below: Vec<String>,
    pub(super) found: String,
    pub(super) expected: String,
}

impl Misfit {
    fn of(value: RawBsonRef<'_>, expected: &ValueType) -> Self {
        let found = scalar::type_name(value);
        let found = match scalar::excerpt(value) {
            text if text.is_empty() => found.to_owned(),
            text => format!("{found} `{text}`"),
        };
        Self {
            below: Vec::new(),
            found,
            expected: expected.to_string(),
        }
    }

    pub(super) fn absent(found: &str, expected: &ValueType) -> Self {
        Self {
            below: Vec::new(),
            found: found.to_owned(),
            expected: format!("{expected} that is never null"),
        }
    }

    fn below(mut self, name: impl Into<String>) -> Box<Self> {
        self.below.push(name.into());
        Box::new(self)
    }
}

/// How a column reads what it finds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) stored: Stored,
    pub(super) malformed: Malformed,
}

/// A column under construction.
#[derive(Debug)]
pub(super) struct Column {
    value: ValueType,
    reading: Reading,
    builder: Builder,
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, u8, i8),
    Binary(BinaryBuilder),
    List {
        item: Box<Column>,
        is_required: bool,
        ends: Vec<i32>,
        is_valid: Vec<bool>,
    },
    Struct {
        fields: Vec<StructField>,
        is_valid: Vec<bool>,
    },
}

#[derive(Debug)]
struct StructField {
    name: String,
    is_required: bool,
    column: Column,
    is_filled: bool,
}

impl Column {
    /// A builder with room for `capacity` rows.
    pub(super) fn new(
        value: &ValueType,
        reading: Reading,
        capacity: usize,
    ) -> Result<Self, ArrowError> {
        let inner = |named: &NamedType| Self::new(&named.value, reading, 0);
        let builder = match value {
            ValueType::Text => Builder::Text(StringBuilder::with_capacity(capacity, capacity * 12)),
            ValueType::Int32 => Builder::Int32(Int32Builder::with_capacity(capacity)),
            ValueType::Int64 => Builder::Int64(Int64Builder::with_capacity(capacity)),
            ValueType::Double => Builder::Double(Float64Builder::with_capacity(capacity)),
            ValueType::Bool => Builder::Bool(BooleanBuilder::with_capacity(capacity)),
            ValueType::Date => Builder::Date(Date32Builder::with_capacity(capacity)),
            ValueType::Timestamp { .. } => {
                Builder::Timestamp(TimestampMicrosecondBuilder::with_capacity(capacity))
            }
            ValueType::Decimal { precision, scale } => {
                let builder = Decimal128Builder::with_capacity(capacity)
                    .with_precision_and_scale(*precision, *scale)?;
                Builder::Decimal(builder, *precision, *scale)
            }
            ValueType::Binary => Builder::Binary(BinaryBuilder::new()),
            ValueType::List(item) => Builder::List {
                is_required: item.required,
                item: Box::new(inner(item)?),
                ends: vec![0],
                is_valid: Vec::with_capacity(capacity),
            },
            ValueType::Struct(fields) => Builder::Struct {
                fields: fields
                    .iter()
                    .map(|field| {
                        Ok(StructField {
                            name: field.name.clone(),
                            is_required: field.required,
                            column: inner(field)?,
                            is_filled: false,
                        })
                    })
                    .collect::<Result<_, ArrowError>>()?,
                is_valid: Vec::with_capacity(capacity),
            },
        };
        Ok(Self {
            value: value.clone(),
            reading,
            builder,
        })
    }

    /// The type of the values.
    pub(super) fn value_type(&self) -> &ValueType {
        &self.value
    }

    /// Appends `value`, or null where it is malformed and that is not an error.
    ///
    /// After an error the column has lost its place in the row and is of no more use.
    #[inline]
    pub(super) fn append(&mut self, value: RawBsonRef<'_>) -> Result<(), Box<Misfit>> {
        if matches!(value, RawBsonRef::Null) {
            self.append_null();
            return Ok(());
        }
        let Reading { stored, malformed } = self.reading;
        let is_good = match &mut self.builder {
            Builder::Text(b) => match scalar::text(value, stored) {
                Some(text) => {
                    b.append_value(text);
                    true
                }
                None => false,
            },
            Builder::Int32(b) => {
                let found = scalar::integer(value, stored).and_then(|v| i32::try_from(v).ok());
                found.map(|v| b.append_value(v)).is_some()
            }
            Builder::Int64(b) => scalar::integer(value, stored)
                .map(|v| b.append_value(v))
                .is_some(),
            Builder::Double(b) => scalar::double(value, stored)
                .map(|v| b.append_value(v))
                .is_some(),
            Builder::Bool(b) => scalar::boolean(value).map(|v| b.append_value(v)).is_some(),
            Builder::Date(b) => scalar::date(value, stored)
                .map(|v| b.append_value(v))
                .is_some(),
            Builder::Timestamp(b) => scalar::timestamp(value, stored)
                .map(|v| b.append_value(v))
                .is_some(),
            Builder::Decimal(b, precision, scale) => {
                let found = scalar::decimal(value, stored, *precision, *scale);
                found.map(|v| b.append_value(v)).is_some()
            }
            Builder::Binary(b) => match value {
                RawBsonRef::Binary(v) => {
                    b.append_value(v.bytes);
                    true
                }
                _ => false,
            },
            Builder::List {
                item,
                is_required,
                ends,
                is_valid,
            } => match value {
                RawBsonRef::Array(array) => {
                    append_items(item, *is_required, ends, array.into_iter())?;
                    is_valid.push(true);
                    true
                }
                _ => false,
            },
            Builder::Struct { fields, is_valid } => match value {
                RawBsonRef::Document(document) => {
                    append_fields(fields, document)?;
                    is_valid.push(true);
                    true
                }
                _ => false,
            },
        };
        match (is_good, malformed) {
            (true, _) => Ok(()),
            (false, Malformed::Error) => Err(Box::new(Misfit::of(value, &self.value))),
            (false, Malformed::Null) => {
                self.append_null();
                Ok(())
            }
        }
    }

    /// Appends null.
    pub(super) fn append_null(&mut self) {
        match &mut self.builder {
            Builder::Text(b) => b.append_null(),
            Builder::Int32(b) => b.append_null(),
            Builder::Int64(b) => b.append_null(),
            Builder::Double(b) => b.append_null(),
            Builder::Bool(b) => b.append_null(),
            Builder::Date(b) => b.append_null(),
            Builder::Timestamp(b) => b.append_null(),
            Builder::Decimal(b, ..) => b.append_null(),
            Builder::Binary(b) => b.append_null(),
            Builder::List { ends, is_valid, .. } => {
                ends.push(ends.last().copied().unwrap_or_default());
                is_valid.push(false);
            }
            Builder::Struct { fields, is_valid } => {
                for field in fields {
                    field.column.append_null();
                }
                is_valid.push(false);
            }
        }
    }

    /// The finished column; the builder is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match &mut self.builder {
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Int32(b) => Arc::new(b.finish()),
            Builder::Int64(b) => Arc::new(b.finish()),
            Builder::Double(b) => Arc::new(b.finish()),
            Builder::Bool(b) => Arc::new(b.finish()),
            Builder::Date(b) => Arc::new(b.finish()),
            Builder::Timestamp(b) => Arc::new(b.finish().with_data_type(self.value.to_arrow())),
            Builder::Decimal(b, ..) => Arc::new(b.finish()),
            Builder::Binary(b) => Arc::new(b.finish()),
            Builder::List {
                item,
                ends,
                is_valid,
                ..
            } => {
                let DataType::List(field) = self.value.to_arrow() else {
                    return Err(ArrowError::SchemaError("not a list".to_owned()));
                };
                let ends = std::mem::replace(ends, vec![0]);
                let nulls = NullBuffer::from(std::mem::take(is_valid));
                let offsets = OffsetBuffer::new(ends.into());
                Arc::new(ListArray::try_new(
                    field,
                    offsets,
                    item.finish()?,
                    Some(nulls),
                )?)
            }
            Builder::Struct { fields, is_valid } => {
                let is_valid = std::mem::take(is_valid);
                let n_rows = is_valid.len();
                let nulls = Some(NullBuffer::from(is_valid));
                let arrays = fields
                    .iter_mut()
                    .map(|field| field.column.finish())
                    .collect::<Result<Vec<_>, _>>()?;
                let types: Fields = match self.value.to_arrow() {
                    DataType::Struct(types) => types,
                    _ => Fields::from(Vec::<Field>::new()),
                };
                Arc::new(StructArray::try_new_with_length(
                    types, arrays, nulls, n_rows,
                )?)
            }
        })
    }
}

fn append_items<'a>(
    item: &mut Column,
    is_required: bool,
    ends: &mut Vec<i32>,
    values: impl Iterator<Item = mongodb::bson::error::Result<RawBsonRef<'a>>>,
) -> Result<(), Box<Misfit>> {
    let mut end = ends.last().copied().unwrap_or_default();
    for (index, value) in values.enumerate() {
        let value = value.map_err(|e| broken(&e).below(index.to_string()))?;
        if is_required && matches!(value, RawBsonRef::Null) {
            return Err(Misfit::absent("null", &item.value).below(index.to_string()));
        }
        item.append(value).map_err(|e| e.below(index.to_string()))?;
        end = end
            .checked_add(1)
            .ok_or_else(|| Box::new(Misfit::absent("too many items", &item.value)))?;
    }
    ends.push(end);
    Ok(())
}

fn append_fields(fields: &mut [StructField], document: &RawDocument) -> Result<(), Box<Misfit>> {
    for field in &mut *fields {
        field.is_filled = false;
    }
    // Fields mostly come in the order of the struct.
    let mut next = 0;
    for element in document.iter_elements() {
        let element = element.map_err(|e| Box::new(broken(&e)))?;
        let key = element.key().as_str();
        let n_fields = fields.len();
        let found = (0..n_fields)
            .map(|i| (next + i) % n_fields)
            .find(|i| fields[*i].name == key);
        let Some(index) = found else {
            continue;
        };
        next = index + 1;
        let field = &mut fields[index];
        if std::mem::replace(&mut field.is_filled, true) {
            continue;
        }
        let value = element.value().map_err(|e| broken(&e).below(key))?;
        if field.is_required && matches!(value, RawBsonRef::Null) {
            return Err(Misfit::absent("null", &field.column.value).below(key));
        }
        field.column.append(value).map_err(|e| e.below(key))?;
    }
    for field in fields.iter_mut().filter(|f| !f.is_filled) {
        if field.is_required {
            return Err(Misfit::absent("nothing", &field.column.value).below(&*field.name));
        }
        field.column.append_null();
    }
    Ok(())
}

/// Bytes that are not BSON.
pub(super) fn broken(error: &mongodb::bson::error::Error) -> Misfit {
    Misfit {
        below: Vec::new(),
        found: error.to_string(),
        expected: "valid BSON".to_owned(),
    }
}
