//! Joins and windows whose rows are exchanged from the start.
//!
//! A join by keys of two sides of one partition, which are known to be small, needs no exchange, and neither does a window over
//! parts of such rows. But Ballista plans the stage once more where another exchange follows. It knows no sizes then, and puts
//! exchanges into the stage itself: each of its tasks reads all rows, and they come once for each task. So sizes are hidden while
//! exchanges are placed.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

use super::by_node::Replacement;
use super::window_exprs;

/// Hides the sizes of the inputs of such a node, so that the planner exchanges all of them.
pub(super) fn from_the_start(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    if !is_by_keys(node) {
        return Ok(None);
    }
    let inputs = node
        .children()
        .into_iter()
        .map(|input| -> Arc<dyn ExecutionPlan> {
            Arc::new(MarkedExec::new(Arc::clone(input), Mark::Unsized))
        });
    with_inputs(Arc::clone(node), inputs.collect()).map(Some)
}

fn is_by_keys(node: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return *join.partition_mode() == PartitionMode::Partitioned;
    }
    let mut windows = window_exprs(node).into_iter().flatten();
    windows.any(|expr| !expr.partition_by().is_empty()) || node.is::<SortMergeJoinExec>()
}

/// Shows the sizes again, by which Ballista decides about the joins above. The join of a `NOT IN` hides its own.
pub(super) fn with_sizes(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let is_not_in = node
        .downcast_ref::<HashJoinExec>()
        .is_some_and(|join| join.null_aware);
    let inputs = node.children();
    if is_not_in || !inputs.iter().any(|input| hidden(input).is_some()) {
        return Ok(None);
    }
    let shown = inputs
        .into_iter()
        .map(|input| Arc::clone(hidden(input).unwrap_or(input)));
    with_inputs(Arc::clone(node), shown.collect()).map(Some)
}

/// What is below a mark that hides its size.
fn hidden(node: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    let marked = node.downcast_ref::<MarkedExec>()?;
    (marked.mark() == Mark::Unsized).then(|| marked.input())
}
