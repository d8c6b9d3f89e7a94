//! `date_trunc` of timestamps, in the place of DataFusion's: constants before 1970 are rounded up to milliseconds and
//! microseconds there, and years that nanoseconds do not hold are refused.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::units::{NANOS_PER_SECOND, nanos_per};
use crate::functions::{named_as_inner, typed_as_inner};

/// The Gregorian calendar repeats itself, to the day of the week.
const SECONDS_OF_400_YEARS: i128 = 146_097 * 86_400;

/// `date_trunc` of ours around DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Truncated {
    pub(super) inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Truncated {
    named_as_inner!();
    typed_as_inner!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [_, source] = args.args.as_slice() else {
            return self.inner.invoke_with_args(args);
        };
        let DataType::Timestamp(unit, zone) = source.data_type() else {
            return self.inner.invoke_with_args(args);
        };
        // In UTC all days have the same length.
        if zone.is_some_and(|zone| &*zone != super::UTC && &*zone != "+00:00") {
            return self.inner.invoke_with_args(args);
        }
        let is_one = matches!(source, ColumnarValue::Scalar(_));
        let times = source.to_array(if is_one { 1 } else { args.number_rows })?;
        let truncated = self.truncated(args, &times, unit)?;
        Ok(match is_one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&truncated, 0)?),
            false => ColumnarValue::Array(truncated),
        })
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }
}

impl Truncated {
    fn truncated(
        &self,
        mut args: ScalarFunctionArgs,
        times: &ArrayRef,
        unit: TimeUnit,
    ) -> Result<ArrayRef> {
        let data_type = times.data_type();
        args.number_rows = times.len();
        if unit == TimeUnit::Nanosecond {
            args.args.truncate(1);
            args.args.push(ColumnarValue::Array(Arc::clone(times)));
            let n_rows = args.number_rows;
            return self.inner.invoke_with_args(args)?.to_array(n_rows);
        }
        let numbers = cast(times, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let near: Int64Array = numbers.unary(|number| near(number, unit));
        args.args.truncate(1);
        args.args
            .push(ColumnarValue::Array(cast(&near, data_type)?));
        let n_rows = args.number_rows;
        let truncated = self.inner.invoke_with_args(args)?.to_array(n_rows)?;
        let truncated = cast(&truncated, &DataType::Int64)?;
        let rows = truncated.as_primitive::<Int64Type>().iter();
        let rows = rows.zip(numbers.iter().zip(near.iter()));
        let moved_back = rows.map(|(truncated, (number, near))| {
            let (Some(truncated), Some(number), Some(near)) = (truncated, number, near) else {
                return Ok(None);
            };
            let whole = i128::from(number) - i128::from(near) + i128::from(truncated);
            let whole = i64::try_from(whole).ok();
            whole.map(Some).ok_or_else(|| {
                exec_datafusion_err!("date_trunc yields a time too early for its type")
            })
        });
        let moved_back = moved_back.collect::<Result<Int64Array>>()?;
        Ok(cast(&moved_back, data_type)?)
    }
}

/// The time moved by a number of 400 years to those around 1970.
fn near(number: i64, unit: TimeUnit) -> i64 {
    let cycle = SECONDS_OF_400_YEARS * (NANOS_PER_SECOND / nanos_per(unit));
    let half = cycle / 2;
    let near = (i128::from(number) + half).rem_euclid(cycle) - half;
    i64::try_from(near).unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::TimestampNanosecondType;
    use datafusion::prelude::SessionContext;

    /// Once this fails, and years beyond nanoseconds are taken, the function may go.
    #[tokio::test]
    async fn datafusion_rounds_constants_before_1970() {
        let query = "SELECT date_trunc('millisecond', timestamp '1969-12-31 23:59:59.9999')";
        let rows = SessionContext::new().sql(query).await.unwrap();
        let rows = rows.collect().await.unwrap();
        let time = rows[0].column(0).as_primitive::<TimestampNanosecondType>();
        assert_eq!(time.value(0), 0, "right is a millisecond earlier");
    }
}
