//! The walk of a rule over a plan.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The plan with its expressions rewritten, each from the inside and over the columns of all inputs of its step.
/// Outputs keep their names. After its expressions each step is rewritten itself, inputs first.
pub(super) fn rewritten(
    plan: LogicalPlan,
    expression: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
    step: impl Fn(LogicalPlan, &DFSchema) -> Result<Transformed<LogicalPlan>>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        if matches!(plan, LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        let schema = merge_schema(&plan.inputs());
        let named = |expr: Expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| expression(expr, &schema))?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        };
        let plan = plan.map_expressions(|expr| match expr {
            // Its parts are the outputs.
            Expr::GroupingSet(_) => expr.map_children(named),
            expr => named(expr),
        })?;
        plan.transform_data(|plan| step(plan, &schema))
    })
    .data()
}

/// A step that stays as it is.
pub(super) fn as_it_is(plan: LogicalPlan, _: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    Ok(Transformed::no(plan))
}
