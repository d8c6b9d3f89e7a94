//! What a job has computed, where it lies, and what has to be computed again after a loss.
//!
//! No I/O, no clock, no plan: [`Lineage::step`] takes what happened and says what follows from it, so
//! that the rules can be tested by themselves. The rules, and why they keep the rows right, are in
//! docs/recovery.md.

use std::collections::{BTreeMap, BTreeSet};

/// Number of a stage within its job.
pub(crate) type StageId = usize;
/// Number of a task within its stage. It is never given a second time, so that the output of a task has
/// one writer.
pub(crate) type TaskId = usize;

/// How often the tasks and the inputs of a stage may fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Failures of one partition by a fault that may pass.
    pub(crate) task_failures: usize,
    /// Failures of one stage to fetch its inputs.
    pub(crate) stage_failures: usize,
    /// Losses of one partition's task, with its executor or without a report: the task may be what ends
    /// executors.
    pub(crate) losses: usize,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The plan of a stage is made; the stage has that many partitions.
    Started { stage: StageId, n_partitions: usize },
    /// A task was given to an executor. Its number is the next one of the stage. Where its partitions are
    /// those of a running task and not on offer, it is a copy of that one: the first of both that succeeds
    /// counts.
    Bound {
        stage: StageId,
        executor: String,
        partitions: Vec<usize>,
    },
    /// An executor reports that a task is done.
    Succeeded {
        stage: StageId,
        task: TaskId,
        executor: String,
    },
    /// An executor reports that a task failed.
    Failed {
        stage: StageId,
        task: TaskId,
        executor: String,
        failure: Failure,
    },
    /// An executor is gone, with all that it computed.
    Lost { executor: String },
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It would fail again.
    Final(String),
    /// It may pass, and counts against [`Limits::task_failures`].
    Passing(String),
    /// The task was stopped; nothing speaks against it.
    Stopped,
    /// The output of a stage cannot be had from an executor, or is not whole and nobody knows which part.
    NoInput {
        stage: StageId,
        executor: Option<String>,
        text: String,
    },
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// The output of a task no longer counts.
    Forget { stage: StageId, task: TaskId },
    /// A task must end; nobody waits for its output.
    Kill { stage: StageId, task: TaskId },
    /// A stage waits for its inputs.
    Wait { stage: StageId },
    /// All inputs of a stage are there: make its plan, and answer with [`Event::Started`]. Where
    /// `keeps_outputs`, the plan must be the one of before, with other places of its inputs.
    Start { stage: StageId, keeps_outputs: bool },
    /// These partitions of a running stage have to be given to a task.
    Offer {
        stage: StageId,
        partitions: Vec<usize>,
    },
    /// All partitions of a stage are computed.
    Complete { stage: StageId },
    /// The job is done.
    Finish,
    /// The job has failed.
    Fail { text: String },
}

/// A stage, as the planner made it.
#[derive(Debug, Clone)]
pub(crate) struct StageShape {
    /// The stages that it reads.
    pub(crate) inputs: Vec<StageId>,
    /// Whether its tasks, run again over the same inputs, write the same rows to the same partitions, so that
    /// outputs of before and after can be read together.
    pub(crate) is_repeatable: bool,
}

/// The state of a job.
#[derive(Debug, Clone)]
pub(crate) struct Lineage {
    stages: BTreeMap<StageId, Stage>,
    /// The stages, each before those that it reads.
    order: Vec<StageId>,
    limits: Limits,
    has_ended: bool,
    n_rerun: usize,
    n_copies: usize,
}

#[derive(Debug, Clone)]
struct Stage {
    inputs: Vec<StageId>,
    readers: Vec<StageId>,
    is_repeatable: bool,
    phase: Phase,
    n_partitions: usize,
    /// Partitions that no task works on or has computed; of a running stage, those on offer.
    open: BTreeSet<usize>,
    /// Partitions that were given to a task at least once.
    tried: BTreeSet<usize>,
    tasks: Vec<Task>,
    n_running: usize,
    /// Whether its outputs were made of inputs that may come out differently the next time, and are
    /// computed again.
    is_stale: bool,
    /// By partition.
    n_failures: BTreeMap<usize, usize>,
    n_losses: BTreeMap<usize, usize>,
    /// By the executor that holds the input, where it is known.
    n_failed_fetches: BTreeMap<Option<String>, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    /// Its plan is being made.
    Starting,
    Running,
    Complete,
}

#[derive(Debug, Clone)]
struct Task {
    executor: String,
    partitions: Vec<usize>,
    state: TaskState,
    /// The task that works on the same partitions, of which this is a copy or which is a copy of this.
    twin: Option<TaskId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskState {
    Running,
    /// Its output counts.
    Live,
    /// It failed, was killed, or its output is lost.
    Gone,
}

impl Lineage {
    /// A job that has not begun, and the first actions: its leaves start.
    ///
    /// The shapes must form a graph without circles with one last stage.
    ///
    /// # Errors
    /// A text that says what is wrong with the shapes.
    pub(crate) fn new(
        shapes: BTreeMap<StageId, StageShape>,
        limits: Limits,
    ) -> Result<(Self, Vec<Action>), String> {
        let mut stages: BTreeMap<StageId, Stage> = shapes
            .iter()
            .map(|(id, shape)| (*id, Stage::new(shape)))
            .collect();
        for (id, shape) in &shapes {
            for input in &shape.inputs {
                let read = stages
                    .get_mut(input)
                    .ok_or_else(|| format!("stage {id} reads stage {input}, which is not there"))?;
                read.readers.push(*id);
            }
        }
        let order = readers_first(&stages)?;
        // What is made of inputs that may come out differently may do so, too.
        for id in order.iter().rev() {
            let is_repeatable = |input: &StageId| stages[input].is_repeatable;
            if !stages[id].inputs.iter().all(is_repeatable)
                && let Some(stage) = stages.get_mut(id)
            {
                stage.is_repeatable = false;
            }
        }
        let mut lineage = Self {
            stages,
            order,
            limits,
            has_ended: false,
            n_rerun: 0,
            n_copies: 0,
        };
        let mut actions = Vec::new();
        lineage.repair(&mut actions);
        Ok((lineage, actions))
    }

    /// Takes note of `event` and says what has to be done, in this order.
    pub(crate) fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.has_ended {
            return actions;
        }
        match event {
            Event::Started {
                stage,
                n_partitions,
            } => self.started(stage, n_partitions, &mut actions),
            Event::Bound {
                stage,
                executor,
                partitions,
            } => self.bound(stage, executor, partitions),
            Event::Succeeded {
                stage,
                task,
                executor,
            } => self.succeeded(stage, task, &executor, &mut actions),
            Event::Failed {
                stage,
                task,
                executor,
                failure,
            } => self.failed(stage, task, &executor, failure, &mut actions),
            Event::Lost { executor } => self.lost(&executor, &mut actions),
        }
        actions
    }

    /// A job that has ended, of which nothing is known any more.
    pub(crate) fn ended() -> Self {
        Self {
            stages: BTreeMap::new(),
            order: Vec::new(),
            limits: Limits {
                task_failures: 0,
                stage_failures: 0,
                losses: 0,
            },
            has_ended: true,
            n_rerun: 0,
            n_copies: 0,
        }
    }

    /// Ends the job from outside; nothing is done any more.
    pub(crate) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether the output of a task counts.
    #[cfg(test)]
    pub(crate) fn is_live(&self, stage: StageId, task: TaskId) -> bool {
        let task = self.stages.get(&stage).and_then(|s| s.tasks.get(task));
        task.is_some_and(|t| t.state == TaskState::Live)
    }

    /// Whether a task works on `executor` and is waited for.
    pub(crate) fn is_running(&self, stage: StageId, task: TaskId, executor: &str) -> bool {
        let task = self.stages.get(&stage).and_then(|s| s.tasks.get(task));
        task.is_some_and(|t| t.state == TaskState::Running && t.executor == executor)
    }

    /// Whether a task runs for which there is no second one.
    pub(crate) fn may_be_copied(&self, stage: StageId, task: TaskId) -> bool {
        self.stages.get(&stage).is_some_and(|stage| {
            let is_running = |task: &Task| task.state == TaskState::Running;
            stage.tasks.get(task).is_some_and(is_running) && stage.running_twin(task).is_none()
        })
    }

    /// Whether a partition of a task was lost before, since it was computed last.
    pub(crate) fn was_lost_before(&self, stage: StageId, task: TaskId) -> bool {
        self.stages.get(&stage).is_some_and(|stage| {
            let partitions = stage.tasks.get(task).map(|task| &task.partitions);
            let mut partitions = partitions.into_iter().flatten();
            partitions.any(|partition| stage.n_losses.contains_key(partition))
        })
    }

    /// How many tasks of a stage were given out so far.
    pub(crate) fn n_tasks(&self, stage: StageId) -> usize {
        self.stages.get(&stage).map_or(0, |s| s.tasks.len())
    }

    /// The stage whose output is the result.
    fn last_stage(&self) -> StageId {
        self.order.first().copied().unwrap_or_default()
    }

    /// How many partitions were given to a task again, after a failure or a loss.
    pub(crate) fn n_rerun(&self) -> usize {
        self.n_rerun
    }

    /// How many tasks were given out as copies.
    pub(crate) fn n_copies(&self) -> usize {
        self.n_copies
    }

    fn started(&mut self, id: StageId, n_partitions: usize, actions: &mut Vec<Action>) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        if stage.phase != Phase::Starting {
            return;
        }
        let has_outputs = stage.tasks.iter().any(|t| t.state == TaskState::Live);
        if has_outputs && stage.n_partitions != n_partitions {
            let text = format!(
                "stage {id} has {n_partitions} partitions after a loss and had {} before",
                stage.n_partitions
            );
            return self.fail(text, actions);
        }
        stage.n_partitions = n_partitions;
        stage.phase = Phase::Running;
        stage.open = (0..n_partitions).collect();
        for task in stage.tasks.iter().filter(|t| t.state == TaskState::Live) {
            for partition in &task.partitions {
                stage.open.remove(partition);
            }
        }
        if stage.open.is_empty() {
            self.complete(id, actions);
        } else {
            let partitions = stage.open.iter().copied().collect();
            actions.push(Action::Offer {
                stage: id,
                partitions,
            });
        }
    }

    fn bound(&mut self, id: StageId, executor: String, partitions: Vec<usize>) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        let task = stage.tasks.len();
        let twin = stage.original_of(&partitions);
        if let Some(original) = twin {
            stage.tasks[original].twin = Some(task);
            self.n_copies += 1;
        } else {
            for partition in &partitions {
                stage.open.remove(partition);
            }
            let n_tried = stage.tried.len();
            stage.tried.extend(&partitions);
            self.n_rerun += partitions.len() - (stage.tried.len() - n_tried);
        }
        stage.n_running += 1;
        stage.tasks.push(Task {
            executor,
            partitions,
            state: TaskState::Running,
            twin,
        });
    }

    /// A report counts only for a task that runs here, on the executor that reports it.
    fn reported(&mut self, id: StageId, task: TaskId, executor: &str) -> Option<&mut Stage> {
        if !self.is_running(id, task, executor) {
            return None;
        }
        self.stages.get_mut(&id)
    }

    fn succeeded(&mut self, id: StageId, task: TaskId, executor: &str, actions: &mut Vec<Action>) {
        let Some(stage) = self.reported(id, task, executor) else {
            return;
        };
        stage.set(task, TaskState::Live);
        if let Some(twin) = stage.running_twin(task) {
            stage.set(twin, TaskState::Gone);
            actions.push(Action::Kill {
                stage: id,
                task: twin,
            });
        }
        for partition in &stage.tasks[task].partitions {
            stage.n_failures.remove(partition);
            stage.n_losses.remove(partition);
        }
        if stage.open.is_empty() && stage.n_running == 0 {
            self.complete(id, actions);
        }
    }

    fn complete(&mut self, id: StageId, actions: &mut Vec<Action>) {
        if let Some(stage) = self.stages.get_mut(&id) {
            stage.phase = Phase::Complete;
            stage.n_failed_fetches.clear();
        }
        actions.push(Action::Complete { stage: id });
        if self.last_stage() == id {
            self.has_ended = true;
            actions.push(Action::Finish);
        } else {
            self.repair(actions);
        }
    }

    fn failed(
        &mut self,
        id: StageId,
        task: TaskId,
        executor: &str,
        failure: Failure,
        actions: &mut Vec<Action>,
    ) {
        let limits = self.limits;
        let Some(stage) = self.reported(id, task, executor) else {
            return;
        };
        match failure {
            Failure::Final(text) => {
                self.fail(
                    format!("Job failed due to stage {id} failed: {text}\n"),
                    actions,
                );
            }
            Failure::Passing(text) => {
                let over = stage.count_failure(task, limits.task_failures);
                if let Some(partition) = over {
                    let text = format!(
                        "Job failed due to stage {id} failed: Task {partition} in Stage {id} failed \
                         {} times, fail the stage, most recent failure reason: {text:?}\n",
                        limits.task_failures
                    );
                    return self.fail(text, actions);
                }
                stage.reopen(id, task, actions);
            }
            Failure::Stopped => {
                if let Some(partition) = stage.count_loss(task, limits.losses) {
                    let text = lost_too_often(id, partition, executor, limits.losses);
                    return self.fail(text, actions);
                }
                stage.reopen(id, task, actions);
            }
            Failure::NoInput {
                stage: input,
                executor: holder,
                text,
            } => {
                let n_failures = stage.n_failed_fetches.entry(holder.clone()).or_default();
                *n_failures += 1;
                let n_failures = *n_failures;
                if n_failures >= limits.stage_failures {
                    let text = format!(
                        "Job failed due to stage {id} failed: Stage {id} has failed {} times, \
                         most recent failure reason: {text:?}\n",
                        limits.stage_failures
                    );
                    return self.fail(text, actions);
                }
                stage.reopen(id, task, actions);
                let mut lost = BTreeSet::from([input]);
                // Else each further input could cost a failure, too.
                if holder.is_some() && n_failures > 1 {
                    lost.extend(&stage.inputs);
                }
                for input in lost {
                    self.forget(input, holder.as_deref(), actions);
                }
                self.repair(actions);
            }
        }
    }

    fn lost(&mut self, executor: &str, actions: &mut Vec<Action>) {
        let mut over = None;
        let limit = self.limits.losses;
        for id in self.order.clone() {
            let Some(stage) = self.stages.get_mut(&id) else {
                continue;
            };
            for task in 0..stage.tasks.len() {
                let lost = &stage.tasks[task];
                if lost.state == TaskState::Running && lost.executor == executor {
                    let partition = stage.count_loss(task, limit);
                    over = over.or(partition.map(|partition| (id, partition)));
                    stage.reopen(id, task, actions);
                }
            }
            self.forget(id, Some(executor), actions);
        }
        if let Some((stage, partition)) = over {
            return self.fail(lost_too_often(stage, partition, executor, limit), actions);
        }
        self.repair(actions);
    }

    /// Gives up what `executor`, or any, holds of a stage's output.
    fn forget(&mut self, id: StageId, executor: Option<&str>, actions: &mut Vec<Action>) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        if !stage.forget(id, executor, actions) || stage.is_repeatable {
            return;
        }
        for reader in stage.readers.clone() {
            if let Some(reader) = self.stages.get_mut(&reader) {
                reader.is_stale = true;
            }
        }
    }

    fn fail(&mut self, text: String, actions: &mut Vec<Action>) {
        self.has_ended = true;
        actions.push(Action::Fail { text });
    }

    /// Brings each stage that the result needs on its way: it starts where its inputs are complete,
    /// and waits for them where not.
    fn repair(&mut self, actions: &mut Vec<Action>) {
        let mut needed: BTreeSet<StageId> = self.order.first().copied().into_iter().collect();
        for id in self.order.clone() {
            let stage = &self.stages[&id];
            if !needed.contains(&id) || stage.phase == Phase::Complete {
                continue;
            }
            let is_missing = |input: &StageId| self.stages[input].phase != Phase::Complete;
            let missing: Vec<StageId> = stage.inputs.iter().copied().filter(is_missing).collect();
            let Some(stage) = self.stages.get_mut(&id) else {
                continue;
            };
            if !missing.is_empty() || stage.is_stale {
                stage.wait(id, actions);
            }
            if missing.is_empty() && stage.phase == Phase::Waiting {
                stage.phase = Phase::Starting;
                let keeps_outputs = stage.tasks.iter().any(|t| t.state == TaskState::Live);
                actions.push(Action::Start {
                    stage: id,
                    keeps_outputs,
                });
            }
            needed.extend(missing);
        }
    }
}

impl Stage {
    fn new(shape: &StageShape) -> Self {
        Self {
            inputs: shape.inputs.clone(),
            readers: Vec::new(),
            is_repeatable: shape.is_repeatable,
            phase: Phase::Waiting,
            n_partitions: 0,
            open: BTreeSet::new(),
            tried: BTreeSet::new(),
            tasks: Vec::new(),
            n_running: 0,
            is_stale: false,
            n_failures: BTreeMap::new(),
            n_losses: BTreeMap::new(),
            n_failed_fetches: BTreeMap::new(),
        }
    }

    fn set(&mut self, task: TaskId, state: TaskState) {
        if self.tasks[task].state == TaskState::Running {
            self.n_running -= 1;
        }
        self.tasks[task].state = state;
    }

    /// The running task that works on `partitions`, where none of them is on offer.
    fn original_of(&self, partitions: &[usize]) -> Option<TaskId> {
        if partitions.iter().any(|p| self.open.contains(p)) {
            return None;
        }
        let is_original =
            |task: &Task| task.state == TaskState::Running && task.partitions == partitions;
        self.tasks.iter().rposition(is_original)
    }

    /// The other task that works on the partitions of `task`.
    fn running_twin(&self, task: TaskId) -> Option<TaskId> {
        let twin = self.tasks[task].twin?;
        (self.tasks[twin].state == TaskState::Running).then_some(twin)
    }

    /// Gives up a running task; its partitions are on offer again, if no other task works on them.
    fn reopen(&mut self, id: StageId, task: TaskId, actions: &mut Vec<Action>) {
        self.set(task, TaskState::Gone);
        if self.running_twin(task).is_some() {
            return;
        }
        let partitions = self.tasks[task].partitions.clone();
        self.open.extend(&partitions);
        if self.phase == Phase::Running {
            actions.push(Action::Offer {
                stage: id,
                partitions,
            });
        }
    }

    /// Gives up what `executor`, or any, holds of the stage's output; whether that is anything.
    fn forget(&mut self, id: StageId, executor: Option<&str>, actions: &mut Vec<Action>) -> bool {
        let mut lost = Vec::new();
        for (task, held) in self.tasks.iter_mut().enumerate() {
            if held.state == TaskState::Live && executor.is_none_or(|e| e == held.executor) {
                held.state = TaskState::Gone;
                lost.extend(&held.partitions);
                actions.push(Action::Forget { stage: id, task });
            }
        }
        if lost.is_empty() {
            return false;
        }
        self.open.extend(&lost);
        match self.phase {
            Phase::Running => actions.push(Action::Offer {
                stage: id,
                partitions: lost,
            }),
            // It is computed again only if a stage that reads it needs that.
            Phase::Complete => self.phase = Phase::Waiting,
            Phase::Waiting | Phase::Starting => {}
        }
        true
    }

    /// Stops the stage until its inputs are there. Stale outputs are given up.
    fn wait(&mut self, id: StageId, actions: &mut Vec<Action>) {
        let was_at_work = matches!(self.phase, Phase::Running | Phase::Starting);
        for task in 0..self.tasks.len() {
            match self.tasks[task].state {
                TaskState::Running => actions.push(Action::Kill { stage: id, task }),
                TaskState::Live if self.is_stale => {
                    actions.push(Action::Forget { stage: id, task });
                }
                TaskState::Live | TaskState::Gone => continue,
            }
            self.set(task, TaskState::Gone);
        }
        self.phase = Phase::Waiting;
        self.is_stale = false;
        if was_at_work {
            actions.push(Action::Wait { stage: id });
        }
    }

    /// Counts a failure of the task; the partition that reached `limit`.
    fn count_failure(&mut self, task: TaskId, limit: usize) -> Option<usize> {
        count(&mut self.n_failures, &self.tasks[task].partitions, limit)
    }

    fn count_loss(&mut self, task: TaskId, limit: usize) -> Option<usize> {
        count(&mut self.n_losses, &self.tasks[task].partitions, limit)
    }
}

fn lost_too_often(stage: StageId, partition: usize, executor: &str, n: usize) -> String {
    format!(
        "Job failed due to stage {stage} failed: task {partition} of stage {stage} lost its executor \
         {n} times, last {executor}; it may need more memory than they have\n"
    )
}

fn count(counts: &mut BTreeMap<usize, usize>, partitions: &[usize], limit: usize) -> Option<usize> {
    let mut over = None;
    for partition in partitions {
        let n = counts.entry(*partition).or_default();
        *n += 1;
        if *n >= limit {
            over = Some(*partition);
        }
    }
    over
}

/// The stages, each before those that it reads.
fn readers_first(stages: &BTreeMap<StageId, Stage>) -> Result<Vec<StageId>, String> {
    let mut n_readers: BTreeMap<StageId, usize> = stages
        .iter()
        .map(|(id, s)| (*id, s.readers.len()))
        .collect();
    let mut ready: Vec<StageId> = stages
        .iter()
        .filter(|(_, s)| s.readers.is_empty())
        .map(|(id, _)| *id)
        .collect();
    if ready.len() != 1 {
        return Err(format!("a job ends in one stage, not in {}", ready.len()));
    }
    let mut order = Vec::with_capacity(stages.len());
    while let Some(id) = ready.pop() {
        order.push(id);
        for input in &stages[&id].inputs {
            let left = n_readers.entry(*input).or_default();
            *left -= 1;
            if *left == 0 {
                ready.push(*input);
            }
        }
    }
    if order.len() == stages.len() {
        Ok(order)
    } else {
        Err("its stages read each other in a circle".to_owned())
    }
}

#[cfg(test)]
#[path = "lineage/tests.rs"]
mod tests;
