//! Casts of decimals to floating numbers.
//!
//! Arrow's cast does not yield the nearest number for decimals of many digits (`functions/nearest.rs`): 123456789012345.6789
//! as a decimal and as a `DOUBLE` are two numbers.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;

use super::walk;
use crate::functions::{nearest_double, nearest_float};

/// Digits of a decimal up to which Arrow's cast to `DOUBLE` yields the nearest number.
const DIGITS_OF_DOUBLES: u8 = 15;
/// The same for `FLOAT`.
const DIGITS_OF_FLOATS: u8 = 7;

/// The functions that cast to the type that a text names.
const ARROW_CASTS: [&str; 2] = ["arrow_cast", "arrow_try_cast"];

/// Makes decimals the floating numbers that are nearest to them. Comes behind the check of what is too large for its
/// type, which looks for casts.
#[derive(Debug)]
pub(super) struct NearestFloats;

impl AnalyzerRule for NearestFloats {
    fn name(&self) -> &'static str {
        "nearest_floats"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(
            plan,
            |expr, schema| Ok(nearest(expr, schema)),
            walk::as_it_is,
        )
    }
}

fn nearest(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let inner = match &expr {
        Expr::Cast(Cast { expr: inner, .. }) | Expr::TryCast(TryCast { expr: inner, .. }) => inner,
        // It becomes a cast when the plan is simplified.
        Expr::ScalarFunction(call) if ARROW_CASTS.contains(&call.name()) => match call.args.first()
        {
            Some(inner) => inner,
            None => return Transformed::no(expr),
        },
        _ => return Transformed::no(expr),
    };
    let (Ok(from), Ok(to)) = (inner.get_type(schema), expr.get_type(schema)) else {
        return Transformed::no(expr);
    };
    let function = match to {
        DataType::Float64 if has_more_digits(&from, DIGITS_OF_DOUBLES) => nearest_double(),
        DataType::Float32 if has_more_digits(&from, DIGITS_OF_FLOATS) => nearest_float(),
        _ => return Transformed::no(expr),
    };
    Transformed::yes(function.call(vec![Expr::clone(inner)]))
}

/// Whether the type is one of decimals with more digits, or with zeros in the place of the last ones before the point.
fn has_more_digits(data_type: &DataType, most: u8) -> bool {
    match data_type {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => *digits > most || *scale < 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_many_digits_are_rounded_by_us() {
        for (from, most, expected) in [
            (DataType::Decimal128(15, 2), DIGITS_OF_DOUBLES, false),
            (DataType::Decimal128(16, 2), DIGITS_OF_DOUBLES, true),
            (DataType::Decimal64(8, 2), DIGITS_OF_FLOATS, true),
            (DataType::Decimal32(7, 7), DIGITS_OF_FLOATS, false),
            (DataType::Decimal256(5, -1), DIGITS_OF_DOUBLES, true),
            (DataType::Int64, DIGITS_OF_DOUBLES, false),
        ] {
            assert_eq!(has_more_digits(&from, most), expected, "{from}");
        }
    }
}
