//! Typed columns that take the texts of a field, many rows at a time.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, NullBufferBuilder, PrimitiveArray,
    StringArray, new_null_array,
};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
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
    Bytes(BinaryBuilder),
    /// Of types that are rare in texts.
    Rare(Box<dyn Rare>),
    /// As another type, which is changed when the column is finished.
    Cast(Box<Self>, DataType),
    /// Nothing but null.
    Nothing(usize),
}

/// A column of a type whose reading need not be fast.
pub(super) trait Rare: Send {
    fn extend(
        &mut self,
        fields: &mut dyn Iterator<Item = Option<Field<'_>>>,
        is_bad: &mut dyn FnMut(usize),
    );
    fn finish(&mut self) -> ArrayRef;
}

struct Parsed<T: ArrowPrimitiveType, P> {
    numbers: Numbers<T>,
    parse: P,
}

impl<T, P> Rare for Parsed<T, P>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<T::Native> + Send,
{
    fn extend(
        &mut self,
        fields: &mut dyn Iterator<Item = Option<Field<'_>>>,
        is_bad: &mut dyn FnMut(usize),
    ) {
        self.numbers.extend(fields, is_bad, &self.parse);
    }

    fn finish(&mut self) -> ArrayRef {
        self.numbers.finish()
    }
}

fn rare<T: ArrowPrimitiveType>(
    data_type: &DataType,
    parse: impl Fn(&[u8]) -> Option<T::Native> + Send + 'static,
) -> Column {
    let numbers = Numbers::<T>::new(data_type);
    Column::Rare(Box::new(Parsed { numbers, parse }))
}

/// A column of a type whose reading need not be fast, `None` for a type that text cannot have.
fn rare_column(data_type: &DataType) -> Option<Column> {
    use parse::{date, number, time, timestamp_in};
    let as_other = |other: DataType| {
        let column = Column::new(&other).ok()?;
        Some(Column::Cast(Box::new(column), data_type.clone()))
    };
    let exactly = |nanos: i64, unit: i64| (nanos % unit == 0).then_some(nanos / unit);
    Some(match data_type {
        DataType::Int8 => rare::<Int8Type>(data_type, number),
        DataType::Int16 => rare::<Int16Type>(data_type, number),
        DataType::UInt8 => rare::<UInt8Type>(data_type, number),
        DataType::UInt16 => rare::<UInt16Type>(data_type, number),
        DataType::UInt32 => rare::<UInt32Type>(data_type, number),
        DataType::UInt64 => rare::<UInt64Type>(data_type, number),
        DataType::Float32 => rare::<Float32Type>(data_type, parse::short_float),
        DataType::Date64 => rare::<Date64Type>(data_type, |text| {
            timestamp_in(text, TimeUnit::Millisecond)
                .or_else(|| Some(i64::from(date(text)?) * 86_400_000))
        }),
        DataType::Timestamp(unit, _) => {
            let unit = *unit;
            let parse = move |text: &[u8]| timestamp_in(text, unit);
            match unit {
                TimeUnit::Second => rare::<TimestampSecondType>(data_type, parse),
                TimeUnit::Millisecond => rare::<TimestampMillisecondType>(data_type, parse),
                TimeUnit::Microsecond => rare::<TimestampMicrosecondType>(data_type, parse),
                TimeUnit::Nanosecond => rare::<TimestampNanosecondType>(data_type, parse),
            }
        }
        DataType::Time32(TimeUnit::Second) => rare::<Time32SecondType>(data_type, move |text| {
            i32::try_from(exactly(time(text)?, 1_000_000_000)?).ok()
        }),
        DataType::Time32(_) => rare::<Time32MillisecondType>(data_type, move |text| {
            i32::try_from(exactly(time(text)?, 1_000_000)?).ok()
        }),
        DataType::Time64(TimeUnit::Microsecond) => {
            rare::<Time64MicrosecondType>(data_type, move |text| exactly(time(text)?, 1_000))
        }
        DataType::Time64(_) => rare::<Time64NanosecondType>(data_type, time),
        DataType::Decimal32(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            rare::<Decimal32Type>(data_type, move |text| {
                i32::try_from(parse::decimal(text, precision, scale)?).ok()
            })
        }
        DataType::Decimal64(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            rare::<Decimal64Type>(data_type, move |text| {
                i64::try_from(parse::decimal(text, precision, scale)?).ok()
            })
        }
        DataType::Decimal256(precision, scale) if *scale >= 0 => {
            let (precision, scale) = (*precision, *scale);
            rare::<Decimal256Type>(data_type, move |text| {
                parse::long_decimal(text, precision, scale)
            })
        }
        DataType::LargeUtf8 | DataType::Utf8View => as_other(DataType::Utf8)?,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            as_other(DataType::Binary)?
        }
        DataType::Dictionary(_, values) if !values.is_nested() => {
            as_other(values.as_ref().clone())?
        }
        _ => return None,
    })
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
            DataType::Decimal128(precision, scale) => {
                Self::Decimal(Numbers::new(data_type), *precision, *scale)
            }
            DataType::Binary => Self::Bytes(BinaryBuilder::new()),
            DataType::Null => Self::Nothing(0),
            other => {
                return rare_column(other).ok_or_else(|| {
                    DataFusionError::NotImplemented(format!(
                        "a csv column cannot have the type {other}"
                    ))
                });
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
            Self::Bytes(bytes) => extend_bytes(bytes, fields, is_bad),
            Self::Rare(column) => {
                let mut is_bad = is_bad;
                let mut fields = fields;
                column.extend(&mut fields, &mut is_bad);
            }
            Self::Cast(column, _) => {
                let mut is_bad = is_bad;
                let fields: &mut dyn Iterator<Item = Option<Field<'a>>> = &mut { fields };
                let is_bad: &mut dyn FnMut(usize) = &mut is_bad;
                column.extend(fields, is_bad);
            }
            Self::Nothing(n_rows) => *n_rows += extend_nothing(fields, is_bad),
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
            Self::Bytes(bytes) => Arc::new(bytes.finish()),
            Self::Rare(column) => column.finish(),
            Self::Cast(column, data_type) => cast(&column.finish()?, data_type)?,
            Self::Nothing(n_rows) => new_null_array(&DataType::Null, std::mem::take(n_rows)),
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

    /// Whether it is not empty. Only texts can be empty: what has no text and another type is null.
    fn has_text(self) -> bool {
        self.length > 0
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
                    if field.is_some_and(Field::has_text) {
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
        if value.is_none() && field.is_some_and(Field::has_text) {
            is_bad(row);
        }
    }
}

fn extend_bytes<'a>(
    bytes: &mut BinaryBuilder,
    fields: impl Iterator<Item = Option<Field<'a>>>,
    mut is_bad: impl FnMut(usize),
) {
    for (row, field) in fields.enumerate() {
        let value = field.and_then(|field| parse::binary(field.text()));
        if value.is_none() && field.is_some() {
            is_bad(row);
        }
        bytes.append_option(value);
    }
}

/// How many fields there are; any text in them is bad.
fn extend_nothing<'a>(
    fields: impl Iterator<Item = Option<Field<'a>>>,
    mut is_bad: impl FnMut(usize),
) -> usize {
    let mut n_rows = 0;
    for field in fields {
        if field.is_some_and(Field::has_text) {
            is_bad(n_rows);
        }
        n_rows += 1;
    }
    n_rows
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
