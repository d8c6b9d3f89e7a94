//! Limits that do not fit into a message.
//!
//! A plan on the wire has 32 bits for the limit of a scan, a filter, a merge or a partition; a
//! larger number is cut to them. For the limit of a whole result and of a sort it has 64.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::by_node::replaced;
use crate::wire::MOST_ROWS;

const MOST: usize = MOST_ROWS as usize;

/// The plan with large limits as nodes that have room for them.
pub(super) fn as_nodes(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    replaced(plan, |node| {
        let most = match node.fetch() {
            Some(most) if most > MOST => most,
            _ => return Ok(None),
        };
        let unlimited = match node.downcast_ref::<LocalLimitExec>() {
            Some(limit) => Some(Arc::clone(limit.input())),
            None if has_room(node) => None,
            None => node.with_fetch(None),
        };
        Ok(unlimited.map(|rows| {
            // Where there are several partitions, a limit of all of them is above.
            match rows.output_partitioning().partition_count() > 1 {
                true => rows,
                false => Arc::new(GlobalLimitExec::new(rows, 0, Some(most))),
            }
        }))
    })
}

/// Whether a message of the node has 64 bits for its limit.
fn has_room(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<SortExec>() || node.is::<SortPreservingMergeExec>()
}
