//! `PARTITION BY` of a constant, which makes no parts. The planner takes it for a key by which rows have to
//! be sorted, finds that a constant needs no sort, and fails over rows that are in no order by it.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::analyzer::AnalyzerRule;

use super::subqueries::has_subquery;
use super::with_outputs;

/// Leaves out constants of `PARTITION BY`.
#[derive(Debug)]
pub(super) struct DropConstantKeys;

impl AnalyzerRule for DropConstantKeys {
    fn name(&self) -> &'static str {
        "drop_constant_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            if !matches!(plan, LogicalPlan::Window(_)) {
                return Ok(Transformed::no(plan));
            }
            with_outputs(
                plan,
                |_| Ok(true),
                |expr| expr.transform_up(|expr| Ok(without_constants(expr))),
            )
        })
        .data()
    }
}

fn without_constants(expr: Expr) -> Transformed<Expr> {
    let Expr::WindowFunction(mut window) = expr else {
        return Transformed::no(expr);
    };
    let keys = &mut window.params.partition_by;
    let n_keys = keys.len();
    keys.retain(|key| !is_constant(key));
    let is_changed = keys.len() < n_keys;
    Transformed::new_transformed(Expr::WindowFunction(window), is_changed)
}

fn is_constant(expr: &Expr) -> bool {
    !expr.any_column_refs() && !expr.is_volatile() && !expr.contains_outer() && !has_subquery(expr)
}
