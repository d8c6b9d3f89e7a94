//! Offsets as steps that nothing moves below.
//!
//! DataFusion 55 moves a sort below `LIMIT 4 OFFSET 2`, as one of the first four rows: two are left. So what is left
//! out is a step apart, above a limit of six.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use emporia_connectors::nodes::with_inputs;
use emporia_connectors::offset::OffsetExec;

use super::by_node::Replacement;

/// Puts a step in place of the offset of a limit.
pub(super) fn as_steps(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let limit = node.downcast_ref::<GlobalLimitExec>();
    let Some(limit) = limit.filter(|limit| limit.skip() > 0) else {
        return Ok(None);
    };
    let n_rows = limit.fetch().and_then(|n| n.checked_add(limit.skip()));
    without_first(Arc::clone(limit.input()), limit.skip(), n_rows).map(Some)
}

/// The first `n_rows` rows of `rows` without the first `skip` of them, which are counted below projections: the
/// columns that they are in order of may not be there above.
fn without_first(
    rows: Arc<dyn ExecutionPlan>,
    skip: usize,
    n_rows: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(projection) = rows.downcast_ref::<ProjectionExec>() {
        let input = without_first(Arc::clone(projection.input()), skip, n_rows)?;
        return with_inputs(rows, vec![input]);
    }
    // A planner that takes a key for constant, which it is not in all grouping sets, leaves it out of the order of rows.
    let order = match rows.downcast_ref::<SortExec>() {
        Some(sort) => Some(sort.expr().clone()),
        None => rows.output_ordering().cloned(),
    };
    let rows = match n_rows {
        Some(_) => Arc::new(GlobalLimitExec::new(rows, 0, n_rows)),
        None => rows,
    };
    Ok(Arc::new(OffsetExec::in_order(rows, skip, order)))
}
