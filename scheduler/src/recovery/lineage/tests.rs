//! Jobs of random shapes meet random faults. A small world keeps what each task read, so that at the end
//! the result can be followed back to the leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use ballista_core::serde::scheduler::TaskKey;
use emporia_engine::running::{ExecutorTasks, TaskName};

use super::super::reconcile::{Finding, Reconciler};
use super::super::slots::Slots;
use super::*;

mod chains;

const N_SEQUENCES: u64 = 100_000;

/// No fault of the world may end a job here; tests of their own look at the limits.
const LIMITS: Limits = Limits {
    task_failures: usize::MAX,
    stage_failures: usize::MAX,
    losses: usize::MAX,
};

/// A fault in what carries out the decisions, which the checks have to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    None,
    /// Outputs that were given up are still read.
    ForgetsNothing,
    /// The report of a task counts whoever sends it, and whenever.
    BelievesAll,
    /// A stage counts as repeatable and is not.
    TrustsRerun,
    /// The loss of an executor is not told while its outputs are read no more.
    HidesLoss,
    /// Nobody asks the executors what they run.
    NeverAsks,
    /// The outputs of a task and of its copy both count.
    CountsBoth,
    /// A stage is planned again although it keeps outputs of the plan of before.
    ReplansLate,
    /// A task gets the number of one that was given up, which may go on writing to files of that name.
    UsesNumbersAgain,
    /// A stage goes on without waiting for inputs that are not complete any more.
    DoesNotWait,
    /// A task that was given up keeps its slot for ever,
    KeepsSlot,
    /// or gives it back when it is told to end, and may run for long.
    FreesSlotEarly,
}

/// What a task read: the tasks of each input, as its plan named them.
type Read = BTreeMap<StageId, BTreeSet<TaskId>>;

struct World {
    random: fastrand::Rng,
    mutant: Mutant,
    lineage: Lineage,
    shapes: BTreeMap<StageId, StageShape>,
    n_partitions: BTreeMap<StageId, usize>,
    /// How often a stage was planned, and the plan that each task ran, with its number of partitions.
    n_plans: BTreeMap<StageId, usize>,
    planned: BTreeMap<(StageId, TaskId), (usize, usize)>,
    /// Partitions on offer, as the graph keeps them.
    offers: BTreeMap<StageId, VecDeque<usize>>,
    /// What tasks of the stage read that are given out now.
    plans: BTreeMap<StageId, Read>,
    /// Tasks whose output is read by plans.
    outputs: BTreeMap<StageId, BTreeSet<TaskId>>,
    /// All tasks ever given out: executor, partitions, what they read.
    tasks: BTreeMap<(StageId, TaskId), (String, Vec<usize>, Read)>,
    /// The number in the names of a task's files, and the task that wrote to them last.
    numbers: BTreeMap<(StageId, TaskId), usize>,
    writers: BTreeMap<(StageId, usize), TaskId>,
    /// Tasks that run: they have not ended.
    silent: BTreeSet<(StageId, TaskId)>,
    /// Those of them that may hold no slot: they have reported, or their executor has registered since.
    without_slot: BTreeSet<(StageId, TaskId)>,
    /// Tasks that were copied, and their copies.
    doubled: BTreeSet<(StageId, TaskId)>,
    alive: BTreeSet<String>,
    n_executors: usize,
    /// The process of each executor.
    processes: BTreeMap<String, usize>,
    slots: Slots,
    reconciler: Reconciler,
    now: Instant,
    end: Option<Result<(), String>>,
    /// What is wrong, found on the way.
    fault: Option<String>,
}

impl World {
    fn new(seed: u64, mutant: Mutant) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let n_stages = random.usize(1..=6);
        let mut shapes = BTreeMap::new();
        let mut unread: Vec<StageId> = Vec::new();
        for id in 1..=n_stages {
            let n_inputs = if id == n_stages {
                unread.len()
            } else {
                random.usize(0..=unread.len().min(2))
            };
            random.shuffle(&mut unread);
            let mut inputs: Vec<StageId> = unread.drain(..n_inputs).collect();
            // Now and then a stage is read twice.
            if id > 1 && random.u8(..) < 20 {
                let twice = random.usize(1..id);
                if !inputs.contains(&twice) {
                    inputs.push(twice);
                }
            }
            let is_repeatable = random.bool();
            shapes.insert(
                id,
                StageShape {
                    inputs,
                    is_repeatable,
                },
            );
            unread.push(id);
        }
        let mut told = shapes.clone();
        if mutant == Mutant::TrustsRerun {
            told.values_mut()
                .for_each(|shape| shape.is_repeatable = true);
        }
        let (lineage, actions) = Lineage::new(told, LIMITS).unwrap();
        let n_partitions = shapes.keys().map(|id| (*id, random.usize(1..=5))).collect();
        let mut world = Self {
            random,
            mutant,
            lineage,
            shapes,
            n_partitions,
            n_plans: BTreeMap::new(),
            planned: BTreeMap::new(),
            offers: BTreeMap::new(),
            plans: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            numbers: BTreeMap::new(),
            writers: BTreeMap::new(),
            silent: BTreeSet::new(),
            without_slot: BTreeSet::new(),
            doubled: BTreeSet::new(),
            alive: BTreeSet::new(),
            n_executors: 0,
            processes: BTreeMap::new(),
            slots: Slots::default(),
            reconciler: Reconciler::default(),
            now: Instant::now(),
            end: None,
            fault: None,
        };
        world.join();
        world.carry_out(actions);
        world
    }

    fn join(&mut self) {
        self.n_executors += 1;
        let executor = format!("e{}", self.n_executors);
        self.slots.add(&executor, 100);
        self.alive.insert(executor);
    }

    fn step(&mut self, event: Event) {
        let actions = self.lineage.step(event);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Forget { stage, task } => {
                    if self.mutant != Mutant::ForgetsNothing {
                        self.outputs.entry(stage).or_default().remove(&task);
                    }
                }
                // The task goes on until it reports, or is found.
                Action::Kill { stage, task } => {
                    let executor = &self.tasks[&(stage, task)].0;
                    match self.mutant {
                        Mutant::FreesSlotEarly => self.slots.release(executor, &key(stage, task)),
                        _ => self.slots.give_up(executor, &key(stage, task)),
                    }
                }
                Action::Wait { stage } if self.mutant == Mutant::DoesNotWait => {
                    self.make_plan(stage);
                }
                Action::Wait { stage } => {
                    self.offers.remove(&stage);
                }
                Action::Start {
                    stage,
                    keeps_outputs,
                } => {
                    self.plan(stage, keeps_outputs);
                    self.make_plan(stage);
                    self.offers.insert(stage, VecDeque::new());
                    let started = self.lineage.step(Event::Started {
                        stage,
                        n_partitions: self.n_partitions[&stage],
                    });
                    started
                        .into_iter()
                        .rev()
                        .for_each(|a| actions.push_front(a));
                }
                Action::Offer { stage, partitions } => {
                    if let Some(offers) = self.offers.get_mut(&stage) {
                        offers.extend(partitions);
                    }
                }
                Action::Complete { stage } => {
                    self.offers.remove(&stage);
                }
                Action::Finish => self.end = Some(Ok(())),
                Action::Fail { text } => self.end = Some(Err(text)),
            }
        }
        self.check_step();
    }

    /// A plan that is made again may have another number of partitions.
    fn plan(&mut self, stage: StageId, keeps_outputs: bool) {
        if !keeps_outputs {
            *self.n_plans.entry(stage).or_default() += 1;
            let n_partitions = self.random.usize(1..=5);
            self.n_partitions.insert(stage, n_partitions);
        } else if self.mutant == Mutant::ReplansLate {
            *self.n_plans.entry(stage).or_default() += 1;
        }
    }

    /// Tasks of the stage read the outputs that count now.
    fn make_plan(&mut self, stage: StageId) {
        let inputs = self.shapes[&stage].inputs.iter();
        let read =
            inputs.map(|input| (*input, self.outputs.get(input).cloned().unwrap_or_default()));
        self.plans.insert(stage, read.collect());
    }

    /// Each partition of a running stage is on offer, worked on, or computed: one of them, once.
    fn check_step(&mut self) {
        if self.mutant != Mutant::None || self.end.is_some() {
            return;
        }
        for (id, stage) in &self.lineage.stages {
            if stage.phase != Phase::Running {
                continue;
            }
            let mut seen: Vec<usize> = self.offers[id].iter().copied().collect();
            let open: BTreeSet<usize> = seen.iter().copied().collect();
            assert_eq!(open, stage.open, "offers of stage {id}");
            for (task, counted) in stage.tasks.iter().enumerate() {
                // Of a task and its copy one is looked at.
                let is_copied = stage.running_twin(task).is_some_and(|twin| twin > task);
                if counted.state != TaskState::Gone && !is_copied {
                    seen.extend(&counted.partitions);
                }
            }
            seen.sort_unstable();
            let all: Vec<usize> = (0..self.n_partitions[id]).collect();
            assert_eq!(seen, all, "partitions of stage {id}");
            let running = stage.tasks.iter().filter(|t| t.state == TaskState::Running);
            assert_eq!(running.count(), stage.n_running);
        }
    }

    fn bind(&mut self) -> bool {
        let open: Vec<StageId> = self
            .offers
            .iter()
            .filter(|(_, offers)| !offers.is_empty())
            .map(|(id, _)| *id)
            .collect();
        let alive: Vec<String> = self.alive.iter().cloned().collect();
        let (Some(stage), Some(executor)) = (self.random.choice(open), self.random.choice(alive))
        else {
            return false;
        };
        let offers = self.offers.get_mut(&stage).unwrap();
        let n = self.random.usize(1..=3).min(offers.len());
        let partitions: Vec<usize> = offers.drain(..n).collect();
        self.bind_to(stage, executor, partitions);
        true
    }

    fn bind_to(&mut self, stage: StageId, executor: String, partitions: Vec<usize>) {
        let task = self.lineage.n_tasks(stage);
        let read = self.plans[&stage].clone();
        let number = match self.mutant {
            Mutant::UsesNumbersAgain => self.free_number(stage),
            _ => task,
        };
        self.numbers.insert((stage, task), number);
        self.tasks
            .insert((stage, task), (executor.clone(), partitions.clone(), read));
        let plan = (self.n_plans[&stage], self.n_partitions[&stage]);
        self.planned.insert((stage, task), plan);
        self.silent.insert((stage, task));
        self.slots.hold(&executor, key(stage, task), 1);
        self.step(Event::Bound {
            stage,
            executor,
            partitions,
        });
    }

    /// The first number that no task has that runs or whose output counts.
    fn free_number(&self, stage: StageId) -> usize {
        let counts = |task: &TaskId| {
            let executor = &self.tasks[&(stage, *task)].0;
            self.lineage.is_live(stage, *task) || self.lineage.is_running(stage, *task, executor)
        };
        let tasks = (0..self.lineage.n_tasks(stage)).filter(counts);
        let used: BTreeSet<usize> = tasks.map(|task| self.numbers[&(stage, task)]).collect();
        (0..=used.len()).find(|n| !used.contains(n)).unwrap()
    }

    /// A running task is given to a second executor, now and then to the same.
    fn copy(&mut self) {
        let running: Vec<_> = self
            .tasks
            .keys()
            .copied()
            .filter(|(stage, task)| self.lineage.may_be_copied(*stage, *task))
            .collect();
        let alive: Vec<String> = self.alive.iter().cloned().collect();
        let (Some((stage, task)), Some(executor)) =
            (self.random.choice(running), self.random.choice(alive))
        else {
            return;
        };
        let partitions = self.tasks[&(stage, task)].1.clone();
        let copy = self.lineage.n_tasks(stage);
        self.doubled.extend([(stage, task), (stage, copy)]);
        self.bind_to(stage, executor, partitions);
    }

    /// A task reports its end; also one that nobody waits for any more.
    fn report(&mut self, failure: Option<Failure>) -> bool {
        let silent: Vec<_> = self.silent.iter().copied().collect();
        let Some((stage, task)) = self.random.choice(silent) else {
            return false;
        };
        if failure.is_none() {
            let number = self.numbers[&(stage, task)];
            self.writers.insert((stage, number), task);
        }
        // Reports come twice, or under another name.
        let mut executor = self.tasks[&(stage, task)].0.clone();
        match self.random.u8(..) {
            0..5 => executor = "somebody else".to_owned(),
            5..15 => {
                self.without_slot.insert((stage, task));
            }
            _ => {
                self.silent.remove(&(stage, task));
            }
        }
        let is_lost = self.random.u8(..) < 10 && !self.silent.contains(&(stage, task));
        if is_lost {
            return true;
        }
        let counts = match self.mutant {
            Mutant::BelievesAll => true,
            Mutant::CountsBoth if self.doubled.contains(&(stage, task)) => true,
            _ => self.lineage.is_running(stage, task, &executor),
        };
        if failure.is_none() && counts {
            self.outputs.entry(stage).or_default().insert(task);
        }
        self.release(&executor, &key(stage, task));
        self.step(match failure {
            None => Event::Succeeded {
                stage,
                task,
                executor,
            },
            Some(failure) => Event::Failed {
                stage,
                task,
                executor,
                failure,
            },
        });
        true
    }

    /// A task has ended, and its slot is free.
    fn release(&self, executor: &str, task: &TaskKey) {
        let is_waited_for = self
            .lineage
            .is_running(task.stage_id, task.task_id, executor);
        if is_waited_for || self.mutant != Mutant::KeepsSlot {
            self.slots.release(executor, task);
        }
    }

    fn random_failure(&mut self) -> Failure {
        let executors = self.n_executors;
        let stages = self.shapes.len();
        match self.random.u8(..3) {
            0 => Failure::Passing("it broke".to_owned()),
            1 => Failure::Stopped,
            _ => Failure::NoInput {
                stage: self.random.usize(1..=stages),
                executor: (self.random.u8(..) > 50)
                    .then(|| format!("e{}", self.random.usize(1..=executors))),
                text: "no answer".to_owned(),
            },
        }
    }

    fn lose(&mut self) {
        let alive: Vec<String> = self.alive.iter().cloned().collect();
        let Some(executor) = self.random.choice(alive) else {
            return;
        };
        self.alive.remove(&executor);
        self.slots.remove(&executor);
        if self.mutant == Mutant::HidesLoss {
            for tasks in self.outputs.iter_mut() {
                let is_there = |task: &TaskId| self.tasks[&(*tasks.0, *task)].0 != executor;
                tasks.1.retain(is_there);
            }
            return;
        }
        self.step(Event::Lost { executor });
    }

    /// A new process takes the place of an executor; nobody says so.
    fn restart(&mut self) {
        let alive: Vec<String> = self.alive.iter().cloned().collect();
        let Some(executor) = self.random.choice(alive) else {
            return;
        };
        *self.processes.entry(executor.clone()).or_default() += 1;
        let tasks = &self.tasks;
        self.silent.retain(|task| tasks[task].0 != executor);
    }

    /// Asks an executor what it runs, and acts on it as the scheduler does.
    fn ask(&mut self, executor: &str) {
        self.now += Duration::from_secs(1);
        if self.mutant == Mutant::NeverAsks {
            return;
        }
        let process = self.processes.get(executor).copied().unwrap_or_default();
        let running = self
            .silent
            .iter()
            .filter(|task| self.tasks[*task].0 == executor);
        let answer = ExecutorTasks {
            incarnation: format!("process {process}"),
            running: running
                .map(|(stage, task)| TaskName {
                    job: "j".to_owned(),
                    stage: *stage,
                    task: *task,
                })
                .collect(),
            ended: Vec::new(),
        };
        let held = self.slots.held(executor);
        let mut silent = self.silent.difference(&self.without_slot);
        let without = silent.find(|(stage, task)| {
            self.tasks[&(*stage, *task)].0 == executor && !held.contains_key(&key(*stage, *task))
        });
        if let Some(task) = without {
            self.fault = Some(format!("{task:?} runs on {executor} and holds no slot"));
        }
        for finding in self.reconciler.compare(executor, answer, &held, self.now) {
            match finding {
                Finding::Restarted => {
                    self.slots.add(executor, 100);
                    let tasks = &self.tasks;
                    let here = self.silent.iter().filter(|t| tasks[*t].0 == executor);
                    self.without_slot.extend(here);
                    self.step(Event::Lost {
                        executor: executor.to_owned(),
                    });
                }
                Finding::Unreported { task, .. } => {
                    self.release(executor, &task);
                    self.step(Event::Failed {
                        stage: task.stage_id,
                        task: task.task_id,
                        executor: executor.to_owned(),
                        failure: Failure::Stopped,
                    });
                }
                Finding::Stray(task) => {
                    assert!(
                        !self
                            .lineage
                            .is_running(task.stage_id, task.task_id, executor),
                        "{task:?} is waited for"
                    );
                    self.silent.remove(&(task.stage_id, task.task_id));
                }
            }
        }
    }

    fn ask_all(&mut self) {
        for executor in self.alive.clone() {
            self.ask(&executor);
        }
    }

    /// Runs the job with `n_faults` random events, and then without faults to its end.
    fn run(&mut self, n_faults: usize) {
        for _ in 0..n_faults {
            if self.end.is_some() {
                return;
            }
            match self.random.u8(..100) {
                0..45 => {
                    self.bind();
                }
                45..80 => {
                    self.report(None);
                }
                80..87 => {
                    let failure = self.random_failure();
                    self.report(Some(failure));
                }
                87..91 => self.lose(),
                91..93 => self.restart(),
                93..95 => self.copy(),
                95..97 => self.ask_all(),
                _ => self.join(),
            }
        }
        self.join();
        let mut n_idle = 0;
        for _ in 0..2_000 {
            if self.end.is_some() {
                return;
            }
            // Tasks of lost executors never report.
            let alive = &self.alive;
            let tasks = &self.tasks;
            self.silent.retain(|task| alive.contains(&tasks[task].0));
            if self.bind() || self.report(None) {
                n_idle = 0;
                continue;
            }
            // What is not known to have ended is found in time.
            n_idle += 1;
            self.now += Duration::from_secs(60);
            self.ask_all();
            if n_idle > 10 {
                break;
            }
        }
        self.fault = Some(format!("the job hangs: {:?}", self.lineage));
    }

    /// After the end all tasks end, too, and hold no slots.
    fn settle(&mut self) {
        for (stage, task) in std::mem::take(&mut self.silent) {
            let executor = &self.tasks[&(stage, task)].0;
            self.release(executor, &key(stage, task));
        }
        for _ in 0..3 {
            self.now += Duration::from_secs(130);
            self.ask_all();
        }
        for executor in &self.alive {
            let held = self.slots.held(executor);
            if !held.is_empty() {
                self.fault = Some(format!("{executor} has ended {held:?}, which hold slots"));
            }
        }
    }

    /// Follows the result back to the leaves: each task read all partitions of each input once, and the
    /// tasks of a stage whose outputs are read together read the same versions of what may come out
    /// differently.
    fn check_result(&self) -> Result<(), String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        match &self.end {
            Some(Ok(())) => {}
            end => return Err(format!("the job ended with {end:?}")),
        }
        let root = *self.shapes.keys().last().unwrap();
        self.check_output(root, &self.outputs[&root])
    }

    fn check_output(&self, stage: StageId, tasks: &BTreeSet<TaskId>) -> Result<(), String> {
        // The files have what was written to them last.
        let writer = |task: &TaskId| self.writers[&(stage, self.numbers[&(stage, *task)])];
        let tasks: Vec<TaskId> = tasks.iter().map(writer).collect();
        let mut partitions: Vec<usize> = Vec::new();
        for task in &tasks {
            partitions.extend(&self.tasks[&(stage, *task)].1);
        }
        partitions.sort_unstable();
        let plans = tasks.iter().map(|task| self.planned[&(stage, *task)]);
        let plans: BTreeSet<(usize, usize)> = plans.collect();
        let (1, Some((_, n_partitions))) = (plans.len(), plans.first()) else {
            return Err(format!(
                "outputs of stage {stage} are of the plans {plans:?}"
            ));
        };
        let all: Vec<usize> = (0..*n_partitions).collect();
        if partitions != all {
            return Err(format!("stage {stage} is read as {partitions:?}"));
        }
        let reads: BTreeSet<&Read> = tasks
            .iter()
            .map(|task| &self.tasks[&(stage, *task)].2)
            .collect();
        for input in &self.shapes[&stage].inputs {
            let versions: BTreeSet<&BTreeSet<TaskId>> =
                reads.iter().map(|read| &read[input]).collect();
            if versions.len() > 1 && !self.is_repeatable(*input) {
                return Err(format!("stage {stage} reads versions of stage {input}"));
            }
            for version in versions {
                self.check_output(*input, version)?;
            }
        }
        Ok(())
    }

    fn is_repeatable(&self, stage: StageId) -> bool {
        let shape = &self.shapes[&stage];
        shape.is_repeatable && shape.inputs.iter().all(|input| self.is_repeatable(*input))
    }
}

fn key(stage: StageId, task: TaskId) -> TaskKey {
    TaskKey {
        job_id: "j".into(),
        stage_id: stage,
        task_id: task,
    }
}

fn outcome(seed: u64, mutant: Mutant) -> Result<(), String> {
    let mut world = World::new(seed, mutant);
    let n_faults = world.random.usize(0..150);
    world.run(n_faults);
    world.settle();
    world.check_result()
}

#[test]
fn every_sequence_of_faults_ends_with_each_row_once() {
    for seed in 0..N_SEQUENCES {
        if let Err(fault) = outcome(seed, Mutant::None) {
            panic!("seed {seed}: {fault}");
        }
    }
}

#[test]
fn each_broken_rule_is_found() {
    for mutant in [
        Mutant::ForgetsNothing,
        Mutant::BelievesAll,
        Mutant::TrustsRerun,
        Mutant::HidesLoss,
        Mutant::NeverAsks,
        Mutant::CountsBoth,
        Mutant::ReplansLate,
        Mutant::UsesNumbersAgain,
        Mutant::DoesNotWait,
        Mutant::KeepsSlot,
        Mutant::FreesSlotEarly,
    ] {
        let is_found = (0..5_000).any(|seed| {
            let run = std::panic::catch_unwind(|| outcome(seed, mutant));
            !matches!(run, Ok(Ok(())))
        });
        assert!(is_found, "{mutant:?}");
    }
}
