//! Frames by value that end before their row.
//!
//! A frame such as `RANGE BETWEEN 5 PRECEDING AND 1 PRECEDING` has the row itself and its peers in it where the
//! key less one is the key again: for NULL, NaN, infinities and large floating numbers. A window that yields
//! rows while it reads takes it for complete before the peers are there, so that its rows depend on the sizes of
//! batches. Such windows read each partition whole.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::by_node::replaced;

/// The plan with windows that read whole partitions where their frames need it. Ballista plans stages again and
/// takes windows back, so that executors ask for this, too.
///
/// # Errors
/// Where the plan cannot be put together.
pub fn with_whole_frames(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    replaced(plan, |node| {
        let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() else {
            return Ok(None);
        };
        let exprs = window.window_expr();
        if !exprs.iter().any(|e| ends_before(e.get_window_frame())) {
            return Ok(None);
        }
        let input = Arc::clone(window.input());
        let is_parted = !window.partition_keys().is_empty();
        let whole = WindowAggExec::try_new(exprs.to_vec(), input, is_parted)?;
        Ok(Some(Arc::new(whole)))
    })
}

fn ends_before(frame: &WindowFrame) -> bool {
    let is_by_value = frame.units == WindowFrameUnits::Range;
    is_by_value && matches!(&frame.end_bound, WindowFrameBound::Preceding(_))
}
