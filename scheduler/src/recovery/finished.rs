//! What the scheduler remembers of jobs that have ended.
//!
//! Ballista keeps all of a job, with its plans and the measures of each task, and two timers that end it; jobs
//! that could not be planned it keeps for ever. Here the last jobs are kept whole, others as a small record, and
//! of these the oldest go when there are too many. Ballista's timers are turned off (`config.rs`); in their place
//! [`FinishedJobs::expire`] is called each second.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::JobStatus;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::{JobId, JobStatusSubscriber};
use ballista_scheduler::cluster::{JobState, JobStateEventStream};
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use ballista_scheduler::state::execution_stage::ExecutionStage;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::cluster::Shared;
use super::graph::{record_of, record_of_unplanned};

/// How many jobs are kept whole at most.
const MAX_WHOLE: usize = 100;
/// How many tasks they may have together, unless they are one job.
const MAX_TASKS: usize = 20_000;

/// Ballista's state of jobs, but for those that have ended.
pub(crate) struct FinishedJobs {
    inner: Arc<dyn JobState>,
    shared: Arc<Shared>,
    keep: Keep,
    kept: Mutex<Kept>,
}

/// How much is remembered of jobs that have ended, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// So many jobs at most.
    pub(crate) max_jobs: usize,
    /// What is known of a job.
    pub(crate) state: Duration,
    /// Its result, on the executors.
    pub(crate) data: Duration,
}

#[derive(Default)]
struct Kept {
    /// With the time of their end. Ids of jobs sort by time.
    jobs: BTreeMap<JobId, (ExecutionGraphBox, Instant)>,
    /// Jobs whose results lie on executors, in the order of their end.
    results: VecDeque<(Instant, JobId)>,
    /// Those of them that are kept whole, and their number of tasks.
    whole: VecDeque<(JobId, usize)>,
}

impl Kept {
    fn add(&mut self, job: JobId, graph: ExecutionGraphBox, max_jobs: usize) {
        self.jobs.insert(job, (graph, Instant::now()));
        while self.jobs.len() > max_jobs {
            self.jobs.pop_first();
        }
    }

    fn has_too_many_whole(&self) -> bool {
        let n_tasks: usize = self.whole.iter().map(|(_, n)| n).sum();
        self.whole.len() > MAX_WHOLE || (n_tasks > MAX_TASKS && self.whole.len() > 1)
    }
}

impl FinishedJobs {
    /// Nothing has ended yet.
    pub(crate) fn new(inner: Arc<dyn JobState>, shared: Arc<Shared>, keep: Keep) -> Self {
        Self {
            inner,
            shared,
            keep,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is too old by now; the jobs whose results have to go.
    pub(crate) fn expire(&self, now: Instant) -> Vec<JobId> {
        let age = |end: Instant| now.saturating_duration_since(end);
        let mut kept = self.kept();
        let Kept {
            jobs,
            whole,
            results,
        } = &mut *kept;
        jobs.retain(|_, (_, end)| age(*end) < self.keep.state);
        whole.retain(|(job, _)| jobs.contains_key(job));
        let n_old = results.partition_point(|(end, _)| age(*end) >= self.keep.data);
        results.drain(..n_old).map(|(_, job)| job).collect()
    }

    fn kept_status(&self, job: &JobId) -> Option<JobStatus> {
        let kept = self.kept();
        kept.jobs.get(job).map(|(graph, _)| graph.status().clone())
    }

    fn keep_whole(&self, job: &JobId, graph: &ExecutionGraphBox) {
        let mut kept = self.kept();
        kept.add(job.clone(), graph.cloned(), self.keep.max_jobs);
        if graph.is_successful() {
            // Of a job that failed, all goes at once.
            kept.results.push_back((Instant::now(), job.clone()));
        }
        kept.whole.push_back((job.clone(), n_tasks(graph)));
        while kept.has_too_many_whole() {
            if let Some((old, _)) = kept.whole.pop_front()
                && let Some((graph, _)) = kept.jobs.get_mut(&old)
            {
                *graph = record_of(graph, &self.shared);
            }
        }
    }
}

fn n_tasks(graph: &ExecutionGraphBox) -> usize {
    let tasks = graph
        .stages()
        .values()
        .filter_map(ExecutionStage::task_infos);
    tasks.map(<[_]>::len).sum()
}

#[async_trait]
impl JobState for FinishedJobs {
    fn accept_job(&self, job_id: &JobId, job_name: &str, queued_at: u64) -> Result<()> {
        self.inner.accept_job(job_id, job_name, queued_at)
    }

    fn pending_job_number(&self) -> usize {
        self.inner.pending_job_number()
    }

    async fn submit_job(
        &self,
        job_id: JobId,
        graph: &ExecutionGraphBox,
        subscriber: Option<JobStatusSubscriber>,
    ) -> Result<()> {
        if let Some(stream) = &subscriber {
            self.shared.leases.pushed(&job_id, stream);
        }
        self.inner.submit_job(job_id, graph, subscriber).await
    }

    async fn get_jobs(&self) -> Result<HashSet<JobId>> {
        Ok(self.kept().jobs.keys().cloned().collect())
    }

    async fn get_all_jobs(&self) -> Result<HashSet<JobId>> {
        let mut jobs = self.inner.get_all_jobs().await?;
        jobs.extend(self.kept().jobs.keys().cloned());
        Ok(jobs)
    }

    async fn get_job_status(&self, job_id: &JobId) -> Result<Option<JobStatus>> {
        if let Some(status) = self.kept_status(job_id) {
            return Ok(Some(status));
        }
        match self.inner.get_job_status(job_id).await? {
            Some(status) => Ok(Some(status)),
            // It may have ended since the first look.
            None => Ok(self.kept_status(job_id)),
        }
    }

    async fn get_execution_graph(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        let kept = self.kept();
        Ok(kept.jobs.get(job_id).map(|(graph, _)| graph.cloned()))
    }

    async fn save_job(&self, job_id: &JobId, graph: &ExecutionGraphBox) -> Result<()> {
        let has_ended = matches!(
            graph.status().status,
            Some(Status::Successful(_) | Status::Failed(_))
        );
        if has_ended {
            // Before Ballista forgets that it runs, so that it is never unknown.
            self.keep_whole(job_id, graph);
        }
        // It tells those who wait for the job.
        self.inner.save_job(job_id, graph).await?;
        if has_ended {
            self.inner.remove_job(job_id).await?;
        }
        Ok(())
    }

    async fn fail_unscheduled_job(&self, job_id: &JobId, reason: String) -> Result<()> {
        self.inner.fail_unscheduled_job(job_id, reason).await?;
        if let Some(status) = self.inner.get_job_status(job_id).await? {
            let record = record_of_unplanned(status, &self.shared);
            self.kept().add(job_id.clone(), record, self.keep.max_jobs);
            self.inner.remove_job(job_id).await?;
        }
        Ok(())
    }

    async fn remove_job(&self, job_id: &JobId) -> Result<()> {
        let mut kept = self.kept();
        kept.jobs.remove(job_id);
        kept.whole.retain(|(job, _)| job != job_id);
        Ok(())
    }

    async fn try_acquire_job(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        self.inner.try_acquire_job(job_id).await
    }

    async fn job_state_events(&self) -> Result<JobStateEventStream> {
        self.inner.job_state_events().await
    }

    async fn create_or_update_session(
        &self,
        session_id: &str,
        config: &SessionConfig,
    ) -> Result<Arc<SessionContext>> {
        self.inner
            .create_or_update_session(session_id, config)
            .await
    }

    async fn remove_session(&self, session_id: &str) -> Result<()> {
        self.inner.remove_session(session_id).await
    }

    fn produce_config(&self) -> SessionConfig {
        self.inner.produce_config()
    }
}
