//! Limits that sorts have.
//!
//! DataFusion drops a sort whose rows are in order already, after it has dropped another sort below, and the limit of the first
//! one with it: `SELECT r FROM (SELECT row_number() OVER (ORDER BY x) AS r FROM t ORDER BY r DESC) ORDER BY r LIMIT 1` has all
//! rows. So the limit stands above its sort, too, while sorts are placed.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use super::by_node::Replacement;

/// A sort with a limit, and the same limit above it.
pub(super) fn above_sorts(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let fetch = node.downcast_ref::<SortExec>().and_then(SortExec::fetch);
    Ok(fetch.map(|n_rows| -> Arc<dyn ExecutionPlan> {
        Arc::new(GlobalLimitExec::new(Arc::clone(node), 0, Some(n_rows)))
    }))
}
