//! Keeps a query right when an executor is lost.
//!
//! Ballista 55 re-runs the tasks of a lost executor, but it leaves the output that they had already
//! handed to the next stage in place, so that rows are counted twice, and it forgets to free the
//! slots of tasks that were under way. So a query must never live through such a recovery: the
//! guard watches the executors that were there when the query started, and when one is gone it
//! cancels the query, reports the executor as stopped, and has the query run again from its start.
//! No row is handed out before the guard has seen, after the query's end, that all of them still
//! answer.

use std::collections::BTreeSet;
use std::time::Duration;

use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{CancelJobParams, ExecutorStoppedParams};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::rest::{ExecutorInfo, Rest};

/// Pause between two looks at the executors.
const POLL: Duration = Duration::from_millis(100);
/// How long an executor may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a cancelled query may take to give back its slots before it is run again.
const SETTLE: Duration = Duration::from_millis(500);

/// Watches the executors of one attempt of a query.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    url: String,
    /// `None` where there is no HTTP client to be had; then nothing is watched.
    scheduler: Option<Rest>,
    executors: Vec<ExecutorInfo>,
}

impl Guard {
    /// The executors that are registered at the scheduler `url` and answer.
    pub(crate) async fn start(url: &str) -> Self {
        let mut guard = Self {
            url: url.to_owned(),
            scheduler: Rest::new(url).ok(),
            executors: Vec::new(),
        };
        for executor in guard.listed().await.unwrap_or_default() {
            if answers(&executor).await {
                guard.executors.push(executor);
            }
        }
        guard
    }

    /// Ids of the executors that are gone: they do not answer, or the scheduler dropped them.
    pub(crate) async fn lost(&self) -> Vec<String> {
        // A scheduler that does not answer is another fault, with an error of its own.
        let Some(listed) = self.listed().await else {
            return Vec::new();
        };
        let listed: BTreeSet<_> = listed.into_iter().map(|e| e.id).collect();
        let mut lost = Vec::new();
        for executor in &self.executors {
            if !listed.contains(&executor.id) || !answers(executor).await {
                lost.push(executor.id.clone());
            }
        }
        lost
    }

    /// Waits until an executor is gone.
    pub(crate) async fn until_lost(&self) -> Vec<String> {
        loop {
            sleep(POLL).await;
            let lost = self.lost().await;
            if !lost.is_empty() {
                return lost;
            }
        }
    }

    /// Ends the attempt `job_id` and tells the scheduler that the executors are gone, in this
    /// order: once no query of ours uses them, their loss does no harm.
    pub(crate) async fn give_up(&self, job_id: Option<String>, lost: &[String]) {
        let Ok(mut scheduler) = SchedulerGrpcClient::connect(self.url.clone()).await else {
            return;
        };
        if let Some(job_id) = job_id {
            let request = CancelJobParams {
                job_id: job_id.clone(),
            };
            if let Err(error) = scheduler.cancel_job(request).await {
                tracing::debug!(%error, job_id, "the attempt could not be cancelled");
            }
        }
        sleep(SETTLE).await;
        for executor_id in lost {
            let reason = "it does not answer".to_owned();
            let request = ExecutorStoppedParams {
                executor_id: executor_id.clone(),
                reason,
            };
            if let Err(error) = scheduler.executor_stopped(request).await {
                tracing::debug!(%error, executor_id, "the loss could not be reported");
            }
        }
        sleep(SETTLE).await;
    }

    /// The executors that the scheduler counts on; `None` where it does not answer.
    async fn listed(&self) -> Option<Vec<ExecutorInfo>> {
        self.scheduler.as_ref()?.executors().await.ok()
    }
}

async fn answers(executor: &ExecutorInfo) -> bool {
    let address = (executor.host.as_str(), executor.port);
    matches!(
        timeout(PATIENCE, TcpStream::connect(address)).await,
        Ok(Ok(_))
    )
}
