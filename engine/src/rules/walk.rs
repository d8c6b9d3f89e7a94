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
        let schema = merge_schema(&plan.inputs());
        let plan = with_outputs(
            plan,
            |_| Ok(true),
            |expr| expr.transform_up(|expr| expression(expr, &schema)),
        )?;
        plan.transform_data(|plan| step(plan, &schema))
    })
    .data()
}

/// The step with its expressions changed, of those that are wanted. Outputs keep their names.
pub(crate) fn with_outputs(
    plan: LogicalPlan,
    is_wanted: impl Fn(&Expr) -> Result<bool>,
    mut change: impl FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    let mut changed = |expr: Expr| {
        if !is_wanted(&expr)? {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        Ok(change(expr)?.update_data(|expr| name.restore(expr)))
    };
    plan.map_expressions(|expr| match expr {
        // Its parts are the outputs.
        Expr::GroupingSet(_) => expr.map_children(&mut changed),
        expr => changed(expr),
    })
}

/// A step that stays as it is.
pub(super) fn as_it_is(plan: LogicalPlan, _: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    Ok(Transformed::no(plan))
}
