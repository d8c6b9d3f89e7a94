//! A job, as Ballista's scheduler sees it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::{BallistaError, Result};
use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::{
    FailedJob, FailedTask, JobStatus, ResultLost, SuccessfulJob, TaskKilled, TaskStatus,
    task_status,
};
use ballista_core::serde::scheduler::{
    ExecutorMetadata, PartitionId, PartitionLocation, PartitionStats, TaskKey,
};
use ballista_scheduler::scheduler_server::event::QueryStageSchedulerEvent;
use ballista_scheduler::scheduler_server::timestamp_millis;
use ballista_scheduler::state::execution_graph::{
    ExecutionGraph, ExecutionGraphBox, RunningTaskInfo,
};
use ballista_scheduler::state::execution_stage::{
    ExecutionStage, PendingPartitions, ResolvedStage, RunningStage, TaskInfo, UnresolvedStage,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use emporia_engine::EVERY_EXECUTOR;

use super::counts::Counts;
use super::lineage::{Action, Event, Failure, Limits, Lineage, StageId, StageShape, TaskId};
use super::places::{Outputs, moved};
use super::repeatable::is_repeatable;
use super::slots::Slots;

/// A job that survives the loss of executors. [`Lineage`] decides; this carries it out: it makes the
/// plans of stages, keeps where outputs lie, and shows Ballista the stages in its own types.
#[derive(Clone)]
pub(super) struct RecoveringGraph {
    about: About,
    status: JobStatus,
    queued_at: u64,
    end_time: u64,
    lineage: Lineage,
    /// The stages before their inputs are known.
    templates: BTreeMap<StageId, UnresolvedStage>,
    /// The stages as Ballista and its REST API see them.
    stages: HashMap<usize, ExecutionStage>,
    /// What stages that wait did before.
    past: HashMap<StageId, Past>,
    outputs: Outputs,
    slots: Arc<Slots>,
    counts: Counts,
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

/// What a stage did before it had to wait.
#[derive(Clone)]
struct Past {
    tasks: Vec<TaskInfo>,
    plan: Arc<dyn ExecutionPlan>,
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
        slots: Arc<Slots>,
        counts: Counts,
    ) -> Result<Self> {
        let mut templates = BTreeMap::new();
        for (id, stage) in planned.stages() {
            let template = match stage {
                ExecutionStage::UnResolved(stage) => stage.clone(),
                ExecutionStage::Resolved(stage) => stage.to_unresolved()?,
                ExecutionStage::Running(stage) if stage.task_infos.is_empty() => {
                    stage.to_unresolved(HashSet::new())?
                }
                _ => {
                    return Err(BallistaError::Internal(format!(
                        "stage {id} has begun before its job could be taken over"
                    )));
                }
            };
            templates.insert(*id, template);
        }
        let shapes = templates.iter().map(|(id, stage)| {
            let shape = StageShape {
                inputs: stage.inputs.keys().copied().collect(),
                is_repeatable: is_repeatable(&stage.plan),
            };
            (*id, shape)
        });
        let (lineage, actions) =
            Lineage::new(shapes.collect(), limits).map_err(BallistaError::Internal)?;
        let stages = templates
            .iter()
            .map(|(id, stage)| (*id, ExecutionStage::UnResolved(stage.clone())))
            .collect();
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
            templates,
            stages,
            past: HashMap::new(),
            outputs: Outputs::default(),
            slots,
            counts,
        };
        let effects = graph.carry_out(actions);
        match effects.end {
            Some(Err(text)) => Err(BallistaError::General(text)),
            _ => Ok(graph),
        }
    }

    /// Tells the lineage which tasks were given out since it was asked last.
    fn note_bound(&mut self) {
        let running = self.stages.iter().filter_map(|(id, stage)| match stage {
            ExecutionStage::Running(stage) => Some((*id, stage)),
            _ => None,
        });
        let mut bound = Vec::new();
        for (id, stage) in running {
            for task in &stage.task_infos[self.lineage.n_tasks(id)..] {
                if let task_status::Status::Running(running) = &task.task_status {
                    bound.push(Event::Bound {
                        stage: id,
                        executor: running.executor_id.clone(),
                        partitions: task.global_input_partition_ids.clone(),
                    });
                }
            }
        }
        let n_before = self.lineage.n_rerun();
        for event in bound {
            self.lineage.step(event);
        }
        let n_rerun = self.lineage.n_rerun() - n_before;
        self.counts
            .rerun
            .inc_by(n_rerun.try_into().unwrap_or(u64::MAX));
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
                    self.set_gone(stage, task, "its output was lost", lost);
                    effects.changed.insert(stage);
                }
                Action::Kill { stage, task } => {
                    if let Some(executor_id) = self.executor_of(stage, task) {
                        effects.cancelled.push(RunningTaskInfo {
                            task_id: task,
                            job_id: self.job_id().clone(),
                            stage_id: stage,
                            executor_id,
                        });
                    }
                    let killed = FailedReason::TaskKilled(TaskKilled {});
                    self.set_gone(stage, task, "its input was lost", killed);
                }
                Action::Wait { stage } => {
                    self.park(stage);
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
                    self.offer(stage, partitions);
                    effects.changed.insert(stage);
                }
                Action::Complete { stage } => self.set_complete(stage),
                Action::Finish => {
                    effects.end = Some(self.succeed_job().map_err(|e| e.to_string()));
                }
                Action::Fail { text } => {
                    self.set_failed(text.clone());
                    effects.end = Some(Err(text));
                }
            }
        }
        effects
    }

    /// Makes the plan of a stage whose inputs are complete; its number of partitions.
    fn start(&mut self, id: StageId, keeps_outputs: bool) -> Result<usize> {
        self.park(id);
        let past = self.past.remove(&id);
        let mut template = self
            .templates
            .get(&id)
            .cloned()
            .ok_or_else(|| BallistaError::Internal(format!("there is no stage {id}")))?;
        for (input, output) in &mut template.inputs {
            *output = self.outputs.of(*input);
        }
        let resolved = match &past {
            Some(past) if keeps_outputs => ResolvedStage::new(
                id,
                template.stage_attempt_num,
                moved(Arc::clone(&past.plan), &self.outputs)?,
                template.output_links,
                template.inputs,
                HashSet::new(),
                template.session_config,
            ),
            _ => template.to_resolved(self.session_config().options())?,
        };
        let mut running = resolved.to_running();
        running.pending = PendingPartitions::empty(running.partitions);
        // Numbers of tasks go on where they ended.
        running.task_infos = past.map(|past| past.tasks).unwrap_or_default();
        let n_partitions = running.partitions;
        self.stages.insert(id, ExecutionStage::Running(running));
        Ok(n_partitions)
    }

    /// Puts a stage back to where it waits for its inputs, if it is not there.
    fn park(&mut self, id: StageId) {
        let past = match self.stages.get(&id) {
            Some(ExecutionStage::Running(stage)) => Past {
                tasks: stage.task_infos.clone(),
                plan: Arc::clone(&stage.plan),
            },
            Some(ExecutionStage::Successful(stage)) => Past {
                tasks: stage.task_infos.clone(),
                plan: Arc::clone(&stage.plan),
            },
            _ => return,
        };
        self.past.insert(id, past);
        if let Some(template) = self.templates.get_mut(&id) {
            template.stage_attempt_num += 1;
            let waiting = ExecutionStage::UnResolved(template.clone());
            self.stages.insert(id, waiting);
        }
    }

    fn tasks_mut(&mut self, id: StageId) -> Option<&mut Vec<TaskInfo>> {
        match self.stages.get_mut(&id)? {
            ExecutionStage::Running(stage) => Some(&mut stage.task_infos),
            ExecutionStage::Successful(stage) => Some(&mut stage.task_infos),
            ExecutionStage::Failed(stage) => Some(&mut stage.task_infos),
            ExecutionStage::UnResolved(_) | ExecutionStage::Resolved(_) => {
                self.past.get_mut(&id).map(|past| &mut past.tasks)
            }
        }
    }

    fn set_gone(&mut self, stage: StageId, task: TaskId, error: &str, reason: FailedReason) {
        if let Some(task) = self.tasks_mut(stage).and_then(|tasks| tasks.get_mut(task)) {
            task.task_status = task_status::Status::Failed(FailedTask {
                error: error.to_owned(),
                retryable: true,
                count_to_failures: false,
                failed_reason: Some(reason),
            });
        }
    }

    fn executor_of(&mut self, stage: StageId, task: TaskId) -> Option<String> {
        match &self.tasks_mut(stage)?.get(task)?.task_status {
            task_status::Status::Running(running) => Some(running.executor_id.clone()),
            _ => None,
        }
    }

    fn running_mut(&mut self, id: StageId) -> Option<&mut RunningStage> {
        match self.stages.get_mut(&id) {
            Some(ExecutionStage::Running(stage)) => Some(stage),
            _ => None,
        }
    }

    fn offer(&mut self, id: StageId, partitions: Vec<usize>) {
        if let Some(stage) = self.running_mut(id) {
            stage.pending.reschedule(partitions);
        }
    }

    fn set_complete(&mut self, id: StageId) {
        if let Some(stage) = self.running_mut(id) {
            // Ballista warns of a stage without metrics; one whose tasks reported none has no values.
            stage.stage_metrics.get_or_insert_default();
            let done = ExecutionStage::Successful(stage.to_successful());
            self.stages.insert(id, done);
        }
    }

    fn set_failed(&mut self, error: String) {
        self.end_time = timestamp_millis();
        self.status.status = Some(Status::Failed(FailedJob {
            error,
            queued_at: self.queued_at,
            started_at: self.start_time(),
            ended_at: self.end_time,
        }));
    }

    fn report(&mut self, executor: &ExecutorMetadata, report: TaskStatus, effects: &mut Effects) {
        let (stage, task) = (report.stage_id as usize, report.task_id as usize);
        let key = TaskKey {
            job_id: self.job_id().clone(),
            stage_id: stage,
            task_id: task,
        };
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
        self.slots.release(&executor.id, &key);
        if !self.lineage.is_running(stage, task, &executor.id) {
            tracing::debug!(?key, executor = executor.id, "a report came too late");
            return;
        }
        if let Some(running) = self.running_mut(stage) {
            running.update_task_info(task, report.clone());
        }
        if let Some(task_status::Status::Successful(done)) = report.status {
            if let Some(running) = self.running_mut(stage)
                && let Err(error) = running.update_task_metrics(task, report.metrics)
            {
                // A stage that was planned again may have other operators. Rows do not depend on it.
                tracing::debug!(%error, ?key, "the metrics of a task do not fit its stage");
            }
            let places = done
                .partitions
                .into_iter()
                .map(|written| PartitionLocation {
                    map_partition_id: task,
                    partition_id: PartitionId::new(
                        &key.job_id,
                        stage,
                        written.partition_id as usize,
                    ),
                    executor_meta: executor.clone(),
                    partition_stats: PartitionStats::new(
                        Some(written.num_rows),
                        Some(written.num_batches),
                        Some(written.num_bytes),
                    ),
                    file_id: written.file_id,
                    is_sort_shuffle: written.is_sort_shuffle,
                });
            self.outputs.add(stage, task, places.collect());
        }
        self.step(event, effects);
    }

    fn events_of(&self, effects: Effects) -> Vec<QueryStageSchedulerEvent> {
        let job_id = self.job_id().clone();
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

impl fmt::Debug for RecoveringGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveringGraph")
            .field("job_id", &self.job_id())
            .field("status", &self.status.status)
            .field("lineage", &self.lineage)
            .finish_non_exhaustive()
    }
}

impl ExecutionGraph for RecoveringGraph {
    fn job_id(&self) -> &JobId {
        &self.about.job_id
    }

    fn job_name(&self) -> &str {
        &self.about.job_name
    }

    fn session_id(&self) -> &str {
        &self.about.session_id
    }

    fn scheduler_id(&self) -> Option<&str> {
        self.about.scheduler_id.as_deref()
    }

    fn session_config(&self) -> Arc<SessionConfig> {
        Arc::clone(&self.about.session_config)
    }

    fn status(&self) -> &JobStatus {
        &self.status
    }

    fn logical_plan(&self) -> Option<&str> {
        self.about.logical_plan.as_deref()
    }

    fn physical_plan(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.about.physical_plan)
    }

    fn start_time(&self) -> u64 {
        self.about.start_time
    }

    fn end_time(&self) -> u64 {
        self.end_time
    }

    fn completed_stages(&self) -> usize {
        let is_done = |stage: &&ExecutionStage| matches!(stage, ExecutionStage::Successful(_));
        self.stages.values().filter(is_done).count()
    }

    fn is_successful(&self) -> bool {
        matches!(self.status.status, Some(Status::Successful(_)))
    }

    /// Stages start as soon as they can.
    fn revive(&mut self) -> bool {
        false
    }

    fn update_task_status(
        &mut self,
        executor: &ExecutorMetadata,
        task_statuses: Vec<TaskStatus>,
        _max_task_failures: usize,
        _max_stage_failures: usize,
    ) -> Result<Vec<QueryStageSchedulerEvent>> {
        self.note_bound();
        let mut effects = Effects::default();
        for report in task_statuses {
            self.report(executor, report, &mut effects);
        }
        Ok(self.events_of(effects))
    }

    fn running_stages(&self) -> Vec<usize> {
        let is_running = |stage: &ExecutionStage| matches!(stage, ExecutionStage::Running(_));
        let running = self.stages.iter().filter(|(_, stage)| is_running(stage));
        running.map(|(id, _)| *id).collect()
    }

    fn running_tasks(&self) -> Vec<RunningTaskInfo> {
        let running = self.stages.values().filter_map(|stage| match stage {
            ExecutionStage::Running(stage) => Some(stage.running_tasks()),
            _ => None,
        });
        running
            .flatten()
            .map(|(task_id, stage_id, executor_id)| RunningTaskInfo {
                task_id,
                job_id: self.job_id().clone(),
                stage_id,
                executor_id,
            })
            .collect()
    }

    fn available_tasks(&self) -> usize {
        let open = self.stages.values().map(|stage| match stage {
            ExecutionStage::Running(stage) => stage.available_tasks(),
            _ => 0,
        });
        open.sum()
    }

    fn fetch_running_stage(&mut self, black_list: &[usize]) -> Option<&mut RunningStage> {
        self.note_bound();
        if !matches!(self.status.status, Some(Status::Running(_))) {
            return None;
        }
        let open = self.stages.iter().filter(|(id, stage)| match stage {
            ExecutionStage::Running(stage) => {
                stage.available_tasks() > 0 && !black_list.contains(id)
            }
            _ => false,
        });
        let first = open.map(|(id, _)| *id).min()?;
        self.running_mut(first)
    }

    fn update_status(&mut self, status: JobStatus) {
        self.status = status;
    }

    fn output_locations(&self) -> Vec<PartitionLocation> {
        let is_last = |stage: &&ExecutionStage| stage.output_links().is_empty();
        let last = self.stages.iter().find(|(_, stage)| is_last(stage));
        last.map(|(id, _)| self.outputs.list(*id))
            .unwrap_or_default()
    }

    fn reset_stages_on_lost_executor(
        &mut self,
        executor_id: &str,
    ) -> Result<(HashSet<usize>, Vec<RunningTaskInfo>)> {
        self.note_bound();
        for stage in self.running_stages() {
            let lost = self.tasks_mut(stage).into_iter().flatten().filter(|task| {
                matches!(&task.task_status, task_status::Status::Running(running)
                    if running.executor_id == executor_id)
            });
            for task in lost {
                task.task_status = task_status::Status::Failed(FailedTask {
                    error: format!("the executor {executor_id} was lost"),
                    retryable: true,
                    count_to_failures: false,
                    failed_reason: Some(FailedReason::ResultLost(ResultLost {})),
                });
            }
        }
        let mut effects = Effects::default();
        let executor = executor_id.to_owned();
        self.step(Event::Lost { executor }, &mut effects);
        if !effects.changed.is_empty() {
            let stages = &effects.changed;
            tracing::warn!(job = %self.job_id(), executor_id, ?stages, "an executor was lost");
        }
        Ok((effects.changed, effects.cancelled))
    }

    fn abort_running(&mut self, error: String) -> Vec<RunningTaskInfo> {
        self.note_bound();
        let running = self.running_tasks();
        self.lineage.end();
        // A job that failed by itself keeps its reason.
        if !matches!(self.status.status, Some(Status::Failed(_))) {
            self.set_failed(error.clone());
        }
        for stage in self.running_stages() {
            self.fail_stage(stage, error.clone());
        }
        running
    }

    fn fail_stage(&mut self, stage_id: usize, err_msg: String) -> bool {
        let Some(stage) = self.running_mut(stage_id) else {
            return false;
        };
        let failed = ExecutionStage::Failed(stage.to_failed(err_msg));
        self.stages.insert(stage_id, failed);
        true
    }

    fn fail_job(&mut self, error: String) {
        self.lineage.end();
        self.set_failed(error);
    }

    fn succeed_job(&mut self) -> Result<()> {
        let places = self.output_locations().into_iter();
        let partition_location = places.map(TryInto::try_into).collect::<Result<Vec<_>>>()?;
        self.end_time = timestamp_millis();
        self.status.status = Some(Status::Successful(SuccessfulJob {
            partition_location,
            queued_at: self.queued_at,
            started_at: self.start_time(),
            ended_at: self.end_time,
        }));
        Ok(())
    }

    fn stages(&self) -> &HashMap<usize, ExecutionStage> {
        &self.stages
    }

    fn stage_count(&self) -> usize {
        self.stages.len()
    }

    /// Of a job that has ended, what can still be asked for: it is kept for hours.
    fn cloned(&self) -> ExecutionGraphBox {
        if matches!(self.status.status, Some(Status::Running(_))) {
            return Box::new(self.clone());
        }
        Box::new(Self {
            about: self.about.clone(),
            status: self.status.clone(),
            queued_at: self.queued_at,
            end_time: self.end_time,
            lineage: Lineage::ended(),
            templates: BTreeMap::new(),
            stages: self.stages.clone(),
            past: HashMap::new(),
            outputs: self.outputs.clone(),
            slots: Arc::clone(&self.slots),
            counts: self.counts.clone(),
        })
    }

    // Ballista calls these of its own graphs only, from their other methods. The lineage decides here.

    fn resolve_stage(&mut self, _stage_id: usize) -> Result<bool> {
        Ok(false)
    }

    fn succeed_stage(&mut self, _stage_id: usize) -> bool {
        false
    }

    fn rollback_running_stage(
        &mut self,
        _stage_id: usize,
        _failure_reasons: HashSet<String>,
    ) -> Result<Vec<RunningTaskInfo>> {
        Ok(Vec::new())
    }

    fn rollback_resolved_stage(&mut self, _stage_id: usize) -> Result<bool> {
        Ok(false)
    }

    fn rerun_successful_stage(&mut self, _stage_id: usize) -> bool {
        false
    }
}
