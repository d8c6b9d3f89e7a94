//! The stages of a job: their plans, and how Ballista and its REST API see them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::{BallistaError, Result};
use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::{FailedTask, TaskStatus, task_status};
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use ballista_scheduler::state::execution_stage::{
    ExecutionStage, PendingPartitions, ResolvedStage, RunningStage, StageOutput, TaskInfo,
    UnresolvedStage,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

use super::super::lineage::{StageId, TaskId};
use super::super::places::{Outputs, moved};
use super::super::replan::{Place, Replanning, Replans, replanned};
use super::cut::check_tasks;

/// The stages of a job in Ballista's types.
#[derive(Clone)]
pub(super) struct Stages {
    /// The stages before their inputs are known.
    templates: BTreeMap<StageId, UnresolvedStage>,
    shown: HashMap<usize, ExecutionStage>,
    /// What stages that wait did before.
    past: HashMap<StageId, Past>,
    /// Stages whose tasks ran again, so that what tasks measured has to be replaced.
    rerun: HashSet<StageId>,
    /// Of a record, which has no stages to show.
    counts: StageCounts,
}

/// How many stages a job has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StageCounts {
    pub(super) all: usize,
    pub(super) completed: usize,
}

/// What a stage did before it had to wait.
#[derive(Clone)]
struct Past {
    tasks: Vec<TaskInfo>,
    plan: Arc<dyn ExecutionPlan>,
}

/// What the plans of a job's stages are made for.
pub(super) struct MadeFor<'a> {
    pub(super) job: &'a JobId,
    pub(super) config: &'a SessionConfig,
    /// The slots of all executors.
    pub(super) n_slots: usize,
    /// Where it is noted what was changed.
    pub(super) replans: &'a Replans,
}

impl MadeFor<'_> {
    /// The plan of a stage whose inputs are known.
    fn resolved(&self, template: &UnresolvedStage) -> Result<ResolvedStage> {
        let resolved = template.to_resolved(self.config.options())?;
        let wish = self.config.get_extension::<Replanning>();
        if wish.is_none_or(|wish| *wish == Replanning::Off) || resolved.inputs.is_empty() {
            check_tasks(resolved.stage_id, &resolved.plan)?;
            return Ok(resolved);
        }
        let place = Place {
            is_last: resolved.output_links.is_empty(),
            n_slots: self.n_slots.max(1),
        };
        let (plan, changes) = replanned(resolved.plan, place)?;
        check_tasks(resolved.stage_id, &plan)?;
        self.replans.note(self.job, resolved.stage_id, &changes);
        for change in &changes {
            tracing::info!(job = %self.job, stage = resolved.stage_id, "planned again: {change}");
        }
        Ok(ResolvedStage::new(
            resolved.stage_id,
            resolved.stage_attempt_num,
            plan,
            resolved.output_links,
            resolved.inputs,
            resolved.last_attempt_failure_reasons,
            resolved.session_config,
        ))
    }
}

impl Stages {
    /// The stages of `planned`.
    ///
    /// # Errors
    /// Where it is not a graph of stages that are all planned and have not begun.
    pub(super) fn of(planned: &ExecutionGraphBox) -> Result<Self> {
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
        let shown = templates
            .iter()
            .map(|(id, stage)| (*id, ExecutionStage::UnResolved(stage.clone())))
            .collect();
        Ok(Self {
            templates,
            shown,
            past: HashMap::new(),
            rerun: HashSet::new(),
            counts: StageCounts::default(),
        })
    }

    /// None to show, but their number.
    pub(super) fn none(counts: StageCounts) -> Self {
        Self {
            templates: BTreeMap::new(),
            shown: HashMap::new(),
            past: HashMap::new(),
            rerun: HashSet::new(),
            counts,
        }
    }

    /// How many stages there are and how many of them are complete.
    pub(super) fn counts(&self) -> StageCounts {
        if self.shown.is_empty() {
            return self.counts;
        }
        let is_done = |stage: &&ExecutionStage| matches!(stage, ExecutionStage::Successful(_));
        StageCounts {
            all: self.shown.len(),
            completed: self.shown.values().filter(is_done).count(),
        }
    }

    /// The stages as they can be looked at after the end of their job: without the places of outputs, of
    /// which there are as many as there are pairs of tasks and partitions.
    pub(super) fn ended(&self) -> Self {
        let nowhere = Outputs::default();
        let without_places = |plan: &mut Arc<dyn ExecutionPlan>| {
            if let Ok(moved) = moved(Arc::clone(plan), &nowhere) {
                *plan = moved;
            }
        };
        let mut shown = self.shown.clone();
        for stage in shown.values_mut() {
            let plan = match stage {
                ExecutionStage::Successful(stage) => {
                    stage
                        .inputs
                        .values_mut()
                        .for_each(|input| *input = StageOutput::new());
                    &mut stage.plan
                }
                ExecutionStage::Failed(stage) => &mut stage.plan,
                ExecutionStage::UnResolved(_)
                | ExecutionStage::Resolved(_)
                | ExecutionStage::Running(_) => continue,
            };
            without_places(plan);
        }
        Self {
            shown,
            ..Self::none(self.counts)
        }
    }

    /// The stages before their inputs are known.
    pub(super) fn templates(&self) -> impl Iterator<Item = (StageId, &UnresolvedStage)> {
        self.templates.iter().map(|(id, stage)| (*id, stage))
    }

    /// The stages in Ballista's types.
    pub(super) fn shown(&self) -> &HashMap<usize, ExecutionStage> {
        &self.shown
    }

    /// The stages that run.
    pub(super) fn running(&self) -> impl Iterator<Item = (StageId, &RunningStage)> {
        self.shown.iter().filter_map(|(id, stage)| match stage {
            ExecutionStage::Running(stage) => Some((*id, stage)),
            _ => None,
        })
    }

    pub(super) fn running_mut(&mut self, id: StageId) -> Option<&mut RunningStage> {
        match self.shown.get_mut(&id) {
            Some(ExecutionStage::Running(stage)) => Some(stage),
            _ => None,
        }
    }

    /// Makes the plan of a stage whose inputs are complete; its number of partitions. Where
    /// `keeps_outputs`, the plan is the one of before, with other places of its inputs.
    pub(super) fn start(
        &mut self,
        id: StageId,
        keeps_outputs: bool,
        outputs: &Outputs,
        made_for: &MadeFor<'_>,
    ) -> Result<usize> {
        self.park(id);
        let past = self.past.remove(&id);
        let mut template = self
            .templates
            .get(&id)
            .cloned()
            .ok_or_else(|| BallistaError::Internal(format!("there is no stage {id}")))?;
        for (input, output) in &mut template.inputs {
            *output = outputs.sizes(*input);
        }
        let mut resolved = match &past {
            Some(past) if keeps_outputs => ResolvedStage::new(
                id,
                template.stage_attempt_num,
                Arc::clone(&past.plan),
                template.output_links,
                template.inputs,
                HashSet::new(),
                template.session_config,
            ),
            _ => made_for.resolved(&template)?,
        };
        resolved.plan = moved(resolved.plan, outputs)?;
        let mut running = resolved.to_running();
        running.pending = PendingPartitions::empty(running.partitions);
        // Numbers of tasks go on where they ended.
        running.task_infos = past.map(|past| past.tasks).unwrap_or_default();
        let n_partitions = running.partitions;
        self.shown.insert(id, ExecutionStage::Running(running));
        Ok(n_partitions)
    }

    /// Puts a stage back to where it waits for its inputs, if it is not there.
    pub(super) fn park(&mut self, id: StageId) {
        let (tasks, plan) = match self.shown.get(&id) {
            Some(ExecutionStage::Running(stage)) => (&stage.task_infos, &stage.plan),
            Some(ExecutionStage::Successful(stage)) => (&stage.task_infos, &stage.plan),
            _ => return,
        };
        let past = Past {
            tasks: tasks.clone(),
            plan: Arc::clone(plan),
        };
        self.past.insert(id, past);
        self.rerun.insert(id);
        if let Some(template) = self.templates.get_mut(&id) {
            template.stage_attempt_num += 1;
            let waiting = ExecutionStage::UnResolved(template.clone());
            self.shown.insert(id, waiting);
        }
    }

    /// Puts partitions of a running stage on offer.
    pub(super) fn offer(&mut self, id: StageId, partitions: Vec<usize>) {
        if let Some(stage) = self.running_mut(id) {
            stage.pending.reschedule(partitions);
        }
    }

    pub(super) fn set_complete(&mut self, id: StageId) {
        if let Some(stage) = self.running_mut(id) {
            // Ballista warns of a stage without metrics; one whose tasks reported none has no values.
            stage.stage_metrics.get_or_insert_default();
            let done = ExecutionStage::Successful(stage.to_successful());
            self.shown.insert(id, done);
        }
    }

    /// Whether the stage ran until now.
    pub(super) fn set_failed(&mut self, id: StageId, error: String) -> bool {
        let Some(stage) = self.running_mut(id) else {
            return false;
        };
        let failed = ExecutionStage::Failed(stage.to_failed(error));
        self.shown.insert(id, failed);
        true
    }

    /// Notes the end of a task that counted, and what it measured.
    pub(super) fn set_ended(&mut self, id: StageId, task: TaskId, mut report: TaskStatus) {
        let is_rerun = self.rerun.contains(&id);
        let Some(stage) = self.running_mut(id) else {
            return;
        };
        let is_done = matches!(report.status, Some(task_status::Status::Successful(_)));
        let metrics = std::mem::take(&mut report.metrics);
        stage.update_task_info(task, report);
        if !is_done {
            return;
        }
        // Ballista copies all that was measured before with each report, to replace what the partitions
        // of the task measured. They did not, unless the stage runs again.
        let before = if is_rerun {
            None
        } else {
            stage.stage_metrics.take()
        };
        if let Err(error) = stage.update_task_metrics(task, metrics) {
            // A stage that was planned again may have other operators. Rows do not depend on it.
            tracing::debug!(%error, stage = id, task, "the metrics of a task do not fit its stage");
        }
        if let Some(mut before) = before {
            if let Some(new) = stage.stage_metrics.take()
                && new.len() == before.len()
            {
                for (all, new) in before.iter_mut().zip(new) {
                    new.iter().for_each(|metric| all.push(Arc::clone(metric)));
                }
            }
            stage.stage_metrics = Some(before);
        }
    }

    /// The output of a task, or the task itself, is gone, and its partitions are computed again or
    /// were computed by another one.
    pub(super) fn set_gone(&mut self, id: StageId, task: TaskId, why: &str, reason: FailedReason) {
        self.rerun.insert(id);
        if let Some(task) = self.tasks_mut(id).and_then(|tasks| tasks.get_mut(task)) {
            task.task_status = task_status::Status::Failed(FailedTask {
                error: why.to_owned(),
                retryable: true,
                count_to_failures: false,
                failed_reason: Some(reason),
            });
        }
    }

    /// The executor on which a task runs.
    pub(super) fn executor_of(&self, id: StageId, task: TaskId) -> Option<&str> {
        match &self.tasks(id)?.get(task)?.task_status {
            task_status::Status::Running(running) => Some(&running.executor_id),
            _ => None,
        }
    }

    /// The tasks that run on an executor.
    pub(super) fn tasks_on(&self, executor: &str) -> Vec<(StageId, TaskId)> {
        let stages = self.running();
        let tasks = stages.flat_map(|(id, stage)| {
            let tasks = stage.task_infos.iter().enumerate();
            tasks.map(move |(task, info)| (id, task, info))
        });
        tasks
            .filter(|(.., info)| {
                matches!(&info.task_status, task_status::Status::Running(running)
                    if running.executor_id == executor)
            })
            .map(|(id, task, _)| (id, task))
            .collect()
    }

    /// The partitions of a task.
    pub(super) fn partitions_of(&self, id: StageId, task: TaskId) -> &[usize] {
        let task = self.tasks(id).and_then(|tasks| tasks.get(task));
        task.map_or(&[], |task| &task.global_input_partition_ids)
    }

    fn tasks(&self, id: StageId) -> Option<&[TaskInfo]> {
        let past = || self.past.get(&id).map(|past| past.tasks.as_slice());
        self.shown.get(&id)?.task_infos().or_else(past)
    }

    fn tasks_mut(&mut self, id: StageId) -> Option<&mut Vec<TaskInfo>> {
        match self.shown.get_mut(&id)? {
            ExecutionStage::Running(stage) => Some(&mut stage.task_infos),
            ExecutionStage::Successful(stage) => Some(&mut stage.task_infos),
            ExecutionStage::Failed(stage) => Some(&mut stage.task_infos),
            ExecutionStage::UnResolved(_) | ExecutionStage::Resolved(_) => {
                self.past.get_mut(&id).map(|past| &mut past.tasks)
            }
        }
    }
}
