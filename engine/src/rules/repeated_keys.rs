//! Keys that an ORDER BY names twice, of which only the first counts.
//!
//! DataFusion drops the second one in some places of `first_value(x ORDER BY a, b, a)` and of `DISTINCT ON`, and panics
//! because there are more of them in others.

use std::collections::HashSet;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, SortExpr};
use datafusion::optimizer::AnalyzerRule;

use super::walk;

/// Drops such keys.
#[derive(Debug)]
pub(super) struct KeysOnce;

impl AnalyzerRule for KeysOnce {
    fn name(&self) -> &'static str {
        "keys_once"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, of_aggregate, of_distinct)
    }
}

fn of_aggregate(mut expr: Expr, _: &DFSchema) -> Result<Transformed<Expr>> {
    let is_changed = match &mut expr {
        Expr::AggregateFunction(call) => drop_repeated(&mut call.params.order_by),
        _ => false,
    };
    Ok(Transformed::new_transformed(expr, is_changed))
}

fn of_distinct(mut plan: LogicalPlan, _: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let is_changed = match &mut plan {
        LogicalPlan::Distinct(Distinct::On(distinct)) => {
            distinct.sort_expr.as_mut().is_some_and(drop_repeated)
        }
        _ => false,
    };
    Ok(Transformed::new_transformed(plan, is_changed))
}

fn drop_repeated(keys: &mut Vec<SortExpr>) -> bool {
    let n_keys = keys.len();
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.expr.clone()));
    keys.len() < n_keys
}
