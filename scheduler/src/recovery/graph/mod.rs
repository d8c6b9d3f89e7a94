//! A job, as Ballista's scheduler sees it.
//!
//! [`Lineage`] decides; this carries it out. `stages.rs` has the plans of the stages, `reports.rs` what
//! executors report, `ballista.rs` the side that Ballista calls, and `record.rs` what is kept of a job that
//! has ended.

mod ballista;
mod cut;
mod record;
mod reports;
mod stages;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::{BallistaError, Result};
use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::{
    FailedJob, JobStatus, ResultLost, SuccessfulJob, TaskKilled, task_status,
};
use ballista_core::serde::scheduler::{PartitionLocation, TaskKey};
use ballista_scheduler::scheduler_server::event::QueryStageSchedulerEvent;
use ballista_scheduler::scheduler_server::timestamp_millis;
use ballista_scheduler::state::execution_graph::{ExecutionGraphBox, RunningTaskInfo};
use ballista_scheduler::state::execution_stage::RunningStage;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

use super::cluster::Shared;
use super::copies::{Pace, may_be_copied};
use super::lineage::{Action, Event, Limits, Lineage, StageId, StageShape, TaskId};
use super::places::Outputs;
use super::repeatable::is_repeatable;
use stages::{MadeFor, Stages};

pub(super) use record::{record_of, record_of_unplanned};

/// In the place of stages to leave out, see [`straggler`].
const STRAGGLERS: [usize; 1] = [usize::MAX];

/// Puts the partitions of a task on offer that runs far longer than others of its stage; that stage, which has
/// nothing else on offer. The caller takes them from the offer again, for a copy or for nothing.
///
/// The graphs of jobs are known by Ballista's trait only, which has one way to a stage that can be changed.
pub(super) fn straggler(graph: &mut ExecutionGraphBox) -> Option<&mut RunningStage> {
    graph.fetch_running_stage(&STRAGGLERS)
}

/// A job that survives the loss of executors.
#[derive(Clone)]
pub(super) struct RecoveringGraph {
    about: About,
    status: JobStatus,
    queued_at: u64,
    end_time: u64,
    lineage: Lineage,
    stages: Stages,
    outputs: Outputs,
    /// Stages whose tasks may run twice at a time.
    may_be_copied: HashSet<StageId>,
    shared: Arc<Shared>,
}

/// What does not change while a job runs.
#[derive(Clone)]
struct About {
    job_id: JobId,
    job_name: String,
    session_id: String,
    scheduler_id: Option<String>,
    session_config: Arc<SessionConfig>,
    logical_plan: Option<String>,
    physical_plan: Arc<dyn ExecutionPlan>,
    start_time: u64,
}

impl About {
    fn of(graph: &ExecutionGraphBox) -> Self {
        Self {
            job_id: graph.job_id().clone(),
            job_name: graph.job_name().to_owned(),
            session_id: graph.session_id().to_owned(),
            scheduler_id: graph.scheduler_id().map(str::to_owned),
            session_config: graph.session_config(),
            logical_plan: graph.logical_plan().map(str::to_owned),
            physical_plan: graph.physical_plan(),
            start_time: graph.start_time(),
        }
    }
}

/// What follows from a change of the graph.
#[derive(Default)]
struct Effects {
    cancelled: Vec<RunningTaskInfo>,
    changed: HashSet<StageId>,
    has_started_stages: bool,
    end: Option<std::result::Result<(), String>>,
}

impl RecoveringGraph {
    /// Takes over `planned`, of which no task was given out.
    ///
    /// # Errors
    /// Where it is not a graph of stages that are all planned and have not begun.
    pub(super) fn adopt(
        planned: &ExecutionGraphBox,
        limits: Limits,
        shared: Arc<Shared>,
    ) -> Result<Self> {
        let stages = Stages::of(planned)?;
        let shapes = stages.templates().map(|(id, stage)| {
            let shape = StageShape {
                inputs: stage.inputs.keys().copied().collect(),
                is_repeatable: is_repeatable(&stage.plan),
            };
            (id, shape)
        });
        let (lineage, actions) =
            Lineage::new(shapes.collect(), limits).map_err(BallistaError::Internal)?;
        let copied = stages.templates().filter(|(_, s)| may_be_copied(&s.plan));
        let may_be_copied = copied.map(|(id, _)| id).collect();
        let status = planned.status().clone();
        let queued_at = match &status.status {
            Some(Status::Running(running)) => running.queued_at,
            _ => planned.start_time(),
        };
        let mut graph = Self {
            about: About::of(planned),
            status,
            queued_at,
            end_time: 0,
            lineage,
            stages,
            outputs: Outputs::default(),
            may_be_copied,
            shared,
        };
        let effects = graph.carry_out(actions);
        match effects.end {
            Some(Err(text)) => Err(BallistaError::General(text)),
            _ => Ok(graph),
        }
    }

    /// Tells the lineage which tasks were given out since it was asked last.
    fn note_bound(&mut self) {
        let mut bound = Vec::new();
        for (id, stage) in self.stages.running() {
            let n_known = self.lineage.n_tasks(id);
            for task in stage.task_infos.iter().skip(n_known) {
                if let task_status::Status::Running(running) = &task.task_status {
                    bound.push(Event::Bound {
                        stage: id,
                        executor: running.executor_id.clone(),
                        partitions: task.global_input_partition_ids.clone(),
                    });
                }
            }
        }
        let before = (self.lineage.n_rerun(), self.lineage.n_copies());
        for event in bound {
            self.lineage.step(event);
        }
        let number = |n: usize| n.try_into().unwrap_or(u64::MAX);
        let counts = &self.shared.counts;
        counts
            .rerun
            .inc_by(number(self.lineage.n_rerun() - before.0));
        counts
            .copied
            .inc_by(number(self.lineage.n_copies() - before.1));
    }

    fn step(&mut self, event: Event, effects: &mut Effects) {
        let actions = self.lineage.step(event);
        let further = self.carry_out(actions);
        effects.cancelled.extend(further.cancelled);
        effects.changed.extend(further.changed);
        effects.has_started_stages |= further.has_started_stages;
        effects.end = effects.end.take().or(further.end);
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> Effects {
        let mut effects = Effects::default();
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Forget { stage, task } => {
                    self.outputs.remove(stage, task);
                    let lost = FailedReason::ResultLost(ResultLost {});
                    self.stages
                        .set_gone(stage, task, "its output was lost", lost);
                    effects.changed.insert(stage);
                }
                Action::Kill { stage, task } => {
                    effects.cancelled.extend(self.give_up(stage, task));
                    let killed = FailedReason::TaskKilled(TaskKilled {});
                    self.stages
                        .set_gone(stage, task, "it was not needed any more", killed);
                }
                Action::Wait { stage } => {
                    self.stages.park(stage);
                    effects.changed.insert(stage);
                }
                Action::Start {
                    stage,
                    keeps_outputs,
                } => match self.start(stage, keeps_outputs) {
                    Ok(n_partitions) => {
                        effects.has_started_stages = true;
                        effects.changed.insert(stage);
                        let event = Event::Started {
                            stage,
                            n_partitions,
                        };
                        // What follows from the start comes before what was to be done after it.
                        for action in self.lineage.step(event).into_iter().rev() {
                            actions.push_front(action);
                        }
                    }
                    Err(error) => {
                        self.lineage.end();
                        let text = format!("Job failed due to stage {stage} failed: {error}\n");
                        self.set_failed(text.clone());
                        effects.end = Some(Err(text));
                        return effects;
                    }
                },
                Action::Offer { stage, partitions } => {
                    self.stages.offer(stage, partitions);
                    effects.changed.insert(stage);
                }
                Action::Complete { stage } => self.stages.set_complete(stage),
                Action::Finish => {
                    effects.end = Some(self.set_successful().map_err(|e| e.to_string()));
                }
                Action::Fail { text } => {
                    self.set_failed(text.clone());
                    effects.end = Some(Err(text));
                }
            }
        }
        effects
    }

    fn start(&mut self, stage: StageId, keeps_outputs: bool) -> Result<usize> {
        let made_for = MadeFor {
            job: &self.about.job_id,
            config: &self.about.session_config,
            n_slots: self.shared.slots.n_all(),
            replans: &self.shared.replans,
        };
        self.stages
            .start(stage, keeps_outputs, &self.outputs, &made_for)
    }

    /// Nobody waits for a task any more; how to stop it.
    fn give_up(&self, stage: StageId, task: TaskId) -> Option<RunningTaskInfo> {
        let executor_id = self.stages.executor_of(stage, task)?.to_owned();
        self.shared
            .slots
            .give_up(&executor_id, &self.key(stage, task));
        Some(RunningTaskInfo {
            task_id: task,
            job_id: self.about.job_id.clone(),
            stage_id: stage,
            executor_id,
        })
    }

    fn key(&self, stage: StageId, task: TaskId) -> TaskKey {
        TaskKey {
            job_id: self.about.job_id.clone(),
            stage_id: stage,
            task_id: task,
        }
    }

    /// All that an executor ran and computed is lost.
    fn lose(&mut self, executor: &str) -> Effects {
        for (stage, task) in self.stages.tasks_on(executor) {
            // The process may still be there, and go on.
            self.give_up(stage, task);
            if self.lineage.was_lost_before(stage, task) {
                self.avoid(stage, task, executor);
            }
            let lost = FailedReason::ResultLost(ResultLost {});
            let why = format!("the executor {executor} was lost");
            self.stages.set_gone(stage, task, &why, lost);
        }
        let mut effects = Effects::default();
        let executor = executor.to_owned();
        self.step(Event::Lost { executor }, &mut effects);
        effects
    }

    /// Puts the partitions of the slowest task on offer once more, if it is far slower than others.
    fn offer_straggler(&mut self) -> Option<&mut RunningStage> {
        let now = timestamp_millis().into();
        let (id, task) = self.stages.running().find_map(|(id, stage)| {
            if !self.may_be_copied.contains(&id) || !stage.pending.is_empty() {
                return None;
            }
            let pace = Pace::of(&stage.task_infos);
            let task = pace.straggler(now, |task| self.lineage.may_be_copied(id, task))?;
            Some((id, task))
        })?;
        let partitions = self.stages.partitions_of(id, task).to_vec();
        self.stages.offer(id, partitions);
        self.stages.running_mut(id)
    }

    fn places_of_result(&self) -> Vec<PartitionLocation> {
        let stages = self.stages.shown().iter();
        let mut last = stages.filter(|(_, stage)| stage.output_links().is_empty());
        last.next()
            .map(|(id, _)| self.outputs.list(*id))
            .unwrap_or_default()
    }

    fn set_successful(&mut self) -> Result<()> {
        let places = self.places_of_result().into_iter();
        let partition_location = places.map(TryInto::try_into).collect::<Result<Vec<_>>>()?;
        self.end_time = timestamp_millis();
        self.status.status = Some(Status::Successful(SuccessfulJob {
            partition_location,
            queued_at: self.queued_at,
            started_at: self.about.start_time,
            ended_at: self.end_time,
        }));
        Ok(())
    }

    fn set_failed(&mut self, error: String) {
        self.end_time = timestamp_millis();
        self.status.status = Some(Status::Failed(FailedJob {
            error,
            queued_at: self.queued_at,
            started_at: self.about.start_time,
            ended_at: self.end_time,
        }));
    }

    fn events_of(&self, effects: Effects) -> Vec<QueryStageSchedulerEvent> {
        let job_id = self.about.job_id.clone();
        let mut events = Vec::new();
        if !effects.cancelled.is_empty() {
            events.push(QueryStageSchedulerEvent::CancelTasks(effects.cancelled));
        }
        match effects.end {
            Some(Ok(())) => events.push(QueryStageSchedulerEvent::JobFinished {
                job_id,
                queued_at: self.queued_at,
                completed_at: self.end_time,
            }),
            Some(Err(fail_message)) => events.push(QueryStageSchedulerEvent::JobRunningFailed {
                job_id,
                fail_message,
                queued_at: self.queued_at,
                failed_at: self.end_time,
            }),
            None if effects.has_started_stages => {
                events.push(QueryStageSchedulerEvent::JobUpdated(job_id));
            }
            None => {}
        }
        events
    }
}

impl fmt::Debug for RecoveringGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveringGraph")
            .field("job_id", &self.about.job_id)
            .field("status", &self.status.status)
            .field("lineage", &self.lineage)
            .finish_non_exhaustive()
    }
}
