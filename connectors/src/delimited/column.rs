//! Typed columns that take the texts of a field, many rows at a time.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanBuilder, NullBufferBuilder, PrimitiveArray, StringArray,
};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::Result;
use datafusion::error::DataFusionError;

use super::parse;

/// A column under construction.
pub(super) enum Column {
    Text(Texts),
    Int32(Numbers<Int32Type>),
    Int64(Numbers<Int64Type>),
    Float(Numbers<Float64Type>),
    Bool(BooleanBuilder),
    Date(Numbers<Date32Type>),
    Timestamp(Numbers<TimestampMicrosecondType>),
    Decimal(Numbers<Decimal128Type>, u8, i8),
}

impl Column {
    /// An empty column of `data_type`.
    ///
    /// # Errors
    /// `NotImplemented` for a type that delimited text cannot have.
    pub(super) fn new(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Utf8 => Self::Text(Texts::default()),
            DataType::Int32 => Self::Int32(Numbers::new(data_type)),
            DataType::Int64 => Self::Int64(Numbers::new(data_type)),
            DataType::Float64 => Self::Float(Numbers::new(data_type)),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Date32 => Self::Date(Numbers::new(data_type)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Timestamp(Numbers::new(data_type))
            }
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                Self::Decimal(Numbers::new(data_type), *precision, *scale)
            }
            other => {
                return Err(DataFusionError::NotImplemented(format!(
                    "a csv column cannot have the type {other}"
                )));
            }
        })
    }

    /// Appends a row for each field, null for `None`. A field whose text is not of the column's type
    /// becomes null, and `is_bad` is called with its number.
    pub(super) fn extend<'a>(
        &mut self,
        fields: impl Iterator<Item = Option<Field<'a>>>,
        is_bad: impl FnMut(usize),
    ) {
        match self {
            Self::Text(texts) => texts.extend(fields),
            Self::Int32(numbers) => numbers.extend(fields, is_bad, |text| {
                parse::integer(text).and_then(|v| i32::try_from(v).ok())
            }),
            Self::Int64(numbers) => numbers.extend(fields, is_bad, parse::integer),
            Self::Float(numbers) => numbers.extend(fields, is_bad, parse::float),
            Self::Bool(bits) => extend_bits(bits, fields, is_bad),
            Self::Date(numbers) => numbers.extend(fields, is_bad, parse::date),
            Self::Timestamp(numbers) => numbers.extend(fields, is_bad, parse::timestamp),
            Self::Decimal(numbers, precision, scale) => {
                let (precision, scale) = (*precision, *scale);
                numbers.extend(fields, is_bad, |text| {
                    parse::decimal(text, precision, scale)
                });
            }
        }
    }

    /// The finished column; it is empty afterwards, with room for as much again.
    ///
    /// # Errors
    /// `ResourcesExhausted` where the texts of a batch take more than 2 GiB.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Text(texts) => texts.finish()?,
            Self::Int32(numbers) => numbers.finish(),
            Self::Int64(numbers) => numbers.finish(),
            Self::Float(numbers) => numbers.finish(),
            Self::Bool(bits) => Arc::new(bits.finish()),
            Self::Date(numbers) => numbers.finish(),
            Self::Timestamp(numbers) => numbers.finish(),
            Self::Decimal(numbers, ..) => numbers.finish(),
        })
    }
}

/// The text of a field, and the bytes that follow it where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// From the start of the field to the end of what holds it.
    from: &'a [u8],
    length: usize,
}

impl<'a> Field<'a> {
    /// The field from `start` to `end` of `text`.
    #[inline]
    pub(super) fn new(text: &'a [u8], start: usize, end: usize) -> Option<Self> {
        let from = text.get(start..)?;
        let length = end.checked_sub(start).filter(|n| *n <= from.len())?;
        Some(Self { from, length })
    }

    #[inline]
    pub(super) fn text(self) -> &'a [u8] {
        &self.from[..self.length]
    }
}

/// Numbers, times and the like.
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    fn new(data_type: &DataType) -> Self {
        Self {
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
            data_type: data_type.clone(),
        }
    }

    #[inline]
    fn extend<'a>(
        &mut self,
        fields: impl Iterator<Item = Option<Field<'a>>>,
        mut is_bad: impl FnMut(usize),
        parse: impl Fn(&[u8]) -> Option<T::Native>,
    ) {
        for (row, field) in fields.enumerate() {
            let value = field.and_then(|field| parse(field.text()));
            match value {
                Some(value) => {
                    self.values.push(value);
                    self.nulls.append_non_null();
                }
                None => {
                    self.values.push(T::Native::default());
                    self.nulls.append_null();
                    if field.is_some() {
                        is_bad(row);
                    }
                }
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let room = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, room);
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), self.nulls.finish());
        Arc::new(array.with_data_type(self.data_type.clone()))
    }
}

fn extend_bits<'a>(
    bits: &mut BooleanBuilder,
    fields: impl Iterator<Item = Option<Field<'a>>>,
    mut is_bad: impl FnMut(usize),
) {
    for (row, field) in fields.enumerate() {
        let value = field.and_then(|field| parse::boolean(field.text()));
        bits.append_option(value);
        if value.is_none() && field.is_some() {
            is_bad(row);
        }
    }
}

/// Texts, one after another.
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each text starts, and the end of the last one.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl Texts {
    fn extend<'a>(&mut self, fields: impl Iterator<Item = Option<Field<'a>>>) {
        for field in fields {
            match field {
                Some(field) => {
                    self.append(field);
                    self.nulls.append_non_null();
                }
                None => self.nulls.append_null(),
            }
            // `finish` refuses lengths that do not fit.
            self.offsets.push(self.bytes.len() as i32);
        }
    }

    /// Most texts are short: copying 16 bytes always and cutting them is faster than a copy of few.
    #[inline]
    fn append(&mut self, field: Field<'_>) {
        match field.from.first_chunk::<16>() {
            Some(bytes) if field.length <= bytes.len() => {
                let end = self.bytes.len() + field.length;
                self.bytes.extend_from_slice(bytes);
                self.bytes.truncate(end);
            }
            _ => self.bytes.extend_from_slice(field.text()),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        if i32::try_from(self.bytes.len()).is_err() {
            return Err(DataFusionError::ResourcesExhausted(
                "the texts of one column in a batch of lines take more than 2 GiB".to_owned(),
            ));
        }
        let bytes = Vec::with_capacity(self.bytes.len());
        let bytes = std::mem::replace(&mut self.bytes, bytes);
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = StringArray::try_new(offsets, Buffer::from_vec(bytes), self.nulls.finish())?;
        Ok(Arc::new(array))
    }
}
