//! Typed column builders that take the text of a field.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use datafusion::arrow::datatypes::{DataType, Date32Type, Float64Type, TimeUnit};
use datafusion::common::Result;
use datafusion::error::DataFusionError;

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

    /// The finished column; the builder is empty afterwards.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder, data_type) => {
                Arc::new(builder.finish().with_data_type(data_type.clone()))
            }
            Self::Decimal(builder, ..) => Arc::new(builder.finish()),
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
    string_to_datetime(&chrono::Utc, text)
        .ok()
        .map(|t| t.timestamp_micros())
}

/// A decimal, exactly: digits beyond `scale` must be zero. Arrow's own parser would round them, and
/// money that is silently rounded is wrong money.
#[inline]
fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
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
    }
}
