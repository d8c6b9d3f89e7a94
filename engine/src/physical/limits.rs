//! Limits below an exchange.
//!
//! The first rows of a query below another one are taken where its partitions are merged. Ballista plans the
//! input of an exchange once more, and takes the merge and its limit away where nothing above asks for one
//! partition: each task then yields as many rows as the limit allows all of them together. A merge of its
//! own stage is left alone.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use emporia_connectors::nodes::with_inputs;

/// Whether a node is in the last stage, which is not planned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Last,
    Other,
}

/// The plan with a stage for each merge that takes the first rows only.
pub(super) fn with_stages_for_limits(
    plan: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    below(plan, Stage::Last)
}

fn below(plan: Arc<dyn ExecutionPlan>, stage: Stage) -> Result<Arc<dyn ExecutionPlan>> {
    let merges = plan.is::<SortPreservingMergeExec>() || plan.is::<CoalescePartitionsExec>();
    let children: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
    let of_children = match stage {
        Stage::Last if children.len() == 1 && !merges && !plan.is::<RepartitionExec>() => stage,
        _ => Stage::Other,
    };
    let inputs = children.into_iter().map(|c| below(c, of_children));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let plan = with_inputs(plan, inputs)?;
    Ok(
        match stage == Stage::Other && merges && plan.fetch().is_some() {
            true => Arc::new(CoalescePartitionsExec::new(plan)),
            false => plan,
        },
    )
}
