//! The state of the cluster, as Ballista's scheduler keeps it, with slots that are never lost count of
//! and jobs that survive losses.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::{ExecutorHeartbeat, ExecutorStatus, executor_status};
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use ballista_scheduler::state::task_manager::JobInfoCache;
use tokio::sync::RwLock;

use super::bind::{Binding, Job};
use super::counts::Counts;
use super::cuts::Cuts;
use super::graph::RecoveringGraph;
use super::lineage::Limits;
use super::replan::Replans;
use super::slots::Slots;
use super::standing::{SetAside, Standings};
use crate::lease::Leases;

/// What the jobs and those who give out tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) slots: Slots,
    pub(crate) standings: Standings,
    pub(crate) cuts: Cuts,
    pub(crate) counts: Counts,
    pub(crate) leases: Leases,
    pub(crate) replans: Replans,
}

impl Shared {
    /// No executors and no jobs.
    pub(crate) fn new(counts: Counts) -> Self {
        Self {
            slots: Slots::default(),
            standings: Standings::default(),
            cuts: Cuts::default(),
            leases: Leases::default(),
            replans: Replans::default(),
            counts,
        }
    }

    /// Those of `executors` that may get tasks: they do them well, and reach each other. One at least, if there is any.
    fn usable(&self, executors: &HashSet<String>) -> HashSet<String> {
        let now = Instant::now();
        self.cuts.usable(self.standings.usable(executors, now), now)
    }

    /// The executors that get no tasks for a while, and how long that lasts.
    pub(crate) fn aside(&self, now: Instant) -> BTreeMap<String, Duration> {
        let mut aside = self.cuts.aside(now);
        for (executor, left) in self.standings.aside(now) {
            let longest = aside.entry(executor).or_default();
            *longest = left.max(*longest);
        }
        aside
    }
}

/// How tasks are given out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// Whether slow tasks are given to a second executor.
    pub(crate) has_copies: bool,
}

/// Ballista's state of the cluster, but for slots and for jobs.
pub(crate) struct Recovering {
    inner: Arc<dyn ClusterState>,
    shared: Arc<Shared>,
    rules: Rules,
    /// The jobs that were taken over.
    adopted: Mutex<HashMap<JobId, Weak<RwLock<ExecutionGraphBox>>>>,
    /// Executors that do not answer.
    silent: Mutex<HashSet<String>>,
    /// Which registration of each executor counts.
    registrations: Mutex<Registrations>,
    /// Whether slow tasks are looked for when tasks are given out the next time, for which all tasks are looked at.
    looks_for_copies: AtomicBool,
}

impl Recovering {
    pub(crate) fn new(inner: Arc<dyn ClusterState>, rules: Rules, shared: Arc<Shared>) -> Self {
        Self {
            inner,
            shared,
            rules,
            adopted: Mutex::default(),
            silent: Mutex::default(),
            registrations: Mutex::default(),
            looks_for_copies: AtomicBool::new(false),
        }
    }

    /// What the jobs share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Slow tasks are looked for when tasks are given out the next time.
    pub(crate) fn look_for_copies(&self) {
        self.looks_for_copies.store(true, Ordering::Relaxed);
    }

    /// The executors that are registered, by their name and with the number of their registration: a process that
    /// comes later under the same name has another.
    pub(crate) fn registrations(&self) -> HashMap<String, u64> {
        lock(&self.registrations).numbers.clone()
    }

    /// Whether that registration of an executor counts.
    pub(crate) fn is_registered(&self, executor: &str, registration: u64) -> bool {
        lock(&self.registrations).is_current(executor, registration)
    }

    /// An executor that does not answer gets no task, and Ballista takes it for lost the next time that
    /// it looks. That does not hold for a process that has registered since the question.
    pub(crate) fn set_silent(&self, executor: &str, registration: u64) {
        let registrations = lock(&self.registrations);
        if registrations.is_current(executor, registration) {
            lock(&self.silent).insert(executor.to_owned());
        }
    }

    /// There is a new process under the name of an executor: all that the old one had is lost.
    pub(crate) async fn set_restarted(&self, executor: &ExecutorMetadata) -> Result<()> {
        self.lose(&executor.id).await?;
        self.add(&executor.id, executor.specification.vcores);
        Ok(())
    }

    /// Tells the jobs that all is lost that an executor ran and computed, before it gets a task again.
    async fn lose(&self, executor: &str) -> Result<()> {
        tracing::warn!(executor, "a new process took the name of an executor");
        self.forget(executor);
        let jobs: Vec<_> = lock(&self.adopted).values().cloned().collect();
        for job in jobs.iter().filter_map(Weak::upgrade) {
            // Tasks that have to end elsewhere because of that are told so when their executor is asked
            // the next time.
            job.write().await.reset_stages_on_lost_executor(executor)?;
        }
        Ok(())
    }

    /// Jobs that were there when tasks were given out the last time and are not `active` hold nothing any more.
    fn forget_ended_jobs(&self, active: &HashMap<JobId, JobInfoCache>) {
        let is_running = |job: &JobId| active.contains_key(job);
        let mut adopted = lock(&self.adopted);
        let n_jobs = adopted.len();
        adopted.retain(|job, _| is_running(job));
        if adopted.len() < n_jobs {
            self.shared.slots.keep_jobs(is_running);
            self.shared.standings.keep_jobs(is_running);
        }
    }

    fn add(&self, executor: &str, n_slots: u32) {
        {
            let mut registrations = lock(&self.registrations);
            lock(&self.silent).remove(executor);
            registrations.add(executor);
        }
        self.shared.slots.add(executor, n_slots);
        self.shared.standings.add(executor, Instant::now());
    }

    /// The executor has no slots any more.
    fn forget(&self, executor: &str) {
        self.shared.counts.lost.inc();
        {
            let mut registrations = lock(&self.registrations);
            lock(&self.silent).remove(executor);
            registrations.numbers.remove(executor);
        }
        self.shared.slots.remove(executor);
        self.shared.cuts.forget(executor);
        let set_aside = self.shared.standings.lost(executor, Instant::now());
        set_aside.iter().for_each(SetAside::log);
    }

    /// Puts a graph of ours in the place of Ballista's, before the first task of the job is given out.
    fn adopt(&self, (job_id, graph): &mut Job, handle: Weak<RwLock<ExecutionGraphBox>>) {
        if lock(&self.adopted).insert(job_id.clone(), handle).is_some() {
            return;
        }
        match RecoveringGraph::adopt(graph, self.rules.limits, Arc::clone(&self.shared)) {
            Ok(ours) => **graph = Box::new(ours),
            Err(error) => {
                tracing::error!(job = %job_id, %error, "a job cannot be run");
                graph.fail_job(format!("the job cannot be run: {error}"));
            }
        }
    }
}

/// The registrations of executors, counted.
#[derive(Debug, Default)]
struct Registrations {
    numbers: HashMap<String, u64>,
    last: u64,
}

impl Registrations {
    fn add(&mut self, executor: &str) {
        self.last += 1;
        self.numbers.insert(executor.to_owned(), self.last);
    }

    fn is_current(&self, executor: &str, number: u64) -> bool {
        self.numbers.get(executor) == Some(&number)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ClusterState for Recovering {
    async fn init(&self) -> Result<()> {
        self.inner.init().await
    }

    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        self.forget_ended_jobs(&active_jobs);
        // Ids of jobs sort by time: the oldest comes first.
        let mut ids: Vec<&JobId> = active_jobs.keys().collect();
        ids.sort_unstable_by_key(|id| id.as_str());
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            let graph = Arc::clone(&active_jobs[id].execution_graph);
            let handle = Arc::downgrade(&graph);
            let mut job = (id.clone(), graph.write_owned().await);
            self.adopt(&mut job, handle);
            jobs.push(job);
        }
        let executors = executors.unwrap_or_default();
        let usable = self.shared.usable(&executors);
        let mut binding = Binding::new(&self.shared, &distribution, usable);
        binding.give(&mut jobs);
        if self.rules.has_copies && self.looks_for_copies.swap(false, Ordering::Relaxed) {
            binding.give_copies(&mut jobs);
        }
        Ok(binding.bound())
    }

    /// Slots come back when the end of a task is reported, by the task; Ballista's counts are not exact.
    async fn unbind_tasks(&self, _executor_slots: Vec<ExecutorSlot>) -> Result<()> {
        Ok(())
    }

    async fn register_executor(
        &self,
        metadata: ExecutorMetadata,
        spec: ExecutorData,
    ) -> Result<()> {
        let (id, n_slots) = (metadata.id.clone(), spec.total_vcores);
        // Two processes cannot listen on one port, so the old one is gone. Ballista refuses one that comes
        // from elsewhere under the name of an executor that is there.
        if let Ok(old) = self.inner.get_executor_metadata(&id).await
            && (&old.host, old.port, old.grpc_port)
                == (&metadata.host, metadata.port, metadata.grpc_port)
        {
            self.inner.remove_executor(&id).await?;
            self.lose(&id).await?;
        }
        self.inner.register_executor(metadata, spec).await?;
        self.add(&id, n_slots);
        Ok(())
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.inner.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.inner.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.inner.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.inner.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        let is_known = self.inner.get_executor_metadata(executor_id).await.is_ok();
        self.inner.remove_executor(executor_id).await?;
        if is_known {
            self.forget(executor_id);
        }
        Ok(())
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        let mut heartbeats = self.inner.executor_heartbeats();
        for executor in lock(&self.silent).iter() {
            if let Some(heartbeat) = heartbeats.get_mut(executor) {
                heartbeat.timestamp = 0;
                // Else Ballista would tell it to stop, and the message could reach a process that has taken its
                // place, or one that lives and registers again.
                heartbeat.status = Some(ExecutorStatus {
                    status: Some(executor_status::Status::Terminating(String::new())),
                });
            }
        }
        heartbeats
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.inner.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.inner.cluster_state_events().await
    }
}
