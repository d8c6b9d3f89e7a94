//! Aggregates of sliding frames, whose results are in no order.
//!
//! DataFusion takes the result of `count(*) OVER (ORDER BY k RANGE BETWEEN 5 PRECEDING AND 1 PRECEDING)` for one
//! that rises with the rows, because their number does while a frame grows, and leaves out a sort by it. But rows
//! leave a sliding frame, too. So nothing above such a window relies on an order.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::SetMonotonicity;
use datafusion::physical_expr::window::{SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use emporia_connectors::marked::{Mark, MarkedExec};

/// Has rows of sliding frames sorted where an order is asked for.
#[derive(Debug)]
pub(super) struct Sliding;

impl PhysicalOptimizerRule for Sliding {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let exprs = match node.downcast_ref::<BoundedWindowAggExec>() {
                Some(window) => window.window_expr(),
                None => match node.downcast_ref::<WindowAggExec>() {
                    Some(window) => window.window_expr(),
                    None => return Ok(Transformed::no(node)),
                },
            };
            Ok(match exprs.iter().any(is_taken_for_rising) {
                true => Transformed::yes(Arc::new(MarkedExec::new(node, Mark::Unordered))),
                false => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "sliding"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_taken_for_rising(expr: &Arc<dyn WindowExpr>) -> bool {
    let Some(sliding) = expr.as_any().downcast_ref::<SlidingAggregateWindowExpr>() else {
        return false;
    };
    let monotonicity = sliding.get_aggregate_expr().set_monotonicity();
    monotonicity != SetMonotonicity::NotMonotonic && sliding.get_window_frame().is_causal()
}
