//! One BSON value as the value of a column, exactly or not at all.

use std::borrow::Cow;

use datafusion::arrow::compute::kernels::cast_utils::string_to_datetime;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{DateTime, RawBsonRef};

use super::super::decimal::Number;
use super::super::mapping::Stored;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// The name of the value's type, as MongoDB's `$type` has it.
pub(crate) fn type_name(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Double(_) => "double",
        RawBsonRef::String(_) => "string",
        RawBsonRef::Array(_) => "array",
        RawBsonRef::Document(_) => "object",
        RawBsonRef::Boolean(_) => "bool",
        RawBsonRef::Null => "null",
        RawBsonRef::RegularExpression(_) => "regex",
        RawBsonRef::JavaScriptCode(_) => "javascript",
        RawBsonRef::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        RawBsonRef::Int32(_) => "int",
        RawBsonRef::Int64(_) => "long",
        RawBsonRef::Timestamp(_) => "timestamp",
        RawBsonRef::Binary(_) => "binData",
        RawBsonRef::ObjectId(_) => "objectId",
        RawBsonRef::DateTime(_) => "date",
        RawBsonRef::Symbol(_) => "symbol",
        RawBsonRef::Decimal128(_) => "decimal",
        RawBsonRef::Undefined => "undefined",
        RawBsonRef::MaxKey => "maxKey",
        RawBsonRef::MinKey => "minKey",
        RawBsonRef::DbPointer(_) => "dbPointer",
    }
}

/// The number that `value` holds; of a text only where texts are read as values.
fn number(value: RawBsonRef<'_>, stored: Stored) -> Option<Number> {
    match value {
        RawBsonRef::Int32(v) => Some(Number::of_integer(i64::from(v))),
        RawBsonRef::Int64(v) => Some(Number::of_integer(v)),
        RawBsonRef::Double(v) => Number::of_double(v),
        RawBsonRef::Decimal128(v) => Number::of_decimal128(v),
        RawBsonRef::String(v) if stored != Stored::Native => Number::of_text(v),
        _ => None,
    }
}

#[inline]
pub(super) fn integer(value: RawBsonRef<'_>, stored: Stored) -> Option<i64> {
    match value {
        RawBsonRef::Int32(v) => Some(i64::from(v)),
        RawBsonRef::Int64(v) => Some(v),
        _ => number(value, stored)?.to_integer(),
    }
}

#[inline]
pub(super) fn double(value: RawBsonRef<'_>, stored: Stored) -> Option<f64> {
    match value {
        RawBsonRef::Double(v) => Some(v),
        RawBsonRef::Int32(v) => Some(f64::from(v)),
        RawBsonRef::Decimal128(v) => match Number::of_decimal128(v) {
            Some(number) => number.to_double(),
            None => v.to_string().parse().ok(),
        },
        _ => number(value, stored)?.to_double(),
    }
}

#[inline]
pub(super) fn decimal(
    value: RawBsonRef<'_>,
    stored: Stored,
    precision: u8,
    scale: i8,
) -> Option<i128> {
    number(value, stored)?.to_scaled(precision, scale)
}

pub(super) fn boolean(value: RawBsonRef<'_>) -> Option<bool> {
    value.as_bool()
}

/// Microseconds since the epoch; a text without offset is UTC.
#[inline]
pub(super) fn timestamp(value: RawBsonRef<'_>, stored: Stored) -> Option<i64> {
    match value {
        RawBsonRef::DateTime(v) => v.timestamp_millis().checked_mul(1000),
        RawBsonRef::String(v) if stored != Stored::Native => micros_of(v),
        _ => None,
    }
}

/// Days since the epoch; a time of day must be midnight.
pub(super) fn date(value: RawBsonRef<'_>, stored: Stored) -> Option<i32> {
    let millis = match value {
        RawBsonRef::DateTime(v) => v.timestamp_millis(),
        RawBsonRef::String(v) if stored != Stored::Native => {
            let micros = micros_of(v)?;
            (micros % 1000 == 0).then_some(micros / 1000)?
        }
        _ => return None,
    };
    (millis % MILLIS_PER_DAY == 0)
        .then(|| i32::try_from(millis / MILLIS_PER_DAY).ok())
        .flatten()
}

fn micros_of(text: &str) -> Option<i64> {
    let time = string_to_datetime(&chrono::Utc, text).ok()?;
    // Digits beyond the microsecond would be lost.
    (time.timestamp_subsec_nanos() % 1000 == 0).then(|| time.timestamp_micros())
}

/// The text that a value is, or that it prints as where any value may stand.
#[inline]
pub(super) fn text<'a>(value: RawBsonRef<'a>, stored: Stored) -> Option<Cow<'a, str>> {
    match (value, stored) {
        (RawBsonRef::String(v) | RawBsonRef::Symbol(v), _) => Some(Cow::Borrowed(v)),
        (RawBsonRef::ObjectId(v), Stored::Any | Stored::ObjectId) => Some(v.to_hex().into()),
        (_, Stored::Any) => printed(value).map(Cow::Owned),
        _ => None,
    }
}

/// What `super::super::predicate` says of these forms must stay true: no other value prints as a
/// plain word.
fn printed(value: RawBsonRef<'_>) -> Option<String> {
    Some(match value {
        RawBsonRef::Int32(v) => v.to_string(),
        RawBsonRef::Int64(v) => v.to_string(),
        RawBsonRef::Double(v) => format!("{v:?}"),
        RawBsonRef::Decimal128(v) => v.to_string(),
        RawBsonRef::Boolean(v) => v.to_string(),
        RawBsonRef::ObjectId(v) => v.to_hex(),
        RawBsonRef::DateTime(v) => time_text(v)?,
        RawBsonRef::Binary(v) if v.subtype == BinarySubtype::Uuid => {
            uuid::Uuid::from_slice(v.bytes).ok()?.to_string()
        }
        RawBsonRef::Document(_) | RawBsonRef::Array(_) => serde_json::to_string(&value).ok()?,
        _ => return None,
    })
}

fn time_text(value: DateTime) -> Option<String> {
    use chrono::SecondsFormat::Millis;
    let time = chrono::DateTime::from_timestamp_millis(value.timestamp_millis())?;
    Some(time.to_rfc3339_opts(Millis, true))
}

/// The start of the value's text, for messages.
pub(crate) fn excerpt(value: RawBsonRef<'_>) -> String {
    const MAX_CHARS: usize = 60;
    let text = text(value, Stored::Any).unwrap_or_default();
    if text.chars().nth(MAX_CHARS).is_none() {
        return text.into_owned();
    }
    text.chars().take(MAX_CHARS).chain(['…']).collect()
}
