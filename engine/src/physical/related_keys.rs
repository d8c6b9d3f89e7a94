//! Windows whose keys say something about each other.
//!
//! DataFusion leaves a key out of the sort below a window where it has one value or follows from other keys, because a filter,
//! a constant, an equality or a monotonic function says so. A task that reads the rows from another stage does not know that,
//! and fails: "expects PARTITION BY expression to be ordered". Within a plan, one rule knows it and the next does not: "does not
//! satisfy order requirements".

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalSortExpr};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

use super::by_node::Replacement;
use super::window_exprs;

/// Has the rows of such a window sorted by all of its keys.
pub(super) fn sorted(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let (Some(exprs), [input]) = (window_exprs(node), &node.children()[..]) else {
        return Ok(None);
    };
    let known = input.equivalence_properties();
    for expr in exprs {
        if are_related(known, &keys(expr.as_ref()))? {
            let input = Arc::new(MarkedExec::new(Arc::clone(input), Mark::Unrelated));
            return with_inputs(Arc::clone(node), vec![input]).map(Some);
        }
    }
    Ok(None)
}

/// The different keys of the sort of a window.
fn keys(expr: &dyn WindowExpr) -> Vec<PhysicalSortExpr> {
    let parts = expr.partition_by().iter().cloned();
    let parts = parts.map(PhysicalSortExpr::new_default);
    let mut keys: Vec<PhysicalSortExpr> = Vec::new();
    for key in parts.chain(expr.order_by().iter().cloned()) {
        if !keys.iter().any(|other| other.expr.eq(&key.expr)) {
            keys.push(key);
        }
    }
    keys
}

/// Whether rows in the order of some keys are in the order of one more.
fn are_related(known: &EquivalenceProperties, keys: &[PhysicalSortExpr]) -> Result<bool> {
    for at in 0..keys.len() {
        let mut sorted = keys.to_vec();
        let key = sorted.remove(at);
        let mut known = known.clone();
        known.clear_orderings();
        known.add_ordering(sorted.clone());
        sorted.push(key);
        if known.ordering_satisfy(sorted)? {
            return Ok(true);
        }
    }
    Ok(false)
}
