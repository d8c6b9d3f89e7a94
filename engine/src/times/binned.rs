//! `date_bin` of timestamps, in the place of DataFusion's, which counts in 64 bits of nanoseconds: a time further than 292
//! years from the origin is in no bin there, and its row has NULL. A stride below zero has bins that begin after their times.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Months, Utc};
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::units::{NANOS_PER_SECOND, nanos_per};
use crate::functions::{named_as_inner, typed_as_inner};

const NANOS_PER_DAY: i128 = 86_400 * NANOS_PER_SECOND;

/// `date_bin` of ours around DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Binned {
    pub(super) inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Binned {
    named_as_inner!();
    typed_as_inner!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [stride, source, rest @ ..] = args.args.as_slice() else {
            return self.inner.invoke_with_args(args);
        };
        let stride = stride_of(stride)?;
        let DataType::Timestamp(unit, _) = source.data_type() else {
            return self.inner.invoke_with_args(args);
        };
        let (Some(stride), Some(origin)) = (stride, origin_of(rest)) else {
            return self.inner.invoke_with_args(args);
        };
        match source {
            ColumnarValue::Scalar(value) => {
                let bins = bins(&value.to_array()?, unit, stride, origin)?;
                let bin = ScalarValue::try_from_array(&bins, 0)?;
                Ok(ColumnarValue::Scalar(bin))
            }
            ColumnarValue::Array(values) => {
                let bins = bins(values, unit, stride, origin)?;
                Ok(ColumnarValue::Array(bins))
            }
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }
}

/// The length of a bin.
#[derive(Debug, Clone, Copy)]
enum Stride {
    Months(i64),
    Nanos(i128),
}

/// The stride that a value says, if it says one that DataFusion takes.
fn stride_of(value: &ColumnarValue) -> Result<Option<Stride>> {
    let ColumnarValue::Scalar(value) = value else {
        return Ok(None);
    };
    let stride = match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            let (months, days, nanos) = (interval.months, interval.days, interval.nanoseconds);
            match (months, days, nanos) {
                (months, 0, 0) if months != 0 => Stride::Months(months.into()),
                (0, days, nanos) => {
                    Stride::Nanos(i128::from(days) * NANOS_PER_DAY + i128::from(nanos))
                }
                _ => return Ok(None),
            }
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            let days = i128::from(interval.days) * NANOS_PER_DAY;
            Stride::Nanos(days + i128::from(interval.milliseconds) * 1_000_000)
        }
        _ => return Ok(None),
    };
    match stride {
        Stride::Months(..0) | Stride::Nanos(..0) => {
            exec_err!("the stride of date_bin has to be longer than nothing")
        }
        Stride::Months(0) | Stride::Nanos(0) => Ok(None),
        stride => Ok(Some(stride)),
    }
}

/// The origin in nanoseconds, which is 1970 if none is given.
fn origin_of(rest: &[ColumnarValue]) -> Option<i128> {
    match rest {
        [] => Some(0),
        [ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(Some(nanos), _))] => {
            Some(i128::from(*nanos))
        }
        _ => None,
    }
}

fn bins(values: &ArrayRef, unit: TimeUnit, stride: Stride, origin: i128) -> Result<ArrayRef> {
    let scale = nanos_per(unit);
    let numbers = cast(values, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    let bins: Int64Array = numbers
        .map(|number| {
            let Some(number) = number else {
                return Ok(None);
            };
            let time = i128::from(number) * scale;
            let bin = match stride {
                Stride::Nanos(nanos) => origin + (time - origin).div_euclid(nanos) * nanos,
                Stride::Months(months) => bin_of_months(time, months, origin)?,
            };
            let bin = i64::try_from(bin.div_euclid(scale)).ok();
            bin.map(Some).ok_or_else(|| {
                exec_datafusion_err!("a bin of date_bin begins too early for its type")
            })
        })
        .collect::<Result<_>>()?;
    Ok(cast(&bins, values.data_type())?)
}

fn bin_of_months(time: i128, months: i64, origin: i128) -> Result<i128> {
    let (moment, origin) = (date_time(time)?, date_time(origin)?);
    let month = |moment: DateTime<Utc>| i64::from(moment.year()) * 12 + i64::from(moment.month0());
    let passed = (month(moment) - month(origin)).div_euclid(months) * months;
    let mut bin = shifted(origin, passed)?;
    // The origin may be late in its month.
    if bin > moment {
        bin = shifted(origin, passed - months)?;
    }
    Ok(i128::from(bin.timestamp()) * NANOS_PER_SECOND + i128::from(bin.timestamp_subsec_nanos()))
}

fn date_time(nanos: i128) -> Result<DateTime<Utc>> {
    let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok();
    let rest = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok();
    let time = seconds.zip(rest);
    time.and_then(|(seconds, rest)| DateTime::from_timestamp(seconds, rest))
        .ok_or_else(|| exec_datafusion_err!("a time of date_bin is in no year"))
}

fn shifted(time: DateTime<Utc>, months: i64) -> Result<DateTime<Utc>> {
    let number = u32::try_from(months.unsigned_abs()).ok().map(Months::new);
    let shifted = number.and_then(|number| match months {
        ..0 => time.checked_sub_months(number),
        _ => time.checked_add_months(number),
    });
    shifted.ok_or_else(|| exec_datafusion_err!("a bin of date_bin is in no year"))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    /// Once this fails, the function may go.
    #[tokio::test]
    async fn datafusion_has_no_bin_far_from_the_origin() {
        let query =
            "SELECT date_bin(interval '1 day', timestamp '1700-01-01', timestamp '2000-01-01')";
        let rows = SessionContext::new().sql(query).await.unwrap();
        let rows = rows.collect().await.unwrap();
        assert_eq!(rows[0].column(0).null_count(), 1, "right is 1700-01-01");
    }
}
