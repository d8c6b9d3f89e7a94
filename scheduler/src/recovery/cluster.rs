//! The state of the cluster, as Ballista's scheduler keeps it, with slots that are never lost count of
//! and jobs that survive losses.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::ExecutorHeartbeat;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;

use super::bind::{Job, bind};
use super::counts::Counts;
use super::graph::RecoveringGraph;
use super::lineage::Limits;
use super::slots::Slots;

/// Ballista's state of the cluster, but for slots and for jobs.
pub(crate) struct Recovering {
    inner: Arc<dyn ClusterState>,
    slots: Arc<Slots>,
    counts: Counts,
    limits: Limits,
    /// The jobs that were taken over.
    adopted: Mutex<HashSet<JobId>>,
    /// Executors that do not answer.
    silent: Mutex<HashSet<String>>,
}

impl Recovering {
    pub(crate) fn new(inner: Arc<dyn ClusterState>, limits: Limits, counts: Counts) -> Self {
        Self {
            inner,
            slots: Arc::default(),
            counts,
            limits,
            adopted: Mutex::default(),
            silent: Mutex::default(),
        }
    }

    /// An executor that does not answer gets no task, and Ballista takes it for lost the next time that
    /// it looks.
    pub(crate) fn set_silent(&self, executor: &str) {
        lock(&self.silent).insert(executor.to_owned());
    }

    /// Puts a graph of ours in the place of Ballista's, before the first task of the job is given out.
    fn adopt(&self, (job_id, graph): &mut Job) {
        if !lock(&self.adopted).insert(job_id.clone()) {
            return;
        }
        let (slots, counts) = (Arc::clone(&self.slots), self.counts.clone());
        match RecoveringGraph::adopt(graph, self.limits, slots, counts) {
            Ok(ours) => **graph = Box::new(ours),
            Err(error) => {
                tracing::error!(job = %job_id, %error, "a job cannot be run");
                graph.fail_job(format!("the job cannot be run: {error}"));
            }
        }
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
        lock(&self.adopted).retain(|job| active_jobs.contains_key(job));
        self.slots.keep_jobs(|job| active_jobs.contains_key(job));
        // Ids of jobs sort by time: the oldest comes first.
        let mut ids: Vec<&JobId> = active_jobs.keys().collect();
        ids.sort_unstable_by_key(|id| id.as_str());
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            let graph = Arc::clone(&active_jobs[id].execution_graph);
            let mut job = (id.clone(), graph.write_owned().await);
            self.adopt(&mut job);
            jobs.push(job);
        }
        let executors = executors.unwrap_or_default();
        Ok(bind(&self.slots, &distribution, &mut jobs, &executors))
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
        self.inner.register_executor(metadata, spec).await?;
        lock(&self.silent).remove(&id);
        self.slots.add(&id, n_slots);
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
        if self.inner.get_executor_metadata(executor_id).await.is_ok() {
            self.counts.lost.inc();
        }
        self.inner.remove_executor(executor_id).await?;
        lock(&self.silent).remove(executor_id);
        self.slots.remove(executor_id);
        Ok(())
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        let mut heartbeats = self.inner.executor_heartbeats();
        for executor in lock(&self.silent).iter() {
            if let Some(heartbeat) = heartbeats.get_mut(executor) {
                heartbeat.timestamp = 0;
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
