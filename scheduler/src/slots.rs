//! Gives back task slots that Ballista lost count of.
//!
//! When Ballista 55 runs a stage again after the loss of an executor, it forgets the tasks that were
//! under way on the others, and with them the slots that these held. If all slots are lost, nothing
//! runs any more, though executors are there. That state can be told from every other one: tasks
//! wait, none runs, and an executor that answers gets none of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ballista_core::serde::protobuf::UpdateTaskStatusParams;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use tonic::Request;

use crate::serve::Scheduler;

/// Pause between two looks.
const POLL: Duration = Duration::from_secs(1);
/// After so many looks in a row, tasks are offered again, in case that an offer was lost.
const OFFER_AFTER: u32 = 3;
/// After so many, the slots are given back.
const GIVE_BACK_AFTER: u32 = 6;

/// Looks after the slots for as long as the scheduler runs; `executor_timeout` is the silence after
/// which an executor does not count.
pub(crate) async fn watch(scheduler: Arc<Scheduler>, executor_timeout: Duration) {
    let mut n_starved = 0;
    loop {
        tokio::time::sleep(POLL).await;
        let executors = answering(&scheduler, executor_timeout).await;
        n_starved = match is_starved(&scheduler).await && !executors.is_empty() {
            true => n_starved + 1,
            false => 0,
        };
        if n_starved == GIVE_BACK_AFTER {
            tracing::warn!(?executors, "task slots were lost and are given back");
            let given = scheduler
                .state
                .executor_manager
                .unbind_tasks(executors.clone());
            if let Err(error) = given.await {
                tracing::warn!(%error, "task slots cannot be given back");
            }
        }
        if n_starved == OFFER_AFTER || n_starved == GIVE_BACK_AFTER {
            offer(&scheduler, &executors).await;
        }
        n_starved %= GIVE_BACK_AFTER;
    }
}

/// Whether tasks wait and none runs.
async fn is_starved(scheduler: &Scheduler) -> bool {
    let mut n_waiting = 0;
    for job in scheduler
        .state
        .task_manager
        .get_running_job_cache()
        .values()
    {
        let graph = job.execution_graph.read().await;
        if !graph.running_tasks().is_empty() {
            return false;
        }
        n_waiting += graph.available_tasks();
    }
    n_waiting > 0
}

/// The executors that were heard of lately, and their slots.
async fn answering(scheduler: &Scheduler, executor_timeout: Duration) -> Vec<(String, u32)> {
    let state = scheduler.state.executor_manager.get_executors_state().await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let executors = state.unwrap_or_default().into_iter();
    let answering = executors.filter(|(_, heard, _)| {
        heard.is_some_and(|heard| now.saturating_sub(heard) < executor_timeout)
    });
    answering
        .map(|(executor, ..)| (executor.id, executor.specification.vcores))
        .collect()
}

/// Has the scheduler offer the waiting tasks to executors: an empty report of a task does that.
async fn offer(scheduler: &Scheduler, executors: &[(String, u32)]) {
    let Some((executor_id, _)) = executors.first() else {
        return;
    };
    let report = UpdateTaskStatusParams {
        executor_id: executor_id.clone(),
        task_status: Vec::new(),
    };
    if let Err(error) = SchedulerGrpc::update_task_status(scheduler, Request::new(report)).await {
        tracing::debug!(%error, "waiting tasks cannot be offered");
    }
}
