//! -0.0 and 0.0, which are equal for `=` and GROUP BY, in what compares bits: CASE with a value, `nullif`, long
//! lists of IN, DISTINCT in an aggregate, the keys of windows, and keys of an order that others follow.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, SortExpr};
use datafusion::optimizer::AnalyzerRule;

use super::fallible::is_divisor;
use crate::functions::{MODE, UNSIGNED_ZERO, unsigned_zero};

/// Makes both zeros one where they would differ.
#[derive(Debug)]
pub(super) struct OneZero;

impl AnalyzerRule for OneZero {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            if matches!(plan, LogicalPlan::TableScan(_)) {
                return Ok(Transformed::no(plan));
            }
            let names = NamePreserver::new(&plan);
            let schema = merge_schema(&plan.inputs());
            let plan = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let expr = expr.transform_up(|expr| one_zero(expr, &schema))?;
                Ok(expr.update_data(|expr| name.restore(expr)))
            })?;
            plan.transform_data(|plan| match plan {
                LogicalPlan::Sort(mut sort) => {
                    let is_changed = leading(&mut sort.expr, &schema);
                    Ok(Transformed::new_transformed(
                        LogicalPlan::Sort(sort),
                        is_changed,
                    ))
                }
                other => Ok(Transformed::no(other)),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "one_zero"
    }
}

fn one_zero(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_changed = match &mut expr {
        Expr::Case(case) => match &mut case.expr {
            Some(value) => {
                let whens = case.when_then_expr.iter_mut();
                let whens = whens.map(|(when, _)| when.as_mut());
                unsign_all(whens.chain([value.as_mut()]), schema)
            }
            None => false,
        },
        // A long list is looked up by the bits of its numbers.
        Expr::InList(list) if !list.list.iter().all(is_divisor) => {
            let items = list.list.iter_mut().chain([list.expr.as_mut()]);
            unsign_all(items, schema)
        }
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => {
            unsign_all(&mut call.args, schema)
        }
        Expr::AggregateFunction(call) => {
            let params = &mut call.params;
            let counts_values = params.distinct || call.func.name() == MODE;
            let is_changed = counts_values && unsign_all(&mut params.args, schema);
            is_changed || !params.distinct && leading(&mut params.order_by, schema)
        }
        Expr::WindowFunction(call) => {
            let params = &mut call.params;
            let is_distinct = params.distinct && unsign_all(&mut params.args, schema);
            let is_parted = unsign_all(&mut params.partition_by, schema);
            let keys = params.order_by.iter_mut().map(|key| &mut key.expr);
            let is_ordered = unsign_all(keys, schema);
            is_distinct || is_parted || is_ordered
        }
        _ => false,
    };
    Ok(Transformed::new_transformed(expr, is_changed))
}

/// The keys of an order but the last: rows with one zero before rows with the other are in order by the last one.
fn leading(keys: &mut [SortExpr], schema: &DFSchema) -> bool {
    match keys {
        [leading @ .., _] => unsign_all(leading.iter_mut().map(|key| &mut key.expr), schema),
        [] => false,
    }
}

fn unsign_all<'a>(exprs: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let mut is_changed = false;
    for expr in exprs {
        is_changed |= unsign(expr, schema);
    }
    is_changed
}

/// Makes 0.0 of -0.0 where the expression is a floating number, and says whether it is another one now.
fn unsign(expr: &mut Expr, schema: &DFSchema) -> bool {
    let is_done = matches!(expr, Expr::ScalarFunction(call) if call.func.name() == UNSIGNED_ZERO);
    let is_floating = expr.get_type(schema).is_ok_and(|t| t.is_floating());
    if is_done || !is_floating {
        return false;
    }
    *expr = unsigned_zero().call(vec![std::mem::take(expr)]);
    true
}
