//! What does not hold of the rows of joins.
//!
//! DataFusion takes the rows of a hash join for sorted as those of one of its sides. But rows without a partner come
//! after the others of a batch where the join has a condition besides its keys, and Ballista lets the sides change
//! places after the plan was made. So sorts stay above all joins but those that merge sorted sides.
//!
//! It also takes a column that has one value on the optional side of an outer join, such as `'x' AS flag`, for one that has
//! it above, too, where rows without a partner have NULL, and leaves it out of orders and groups.

use std::sync::Arc;

use datafusion::common::{JoinType, Result};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use emporia_connectors::marked::{Mark, MarkedExec};

use super::by_node::Replacement;

/// Has rows of joins sorted where an order is asked for.
pub(super) fn unordered(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let mark = if has_optional_constants(node) {
        Mark::Unrelated
    } else if node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>()
    {
        Mark::Unordered
    } else {
        return Ok(None);
    };
    Ok(Some(Arc::new(MarkedExec::new(Arc::clone(node), mark))))
}

/// Whether a column of an optional side has one value.
fn has_optional_constants(node: &Arc<dyn ExecutionPlan>) -> bool {
    let (Some(join_type), [left, right]) = (join_type(node), &node.children()[..]) else {
        return false;
    };
    let has_constants = |side: &Arc<dyn ExecutionPlan>| {
        let known = side.equivalence_properties();
        !known.constants().is_empty()
    };
    match join_type {
        JoinType::Left => has_constants(right),
        JoinType::Right => has_constants(left),
        JoinType::Full => has_constants(left) || has_constants(right),
        _ => false,
    }
}

fn join_type(node: &Arc<dyn ExecutionPlan>) -> Option<JoinType> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return Some(*join.join_type());
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return Some(*join.join_type());
    }
    if let Some(join) = node.downcast_ref::<PiecewiseMergeJoinExec>() {
        return Some(join.join_type());
    }
    Some(node.downcast_ref::<SortMergeJoinExec>()?.join_type())
}
