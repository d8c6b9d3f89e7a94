//! Looks each second at what executors do, and acts on it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::JobId;
use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{
    FailedTask, ResultLost, TaskStatus, UpdateTaskStatusParams, task_status,
};
use ballista_core::serde::scheduler::{ExecutorMetadata, TaskKey};
use ballista_scheduler::cluster::ClusterState;
use ballista_scheduler::state::execution_graph::{ExecutionGraphBox, RunningTaskInfo};
use tokio::sync::RwLock;
use tonic::Request;

use super::cluster::Recovering;
use super::finished::FinishedJobs;
use super::probe::{Answer, Probe};
use super::reconcile::{Finding, Reconciler};
use crate::serve::Scheduler;

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches the executors of `cluster`, and what is `finished`, for as long as the scheduler runs.
pub(crate) async fn watch(
    cluster: Arc<Recovering>,
    finished: Arc<FinishedJobs>,
    scheduler: Arc<Scheduler>,
) {
    let mut watch = Watch {
        cluster,
        finished,
        scheduler,
        probe: Probe::default(),
        reconciler: Reconciler::default(),
        registrations: HashMap::new(),
        failed: HashSet::new(),
    };
    loop {
        tokio::time::sleep(PAUSE).await;
        watch.look().await;
    }
}

struct Watch {
    cluster: Arc<Recovering>,
    finished: Arc<FinishedJobs>,
    scheduler: Arc<Scheduler>,
    probe: Probe,
    reconciler: Reconciler,
    /// The executors of the last round, with the number of their registration.
    registrations: HashMap<String, u64>,
    /// Jobs that had failed in the last round and were still there.
    failed: HashSet<JobId>,
}

impl Watch {
    async fn look(&mut self) {
        self.release_ended_jobs();
        for job in self.finished.expire(Instant::now()) {
            self.scheduler.state.executor_manager.clean_up_job_data(job);
        }
        // In this order: an executor that registers again in between is asked under its old number, which does not count.
        let before = std::mem::replace(&mut self.registrations, self.cluster.registrations());
        let executors = self.cluster.registered_executor_metadata().await;
        let asked = &self.registrations;
        let is_same = |id: &str| asked.contains_key(id) && asked.get(id) == before.get(id);
        self.reconciler.keep(is_same);
        self.probe.keep(is_same);
        let mut present = None;
        for (executor, answer) in self.probe.ask(executors).await {
            let number = self.registrations.get(&executor.id).copied();
            let Some(number) = number.filter(|n| self.cluster.is_registered(&executor.id, *n))
            else {
                // The answer is that of a process that is gone.
                continue;
            };
            match answer {
                Answer::Tasks(tasks) => {
                    let held = self.cluster.shared().slots.held(&executor.id);
                    let now = Instant::now();
                    let findings = self.reconciler.compare(&executor.id, tasks, &held, now);
                    self.act(&executor, findings).await;
                    present = Some(executor.id);
                }
                Answer::Lost => self.cluster.set_silent(&executor.id, number),
                Answer::None => {}
            }
        }
        self.end_failed_jobs().await;
        // Free slots may be of use without any report: for an executor that is no longer set aside, or
        // for the copy of a slow task.
        if let Some(executor) = present
            && self.scheduler.running_job_number() > 0
        {
            self.cluster.look_for_copies();
            self.report(&executor, Vec::new()).await;
        }
    }

    /// Where no job runs, no task is given out, and nobody else looks at the slots of ended jobs.
    fn release_ended_jobs(&self) {
        let slots = &self.cluster.shared().slots;
        // In this order: a job holds slots only after it was there.
        let holding = slots.jobs();
        let running = self.scheduler.state.task_manager.get_running_job_cache();
        slots.keep_jobs(|job| !holding.contains(job) || running.contains_key(job));
    }

    async fn act(&self, executor: &ExecutorMetadata, findings: Vec<Finding>) {
        let mut reports = Vec::new();
        let mut strays = Vec::new();
        for finding in findings {
            match finding {
                Finding::Restarted => {
                    if let Err(error) = self.cluster.set_restarted(executor).await {
                        tracing::error!(%error, executor = executor.id, "a loss cannot be told");
                    }
                }
                Finding::Unreported { task, has_ended } => {
                    tracing::warn!(
                        ?task,
                        has_ended,
                        executor = executor.id,
                        "an executor does not run a task that was given to it, and has not reported its end"
                    );
                    reports.push(unreported(&task));
                }
                Finding::Stray(task) => strays.push(RunningTaskInfo {
                    task_id: task.task_id,
                    job_id: task.job_id,
                    stage_id: task.stage_id,
                    executor_id: executor.id.clone(),
                }),
            }
        }
        if !reports.is_empty() {
            self.report(&executor.id, reports).await;
        }
        if !strays.is_empty() {
            tracing::info!(
                ?strays,
                "tasks run for which nobody waits; they are stopped"
            );
            let manager = &self.scheduler.state.executor_manager;
            if let Err(error) = manager.cancel_running_tasks(strays).await {
                tracing::warn!(%error, "tasks cannot be stopped");
            }
        }
    }

    /// Reports for an executor, in the way that it would. Without any report it makes the scheduler
    /// give out tasks.
    async fn report(&self, executor: &str, task_status: Vec<TaskStatus>) {
        let params = UpdateTaskStatusParams {
            executor_id: executor.to_owned(),
            task_status,
        };
        let request = Request::new(params);
        let scheduler = self.scheduler.as_ref();
        if let Err(error) = SchedulerGrpc::update_task_status(scheduler, request).await {
            tracing::warn!(%error, executor, "the end of tasks cannot be reported");
        }
    }

    /// Ends jobs that a loss has made fail: Ballista expects that of reports only.
    async fn end_failed_jobs(&mut self) {
        let jobs = self.scheduler.state.task_manager.get_running_job_cache();
        let failed = failed_of(jobs.iter().map(|(id, job)| (id, &job.execution_graph)));
        // One that failed by a report has left until now.
        for id in failed.intersection(&self.failed) {
            if let Err(error) = self.scheduler.cancel_job(id.clone()).await {
                tracing::warn!(%error, job = %id, "a job that has failed cannot be ended");
            }
        }
        self.failed = failed;
    }
}

/// Those of `jobs` that have failed. One whose graph is in use is looked at the next time: whoever uses it may be making
/// a plan, and the other jobs must not wait for that.
pub(super) fn failed_of<'a>(
    jobs: impl Iterator<Item = (&'a JobId, &'a Arc<RwLock<ExecutionGraphBox>>)>,
) -> HashSet<JobId> {
    let has_failed = |graph: &RwLock<ExecutionGraphBox>| {
        // Neither is the status copied: that of a job that has succeeded names all its outputs.
        graph
            .try_read()
            .is_ok_and(|graph| matches!(graph.status().status, Some(Status::Failed(_))))
    };
    jobs.filter(|(_, graph)| has_failed(graph))
        .map(|(id, _)| id.clone())
        .collect()
}

/// The report of a task of which the end was not reported: it has to be given out again.
pub(super) fn unreported(task: &TaskKey) -> TaskStatus {
    TaskStatus {
        task_id: u32::try_from(task.task_id).unwrap_or(u32::MAX),
        job_id: task.job_id.as_str().to_owned(),
        stage_id: u32::try_from(task.stage_id).unwrap_or(u32::MAX),
        status: Some(task_status::Status::Failed(FailedTask {
            error: "its end was not reported".to_owned(),
            retryable: true,
            count_to_failures: false,
            failed_reason: Some(FailedReason::ResultLost(ResultLost {})),
        })),
        ..TaskStatus::default()
    }
}
