//! `to_timestamp` and its kin, in the place of DataFusion's. Those forget the zone of their type where a column is read by
//! a format, make the last time that fits of a floating number beyond it and 1970 of NaN, cut times before 1970 to later
//! milliseconds and seconds, and take a time of day without minutes for midnight. So does `to_unixtime`.

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions::datetime::to_timestamp_nanos;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::formats::{with_minutes, without_minutes};
use super::units::{floored, is_coarser};
use crate::functions::named_as_inner;

/// The name of the function that yields seconds since 1970.
pub(super) const UNIX_TIME: &str = "to_unixtime";

/// The function, with results that are right and of the type that it announces; any other function as it is.
pub(super) fn of_announced_type(function: ScalarUDF) -> ScalarUDF {
    let is_one = function.name().starts_with("to_timestamp") || function.name() == UNIX_TIME;
    match is_one && !function.inner().is::<Instants>() {
        true => ScalarUDF::from(Instants { inner: function }),
        false => function,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Instants {
    inner: ScalarUDF,
}

impl ScalarUDFImpl for Instants {
    named_as_inner!();

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let announced = args.return_type().clone();
        args.args = with_minutes(args.args)?;
        let result = self.instants(args, &announced).map_err(without_minutes)?;
        // Without a zone it is a time in UTC, and that is the zone of every session.
        match result.data_type() == announced {
            true => Ok(result),
            false => result.cast_to(&announced, None),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }
}

impl Instants {
    fn instants(&self, args: ScalarFunctionArgs, announced: &DataType) -> Result<ColumnarValue> {
        // Seconds since 1970 are a number.
        let (unit, of_unit) = match announced {
            DataType::Timestamp(unit, _) => (*unit, announced.clone()),
            _ => (
                TimeUnit::Second,
                DataType::Timestamp(TimeUnit::Second, None),
            ),
        };
        let Some(first) = args.args.first() else {
            return self.inner.invoke_with_args(args);
        };
        let from = first.data_type();
        let is_fine = unit == TimeUnit::Nanosecond;
        if self.name() == "to_timestamp" && from.is_floating() {
            return over(first, announced, of_seconds);
        }
        if is_coarser(&from, &of_unit) {
            return over(first, announced, |times| floored(times, unit));
        }
        if !is_fine && from.is_string() {
            let times = finest(args)?;
            return over(&times, announced, |times| floored(times, unit));
        }
        self.inner.invoke_with_args(args)
    }
}

/// What the texts say, in nanoseconds.
fn finest(mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let function = to_timestamp_nanos(&args.config_options);
    let data_type = function.return_type(&[DataType::Utf8])?;
    args.return_field = Field::new(function.name(), data_type, true).into();
    function.invoke_with_args(args)
}

/// The values that `convert` makes, as ones of `data_type`.
fn over(
    values: &ColumnarValue,
    data_type: &DataType,
    convert: impl Fn(&ArrayRef) -> Result<Int64Array>,
) -> Result<ColumnarValue> {
    Ok(match values {
        ColumnarValue::Scalar(value) => {
            let converted = cast(&convert(&value.to_array()?)?, data_type)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?)
        }
        ColumnarValue::Array(values) => ColumnarValue::Array(cast(&convert(values)?, data_type)?),
    })
}

/// The nanoseconds of seconds since 1970.
#[expect(clippy::cast_possible_truncation, reason = "it is looked at before")]
fn of_seconds(numbers: &ArrayRef) -> Result<Int64Array> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let numbers = cast(numbers, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>().iter();
    numbers
        .map(|number| match number.map(|number| number * 1e9) {
            Some(nanos) if !(-LIMIT..LIMIT).contains(&nanos) => exec_err!(
                "{} seconds are no time from 1678 to 2261, which to_timestamp yields; to_timestamp_seconds takes others",
                nanos / 1e9
            ),
            nanos => Ok(nanos.map(|nanos| nanos as i64)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::Float64Array;
    use datafusion::arrow::datatypes::TimestampNanosecondType;
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn of_datafusion(query: &str) -> i64 {
        let rows = SessionContext::new().sql(query).await.unwrap();
        let rows = rows.collect().await.unwrap();
        let times = rows[0].column(0).as_primitive::<TimestampNanosecondType>();
        times.value(0)
    }

    /// Once this fails, its part of the function may go.
    #[tokio::test]
    async fn datafusion_makes_times_of_all_numbers() {
        assert_eq!(of_datafusion("SELECT to_timestamp(1e10)").await, i64::MAX);
        let query = "SELECT to_timestamp(CAST('NaN' AS DOUBLE))";
        assert_eq!(of_datafusion(query).await, 0);
    }

    #[test]
    fn numbers_beyond_nanoseconds_are_refused() -> Result<()> {
        let seconds = |numbers: Vec<Option<f64>>| {
            let numbers: ArrayRef = Arc::new(Float64Array::from(numbers));
            of_seconds(&numbers)
        };
        let expected = Int64Array::from(vec![Some(1_500_000_000), Some(-1), None]);
        assert_eq!(seconds(vec![Some(1.5), Some(-1e-9), None])?, expected);
        for number in [1e10, -1e10, f64::NAN, f64::INFINITY] {
            assert!(seconds(vec![Some(number)]).is_err(), "{number}");
        }
        Ok(())
    }
}
