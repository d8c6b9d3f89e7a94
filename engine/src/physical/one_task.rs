//! Joins that have to see all rows of a side in one task.
//!
//! A join without an equality keeps its left side in memory and notes which of its rows found a partner.
//! What an outer, semi, anti or mark join yields for the others is known when the last partition of the
//! right side has ended. DataFusion shares the notes between partitions of one process; tasks on a cluster
//! know only their own, so each of them would yield the same rows again, also those that found a partner
//! elsewhere. So either the sides change places, because a row of the right side needs only the whole left
//! side, or the right side becomes one partition.

use std::sync::Arc;

use datafusion::common::{JoinType, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec};
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

use super::by_node::Replacement;
use super::hash_joins::is_small;

/// Gives each join the rows that it has to see in one task.
pub(super) fn with_needed_rows(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return nested_loop(join);
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return null_aware(join);
    }
    let Some(join) = node.downcast_ref::<PiecewiseMergeJoinExec>() else {
        return Ok(None);
    };
    let (left, right) = (join.buffered(), join.streamed());
    let sides = vec![Arc::clone(left), marked(right, Mark::Whole)];
    with_inputs(Arc::clone(node), sides).map(Some)
}

fn marked(side: &Arc<dyn ExecutionPlan>, mark: Mark) -> Arc<dyn ExecutionPlan> {
    Arc::new(MarkedExec::new(Arc::clone(side), mark))
}

fn nested_loop(join: &NestedLoopJoinExec) -> Result<Replacement> {
    match join.join_type() {
        JoinType::Inner
        | JoinType::Right
        | JoinType::RightSemi
        | JoinType::RightAnti
        | JoinType::RightMark => return Ok(None),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
            if is_small(join.right()) =>
        {
            return join.swap_inputs().map(Some);
        }
        _ => {}
    }
    let join = NestedLoopJoinExec::try_new(
        Arc::clone(join.left()),
        marked(join.right(), Mark::Whole),
        join.filter().cloned(),
        join.join_type(),
        join.projection().as_deref().map(<[usize]>::to_vec),
    )?;
    Ok(Some(Arc::new(join)))
}

/// `NOT IN`: one NULL on the right decides about all rows of the left. Ballista runs such a join in one task,
/// but refuses it where it knows the left side to be larger than what it sends to every task. It sends
/// it to one.
fn null_aware(join: &HashJoinExec) -> Result<Replacement> {
    if !join.null_aware {
        return Ok(None);
    }
    let sides = vec![
        marked(join.left(), Mark::Unsized),
        marked(join.right(), Mark::Whole),
    ];
    let join = join.builder().with_new_children(sides)?.build_exec()?;
    Ok(Some(join))
}
