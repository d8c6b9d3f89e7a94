//! Gives tasks to executors.

use std::collections::HashSet;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::config::BallistaConfig;
use ballista_core::execution_plans::{RangeShuffleReaderExec, ShuffleReaderExec};
use ballista_core::serde::protobuf::task_status;
use ballista_core::serde::scheduler::TaskKey;
use ballista_scheduler::cluster::BoundTask;
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::execution_graph::{
    ExecutionGraphBox, TaskDescription, create_task_info,
};
use ballista_scheduler::state::execution_stage::{PendingPartitions, RunningStage};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use tokio::sync::OwnedRwLockWriteGuard;

use super::cluster::Shared;
use super::graph::straggler;
use super::standing::FailedOn;

/// A job that wants tasks given out.
pub(super) type Job = (JobId, OwnedRwLockWriteGuard<ExecutionGraphBox>);

/// One round of giving out tasks.
pub(super) struct Binding<'a> {
    shared: &'a Shared,
    policy: &'a TaskDistributionPolicy,
    /// The executors that may get tasks, whether they have free slots or not.
    usable: HashSet<String>,
    /// Those with free slots.
    free: Vec<(String, u32)>,
    /// The executor whose turn it is.
    turn: usize,
    bound: Vec<BoundTask>,
}

impl<'a> Binding<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        policy: &'a TaskDistributionPolicy,
        usable: HashSet<String>,
    ) -> Self {
        Self {
            shared,
            policy,
            free: shared.slots.free(&usable),
            usable,
            turn: 0,
            bound: Vec::new(),
        }
    }

    /// The tasks that were given out.
    pub(super) fn bound(self) -> Vec<BoundTask> {
        self.bound
    }

    /// Gives out the open partitions of `jobs`, a task of each job in turn.
    pub(super) fn give(&mut self, jobs: &mut [Job]) {
        let mut has_given = true;
        while has_given {
            has_given = false;
            for (job, graph) in jobs.iter_mut() {
                if !self.has_free() {
                    return;
                }
                has_given |= self.give_one(job, graph);
            }
        }
    }

    /// Gives tasks that run far longer than others to a second executor, where nothing else waits.
    pub(super) fn give_copies(&mut self, jobs: &mut [Job]) {
        if jobs.iter().any(|(_, graph)| graph.available_tasks() > 0) {
            return;
        }
        for (job, graph) in jobs.iter_mut() {
            while self.has_free() && self.give_copy(job, graph) {}
        }
    }

    fn has_free(&self) -> bool {
        self.free.iter().any(|(_, n_free)| *n_free > 0)
    }

    /// The executors with free slots, from the one on whose turn it is.
    fn in_turn(&self) -> impl Iterator<Item = (usize, &str, u32)> {
        let n = self.free.len();
        let indices = (0..n).map(move |step| (self.turn + step) % n);
        indices
            .map(|index| {
                let (id, n_free) = &self.free[index];
                (index, id.as_str(), *n_free)
            })
            .filter(|(.., n_free)| *n_free > 0)
    }

    fn give_one(&mut self, job: &JobId, graph: &mut ExecutionGraphBox) -> bool {
        let session_id = graph.session_id().to_owned();
        let mut passed = Vec::new();
        while let Some(stage) = graph.fetch_running_stage(&passed) {
            let failed_on = self.shared.standings.failed_on(job, stage.stage_id);
            let is_whole = is_one_task(&stage.plan);
            let most = if is_whole {
                usize::MAX
            } else {
                max_partitions(stage)
            };
            let mut taken = None;
            for (index, executor, n_free) in self.in_turn() {
                let fits = |partition: usize| self.may_run(&failed_on, partition, executor);
                let partitions = if failed_on.is_empty() && is_whole {
                    stage.pending.next_slice(usize::MAX)
                } else if failed_on.is_empty() {
                    stage.pending.next_slice(most.min(n_free as usize))
                } else if is_whole {
                    all(&mut stage.pending, fits)
                } else {
                    some(&mut stage.pending, most.min(n_free as usize), fits)
                };
                if !partitions.is_empty() {
                    // A stage whose rows come together in one place is driven by one thread.
                    let n_slots = if is_whole { 1 } else { partitions.len() };
                    taken = Some((index, partitions, n_slots));
                    break;
                }
            }
            if let Some((index, partitions, n_slots)) = taken {
                let n_slots = u32::try_from(n_slots).unwrap_or(u32::MAX);
                self.hand_over(index, stage, job, session_id, partitions, n_slots);
                return true;
            }
            passed.push(stage.stage_id);
        }
        false
    }

    fn give_copy(&mut self, job: &JobId, graph: &mut ExecutionGraphBox) -> bool {
        let session_id = graph.session_id().to_owned();
        let Some(stage) = straggler(graph) else {
            return false;
        };
        // Nothing else is on offer. What is not given out now is not on offer afterwards.
        let partitions = stage.pending.next_slice(usize::MAX);
        let mut tasks = stage.task_infos.iter().rev();
        let original = tasks.find_map(|task| match &task.task_status {
            task_status::Status::Running(running)
                if task.global_input_partition_ids == partitions =>
            {
                Some((running.executor_id.as_str(), task.vcores_consumed))
            }
            _ => None,
        });
        let Some((original, n_slots)) = original else {
            return false;
        };
        let failed_on = self.shared.standings.failed_on(job, stage.stage_id);
        let mut fitting = self.in_turn().filter(|(_, executor, n_free)| {
            let mut partitions = partitions.iter();
            *executor != original
                && *n_free >= n_slots
                && partitions.all(|partition| self.may_run(&failed_on, *partition, executor))
        });
        let Some((index, ..)) = fitting.next() else {
            return false;
        };
        drop(fitting);
        tracing::info!(
            job = %job,
            stage = stage.stage_id,
            ?partitions,
            executor = original,
            "a task runs far longer than others; it is started a second time"
        );
        self.hand_over(index, stage, job, session_id, partitions, n_slots);
        true
    }

    /// Whether an executor may get a partition: it did not fail there, or it failed on all.
    fn may_run(&self, failed_on: &FailedOn, partition: usize, executor: &str) -> bool {
        failed_on.get(&partition).is_none_or(|executors| {
            !executors.contains(executor) || self.usable.iter().all(|id| executors.contains(id))
        })
    }

    /// Makes a task of `partitions` of `stage` and gives it to an executor with free slots.
    fn hand_over(
        &mut self,
        index: usize,
        stage: &mut RunningStage,
        job_id: &JobId,
        session_id: String,
        partitions: Vec<usize>,
        n_slots: u32,
    ) {
        let (executor, n_free) = &mut self.free[index];
        let failures = partitions.iter().map(|p| stage.task_failure_numbers[*p]);
        let task_attempt = failures.max().unwrap_or(0);
        let task_id = stage.task_infos.len();
        let mut info = create_task_info(executor.clone(), task_id);
        info.global_input_partition_ids.clone_from(&partitions);
        info.vcores_consumed = n_slots;
        stage.task_infos.push(info);
        let task = TaskDescription {
            session_id,
            key: TaskKey {
                job_id: job_id.clone(),
                stage_id: stage.stage_id,
                task_id,
            },
            stage_attempt_num: stage.stage_attempt_num,
            task_attempt,
            global_input_partition_ids: partitions,
            vcores_consumed: n_slots,
            plan: Arc::clone(&stage.plan),
            session_config: Arc::clone(&stage.session_config),
        };
        *n_free -= n_slots.min(*n_free);
        self.shared.slots.hold(executor, task.key.clone(), n_slots);
        self.bound.push((executor.clone(), task));
        self.turn = match self.policy {
            TaskDistributionPolicy::RoundRobin => index + 1,
            TaskDistributionPolicy::Bias | TaskDistributionPolicy::Custom(_) => index,
        };
    }
}

/// How many partitions a task of the stage may have.
fn max_partitions(stage: &RunningStage) -> usize {
    let options = stage.session_config.options();
    let limit = options.extensions.get::<BallistaConfig>();
    match limit.map_or(0, BallistaConfig::max_partitions_per_task) {
        0 => usize::MAX,
        limit => limit,
    }
}

/// Takes the first partitions that fit, at most `n_most`.
fn some(
    pending: &mut PendingPartitions,
    n_most: usize,
    fits: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let (mut taken, mut passed) = (Vec::new(), Vec::new());
    while taken.len() < n_most
        && let Some(partition) = pending.next_slice(1).pop()
    {
        if fits(partition) {
            taken.push(partition);
        } else {
            passed.push(partition);
        }
    }
    pending.reschedule(passed);
    taken
}

/// Takes all partitions, if all of them fit.
fn all(pending: &mut PendingPartitions, fits: impl Fn(usize) -> bool) -> Vec<usize> {
    let partitions = pending.next_slice(usize::MAX);
    if partitions.iter().all(|partition| fits(*partition)) {
        return partitions;
    }
    pending.reschedule(partitions);
    Vec::new()
}

/// Whether the rows of all partitions meet in one place within the stage, so that one task has to
/// read all of them: an operator with one partition lies between the stage's end and the first
/// operator that reads another stage or has several inputs.
fn is_one_task(stage: &Arc<dyn ExecutionPlan>) -> bool {
    let mut node = stage;
    loop {
        node = match node.children().as_slice() {
            [only] => only,
            _ => return false,
        };
        if node.is::<ShuffleReaderExec>() || node.is::<RangeShuffleReaderExec>() {
            return false;
        }
        if node.output_partitioning().partition_count() == 1 {
            return true;
        }
    }
}
