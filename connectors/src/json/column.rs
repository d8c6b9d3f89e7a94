//! Columns under construction, of any type that a result can have.
//!
//! A value that is not exactly one of the column's type is a [`Fault`]; nothing is cut or rounded to
//! fit. A column can be cut back to a row, so that a fault in the middle of a nested value leaves no
//! trace.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array,
    FixedSizeListArray, Float32Array, Float64Array, Int64Array, LargeListArray, ListArray,
    MapArray, StringArray, StructArray, UInt64Array, new_null_array,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Fields, i256};
use datafusion::arrow::util::display::FormatOptions;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use emporia_core::catalog::type_name;

use super::record::Record;
use super::syntax::{Cursor, SyntaxError, Value, is_number};
use super::temporal;
use crate::exact_numbers as number;

/// Casts fail where they would lose a value.
pub(super) const STRICT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: FormatOptions::new(),
};
/// Characters of a value that an error shows.
const SHOWN: usize = 100;

/// Why a value is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The line is not JSON.
    Syntax(SyntaxError),
    /// The value is not one of the column.
    Value(String),
}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

type Taken<T = ()> = std::result::Result<T, Fault>;

/// Values of one column.
#[derive(Debug)]
pub(super) struct Column {
    data_type: DataType,
    is_nullable: bool,
    valid: Vec<bool>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Nothing,
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Unsigned(Vec<u64>),
    Float(Vec<f64>),
    Decimal(Vec<i128>),
    Wide(Vec<i256>),
    Text(Bytes),
    Binary(Bytes),
    List {
        items: Box<Column>,
        ends: Vec<i32>,
    },
    Struct(Record),
    Map {
        keys: Box<Column>,
        values: Box<Column>,
        ends: Vec<i32>,
    },
}

/// Texts one after another.
#[derive(Debug, Default)]
struct Bytes {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Bytes {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len() as i32);
    }

    fn truncate(&mut self, n: usize) {
        self.ends.truncate(n);
        self.bytes.truncate(last(&self.ends));
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let bytes = std::mem::take(&mut self.bytes);
        (offsets(&mut self.ends), Buffer::from_vec(bytes))
    }
}

fn last(ends: &[i32]) -> usize {
    ends.last().map_or(0, |end| *end as usize)
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let ends = std::mem::take(ends);
    OffsetBuffer::new(ScalarBuffer::from_iter(std::iter::once(0).chain(ends)))
}

impl Column {
    /// An empty column.
    ///
    /// # Errors
    /// `NotImplemented` for a type that JSON has no form for.
    pub(super) fn new(field: &Field) -> Result<Self> {
        Ok(Self {
            data_type: field.data_type().clone(),
            is_nullable: field.is_nullable(),
            valid: Vec::new(),
            data: Data::new(field.data_type())?,
        })
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.valid.len()
    }

    /// Takes the next value of the text.
    pub(super) fn append(&mut self, cursor: &mut Cursor<'_>) -> Taken {
        let start = cursor.clone();
        let value = cursor.value()?;
        if value == Value::Null {
            return self.append_missing();
        }
        match (&mut self.data, value) {
            (Data::Text(texts), Value::Text(text)) => texts.push(text.as_bytes()),
            (Data::Text(texts), _) => {
                *cursor = start;
                texts.push(cursor.raw()?.as_bytes());
            }
            (Data::List { items, ends }, Value::List) => {
                let first = items.len();
                while cursor.item(items.len() == first)? {
                    items.append(cursor)?;
                }
                ends.push(items.len() as i32);
                if let DataType::FixedSizeList(_, size) = &self.data_type
                    && items.len() - first != *size as usize
                {
                    return Err(Fault::Value(format!("a list has other than {size} items")));
                }
            }
            (Data::Struct(record), Value::Object) => record.append(cursor)?,
            (Data::Map { keys, values, ends }, Value::Object) => {
                let first = keys.len();
                while let Some(key) = cursor.key(keys.len() == first)? {
                    keys.append_scalar(Value::Text(key))?;
                    values.append(cursor)?;
                }
                ends.push(keys.len() as i32);
                keys.check_distinct(first)?;
            }
            (_, Value::List | Value::Object) => {
                let mut back = start;
                return Err(self.refusal(back.raw()?));
            }
            (_, scalar) => return self.append_scalar(scalar),
        }
        self.valid.push(true);
        Ok(())
    }

    /// Takes a value that is no list, object or null.
    pub(super) fn append_scalar(&mut self, value: Value<'_>) -> Taken {
        if self.push_scalar(&value).is_none() {
            return Err(match value {
                Value::Text(text) => self.refusal(&format!("{text:?}")),
                Value::Number(text) => self.refusal(text),
                Value::Bool(value) => self.refusal(&value.to_string()),
                Value::Null | Value::List | Value::Object => self.refusal("null"),
            });
        }
        self.valid.push(true);
        Ok(())
    }

    fn push_scalar(&mut self, value: &Value<'_>) -> Option<()> {
        // A text that is a number counts as one: many programs write ids and money so.
        let as_number = match value {
            Value::Number(text) => Some(*text),
            Value::Text(text) if is_number(text) => Some(text.as_ref()),
            _ => None,
        };
        match &mut self.data {
            Data::Text(texts) => match value {
                Value::Text(text) => texts.push(text.as_bytes()),
                Value::Number(text) => texts.push(text.as_bytes()),
                Value::Bool(value) => texts.push(value.to_string().as_bytes()),
                Value::Null | Value::List | Value::Object => return None,
            },
            Data::Bool(values) => match value {
                Value::Bool(value) => values.push(*value),
                _ => return None,
            },
            Data::Int(values) => values.push(match (value, as_number) {
                (_, Some(text)) => integer(plain(&self.data_type), text)?,
                (Value::Text(text), _) => moment(plain(&self.data_type), text)?,
                _ => return None,
            }),
            Data::Unsigned(values) => {
                let value = number::unsigned(as_number?)?;
                let limit = match plain(&self.data_type) {
                    DataType::UInt8 => u64::from(u8::MAX),
                    DataType::UInt16 => u64::from(u16::MAX),
                    DataType::UInt32 => u64::from(u32::MAX),
                    _ => u64::MAX,
                };
                values.push(Some(value).filter(|value| *value <= limit)?);
            }
            Data::Float(values) => values.push(match (value, as_number) {
                (_, Some(text)) => float(plain(&self.data_type), text)?,
                (Value::Text(text), _) => special(text)?,
                _ => return None,
            }),
            Data::Decimal(values) => {
                let (precision, scale) = digits_of(plain(&self.data_type));
                values.push(number::decimal(as_number?, precision, scale)?);
            }
            Data::Wide(values) => {
                let (precision, scale) = digits_of(plain(&self.data_type));
                values.push(number::wide_decimal(as_number?, precision, scale)?);
            }
            Data::Binary(values) => match value {
                Value::Text(text) => {
                    let bytes = bytes_of_hex(text)?;
                    if let DataType::FixedSizeBinary(size) = &self.data_type
                        && bytes.len() != *size as usize
                    {
                        return None;
                    }
                    values.push(&bytes);
                }
                _ => return None,
            },
            Data::Nothing | Data::List { .. } | Data::Struct(_) | Data::Map { .. } => return None,
        }
        Some(())
    }

    /// Takes null, as for a key that is not there.
    pub(super) fn append_missing(&mut self) -> Taken {
        if !self.is_nullable {
            return Err(Fault::Value("a value is missing or null".to_owned()));
        }
        self.push_null();
        Ok(())
    }

    /// A row without a value; in a null struct, also where the field itself is never null.
    pub(super) fn push_null(&mut self) {
        self.valid.push(false);
        match &mut self.data {
            Data::Nothing => {}
            Data::Bool(values) => values.push(false),
            Data::Int(values) => values.push(0),
            Data::Unsigned(values) => values.push(0),
            Data::Float(values) => values.push(0.0),
            Data::Decimal(values) => values.push(0),
            Data::Wide(values) => values.push(i256::ZERO),
            Data::Text(texts) => texts.push(b""),
            Data::Binary(values) => match &self.data_type {
                DataType::FixedSizeBinary(size) => values.push(&vec![0; *size as usize]),
                _ => values.push(b""),
            },
            Data::List { items, ends } => {
                if let DataType::FixedSizeList(_, size) = &self.data_type {
                    for _ in 0..*size {
                        items.push_null();
                    }
                }
                ends.push(items.len() as i32);
            }
            Data::Struct(record) => record.push_null(),
            Data::Map { keys, ends, .. } => ends.push(keys.len() as i32),
        }
    }

    /// Forgets all values behind the first `n`, and what was begun behind them.
    pub(super) fn truncate(&mut self, n: usize) {
        self.valid.truncate(n);
        match &mut self.data {
            Data::Nothing => {}
            Data::Bool(values) => values.truncate(n),
            Data::Int(values) => values.truncate(n),
            Data::Unsigned(values) => values.truncate(n),
            Data::Float(values) => values.truncate(n),
            Data::Decimal(values) => values.truncate(n),
            Data::Wide(values) => values.truncate(n),
            Data::Text(values) | Data::Binary(values) => values.truncate(n),
            Data::List { items, ends } => {
                ends.truncate(n);
                items.truncate(last(ends));
            }
            Data::Struct(record) => record.truncate(n),
            Data::Map { keys, values, ends } => {
                ends.truncate(n);
                keys.truncate(last(ends));
                values.truncate(last(ends));
            }
        }
    }

    /// The values, after which the column is empty.
    ///
    /// # Errors
    /// Where Arrow does not take them.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let valid = std::mem::take(&mut self.valid);
        let n = valid.len();
        let nulls = (!valid.iter().all(|v| *v)).then(|| NullBuffer::from(valid));
        let array: ArrayRef = match &mut self.data {
            Data::Nothing => new_null_array(&self.data_type, n),
            Data::Bool(values) => Arc::new(BooleanArray::new(taken(values).into(), nulls)),
            Data::Int(values) => Arc::new(Int64Array::new(taken(values).into(), nulls)),
            Data::Unsigned(values) => Arc::new(UInt64Array::new(taken(values).into(), nulls)),
            Data::Float(values) if is_small_float(&self.data_type) => {
                let values = taken(values).into_iter().map(|value| value as f32);
                Arc::new(Float32Array::new(values.collect(), nulls))
            }
            Data::Float(values) => Arc::new(Float64Array::new(taken(values).into(), nulls)),
            Data::Decimal(values) => {
                let (precision, scale) = digits_of(plain(&self.data_type));
                let values = Decimal128Array::new(taken(values).into(), nulls);
                Arc::new(values.with_precision_and_scale(precision, scale)?)
            }
            Data::Wide(values) => {
                let (precision, scale) = digits_of(plain(&self.data_type));
                let values = Decimal256Array::new(taken(values).into(), nulls);
                Arc::new(values.with_precision_and_scale(precision, scale)?)
            }
            Data::Text(values) => {
                let (offsets, bytes) = values.take();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Data::Binary(values) => {
                let (offsets, bytes) = values.take();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
            Data::List { items, ends } => {
                let offsets = offsets(ends);
                finished_list(&self.data_type, offsets, items.finish()?, nulls)?
            }
            Data::Struct(record) => {
                let fields = record.fields.clone();
                match fields.is_empty() {
                    true => Arc::new(StructArray::new_empty_fields(n, nulls)),
                    false => Arc::new(StructArray::try_new(fields, record.finish()?, nulls)?),
                }
            }
            Data::Map { keys, values, ends } => match &self.data_type {
                DataType::Map(entries, is_sorted) => {
                    let offsets = offsets(ends);
                    let fields = struct_fields(entries)?;
                    let columns = vec![keys.finish()?, values.finish()?];
                    let pairs = StructArray::try_new(fields, columns, None)?;
                    let entries = Arc::clone(entries);
                    Arc::new(MapArray::try_new(
                        entries, offsets, pairs, nulls, *is_sorted,
                    )?)
                }
                other => return Err(unsupported(other)),
            },
        };
        // Arrow has no way from 64 bits to times of 32.
        let array = match &self.data_type {
            DataType::Time32(_) => cast_with_options(&array, &DataType::Int32, &STRICT)?,
            _ => array,
        };
        match array.data_type() == &self.data_type {
            true => Ok(array),
            false => Ok(cast_with_options(&array, &self.data_type, &STRICT)?),
        }
    }

    /// Checks that no text of the values from `first` on comes twice.
    fn check_distinct(&self, first: usize) -> Taken {
        let mut seen = HashSet::new();
        let is_new = |n: usize| match &self.data {
            Data::Text(Bytes { bytes, ends }) => {
                let start = n.checked_sub(1).map_or(0, |before| ends[before] as usize);
                seen.insert(&bytes[start..ends[n] as usize])
            }
            _ => true,
        };
        match (first..self.len()).all(is_new) {
            true => Ok(()),
            false => Err(Fault::Value("a key of a map occurs twice".to_owned())),
        }
    }

    fn refusal(&self, value: &str) -> Fault {
        let wanted = type_name(&self.data_type).unwrap_or_else(|_| self.data_type.to_string());
        Fault::Value(format!("{} is not {wanted}", shown(value)))
    }
}

impl Data {
    fn new(data_type: &DataType) -> Result<Self> {
        let child = |field: &Field| Column::new(field).map(Box::new);
        Ok(match data_type {
            DataType::Null => Self::Nothing,
            DataType::Boolean => Self::Bool(Vec::new()),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Duration(_) => Self::Int(Vec::new()),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                Self::Unsigned(Vec::new())
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float(Vec::new()),
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => {
                Self::Decimal(Vec::new())
            }
            DataType::Decimal256(..) => Self::Wide(Vec::new()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(Bytes::default())
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Self::Binary(Bytes::default()),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                Self::List {
                    items: child(item)?,
                    ends: Vec::new(),
                }
            }
            DataType::Struct(fields) => Self::Struct(Record::new(fields)?),
            DataType::Map(entries, _) => match struct_fields(entries)?.as_ref() {
                [key, value] if !key.data_type().is_nested() => Self::Map {
                    keys: child(key)?,
                    values: child(value)?,
                    ends: Vec::new(),
                },
                _ => return Err(unsupported(data_type)),
            },
            DataType::Dictionary(_, values) if !values.is_nested() => Self::new(values)?,
            other => return Err(unsupported(other)),
        })
    }
}

/// The beginning of a text, for an error.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", &text[..end]),
    }
}

/// The type of the values of a dictionary; any other type as it is.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    std::mem::take(values)
}

fn is_small_float(data_type: &DataType) -> bool {
    matches!(plain(data_type), DataType::Float16 | DataType::Float32)
}

fn digits_of(data_type: &DataType) -> (u8, i8) {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        _ => (0, 0),
    }
}

/// A whole number of a type that has numbers.
fn integer(data_type: &DataType, text: &str) -> Option<i64> {
    let bits = match data_type {
        DataType::Int8 => 8,
        DataType::Int16 => 16,
        DataType::Int32 => 32,
        DataType::Int64 => 64,
        _ => return None,
    };
    let value = number::integer(text)?;
    let unused = 64 - bits;
    (value << unused >> unused == value).then_some(value)
}

/// A date or time of a type that has those.
fn moment(data_type: &DataType, text: &str) -> Option<i64> {
    match data_type {
        DataType::Date32 => temporal::date(text).map(i64::from),
        DataType::Date64 => temporal::date_millis(text),
        DataType::Time32(unit) | DataType::Time64(unit) => temporal::time_of_day(text, *unit),
        DataType::Timestamp(unit, _) => temporal::timestamp(text, *unit),
        DataType::Duration(unit) => temporal::duration(text, *unit),
        _ => None,
    }
}

fn float(data_type: &DataType, text: &str) -> Option<f64> {
    match data_type {
        DataType::Float64 => number::float(text),
        DataType::Float32 => number::single(text).map(f64::from),
        // The largest finite float16.
        _ => number::single(text)
            .map(f64::from)
            .filter(|value| value.abs() <= 65_504.0),
    }
}

/// The floats that JSON has no number for.
pub(super) fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
        }
        _ => None,
    };
    digits.map(byte).collect()
}

fn finished_list(
    data_type: &DataType,
    offsets: OffsetBuffer<i32>,
    items: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::List(item) => {
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?)
        }
        DataType::LargeList(item) => {
            let offsets = offsets.iter().map(|end| i64::from(*end));
            let offsets = OffsetBuffer::new(ScalarBuffer::from_iter(offsets));
            Arc::new(LargeListArray::try_new(
                Arc::clone(item),
                offsets,
                items,
                nulls,
            )?)
        }
        DataType::FixedSizeList(item, size) => {
            let n = offsets.len() - 1;
            Arc::new(FixedSizeListArray::try_new_with_length(
                Arc::clone(item),
                *size,
                items,
                nulls,
                n,
            )?)
        }
        other => return Err(unsupported(other)),
    })
}

fn struct_fields(entries: &Field) -> Result<Fields> {
    match entries.data_type() {
        DataType::Struct(fields) => Ok(fields.clone()),
        other => Err(unsupported(other)),
    }
}

fn unsupported(data_type: &DataType) -> DataFusionError {
    DataFusionError::NotImplemented(format!(
        "JSON has no form for values of the type {data_type}"
    ))
}

#[cfg(test)]
mod tests;
