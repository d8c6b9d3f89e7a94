//! `date_part` of lengths of time, in the place of DataFusion's: it loses what is finer than a second beyond 2.1 s there,
//! and the epoch of differences of more than 68 years.

use std::str::FromStr;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::cast_utils::IntervalUnit as Part;
use datafusion::arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::units::{NANOS_PER_SECOND, nanos_per};
use crate::functions::{named_as_inner, typed_as_inner};

const NANOS_PER_MINUTE: i64 = 60_000_000_000;

/// `date_part` of ours around DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Parts {
    pub(super) inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Parts {
    named_as_inner!();
    typed_as_inner!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(part), length] = args.args.as_slice() else {
            return self.inner.invoke_with_args(args);
        };
        let Some(of_lengths) = of_lengths(part, &length.data_type()) else {
            return self.inner.invoke_with_args(args);
        };
        let is_one = matches!(length, ColumnarValue::Scalar(_));
        let lengths = length.to_array(if is_one { 1 } else { args.number_rows })?;
        let parts = of_lengths.parts(&lengths)?;
        Ok(match is_one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&parts, 0)?),
            false => ColumnarValue::Array(parts),
        })
    }

    fn preimage(
        &self,
        args: &[Expr],
        value: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.inner.preimage(args, value, info)
    }
}

/// What is taken of a length of time.
#[derive(Debug, Clone, Copy)]
enum OfLengths {
    /// All of a difference of two times of this unit, in seconds.
    Epoch(TimeUnit),
    /// The seconds of an interval and their fraction, in units of so many nanoseconds.
    Seconds(Part, i64),
}

fn of_lengths(part: &ScalarValue, data_type: &DataType) -> Option<OfLengths> {
    let part = part.try_as_str().flatten()?;
    let part = part.trim_matches(['\'', '"']);
    match data_type {
        DataType::Duration(unit) => part
            .eq_ignore_ascii_case("epoch")
            .then_some(OfLengths::Epoch(*unit)),
        DataType::Interval(_) => match Part::from_str(part).ok()? {
            part @ Part::Millisecond => Some(OfLengths::Seconds(part, 1_000_000)),
            part @ Part::Microsecond => Some(OfLengths::Seconds(part, 1_000)),
            part @ Part::Nanosecond => Some(OfLengths::Seconds(part, 1)),
            _ => None,
        },
        _ => None,
    }
}

impl OfLengths {
    fn parts(self, lengths: &ArrayRef) -> Result<ArrayRef> {
        let (part, nanos) = match self {
            Self::Epoch(unit) => {
                let per_second = (NANOS_PER_SECOND / nanos_per(unit)) as f64;
                let lengths = cast(lengths, &DataType::Int64)?;
                let lengths = lengths.as_primitive::<Int64Type>();
                let seconds: Float64Array = lengths.unary(|length| length as f64 / per_second);
                return Ok(Arc::new(seconds));
            }
            Self::Seconds(part, nanos) => (part, nanos),
        };
        let unit = DataType::Interval(IntervalUnit::MonthDayNano);
        let lengths = cast(lengths, &unit)?;
        let lengths = lengths.as_primitive::<IntervalMonthDayNanoType>();
        let numbers: Int64Array =
            lengths.unary(|length| length.nanoseconds % NANOS_PER_MINUTE / nanos);
        match part {
            Part::Nanosecond => Ok(Arc::new(numbers)),
            // A minute has 60 million microseconds.
            _ => Ok(cast(&numbers, &DataType::Int32)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plain::shown;

    /// Once these fail, the function may go.
    #[tokio::test]
    async fn datafusion_loses_what_is_finer_than_a_second() {
        let epoch =
            "SELECT date_part('epoch', timestamp '2024-01-01 00:30:00.7' - timestamp '2024-01-01')";
        assert_eq!(
            shown(epoch).await.as_deref(),
            Ok("1800.0"),
            "right is 1800.7"
        );
        let part = "SELECT date_part('millisecond', interval '4 hours 6.789 seconds')";
        assert_eq!(shown(part).await.as_deref(), Ok("6000"), "right is 6789");
    }
}
