//! Rows as JSON from which reading makes the same rows.
//!
//! Arrow's writer does most of it. It would write null for floats that are not finite, an error text
//! for times that have none, and times of a zone with an offset whose seconds are cut.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, MapArray, StringArray,
};
use datafusion::arrow::compute::{cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, FieldRef, Fields, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{LineDelimited, NullableEncoder, WriterBuilder};
use datafusion::arrow::json::{Encoder, EncoderFactory, EncoderOptions};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;

use super::column::STRICT;
use super::lines::MAX_LINE;
use super::schema::Columns;
use crate::error::too_long;

/// The settings of all JSON that Emporia writes: nulls are written out, so that every object has the
/// same keys, and a null in a map is kept.
pub fn writer_builder() -> WriterBuilder {
    WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(Lossless))
}

/// The rows of `batch`, one object per line.
///
/// # Errors
/// Where a value has no JSON, or a row is longer than what is read.
pub fn to_lines(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut writer = writer_builder().build::<_, LineDelimited>(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', &text) {
        if end - start > MAX_LINE {
            return Err(too_long(MAX_LINE, "JSON"));
        }
        start = end + 1;
    }
    Ok(text)
}

/// The settings of [`writer_builder`] for single values.
pub fn encoder_options() -> EncoderOptions {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(Lossless))
}

/// Checks that JSON has a form for all columns.
///
/// # Errors
/// `NotImplemented` that names the type, `Plan` for two columns of one name.
pub fn check_writable(fields: &Fields) -> Result<()> {
    Columns::try_new(fields, &[], false).map(|_| ())
}

/// Encoders for the types that Arrow's own lose something of.
#[derive(Debug)]
struct Lossless;

impl EncoderFactory for Lossless {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float64 => Box::new(Doubles(array.as_primitive().clone())),
            DataType::Float16 | DataType::Float32 => {
                let singles = cast(array, &DataType::Float32)?;
                Box::new(Singles(singles.as_primitive().clone()))
            }
            DataType::Timestamp(unit, Some(_)) => {
                let utc = DataType::Timestamp(*unit, Some("UTC".into()));
                Box::new(Times::of(&cast_with_options(array, &utc, &STRICT)?)?)
            }
            DataType::Date64 => {
                let times = DataType::Timestamp(TimeUnit::Millisecond, None);
                Box::new(Times::of(&cast_with_options(array, &times, &STRICT)?)?)
            }
            DataType::Date32
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(_, None)
            | DataType::Duration(_) => Box::new(Times::of(array)?),
            DataType::Map(..) => {
                check_keys(array.as_map())?;
                return Ok(None);
            }
            DataType::Dictionary(_, values) => {
                let values = cast_with_options(array, values, &STRICT)?;
                // Arrow's own would write what lies below a null among the values.
                return match values.null_count() == array.null_count() {
                    true => Ok(None),
                    false => Err(ArrowError::JsonError(
                        "a dictionary with null among its values has no JSON".to_owned(),
                    )),
                };
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// A key that a map has twice cannot be told from a map that has it once.
fn check_keys(maps: &MapArray) -> Result<(), ArrowError> {
    let keys = cast(maps.keys(), &DataType::Utf8)?;
    let keys = keys.as_string::<i32>();
    let offsets = maps.offsets();
    let mut seen = HashSet::new();
    for row in (0..maps.len()).filter(|row| maps.is_valid(*row)) {
        seen.clear();
        for index in offsets[row] as usize..offsets[row + 1] as usize {
            if !seen.insert(keys.value(index)) {
                let text = format!("a map has the key `{}` twice", keys.value(index));
                return Err(ArrowError::JsonError(text));
            }
        }
    }
    Ok(())
}

struct Doubles(Float64Array);

impl Encoder for Doubles {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        let value = self.0.value(index);
        match value.is_finite() {
            // Into memory, which does not fail.
            true => drop(write!(out, "{value:?}")),
            false => special(value, out),
        }
    }
}

struct Singles(Float32Array);

impl Encoder for Singles {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        let value = self.0.value(index);
        match value.is_finite() {
            true => drop(write!(out, "{value:?}")),
            false => special(f64::from(value), out),
        }
    }
}

/// The text for a float that JSON has no number for; [`super::column`] reads it.
fn special(value: f64, out: &mut Vec<u8>) {
    let text = match (value.is_nan(), value > 0.0) {
        (true, _) => "\"NaN\"",
        (false, true) => "\"Infinity\"",
        (false, false) => "\"-Infinity\"",
    };
    out.extend_from_slice(text.as_bytes());
}

/// Times and dates as text, which holds nothing that has to be escaped.
struct Times(StringArray);

impl Times {
    /// # Errors
    /// Where a value has no text, as a date in the year 300,000 has none.
    fn of(array: &dyn Array) -> Result<Self, ArrowError> {
        let texts: ArrayRef = cast_with_options(array, &DataType::Utf8, &STRICT)?;
        Ok(Self(texts.as_string().clone()))
    }
}

impl Encoder for Times {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.0.value(index).as_bytes());
        out.push(b'"');
    }
}
