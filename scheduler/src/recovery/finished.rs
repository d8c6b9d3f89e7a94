//! What the scheduler remembers of jobs that have ended.
//!
//! Ballista keeps all of a job, with its plans and the measures of each task, until
//! `scheduler.finished_job_state_ttl`, and jobs that could not be planned for ever. Here the last jobs are
//! kept whole, others as a small record, and of these the oldest go when there are too many.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    max_jobs: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Ids of jobs sort by time.
    jobs: BTreeMap<JobId, ExecutionGraphBox>,
    /// Those of them that are kept whole, and their number of tasks.
    whole: VecDeque<(JobId, usize)>,
}

impl Kept {
    fn add(&mut self, job: JobId, graph: ExecutionGraphBox, max_jobs: usize) {
        self.jobs.insert(job, graph);
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
    /// Keeps at most `max_jobs` jobs that have ended.
    pub(crate) fn new(inner: Arc<dyn JobState>, shared: Arc<Shared>, max_jobs: usize) -> Self {
        Self {
            inner,
            shared,
            max_jobs,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_status(&self, job: &JobId) -> Option<JobStatus> {
        self.kept()
            .jobs
            .get(job)
            .map(|graph| graph.status().clone())
    }

    fn keep_whole(&self, job: &JobId, graph: &ExecutionGraphBox) {
        let mut kept = self.kept();
        kept.add(job.clone(), graph.cloned(), self.max_jobs);
        kept.whole.push_back((job.clone(), n_tasks(graph)));
        while kept.has_too_many_whole() {
            if let Some((old, _)) = kept.whole.pop_front()
                && let Some(graph) = kept.jobs.get_mut(&old)
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
        Ok(self.kept().jobs.get(job_id).map(|graph| graph.cloned()))
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
            self.kept().add(job_id.clone(), record, self.max_jobs);
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
