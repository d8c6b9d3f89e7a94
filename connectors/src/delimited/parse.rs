//! Typed column builders that take the text of a field.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use datafusion::arrow::datatypes::{DataType, Date32Type, Float64Type, TimeUnit};
use datafusion::common::Result;
use datafusion::error::DataFusionError;

/// 1970-01-01 in days of the common era.
const EPOCH_DAY: i32 = 719_163;

/// A column under construction.
pub(super) enum Column {
    Text(StringBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder, DataType),
    Decimal(Decimal128Builder, u8, i8),
}

impl Column {
    /// A builder for `data_type` with room for `capacity` rows.
    pub(super) fn new(data_type: &DataType, capacity: usize) -> Result<Self> {
        Ok(match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::with_capacity(capacity, capacity * 12)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(capacity)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(capacity)),
            DataType::Float64 => Self::Float(Float64Builder::with_capacity(capacity)),
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(capacity)),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(capacity)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(capacity),
                data_type.clone(),
            ),
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                let builder = Decimal128Builder::with_capacity(capacity)
                    .with_precision_and_scale(*precision, *scale)?;
                Self::Decimal(builder, *precision, *scale)
            }
            other => {
                return Err(DataFusionError::NotImplemented(format!(
                    "a csv column cannot have the type {other}"
                )));
            }
        })
    }

    /// Appends the value of a field; null and `false` where the text is not of the column's type.
    #[inline]
    pub(super) fn append(&mut self, text: &str) -> bool {
        match self {
            Self::Text(builder) => {
                builder.append_value(text);
                true
            }
            Self::Int32(builder) => {
                let value = parse_integer(text).and_then(|v| i32::try_from(v).ok());
                builder.append_option(value);
                value.is_some()
            }
            Self::Int64(builder) => {
                let value = parse_integer(text);
                builder.append_option(value);
                value.is_some()
            }
            Self::Float(builder) => {
                let value = Float64Type::parse(text).filter(|v| v.is_finite());
                builder.append_option(value);
                value.is_some()
            }
            Self::Bool(builder) => {
                let value = parse_bool(text);
                builder.append_option(value);
                value.is_some()
            }
            Self::Date(builder) => {
                let value = Date32Type::parse(text);
                builder.append_option(value);
                value.is_some()
            }
            Self::Timestamp(builder, _) => {
                let value = parse_timestamp(text);
                builder.append_option(value);
                value.is_some()
            }
            Self::Decimal(builder, precision, scale) => {
                let value = parse_decimal(text, *precision, *scale);
                builder.append_option(value);
                value.is_some()
            }
        }
    }

    /// Appends null.
    #[inline]
    pub(super) fn append_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Bool(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder, _) => builder.append_null(),
            Self::Decimal(builder, ..) => builder.append_null(),
        }
    }

    /// The finished column; the builder is empty afterwards, with room for as much again.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => {
                let next =
                    StringBuilder::with_capacity(builder.len(), builder.values_slice().len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Int32(builder) => {
                let next = Int32Builder::with_capacity(builder.len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Int64(builder) => {
                let next = Int64Builder::with_capacity(builder.len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Float(builder) => {
                let next = Float64Builder::with_capacity(builder.len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder, data_type) => {
                let next = TimestampMicrosecondBuilder::with_capacity(builder.len());
                let full = std::mem::replace(builder, next).finish();
                Arc::new(full.with_data_type(data_type.clone()))
            }
            Self::Decimal(builder, precision, scale) => {
                let next = Decimal128Builder::with_capacity(builder.len())
                    .with_data_type(DataType::Decimal128(*precision, *scale));
                Arc::new(std::mem::replace(builder, next).finish())
            }
        }
    }
}

#[inline]
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    // Up to 18 digits cannot overflow; that is every identifier and quantity in practice.
    if bytes.is_empty() || bytes.len() > 18 || !bytes[0].is_ascii_digit() {
        return text.parse().ok();
    }
    let mut value = 0_i64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "True" | "true" | "TRUE" | "1" => Some(true),
        "False" | "false" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// Microseconds since the epoch; a text without offset is UTC.
#[inline]
fn parse_timestamp(text: &str) -> Option<i64> {
    if let Some(micros) = parse_short_timestamp(text.as_bytes()) {
        return Some(micros);
    }
    string_to_datetime(&chrono::Utc, text)
        .ok()
        .map(|t| t.timestamp_micros())
}

/// Microseconds since the epoch of `YYYY-MM-DD hh:mm:ss[.ffffff]`, as nearly all times are written.
#[inline]
fn parse_short_timestamp(text: &[u8]) -> Option<i64> {
    let (text, fraction) = text.split_first_chunk::<19>()?;
    let two = |at: usize| {
        let [tens, ones] = [text[at], text[at + 1]].map(|byte| u32::from(byte.wrapping_sub(b'0')));
        (tens <= 9 && ones <= 9).then_some(tens * 10 + ones)
    };
    let has_marks = [text[4], text[7], text[13], text[16]] == *b"--::";
    if !has_marks || !matches!(text[10], b' ' | b'T') {
        return None;
    }
    let year = i32::try_from(two(0)? * 100 + two(2)?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, two(5)?, two(8)?)?;
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = i64::from(day.num_days_from_ce() - EPOCH_DAY);
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * 1_000_000 + micros_of_fraction(fraction)?)
}

/// Microseconds of nothing, or of a point and up to six digits.
#[inline]
fn micros_of_fraction(text: &[u8]) -> Option<i64> {
    let Some((point, digits)) = text.split_first() else {
        return Some(0);
    };
    if *point != b'.' || digits.is_empty() || digits.len() > 6 {
        return None;
    }
    let mut micros = 0_i64;
    for at in 0..6 {
        let digit = digits.get(at).map_or(0, |byte| byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        micros = micros * 10 + i64::from(digit);
    }
    Some(micros)
}

/// A decimal as nearly all are written: few digits, no sign, all decimals there.
#[inline]
fn parse_short_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    // The digits of 17 bytes fit into 64 bits, and into the precision where it is that large.
    if text.len() > 17 || precision < 18 {
        return None;
    }
    let (whole, fraction) = text.split_at_checked(text.len().checked_sub(scale + 1)?)?;
    let (point, fraction) = fraction.split_first()?;
    if *point != b'.' || whole.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in whole.iter().chain(fraction) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(i128::from(value))
}

/// A decimal, exactly: digits beyond `scale` must be zero. Arrow's own parser would round them, and
/// money that is silently rounded is wrong money.
#[inline]
fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    if let Some(value) = parse_short_decimal(text.as_bytes(), precision, scale) {
        return Some(value);
    }
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut value = 0_i128;
    let mut n_digits = 0_u32;
    let mut fraction: Option<i8> = None;
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                let digit = i128::from(byte - b'0');
                match &mut fraction {
                    Some(n) if *n == scale => {
                        if digit != 0 {
                            return None;
                        }
                        continue;
                    }
                    Some(n) => *n += 1,
                    None => {}
                }
                n_digits += 1;
                value = value.checked_mul(10)?.checked_add(digit)?;
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            _ => return None,
        }
    }
    if n_digits == 0 {
        return None;
    }
    let missing = u32::try_from(scale - fraction.unwrap_or(0)).ok()?;
    let value = value.checked_mul(10_i128.checked_pow(missing)?)?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(parse_decimal("12.34", 18, 2), Some(1234));
        assert_eq!(parse_decimal("-0.5", 18, 2), Some(-50));
        assert_eq!(parse_decimal("7", 18, 3), Some(7000));
        assert_eq!(parse_decimal("1.230", 18, 2), Some(123));
        assert_eq!(parse_decimal(".5", 18, 1), Some(5));
        assert_eq!(parse_decimal("12.5", 18, 2), Some(1250));
        assert_eq!(parse_decimal("12.345678", 18, 2), None);
        assert_eq!(
            parse_decimal("99999999999999.99", 18, 2),
            Some(9_999_999_999_999_999)
        );
        assert_eq!(
            parse_decimal("1234567890123456.78", 18, 2),
            Some(123_456_789_012_345_678)
        );
        assert_eq!(parse_decimal("12345678901234567.89", 18, 2), None);
        assert_eq!(parse_decimal("1/.00", 18, 2), None);
        for bad in ["1.234", "", ".", "-", "1e3", "1.2.3", "abc", "1 ", "12345"] {
            assert_eq!(parse_decimal(bad, 4, 2), None, "{bad}");
        }
    }

    #[test]
    fn integers_do_not_wrap() {
        assert_eq!(parse_integer("0042"), Some(42));
        assert_eq!(parse_integer("-7"), Some(-7));
        assert_eq!(parse_integer("9223372036854775807"), Some(i64::MAX));
        for bad in ["", "9223372036854775808", "1.0", "4x", " 4"] {
            assert_eq!(parse_integer(bad), None, "{bad}");
        }
    }

    #[test]
    fn timestamps_without_offset_are_utc() {
        assert_eq!(
            parse_timestamp("1970-01-01 00:00:01.000002"),
            Some(1_000_002)
        );
        assert_eq!(parse_timestamp("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_timestamp("not a time"), None);
        assert_eq!(
            parse_timestamp("2024-02-29 23:59:58"),
            Some(1_709_251_198_000_000)
        );
        assert_eq!(parse_timestamp("1969-12-31T23:59:59"), Some(-1_000_000));
        for bad in [
            "2023-02-29 00:00:00",
            "2024-01-01 24:00:00",
            "2024-01-01 00:00:6x",
        ] {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }
}
