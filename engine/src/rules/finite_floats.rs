//! Casts to floating numbers that make infinities of finite values.
//!
//! `CAST('1e309' AS DOUBLE)` and `CAST(1e300 AS FLOAT)` are infinite in Arrow. Here they fail, and `TRY_CAST` yields NULL.
//! Numbers within lists, structs and maps fail in both.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;

use super::walk;
use crate::functions::{
    CHECKED_FLOAT, FLOAT_OR_NULL, checked_float, float_or_null, may_be_infinite,
};

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
    let (inner, function) = match &expr {
        Expr::Cast(Cast { expr, .. }) => (expr.as_ref(), checked_float()),
        Expr::TryCast(TryCast { expr, .. }) => (expr.as_ref(), float_or_null()),
        // They become casts when the plan is simplified.
        Expr::ScalarFunction(call) => match (call.name(), call.args.first()) {
            ("arrow_cast" | "cast_to_type", Some(inner)) => (inner, checked_float()),
            ("arrow_try_cast" | "try_cast_to_type", Some(inner)) => (inner, float_or_null()),
            _ => return once(expr),
        },
        _ => return Transformed::no(expr),
    };
    let (Ok(from), Ok(to)) = (inner.get_type(schema), expr.get_type(schema)) else {
        return Transformed::no(expr);
    };
    match may_be_infinite(&from, &to) {
        true => {
            let from = inner.clone();
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
