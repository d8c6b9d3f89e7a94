//! Steps that build on each other stay steps.
//!
//! DataFusion makes one projection of several, one on top of the other, and so one deep expression of many
//! small ones; those of a message may not be that deep (`connectors/src/composed.rs`). So projections are
//! kept apart before their expressions together are too deep.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

use super::by_node::Replacement;

/// Messages of an expression that may be one in the other.
const MAX_MESSAGES: usize = 36;

/// Keeps projections apart.
pub(super) fn kept_apart(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let below = match node.downcast_ref::<ProjectionExec>() {
        Some(projection) if projection.input().is::<ProjectionExec>() => {
            Arc::clone(projection.input())
        }
        _ => return Ok(None),
    };
    if together(node) <= MAX_MESSAGES {
        return Ok(None);
    }
    let below = Arc::new(MarkedExec::new(below, Mark::Apart));
    with_inputs(Arc::clone(node), vec![below]).map(Some)
}

/// The messages of the expressions that would become one.
fn together(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let Some(projection) = plan.downcast_ref::<ProjectionExec>() else {
        return 0;
    };
    let own = projection.expr().iter().map(|expr| messages(&expr.expr));
    own.max().unwrap_or_default() + together(projection.input())
}

/// How many messages are one in the other for an expression, without that of a column in it.
fn messages(expr: &Arc<dyn PhysicalExpr>) -> usize {
    let children = expr.children();
    if children.is_empty() {
        return 0;
    }
    let deepest = children.into_iter().map(|child| {
        let is_chain = match (
            expr.downcast_ref::<BinaryExpr>(),
            child.downcast_ref::<BinaryExpr>(),
        ) {
            (Some(outer), Some(inner)) => outer.op() == inner.op(),
            _ => false,
        };
        // The operands of a chain are in one message.
        messages(child).saturating_sub(if is_chain { 2 } else { 0 })
    });
    let own = if expr.is::<CaseExpr>() { 3 } else { 2 };
    own + deepest.max().unwrap_or_default()
}
