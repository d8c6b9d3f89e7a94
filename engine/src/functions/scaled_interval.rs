//! `interval * number`, which DataFusion refuses.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const DAYS_PER_MONTH: f64 = 30.0;
const NANOS_PER_DAY: f64 = 86_400e9;

/// The name of the function.
pub(crate) const SCALED_INTERVAL: &str = "scaled_interval";

/// `scaled_interval(i, n)`: the interval `i` `n` times, in months, days and nanoseconds each for itself. What is left
/// of a month is days, 30 to a month, and what is left of a day is a time, as in PostgreSQL. Fails where a part leaves
/// its type.
pub(crate) fn scaled_interval() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(ScaledInterval {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

/// Plans `interval * number` and `number * interval`.
#[derive(Debug)]
pub(super) struct TimesInterval;

impl ExprPlanner for TimesInterval {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expr));
        }
        let is_interval = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Interval(_)));
        let is_number = |expr: &Expr| expr.get_type(schema).is_ok_and(|t| t.is_numeric());
        let arguments = if is_interval(&expr.left) && is_number(&expr.right) {
            vec![expr.left, expr.right]
        } else if is_number(&expr.left) && is_interval(&expr.right) {
            vec![expr.right, expr.left]
        } else {
            return Ok(PlannerResult::Original(expr));
        };
        Ok(PlannerResult::Planned(scaled_interval().call(arguments)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ScaledInterval {
    signature: Signature,
}

impl ScalarUDFImpl for ScaledInterval {
    fn name(&self) -> &'static str {
        SCALED_INTERVAL
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [interval, number] => Ok(format!(
                "{} * {}",
                interval.schema_name(),
                number.schema_name()
            )),
            _ => plan_err!("scaled_interval takes an interval and a number"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Interval(_), number] if number.is_integer() => {
                Ok(vec![INTERVAL, DataType::Int64])
            }
            [DataType::Interval(_), number] if number.is_numeric() => {
                Ok(vec![INTERVAL, DataType::Float64])
            }
            _ => plan_err!("scaled_interval takes an interval and a number"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [intervals, numbers] = args.args.as_slice() else {
            return exec_err!("scaled_interval takes an interval and a number");
        };
        let is_one = matches!(
            (intervals, numbers),
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_))
        );
        let n_rows = if is_one { 1 } else { args.number_rows };
        let (intervals, numbers) = (intervals.to_array(n_rows)?, numbers.to_array(n_rows)?);
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let products: IntervalMonthDayNanoArray = match numbers.data_type() {
            DataType::Int64 => {
                let numbers = numbers.as_primitive::<Int64Type>();
                let pairs = intervals.iter().zip(numbers);
                let products = pairs.map(|(i, n)| i.zip(n).map(|(i, n)| whole(i, n)).transpose());
                products.collect::<Result<_>>()?
            }
            _ => {
                let Some(numbers) = numbers.as_primitive_opt::<Float64Type>() else {
                    return exec_err!("scaled_interval takes no {}", numbers.data_type());
                };
                let pairs = intervals.iter().zip(numbers);
                let products = pairs.map(|(i, n)| i.zip(n).map(|(i, n)| part(i, n)).transpose());
                products.collect::<Result<_>>()?
            }
        };
        let products: ArrayRef = Arc::new(products);
        Ok(match is_one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&products, 0)?),
            false => ColumnarValue::Array(products),
        })
    }
}

fn overflow() -> ArrowError {
    ArrowError::ArithmeticOverflow("the product of an interval does not fit into one".to_owned())
}

fn whole(interval: IntervalMonthDayNano, times: i64) -> Result<IntervalMonthDayNano> {
    let short = |part: i32| {
        let product = i64::from(part).checked_mul(times);
        product.and_then(|product| i32::try_from(product).ok())
    };
    let nanoseconds = interval.nanoseconds.checked_mul(times);
    let parts = (short(interval.months), short(interval.days), nanoseconds);
    match parts {
        (Some(months), Some(days), Some(nanos)) => {
            Ok(IntervalMonthDayNano::new(months, days, nanos))
        }
        _ => Err(overflow().into()),
    }
}

fn part(interval: IntervalMonthDayNano, times: f64) -> Result<IntervalMonthDayNano> {
    let months = f64::from(interval.months) * times;
    let days = f64::from(interval.days) * times + (months - months.trunc()) * DAYS_PER_MONTH;
    let of_day = (days - days.trunc()) * NANOS_PER_DAY;
    let nanos = (interval.nanoseconds as f64 * times + of_day).round();
    let fits = |part: f64, most: f64| part.abs() <= most;
    let most = f64::from(i32::MAX);
    if !fits(months, most) || !fits(days, most) || !fits(nanos, 9.2e18) {
        return Err(overflow().into());
    }
    let (months, days) = (months.trunc() as i32, days.trunc() as i32);
    Ok(IntervalMonthDayNano::new(months, days, nanos as i64))
}
