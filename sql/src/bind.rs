//! Parameter values as typed scalars of a plan.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ParamValues, ScalarValue};
use emporia_core::error::{Error, Result};
use emporia_core::job::{ParamKind, ParamValue, Params};

use crate::header::Header;

/// Precision of a decimal parameter with few digits, the one of money columns.
const MIN_PRECISION: u8 = 18;
const MAX_PRECISION: usize = 38;

/// The values of all parameters of a header, by name.
///
/// # Errors
/// `InvalidInput` for a null where the header allows none; `Internal` for a value of another kind.
pub(crate) fn values(header: &Header, params: &Params) -> Result<ParamValues> {
    let mut values = Vec::with_capacity(header.spec.params.len());
    for (param, is_nullable) in header.spec.params.iter().zip(&header.is_nullable) {
        let value = params.get(&param.name);
        if *value == ParamValue::Null && !is_nullable {
            return Err(Error::invalid(format!(
                "parameter `{}` of job `{}` must not be null",
                param.name, header.spec.name
            )));
        }
        let scalar = scalar(&param.kind, value).ok_or_else(|| {
            Error::internal(format!(
                "parameter `{}` has a value of another kind",
                param.name
            ))
        })?;
        values.push((param.name.clone(), scalar));
    }
    Ok(ParamValues::from(values))
}

/// The typed scalar of a value; null is a null of the kind's type.
fn scalar(kind: &ParamKind, value: &ParamValue) -> Option<ScalarValue> {
    Some(match (kind, value) {
        (ParamKind::Int | ParamKind::IntFrom(_), ParamValue::Null) => ScalarValue::Int64(None),
        (ParamKind::Int | ParamKind::IntFrom(_), ParamValue::Int(v)) => {
            ScalarValue::Int64(Some(*v))
        }
        (ParamKind::Float | ParamKind::Share, ParamValue::Null) => ScalarValue::Float64(None),
        (ParamKind::Float | ParamKind::Share, ParamValue::Float(v)) => {
            ScalarValue::Float64(Some(*v))
        }
        (ParamKind::Decimal, ParamValue::Null) => ScalarValue::Decimal128(None, MIN_PRECISION, 2),
        (ParamKind::Decimal, ParamValue::Decimal(v, scale)) => {
            ScalarValue::Decimal128(Some(*v), precision(*v, *scale)?, *scale)
        }
        (ParamKind::Text | ParamKind::Choice(_), ParamValue::Null) => ScalarValue::Utf8(None),
        (ParamKind::Text | ParamKind::Choice(_), ParamValue::Text(v)) => {
            ScalarValue::Utf8(Some(v.clone()))
        }
        (ParamKind::Bool, ParamValue::Null) => ScalarValue::Boolean(None),
        (ParamKind::Bool, ParamValue::Bool(v)) => ScalarValue::Boolean(Some(*v)),
        (ParamKind::Date, ParamValue::Null) => ScalarValue::Date32(None),
        (ParamKind::Date, ParamValue::Date(v)) => {
            let seconds = v.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
            ScalarValue::Date32(Some(i32::try_from(seconds.div_euclid(86_400)).ok()?))
        }
        (ParamKind::Timestamp, ParamValue::Null) => timestamp(None),
        (ParamKind::Timestamp, ParamValue::Timestamp(v)) => timestamp(Some(v.timestamp_micros())),
        (ParamKind::List, ParamValue::Null) => ScalarValue::new_null_list(DataType::Utf8, true, 1),
        (ParamKind::List, ParamValue::List(values)) => {
            let values: Vec<_> = values
                .iter()
                .cloned()
                .map(|v| ScalarValue::Utf8(Some(v)))
                .collect();
            ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8))
        }
        _ => return None,
    })
}

fn timestamp(micros: Option<i64>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(micros, Some("UTC".into()))
}

fn precision(value: i128, scale: i8) -> Option<u8> {
    let digits = value
        .unsigned_abs()
        .to_string()
        .len()
        .max(usize::try_from(scale).ok()?);
    if digits > MAX_PRECISION {
        return None;
    }
    u8::try_from(digits)
        .ok()
        .map(|digits| digits.max(MIN_PRECISION))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(kind: ParamKind, text: &str) -> Option<ScalarValue> {
        kind.parse(text)
            .ok()
            .and_then(|value| scalar(&kind, &value))
    }

    #[test]
    fn values_have_the_types_of_the_contract() {
        let utc = Some("UTC".into());
        let hour = Some(ScalarValue::TimestampMicrosecond(Some(3_600_000_000), utc));
        assert_eq!(bound(ParamKind::Timestamp, "1970-01-01T01:00:00Z"), hour);
        assert_eq!(
            bound(ParamKind::Timestamp, "1970-01-01T03:00:00+02:00"),
            hour
        );
        assert_eq!(
            bound(ParamKind::Date, "1970-01-02"),
            Some(ScalarValue::Date32(Some(1)))
        );
        assert_eq!(
            bound(ParamKind::Date, "1969-12-31"),
            Some(ScalarValue::Date32(Some(-1)))
        );
        let price = Some(ScalarValue::Decimal128(Some(-1250), 18, 2));
        assert_eq!(bound(ParamKind::Decimal, "-12.50"), price);
        let choice = ParamKind::Choice(vec!["day".into(), "month".into()]);
        assert_eq!(
            bound(choice, "day"),
            Some(ScalarValue::Utf8(Some("day".into())))
        );
    }

    #[test]
    fn nulls_have_the_type_of_their_kind() {
        let kinds = [
            (ParamKind::Int, DataType::Int64),
            (ParamKind::Float, DataType::Float64),
            (ParamKind::Text, DataType::Utf8),
            (ParamKind::Bool, DataType::Boolean),
            (ParamKind::Date, DataType::Date32),
            (ParamKind::Timestamp, emporia_core::contract::timestamp()),
            (ParamKind::Decimal, emporia_core::contract::money()),
            (ParamKind::List, DataType::new_list(DataType::Utf8, true)),
        ];
        for (kind, data_type) in kinds {
            let null = bound(kind.clone(), "null");
            assert!(
                null.as_ref()
                    .is_some_and(|n| n.is_null() && n.data_type() == data_type),
                "{kind}: {null:?}"
            );
        }
    }

    #[test]
    fn lists_keep_commas_and_quotes_of_no_meaning() {
        let list = bound(ParamKind::List, "a, b'; DROP TABLE t,");
        assert_eq!(
            list.map(|l| l.to_string()).as_deref(),
            Some("[a, b'; DROP TABLE t]")
        );
        let empty = bound(ParamKind::List, "");
        assert!(empty.is_some_and(|l| !l.is_null() && l.data_type().is_nested()));
    }
}
