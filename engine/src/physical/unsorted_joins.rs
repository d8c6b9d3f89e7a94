//! Joins whose rows are in no order.
//!
//! DataFusion takes the rows of a hash join for sorted as those of one of its sides. But rows without a partner come
//! after the others of a batch where the join has a condition besides its keys, and Ballista lets the sides change
//! places after the plan was made. So sorts stay above all joins but those that merge sorted sides.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec,
};
use emporia_connectors::marked::{Mark, MarkedExec};

use super::by_node::Replacement;

/// Has rows of joins sorted where an order is asked for.
pub(super) fn unordered(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let is_join = node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>();
    Ok(match is_join {
        true => Some(Arc::new(MarkedExec::new(Arc::clone(node), Mark::Unordered))),
        false => None,
    })
}
