//! `interval_length(i)`: an interval as a number, to compare it by.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const NANOS_PER_DAY: i128 = 86_400_000_000_000;
const DAYS_PER_MONTH: i128 = 30;

/// `interval_length(i)`: the nanoseconds of an interval as a decimal without fraction, where a day has 24
/// hours and a month 30 days, as PostgreSQL and DuckDB compare intervals.
pub(crate) fn interval_length() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(IntervalLength {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalLength {
    signature: Signature,
}

impl ScalarUDFImpl for IntervalLength {
    fn name(&self) -> &'static str {
        "interval_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(38, 0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return exec_err!("interval_length takes an interval");
        };
        let intervals = value.to_array(args.number_rows)?;
        let unit = DataType::Interval(IntervalUnit::MonthDayNano);
        let intervals = cast(&intervals, &unit)?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let lengths = intervals.iter().map(|interval| {
            interval.map(|i| {
                let days = i128::from(i.months) * DAYS_PER_MONTH + i128::from(i.days);
                days * NANOS_PER_DAY + i128::from(i.nanoseconds)
            })
        });
        let lengths: Decimal128Array = lengths.collect();
        let lengths: ArrayRef = Arc::new(lengths.with_precision_and_scale(38, 0)?);
        Ok(ColumnarValue::Array(lengths))
    }
}
