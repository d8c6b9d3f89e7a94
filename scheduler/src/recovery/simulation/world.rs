//! A cluster in which one thing happens after the other, in an order that a seed decides.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::JobId;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::{TaskStatus, task_status};
use ballista_core::serde::scheduler::{
    ExecutorData, ExecutorMetadata, ExecutorOperatingSystemSpecification, ExecutorSpecification,
    PartitionLocation, TaskKey,
};
use ballista_core::utils::{default_config_producer, default_session_builder};
use ballista_scheduler::cluster::{BallistaCluster, ClusterState};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::planner::DefaultDistributedPlanner;
use ballista_scheduler::scheduler_server::event::QueryStageSchedulerEvent;
use ballista_scheduler::state::execution_graph::{
    ExecutionGraphBox, RunningTaskInfo, StaticExecutionGraph,
};
use ballista_scheduler::state::task_manager::JobInfoCache;
use emporia_engine::running::{ExecutorTasks, TaskName};
use fastrand::Rng;

use super::super::reconcile::{Finding, Reconciler};
use super::super::watch::unreported;
use super::super::{Counts, Limits, Recovering, Rules, Shared};
use super::faults::Fault;
use super::hosts::{Host, Machine, Places, failed, sent};
use super::queries::Query;
use super::rows::Rows;

const N_HOSTS: usize = 3;
const N_SLOTS: u32 = 2;
/// As of the settings' defaults.
const RULES: Rules = Rules {
    limits: Limits {
        task_failures: 4,
        stage_failures: 4,
        losses: 10,
    },
    has_copies: true,
};
/// How often a client submits a query whose result is lost before it is fetched.
const MAX_ATTEMPTS: usize = 4;
/// More events than any run takes that ends.
const MAX_EVENTS: usize = 5_000;
/// Rounds of questions without an answer that changes anything, after which nothing will happen any more.
const MAX_IDLE: usize = 30;
const NOBODY_LEFT: &str = "all executors were lost";

/// Whose graph runs the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Graphs {
    Ours,
    Ballistas,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Rows(Rows),
    /// The job failed, and says why.
    Failed(String),
    /// Nothing happens any more, or things happen without end.
    Hung(String),
}

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) ending: Ending,
    pub(super) n_events: usize,
    /// Whether no executor was left when the job failed.
    pub(super) was_alone: bool,
}

/// On its way between the scheduler and an executor.
#[derive(Debug)]
enum Message {
    Report {
        host: usize,
        status: TaskStatus,
    },
    /// The scheduler notices that an executor is gone, and then tells the jobs.
    Noticed {
        host: usize,
    },
    Told {
        executor: String,
    },
    Registers {
        host: usize,
    },
    Cancels {
        host: usize,
        process: usize,
        key: TaskKey,
    },
}

struct Posted {
    /// The event from which on it may arrive.
    after: usize,
    message: Message,
}

/// What is still to come of a fault.
#[derive(Debug, Default)]
struct Pending {
    loses_report: bool,
    doubles_report: bool,
    fails_task: bool,
    /// The next loss that jobs are told of is followed by another one.
    loses_again: bool,
    /// Executors that end at these events.
    ends: Vec<(usize, usize)>,
}

pub(super) struct World<'a> {
    machine: &'a Machine,
    query: &'a Query,
    graphs: Graphs,
    state: Arc<dyn ClusterState>,
    recovering: Option<Arc<Recovering>>,
    reconciler: Reconciler,
    now: Instant,
    folder: &'a Path,
    hosts: Vec<Host>,
    messages: Vec<Posted>,
    pending: Pending,
    jobs: Arc<HashMap<JobId, JobInfoCache>>,
    job: JobId,
    random: Rng,
    n_events: usize,
}

fn metadata(n: usize) -> ExecutorMetadata {
    ExecutorMetadata {
        id: format!("e{n}"),
        host: format!("host-{n}"),
        port: 1,
        grpc_port: 2,
        specification: ExecutorSpecification::default().with_vcores(N_SLOTS),
        os_info: ExecutorOperatingSystemSpecification::default(),
    }
}

impl<'a> World<'a> {
    /// Executors below `folder`, which is empty.
    pub(super) async fn new(
        machine: &'a Machine,
        query: &'a Query,
        graphs: Graphs,
        folder: &'a Path,
        seed: u64,
    ) -> Self {
        let builder = Arc::new(default_session_builder);
        let config = Arc::new(default_config_producer);
        let memory = BallistaCluster::new_memory("scheduler", builder, config).cluster_state();
        let recovering = (graphs == Graphs::Ours).then(|| {
            let shared = Arc::new(Shared::new(Counts::new().unwrap()));
            Arc::new(Recovering::new(Arc::clone(&memory), RULES, shared))
        });
        let state = match &recovering {
            Some(recovering) => Arc::clone(recovering) as Arc<dyn ClusterState>,
            None => memory,
        };
        let mut world = Self {
            machine,
            query,
            graphs,
            state,
            recovering,
            reconciler: Reconciler::default(),
            now: Instant::now(),
            folder,
            hosts: Vec::new(),
            messages: Vec::new(),
            pending: Pending::default(),
            jobs: Arc::default(),
            job: JobId::from("none"),
            random: Rng::with_seed(seed),
            n_events: 0,
        };
        for _ in 0..N_HOSTS {
            let host = world.add_host();
            world.register(host).await;
        }
        world
    }

    fn add_host(&mut self) -> usize {
        let n = self.hosts.len();
        let mut host = Host {
            metadata: metadata(n),
            folder: self.folder.join(format!("e{n}")),
            process: 0,
            is_up: false,
            tasks: Vec::new(),
            ended: Vec::new(),
        };
        host.begin();
        self.hosts.push(host);
        n
    }

    /// Runs the query, with a fault at one event. The client submits it again where its result is lost.
    pub(super) async fn run(&mut self, fault: Option<(usize, Fault)>) -> Ended {
        let mut ending = Ending::Hung("no result lasts until it is fetched".to_owned());
        for attempt in 0..MAX_ATTEMPTS {
            self.submit(attempt);
            self.bind().await;
            if let Some(end) = self.run_job(fault).await {
                ending = end;
                break;
            }
        }
        Ended {
            ending,
            n_events: self.n_events,
            was_alone: self.is_alone(),
        }
    }

    fn submit(&mut self, attempt: usize) {
        self.job = JobId::from(format!("job-{attempt}"));
        let graph = StaticExecutionGraph::new(
            "scheduler",
            &self.job,
            &self.query.name,
            "session",
            Arc::clone(&self.query.plan),
            0,
            Arc::clone(&self.query.config),
            &mut DefaultDistributedPlanner::new(),
            None,
        );
        let mut graph: ExecutionGraphBox = Box::new(graph.unwrap());
        graph.revive();
        let info = JobInfoCache::new(graph);
        self.jobs = Arc::new(HashMap::from([(self.job.clone(), info)]));
    }

    /// How the job ends; `None` where its result is lost.
    async fn run_job(&mut self, fault: Option<(usize, Fault)>) -> Option<Ending> {
        let mut n_idle = 0;
        loop {
            let status = self.status().await;
            match status {
                Some(Status::Successful(done)) => {
                    let places = done.partition_location.into_iter();
                    let places: Vec<PartitionLocation> =
                        places.map(|place| place.try_into().unwrap()).collect();
                    let found = self.places();
                    let rows = self.machine.result(&places, &self.query.plan, &found);
                    let rows = rows.await?;
                    return Some(Ending::Rows(Rows::of(&rows, self.query.is_ordered)));
                }
                Some(Status::Failed(failed)) => return Some(Ending::Failed(failed.error)),
                _ => {}
            }
            if self.n_events >= MAX_EVENTS || n_idle >= MAX_IDLE {
                return Some(Ending::Hung(format!(
                    "event {}, {:?}",
                    self.n_events,
                    self.jobs[&self.job].execution_graph.read().await
                )));
            }
            if let Some((at, fault)) = fault
                && at == self.n_events
            {
                self.break_by(fault).await;
            }
            self.end_hosts();
            if self.is_alone() {
                // Ballista does so after a while.
                let mut graph = self.jobs[&self.job].execution_graph.write().await;
                graph.abort_running(NOBODY_LEFT.to_owned());
                self.n_events += 1;
                continue;
            }
            if self.step().await {
                n_idle = 0;
            } else {
                n_idle += 1;
            }
            self.n_events += 1;
        }
    }

    async fn status(&self) -> Option<Status> {
        let graph = self.jobs[&self.job].execution_graph.read().await;
        graph.status().status.clone()
    }

    /// Whether no executor is left and none will come.
    fn is_alone(&self) -> bool {
        let mut messages = self.messages.iter();
        !self.hosts.iter().any(|host| host.is_up)
            && !messages.any(|posted| matches!(posted.message, Message::Registers { .. }))
    }

    fn places(&self) -> Places {
        let up = self.hosts.iter().filter(|host| host.is_up);
        let places = up.map(|host| (host.metadata.id.clone(), host.folder.clone()));
        Places(places.collect())
    }

    fn post(&mut self, message: Message) {
        self.post_after(0, message);
    }

    /// Posts a message that arrives after `n` further events at the earliest.
    fn post_after(&mut self, n: usize, message: Message) {
        let after = self.n_events + n;
        self.messages.push(Posted { after, message });
    }

    fn host_of(&self, executor: &str) -> usize {
        let mut hosts = self.hosts.iter();
        hosts.position(|host| host.metadata.id == executor).unwrap()
    }

    /// One task ends, or one message arrives, or executors are asked what they run. Whether anything but questions
    /// was possible.
    async fn step(&mut self) -> bool {
        let mut tasks = Vec::new();
        for (n, host) in self.hosts.iter().enumerate() {
            tasks.extend((0..host.tasks.len()).map(|task| (n, task)));
        }
        let now = self.n_events;
        let mut messages: Vec<usize> = (0..self.messages.len())
            .filter(|n| self.messages[*n].after <= now)
            .collect();
        if tasks.is_empty() && messages.is_empty() {
            messages = (0..self.messages.len()).collect();
        }
        let n_choices = tasks.len() + messages.len();
        if n_choices == 0 {
            self.ask(Duration::from_secs(60)).await;
            return false;
        }
        if self.random.u8(..16) == 0 {
            self.ask(Duration::from_secs(1)).await;
            return true;
        }
        let choice = self.random.usize(..n_choices);
        if let Some((host, task)) = tasks.get(choice) {
            self.run_task(*host, *task).await;
        } else {
            let posted = self.messages.remove(messages[choice - tasks.len()]);
            self.arrive(posted.message).await;
        }
        true
    }

    /// A task runs to its end, and its report is posted.
    async fn run_task(&mut self, host: usize, task: usize) {
        let task = self.hosts[host].tasks.remove(task);
        let status = if std::mem::take(&mut self.pending.fails_task) {
            let full = std::io::Error::other("no space left on device");
            failed(&task, BallistaError::IoError(full))
        } else {
            let places = self.places();
            self.machine.run(&self.hosts[host], &task, &places).await
        };
        self.hosts[host].ended.push(task.key);
        if std::mem::take(&mut self.pending.loses_report) {
            return;
        }
        if std::mem::take(&mut self.pending.doubles_report) {
            let status = status.clone();
            self.post(Message::Report { host, status });
        }
        self.post(Message::Report { host, status });
    }

    async fn arrive(&mut self, message: Message) {
        match message {
            Message::Report { host, status } => {
                let id = self.hosts[host].metadata.id.clone();
                // Ballista drops the reports of executors that it does not know.
                if let Ok(metadata) = self.state.get_executor_metadata(&id).await {
                    self.report(&metadata, status).await;
                }
            }
            Message::Noticed { host } => self.notice(host).await,
            Message::Told { executor } => {
                let mut graph = self.jobs[&self.job].execution_graph.write().await;
                let told = graph.reset_stages_on_lost_executor(&executor);
                drop(graph);
                assert!(told.is_ok() || self.graphs == Graphs::Ballistas, "{told:?}");
                self.cancel(told.map(|(_, cancelled)| cancelled).unwrap_or_default());
                if std::mem::take(&mut self.pending.loses_again)
                    && let Some(next) = self.any_up()
                {
                    let after = self.n_events + self.random.usize(..6);
                    self.pending.ends.push((after, next));
                }
                self.bind().await;
            }
            Message::Registers { host } => {
                if self.hosts[host].is_up {
                    self.register(host).await;
                    self.bind().await;
                }
            }
            Message::Cancels { host, process, key } => {
                let found = &mut self.hosts[host];
                let task = found.tasks.iter().position(|task| task.key == key);
                if let Some(task) = task
                    && found.process == process
                {
                    let task = found.tasks.remove(task);
                    found.ended.push(task.key.clone());
                    let status = failed(&task, BallistaError::Cancelled);
                    self.post(Message::Report { host, status });
                }
            }
        }
    }

    /// The scheduler finds that an executor is gone. One that goes on registers again.
    async fn notice(&mut self, host: usize) {
        let executor = self.hosts[host].metadata.id.clone();
        if self.state.get_executor_metadata(&executor).await.is_err() {
            return;
        }
        self.state.remove_executor(&executor).await.unwrap();
        self.post(Message::Told { executor });
        if self.hosts[host].is_up {
            self.post(Message::Registers { host });
        }
    }

    async fn register(&mut self, host: usize) {
        let metadata = self.hosts[host].metadata.clone();
        let data = ExecutorData {
            executor_id: metadata.id.clone(),
            total_vcores: N_SLOTS,
            available_vcores: N_SLOTS,
        };
        let registered = self.state.register_executor(metadata, data).await;
        // Ballista refuses a process under the name of an executor that it has not given up.
        assert!(registered.is_ok() || self.graphs == Graphs::Ballistas);
    }

    /// A report arrives of an executor that the scheduler knows.
    async fn report(&mut self, metadata: &ExecutorMetadata, status: TaskStatus) {
        let info = self.jobs.get(&JobId::from(status.job_id.as_str()));
        let Some(info) = info else {
            return;
        };
        let mut graph = info.execution_graph.write().await;
        let (stage, task) = (status.stage_id as usize, status.task_id as usize);
        let n_slots = graph.task_vcores(stage, task).unwrap_or_default();
        let is_running = matches!(
            graph.status().status,
            Some(Status::Running(_) | Status::Queued(_))
        );
        if !is_running {
            return;
        }
        let limits = RULES.limits;
        let events = graph.update_task_status(
            metadata,
            vec![status],
            limits.task_failures,
            limits.stage_failures,
        );
        drop(graph);
        if self.graphs == Graphs::Ballistas {
            let slots = vec![(metadata.id.clone(), n_slots)];
            let _ = self.state.unbind_tasks(slots).await;
        }
        for event in events.unwrap_or_default() {
            if let QueryStageSchedulerEvent::CancelTasks(tasks) = event {
                self.cancel(tasks);
            }
        }
        self.bind().await;
    }

    fn cancel(&mut self, mut tasks: Vec<RunningTaskInfo>) {
        tasks.sort_by_key(|task| (task.stage_id, task.task_id));
        for task in tasks {
            let host = self.host_of(&task.executor_id);
            let process = self.hosts[host].process;
            let key = TaskKey {
                job_id: task.job_id,
                stage_id: task.stage_id,
                task_id: task.task_id,
            };
            self.post(Message::Cancels { host, process, key });
        }
    }

    /// Tasks are given out.
    async fn bind(&mut self) {
        if !matches!(
            self.status().await,
            Some(Status::Running(_) | Status::Queued(_))
        ) {
            return;
        }
        // What Ballista's scheduler does before it gives out tasks. Our graph does not need it.
        self.jobs[&self.job].execution_graph.write().await.revive();
        let registered = self.state.registered_executor_metadata().await;
        let executors: HashSet<String> = registered.into_iter().map(|e| e.id).collect();
        let policy = TaskDistributionPolicy::RoundRobin;
        let jobs = Arc::clone(&self.jobs);
        let bound = self
            .state
            .bind_schedulable_tasks(policy, jobs, Some(executors));
        for (executor, task) in bound.await.unwrap() {
            let host = self.host_of(&executor);
            if self.hosts[host].is_up {
                self.hosts[host].tasks.push(sent(&task));
            } else {
                // Who cannot be given a task is gone.
                self.notice(host).await;
            }
        }
    }

    /// Asks the executors what they run, `later` than the last time.
    async fn ask(&mut self, later: Duration) {
        self.now += later;
        let Some(recovering) = self.recovering.clone() else {
            return;
        };
        let mut registered = self.state.registered_executor_metadata().await;
        registered.sort_by(|a, b| a.id.cmp(&b.id));
        self.reconciler
            .keep(|id| registered.iter().any(|metadata| metadata.id == id));
        for metadata in registered {
            let found = &self.hosts[self.host_of(&metadata.id)];
            if !found.is_up {
                continue;
            }
            let answer = ExecutorTasks {
                incarnation: format!("process {}", found.process),
                running: found.tasks.iter().map(|task| name(&task.key)).collect(),
                ended: found.ended.iter().map(name).collect(),
            };
            let held = recovering.shared().slots.held(&metadata.id);
            let mut findings = self
                .reconciler
                .compare(&metadata.id, answer, &held, self.now);
            findings.sort_by_key(|finding| format!("{finding:?}"));
            for finding in findings {
                self.act(&recovering, &metadata, finding).await;
            }
        }
        self.bind().await;
    }

    /// What the scheduler does about what an executor says.
    async fn act(
        &mut self,
        recovering: &Recovering,
        metadata: &ExecutorMetadata,
        finding: Finding,
    ) {
        match finding {
            Finding::Restarted => recovering.set_restarted(metadata).await.unwrap(),
            Finding::Unreported { task, .. } => self.report(metadata, unreported(&task)).await,
            Finding::Stray(task) => self.cancel(vec![RunningTaskInfo {
                task_id: task.task_id,
                job_id: task.job_id,
                stage_id: task.stage_id,
                executor_id: metadata.id.clone(),
            }]),
        }
    }

    fn any_up(&mut self) -> Option<usize> {
        let up: Vec<usize> = (0..self.hosts.len())
            .filter(|n| self.hosts[*n].is_up)
            .collect();
        self.random.choice(up)
    }

    /// An executor ends. Some of its reports are on the way.
    fn end(&mut self, host: usize) {
        if !self.hosts[host].is_up {
            return;
        }
        self.hosts[host].end();
        let random = &mut self.random;
        self.messages.retain(|posted| match posted.message {
            Message::Report { host: from, .. } => from != host || random.bool(),
            _ => true,
        });
        self.post(Message::Noticed { host });
    }

    fn end_hosts(&mut self) {
        let now = self.n_events;
        let due: Vec<usize> = self
            .pending
            .ends
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(_, host)| *host)
            .collect();
        self.pending.ends.retain(|(at, _)| *at > now);
        due.into_iter().for_each(|host| self.end(host));
    }

    async fn break_by(&mut self, fault: Fault) {
        match fault {
            Fault::Lost => self.end_any(1),
            Fault::TwoLost => self.end_any(2),
            Fault::LostAndBack => {
                let Some(host) = self.any_up() else { return };
                self.end(host);
                self.hosts[host].begin();
                if self.random.bool() {
                    // It is there before anyone has noticed.
                    self.messages
                        .retain(|posted| !matches!(posted.message, Message::Noticed { .. }));
                    self.post(Message::Registers { host });
                }
            }
            Fault::CutOff => {
                let Some(host) = self.any_up() else { return };
                self.post(Message::Noticed { host });
            }
            Fault::ReportLost => {
                let report = self.any_report();
                match report {
                    Some(report) => drop(self.messages.remove(report)),
                    None => self.pending.loses_report = true,
                }
            }
            Fault::ReportTwice => match self.any_report() {
                Some(report) => {
                    if let Message::Report { host, status } = &self.messages[report].message {
                        let (host, status) = (*host, status.clone());
                        let later = self.random.usize(..20);
                        self.post_after(later, Message::Report { host, status });
                    }
                }
                None => self.pending.doubles_report = true,
            },
            Fault::ReportLate => {
                let Some(report) = self.any_report() else {
                    self.end_any(1);
                    return;
                };
                let Posted { message, .. } = self.messages.remove(report);
                if let Message::Report { host, status } = message {
                    self.end(host);
                    if self.random.bool() {
                        self.hosts[host].begin();
                    }
                    let later = 3 + self.random.usize(..15);
                    self.post_after(later, Message::Report { host, status });
                }
            }
            Fault::FileGone | Fault::FileCut => self.break_file(fault),
            Fault::LostInRecovery => {
                self.end_any(1);
                self.pending.loses_again = true;
            }
            Fault::JoinerLost => {
                let host = self.add_host();
                self.register(host).await;
                self.bind().await;
                let after = self.n_events + 1 + self.random.usize(..12);
                self.pending.ends.push((after, host));
            }
            Fault::AllLost => {
                self.end_any(self.hosts.len());
                if self.random.bool() {
                    let host = self.random.usize(..self.hosts.len());
                    self.hosts[host].begin();
                    let later = self.random.usize(..20);
                    self.post_after(later, Message::Registers { host });
                }
            }
            Fault::TaskFailed => self.pending.fails_task = true,
            Fault::Slow => {
                let mut graph = self.jobs[&self.job].execution_graph.write().await;
                if let Some(stage) = graph.fetch_running_stage(&[]) {
                    for task in &mut stage.task_infos {
                        if matches!(task.task_status, task_status::Status::Running(_)) {
                            task.scheduled_time -= 60_000;
                        }
                    }
                }
            }
        }
    }

    fn end_any(&mut self, n: usize) {
        for _ in 0..n {
            if let Some(host) = self.any_up() {
                self.end(host);
            }
        }
    }

    fn any_report(&mut self) -> Option<usize> {
        let reports: Vec<usize> = (0..self.messages.len())
            .filter(|n| matches!(self.messages[*n].message, Message::Report { .. }))
            .collect();
        self.random.choice(reports)
    }

    fn break_file(&mut self, fault: Fault) {
        let up = self.hosts.iter().filter(|host| host.is_up);
        let files: Vec<_> = up.flat_map(Host::files).collect();
        let Some(path) = self.random.choice(files) else {
            return;
        };
        if fault == Fault::FileGone {
            std::fs::remove_file(path).unwrap();
            return;
        }
        let n_bytes = std::fs::metadata(&path).unwrap().len();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len(self.random.u64(..n_bytes.max(1))).unwrap();
    }
}

fn name(task: &TaskKey) -> TaskName {
    TaskName {
        job: task.job_id.as_str().to_owned(),
        stage: task.stage_id,
        task: task.task_id,
    }
}
