//! Aggregates of sliding frames, whose results are in no order.
//!
//! DataFusion takes the result of `count(*) OVER (ORDER BY k RANGE BETWEEN 5 PRECEDING AND 1 PRECEDING)` for one
//! that rises with the rows, because their number does while a frame grows, and leaves out a sort by it. But rows
//! leave a sliding frame, too. So nothing above such a window relies on an order.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::SetMonotonicity;
use datafusion::physical_expr::window::{SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use emporia_connectors::marked::{Mark, MarkedExec};

use super::by_node::Replacement;
use super::window_exprs;

/// Has rows of sliding frames sorted where an order is asked for.
pub(super) fn unordered(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let mut exprs = window_exprs(node).into_iter().flatten();
    Ok(match exprs.any(is_taken_for_rising) {
        true => Some(Arc::new(MarkedExec::new(Arc::clone(node), Mark::Unordered))),
        false => None,
    })
}

fn is_taken_for_rising(expr: &Arc<dyn WindowExpr>) -> bool {
    let Some(sliding) = expr.as_any().downcast_ref::<SlidingAggregateWindowExpr>() else {
        return false;
    };
    let monotonicity = sliding.get_aggregate_expr().set_monotonicity();
    monotonicity != SetMonotonicity::NotMonotonic && sliding.get_window_frame().is_causal()
}
