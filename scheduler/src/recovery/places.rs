//! Where a stage reads its inputs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf::ShuffleWritePartition;
use ballista_core::serde::scheduler::{
    ExecutorMetadata, ExecutorOperatingSystemSpecification, PartitionId, PartitionLocation,
    PartitionStats,
};
use ballista_scheduler::state::execution_stage::StageOutput;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::lineage::{StageId, TaskId};
use super::replan::regrouped;

/// The output of the tasks that count, by stage and task.
///
/// A stage has as many places as there are pairs of tasks and partitions, so what is the same for all places of a
/// task is kept once. The places in Ballista's form are made for the plan that reads them.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs(BTreeMap<StageId, BTreeMap<TaskId, Output>>);

/// What a task wrote, and where.
#[derive(Debug, Clone)]
pub(super) struct Output {
    job_id: JobId,
    executor: Arc<ExecutorMetadata>,
    written: Arc<[ShuffleWritePartition]>,
}

impl Output {
    /// What a task of the job wrote on an executor.
    pub(super) fn new(
        job_id: &JobId,
        executor: &ExecutorMetadata,
        written: Vec<ShuffleWritePartition>,
    ) -> Self {
        // Who reads it wants to know the address only, and each task gets it with each place.
        let os_info = ExecutorOperatingSystemSpecification {
            system_name: String::new(),
            kernel_ver: String::new(),
            os_ver: String::new(),
            os_ver_long: String::new(),
            ..executor.os_info.clone()
        };
        let executor = ExecutorMetadata {
            os_info,
            ..executor.clone()
        };
        Self {
            job_id: job_id.clone(),
            executor: Arc::new(executor),
            written: written.into(),
        }
    }

    fn place(
        &self,
        stage: StageId,
        task: TaskId,
        written: &ShuffleWritePartition,
    ) -> PartitionLocation {
        PartitionLocation {
            map_partition_id: task,
            partition_id: PartitionId::new(&self.job_id, stage, written.partition_id as usize),
            executor_meta: self.executor.as_ref().clone(),
            partition_stats: PartitionStats::new(
                Some(written.num_rows),
                Some(written.num_batches),
                Some(written.num_bytes),
            ),
            file_id: written.file_id,
            is_sort_shuffle: written.is_sort_shuffle,
        }
    }
}

impl Outputs {
    pub(super) fn add(&mut self, stage: StageId, task: TaskId, output: Output) {
        self.0.entry(stage).or_default().insert(task, output);
    }

    pub(super) fn remove(&mut self, stage: StageId, task: TaskId) {
        if let Some(tasks) = self.0.get_mut(&stage) {
            tasks.remove(&task);
        }
    }

    /// All that tasks of a stage wrote, in the order of tasks.
    fn written(
        &self,
        stage: StageId,
    ) -> impl Iterator<Item = (TaskId, &Output, &ShuffleWritePartition)> {
        let tasks = self.0.get(&stage).into_iter().flatten();
        tasks.flat_map(|(task, output)| {
            let written = output.written.iter();
            written.map(move |written| (*task, output, written))
        })
    }

    /// The places of a stage's output, by partition; within one in the order of tasks.
    fn places(&self, stage: StageId) -> HashMap<usize, Vec<PartitionLocation>> {
        // Counted first: a list that grows would be copied, and end with half of its memory unused.
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for (.., written) in self.written(stage) {
            *counts.entry(written.partition_id as usize).or_default() += 1;
        }
        let lists = counts.into_iter();
        let mut places: HashMap<usize, Vec<PartitionLocation>> = lists
            .map(|(partition, n)| (partition, Vec::with_capacity(n)))
            .collect();
        for (task, output, written) in self.written(stage) {
            let place = output.place(stage, task, written);
            let partition = place.partition_id.partition_id;
            places.entry(partition).or_default().push(place);
        }
        places
    }

    /// How much each partition of a stage's output holds, as one place that nobody may read from: enough to choose a
    /// plan by. Of the real places there are as many as there are pairs of tasks and partitions, and Ballista copies
    /// them several times while it makes a plan.
    pub(super) fn sizes(&self, stage: StageId) -> StageOutput {
        let mut sums: BTreeMap<u64, (TaskId, &Output, ShuffleWritePartition)> = BTreeMap::new();
        for (task, output, written) in self.written(stage) {
            match sums.get_mut(&written.partition_id) {
                Some((.., sum)) => {
                    sum.num_rows += written.num_rows;
                    sum.num_batches += written.num_batches;
                    sum.num_bytes += written.num_bytes;
                }
                None => {
                    sums.insert(written.partition_id, (task, output, *written));
                }
            }
        }
        let mut sizes = StageOutput::new();
        for (task, output, sum) in sums.into_values() {
            sizes.add_partition(output.place(stage, task, &sum));
        }
        sizes.complete = true;
        sizes
    }

    /// The output of a stage as one list, by partition and task.
    pub(super) fn list(&self, stage: StageId) -> Vec<PartitionLocation> {
        let mut partitions: Vec<_> = self.places(stage).into_iter().collect();
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
        let mut places = outputs.places(reader.stage_id);
        let of = |partition: usize| places.remove(&partition).unwrap_or_default();
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
