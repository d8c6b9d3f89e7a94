//! Windows over parts by a column that has one value.
//!
//! DataFusion leaves such a column out of the sort below, because statistics, a filter or a constant say that it has one
//! value. A task that reads the rows from another stage does not know that, and fails: "expects PARTITION BY expression to
//! be ordered".

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

use super::by_node::Replacement;

/// Has the rows of such a window sorted by all of its columns.
pub(super) fn sorted(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let (exprs, input) = match node.downcast_ref::<BoundedWindowAggExec>() {
        Some(window) => (window.window_expr(), window.input()),
        None => match node.downcast_ref::<WindowAggExec>() {
            Some(window) => (window.window_expr(), window.input()),
            None => return Ok(None),
        },
    };
    let known = input.equivalence_properties();
    let mut parts = exprs.iter().flat_map(|expr| expr.partition_by());
    if !parts.any(|part| known.is_expr_constant(part).is_some()) {
        return Ok(None);
    }
    let input = Arc::new(MarkedExec::new(Arc::clone(input), Mark::Unrelated));
    with_inputs(Arc::clone(node), vec![input]).map(Some)
}
