//! Gives tasks to executors.

use std::collections::HashSet;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::config::BallistaConfig;
use ballista_core::execution_plans::{RangeShuffleReaderExec, ShuffleReaderExec};
use ballista_core::serde::scheduler::TaskKey;
use ballista_scheduler::cluster::BoundTask;
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::execution_graph::{
    ExecutionGraphBox, TaskDescription, create_task_info,
};
use ballista_scheduler::state::execution_stage::RunningStage;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use tokio::sync::OwnedRwLockWriteGuard;

use super::slots::Slots;

/// A job that wants tasks given out.
pub(super) type Job = (JobId, OwnedRwLockWriteGuard<ExecutionGraphBox>);

/// Gives the open partitions of `jobs` to the free slots of `executors`, a task of each job in turn.
pub(super) fn bind(
    slots: &Slots,
    policy: &TaskDistributionPolicy,
    jobs: &mut [Job],
    executors: &HashSet<String>,
) -> Vec<BoundTask> {
    let mut free = slots.free(executors);
    let mut bound = Vec::new();
    // The executor whose turn it is.
    let mut turn = 0;
    let mut has_given = true;
    while has_given {
        has_given = false;
        for (job_id, graph) in jobs.iter_mut() {
            let Some(index) = next_free(&free, turn) else {
                return bound;
            };
            let session_id = graph.session_id().to_owned();
            let Some(stage) = graph.fetch_running_stage(&[]) else {
                continue;
            };
            let (executor, n_free) = &mut free[index];
            let task = take(stage, job_id, session_id, executor, *n_free);
            *n_free -= task.vcores_consumed.min(*n_free);
            slots.hold(executor, task.key.clone(), task.vcores_consumed);
            bound.push((executor.clone(), task));
            turn = match policy {
                TaskDistributionPolicy::RoundRobin => index + 1,
                TaskDistributionPolicy::Bias | TaskDistributionPolicy::Custom(_) => index,
            };
            has_given = true;
        }
    }
    bound
}

/// The first executor with a free slot, from `turn` on.
fn next_free(free: &[(String, u32)], turn: usize) -> Option<usize> {
    (0..free.len())
        .map(|step| (turn + step) % free.len())
        .find(|index| free[*index].1 > 0)
}

/// Makes a task of open partitions of `stage`, of which there are some.
fn take(
    stage: &mut RunningStage,
    job_id: &JobId,
    session_id: String,
    executor: &str,
    n_free: u32,
) -> TaskDescription {
    let is_whole = is_one_task(&stage.plan);
    let n_most = if is_whole {
        usize::MAX
    } else {
        let options = stage.session_config.options();
        let limit = options.extensions.get::<BallistaConfig>();
        let limit = limit.map_or(0, BallistaConfig::max_partitions_per_task);
        let limit = if limit == 0 { usize::MAX } else { limit };
        limit.min(n_free as usize)
    };
    let partitions = stage.pending.next_slice(n_most);
    // A stage whose rows come together in one place is driven by one thread.
    let n_slots = if is_whole {
        1
    } else {
        u32::try_from(partitions.len()).unwrap_or(n_free)
    };
    let failures = partitions.iter().map(|p| stage.task_failure_numbers[*p]);
    let task_attempt = failures.max().unwrap_or(0);
    let task_id = stage.task_infos.len();
    let mut info = create_task_info(executor.to_owned(), task_id);
    info.global_input_partition_ids.clone_from(&partitions);
    info.vcores_consumed = n_slots;
    stage.task_infos.push(info);
    TaskDescription {
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
    }
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
