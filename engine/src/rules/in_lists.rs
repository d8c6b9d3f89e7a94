//! IN lists whose items are known before the rows.
//!
//! DataFusion takes an item for a constant if it has one value for no rows at all, as `CASE WHEN a < b THEN 1 ELSE b END` has: its
//! first branch. So what depends on the row, and what may be NULL, is compared outside of the list.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit};
use datafusion::optimizer::analyzer::AnalyzerRule;

use super::walk;
use crate::functions::{OPAQUE, opaque};

/// Takes out of lists what is no constant.
#[derive(Debug)]
pub(super) struct PlainLists;

impl AnalyzerRule for PlainLists {
    fn name(&self) -> &'static str {
        "plain_lists"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(
            plan,
            |expr, schema| Ok(with_plain_list(expr, schema)),
            walk::as_it_is,
        )
    }
}

fn with_plain_list(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::InList(InList {
        expr,
        list,
        negated,
    }) = expr
    else {
        return Transformed::no(expr);
    };
    if list.iter().all(|item| is_plain(item, schema)) {
        return Transformed::no(Expr::InList(InList::new(expr, list, negated)));
    }
    if expr.is_volatile() || has_subquery(&expr) {
        // It is to be computed once. What is opaque is an item for each row.
        let items = list.into_iter().map(|item| match is_opaque(&item) {
            true => item,
            false => opaque().call(vec![item]),
        });
        return Transformed::yes(Expr::InList(InList::new(expr, items.collect(), negated)));
    }
    let (plain, others): (Vec<_>, Vec<_>) =
        list.into_iter().partition(|item| is_plain(item, schema));
    let mut parts = Vec::new();
    if !plain.is_empty() {
        parts.push(Expr::InList(InList::new(expr.clone(), plain, false)));
    }
    let equal = |item| expr.as_ref().clone().eq(item);
    parts.extend(others.into_iter().map(equal));
    let any = disjunction(parts).unwrap_or_else(|| lit(false));
    Transformed::yes(if negated { !any } else { any })
}

/// Whether the item is a constant that is not NULL.
fn is_plain(item: &Expr, schema: &DFSchema) -> bool {
    match item {
        Expr::Literal(value, _) => !value.is_null(),
        _ => {
            !item.any_column_refs()
                && !item.contains_outer()
                && !item.is_volatile()
                && !item.nullable(schema).unwrap_or(true)
        }
    }
}

fn has_subquery(expr: &Expr) -> bool {
    let is_one = |e: &Expr| {
        matches!(
            e,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)
        )
    };
    expr.exists(|e| Ok(is_one(e))).unwrap_or(true)
}

fn is_opaque(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.name() == OPAQUE)
}
