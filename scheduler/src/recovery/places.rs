//! Where a stage reads its inputs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::scheduler::PartitionLocation;
use ballista_scheduler::state::execution_stage::StageOutput;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::lineage::{StageId, TaskId};
use super::replan::regrouped;

/// The output of the tasks that count, by stage and task.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs(BTreeMap<StageId, BTreeMap<TaskId, Vec<PartitionLocation>>>);

impl Outputs {
    pub(super) fn add(&mut self, stage: StageId, task: TaskId, places: Vec<PartitionLocation>) {
        self.0.entry(stage).or_default().insert(task, places);
    }

    pub(super) fn remove(&mut self, stage: StageId, task: TaskId) {
        if let Some(tasks) = self.0.get_mut(&stage) {
            tasks.remove(&task);
        }
    }

    /// The output of a stage, by partition; within one in the order of tasks.
    pub(super) fn of(&self, stage: StageId) -> StageOutput {
        let mut output = StageOutput::new();
        for place in self
            .0
            .get(&stage)
            .into_iter()
            .flat_map(BTreeMap::values)
            .flatten()
        {
            output.add_partition(place.clone());
        }
        output.complete = true;
        output
    }

    /// The output of a stage as one list, by partition and task.
    pub(super) fn list(&self, stage: StageId) -> Vec<PartitionLocation> {
        let mut partitions: Vec<_> = self.of(stage).partition_locations.into_iter().collect();
        partitions.sort_unstable_by_key(|(partition, _)| *partition);
        partitions
            .into_iter()
            .flat_map(|(_, places)| places)
            .collect()
    }
}

/// `plan`, reading the same stages at the places of `outputs`.
///
/// # Errors
/// Where the plan reads a stage in a way that is not known here.
pub(super) fn moved(
    plan: Arc<dyn ExecutionPlan>,
    outputs: &Outputs,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() else {
            if node.children().is_empty() && node.name().contains("ShuffleReader") {
                return internal_err!("{} cannot read its input at another place", node.name());
            }
            return Ok(Transformed::no(node));
        };
        let places: HashMap<_, _> = outputs.of(reader.stage_id).partition_locations;
        let of = |partition: usize| places.get(&partition).cloned().unwrap_or_default();
        if let Some(groups) = &reader.coalesce {
            return regrouped(reader, groups.clone(), of).map(Transformed::yes);
        }
        let moved = if reader.broadcast {
            ShuffleReaderExec::try_new_broadcast(
                reader.stage_id,
                (0..reader.upstream_partition_count).flat_map(of).collect(),
                reader.schema(),
                reader.upstream_partition_count,
            )
        } else {
            ShuffleReaderExec::try_new(
                reader.stage_id,
                (0..reader.partition.len()).map(of).collect(),
                reader.schema(),
                node.output_partitioning().clone(),
            )
        };
        let moved = moved.map_err(|e| datafusion::error::DataFusionError::External(Box::new(e)))?;
        Ok(Transformed::yes(Arc::new(moved) as Arc<dyn ExecutionPlan>))
    })
    .data()
}
