//! What executors report of tasks.

use std::time::Instant;

use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::{FailedTask, TaskStatus, task_status};
use ballista_core::serde::scheduler::ExecutorMetadata;
use emporia_engine::EVERY_EXECUTOR;

use super::super::cluster::Shared;
use super::super::lineage::{Event, Failure, StageId, TaskId};
use super::super::places::Output;
use super::super::standing::SetAside;
use super::{Effects, RecoveringGraph};

impl RecoveringGraph {
    /// Takes note of a report.
    pub(super) fn report(
        &mut self,
        executor: &ExecutorMetadata,
        mut report: TaskStatus,
        effects: &mut Effects,
    ) {
        let (stage, task) = (report.stage_id as usize, report.task_id as usize);
        let key = self.key(stage, task);
        let event = match &report.status {
            Some(task_status::Status::Successful(_)) => Event::Succeeded {
                stage,
                task,
                executor: executor.id.clone(),
            },
            Some(task_status::Status::Failed(failed)) => Event::Failed {
                stage,
                task,
                executor: executor.id.clone(),
                failure: failure_of(failed),
            },
            Some(task_status::Status::Running(_)) | None => return,
        };
        self.shared.slots.release(&executor.id, &key);
        // One that came too late tells of the network, too.
        let is_cut_off = self.is_cut_off(&event);
        if !self.lineage.is_running(stage, task, &executor.id) {
            tracing::debug!(?key, executor = executor.id, "a report came too late");
            return;
        }
        let event = match is_cut_off {
            true => self.elsewhere(stage, task, event),
            false => event,
        };
        self.judge(stage, task, &event, &executor.id);
        if let Some(task_status::Status::Successful(done)) = &mut report.status {
            let written = std::mem::take(&mut done.partitions);
            let output = Output::new(&self.about.job_id, executor, written);
            self.outputs.add(stage, task, output);
        }
        self.stages.set_ended(stage, task, report);
        self.step(event, effects);
    }

    /// Whether a task could not fetch its input because others do not reach its own executor.
    fn is_cut_off(&self, event: &Event) -> bool {
        let Event::Failed {
            executor,
            failure:
                Failure::NoInput {
                    executor: Some(holder),
                    ..
                },
            ..
        } = event
        else {
            return false;
        };
        let Shared { slots, cuts, .. } = self.shared.as_ref();
        slots.has(holder) && cuts.failed(executor, holder, Instant::now())
    }

    /// A task that is cut off goes to another executor, which finds its input where it is. Where it was given to this
    /// one again, there is no other, and its input has to be computed here.
    fn elsewhere(&self, stage: StageId, task: TaskId, event: Event) -> Event {
        let Event::Failed { executor, .. } = &event else {
            return event;
        };
        let standings = &self.shared.standings;
        let failed_on = standings.failed_on(&self.about.job_id, stage);
        let mut partitions = self.stages.partitions_of(stage, task).iter();
        let is_again = |partition: &usize| {
            failed_on
                .get(partition)
                .is_some_and(|e| e.contains(executor))
        };
        if partitions.any(is_again) {
            return event;
        }
        self.avoid(stage, task, executor);
        Event::Failed {
            stage,
            task,
            executor: executor.clone(),
            failure: Failure::Stopped,
        }
    }

    /// Notes how well the executor does its tasks.
    fn judge(&self, stage: StageId, task: TaskId, event: &Event, executor: &str) {
        let (standings, now) = (&self.shared.standings, Instant::now());
        let set_aside = match event {
            Event::Succeeded { .. } => standings.succeeded(executor, now),
            Event::Failed {
                failure: Failure::Passing(_),
                ..
            } => {
                self.avoid(stage, task, executor);
                standings.failed(executor, now)
            }
            _ => return,
        };
        set_aside.iter().for_each(SetAside::log);
    }

    /// The partitions of a task go to another executor, if there is one.
    pub(super) fn avoid(&self, stage: StageId, task: TaskId, executor: &str) {
        let partitions = self.stages.partitions_of(stage, task);
        let stage = (&self.about.job_id, stage);
        self.shared.standings.avoid(executor, stage, partitions);
    }
}

/// What the report of a failed task means.
fn failure_of(failed: &FailedTask) -> Failure {
    let text = failed.error.clone();
    match &failed.failed_reason {
        Some(FailedReason::FetchPartitionError(lost)) => Failure::NoInput {
            stage: lost.map_stage_id as usize,
            executor: (lost.executor_id != EVERY_EXECUTOR).then(|| lost.executor_id.clone()),
            text,
        },
        Some(FailedReason::TaskKilled(_) | FailedReason::ResultLost(_)) => Failure::Stopped,
        Some(FailedReason::ExecutionError(_)) => Failure::Final(text),
        Some(_) if failed.retryable && failed.count_to_failures => Failure::Passing(text),
        Some(_) if failed.retryable => Failure::Stopped,
        Some(_) => Failure::Final(text),
        None => Failure::Final(format!("{text} (the executor gave no reason)")),
    }
}
