//! Constants of 16 bit floating numbers, which a message has as those of 32 bits: they are cast back where
//! they are used.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, cast, lit};

use super::with_outputs;

/// The plan with constants that keep their type in a message. This comes last, because the planner would
/// make a constant of the cast.
pub(crate) fn with_halves(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let is_half = |expr: &Expr| Ok(half(expr).is_some());
        with_outputs(
            plan,
            |expr| expr.exists(is_half),
            |expr| {
                expr.transform_up(|expr| {
                    Ok(match half(&expr) {
                        Some(value) => Transformed::yes(cast(lit(value), DataType::Float16)),
                        None => Transformed::no(expr),
                    })
                })
            },
        )
    })
    .data()
}

/// The constant with 32 bits, if it is one of 16.
fn half(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value @ ScalarValue::Float16(_), _) => value.cast_to(&DataType::Float32).ok(),
        _ => None,
    }
}
