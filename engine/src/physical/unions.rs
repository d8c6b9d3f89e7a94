//! Sorts that stay above unions.
//!
//! Ballista gives each branch of a union a stage that cannot be left out of a task, and then plans the stage of the
//! union once more. A sort above moves into the branches there, each task sorts a branch of one partition although
//! it has other ones, and its rows come once for each task.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use emporia_connectors::marked::{Mark, MarkedExec};

use super::by_node::replaced;

/// The plan with a mark above each union, that no sort moves below.
pub(super) fn with_sorts_above(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    replaced(plan, |node| {
        Ok(match node.is::<UnionExec>() {
            true => Some(Arc::new(MarkedExec::new(Arc::clone(node), Mark::SortsStay))),
            false => None,
        })
    })
}
