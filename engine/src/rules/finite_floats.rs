//! Casts to floating numbers that make infinities of finite values.
//!
//! `CAST('1e309' AS DOUBLE)` and `CAST(1e300 AS FLOAT)` are infinite in Arrow. Here they fail, and `TRY_CAST` yields NULL.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;

use super::walk;
use crate::functions::{CHECKED_FLOAT, FLOAT_OR_NULL, checked_float, float_or_null};

/// Checks casts to floating types.
#[derive(Debug)]
pub(super) struct FiniteFloats;

impl AnalyzerRule for FiniteFloats {
    fn name(&self) -> &'static str {
        "finite_floats"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(
            plan,
            |expr, schema| Ok(checked(expr, schema)),
            walk::as_it_is,
        )
    }
}

fn checked(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let (inner, field, function) = match &expr {
        Expr::Cast(Cast { expr, field }) => (expr, field, checked_float()),
        Expr::TryCast(TryCast { expr, field }) => (expr, field, float_or_null()),
        _ => return once(expr),
    };
    let from = inner.get_type(schema);
    match from.is_ok_and(|from| may_be_infinite(&from, field.data_type())) {
        true => {
            let from = inner.as_ref().clone();
            Transformed::yes(function.call(vec![expr, from]))
        }
        false => Transformed::no(expr),
    }
}

/// A scheduler analyzes what a client has analyzed: what is checked already is not checked once more.
fn once(expr: Expr) -> Transformed<Expr> {
    let is_check = |name: &str| [CHECKED_FLOAT, FLOAT_OR_NULL].contains(&name);
    let Expr::ScalarFunction(function) = &expr else {
        return Transformed::no(expr);
    };
    match function.args.first() {
        Some(Expr::ScalarFunction(inner))
            if is_check(function.name()) && is_check(inner.name()) =>
        {
            Transformed::yes(Expr::ScalarFunction(inner.clone()))
        }
        _ => Transformed::no(expr),
    }
}

/// Whether a finite value of one type may be too large for the other, which is a floating one.
fn may_be_infinite(from: &DataType, to: &DataType) -> bool {
    let from = match from {
        DataType::Dictionary(_, values) => values,
        other => other,
    };
    match to {
        DataType::Float64 => from.is_string(),
        DataType::Float32 => {
            from.is_string() || matches!(from, DataType::Float64 | DataType::Decimal256(..))
        }
        DataType::Float16 => from.is_string() || from.is_numeric(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_to_narrow_types_are_checked() {
        for (from, to, expected) in [
            (DataType::Utf8, DataType::Float64, true),
            (DataType::Utf8View, DataType::Float32, true),
            (DataType::Float64, DataType::Float32, true),
            (DataType::Float32, DataType::Float64, false),
            (DataType::Decimal128(38, 0), DataType::Float32, false),
            (DataType::Int64, DataType::Float64, false),
            (DataType::Utf8, DataType::Int64, false),
        ] {
            assert_eq!(may_be_infinite(&from, &to), expected, "{from} to {to}");
        }
    }
}
