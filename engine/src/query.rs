//! One query on the cluster: its rows, its job id, and how to cancel it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::DataFrame;
use datafusion_proto::protobuf::LogicalPlanNode;
use emporia_core::error::{Error, ErrorKind, Result};
use futures::TryStreamExt;

use crate::failure::query_error;
use crate::guard::Guard;
use crate::session::Session;

/// How often a query is run anew after the loss of an executor.
const MAX_ATTEMPTS: usize = 4;

/// A running query.
pub struct Query {
    session: Session,
    frame: DataFrame,
    attempt: Attempt,
    /// Set until the first rows are handed out; from then on the query is complete on the cluster.
    guard: Option<Guard>,
}

/// One run of the query's plan.
pub(crate) struct Attempt {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) rows: SendableRecordBatchStream,
}

impl Query {
    pub(crate) fn new(
        session: Session,
        frame: DataFrame,
        attempt: Attempt,
        guard: Option<Guard>,
    ) -> Self {
        Self {
            session,
            frame,
            attempt,
            guard,
        }
    }

    /// The next rows, `None` at the end.
    ///
    /// # Errors
    /// Of the query; where executors are lost again and again, of kind `Failed`.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(mut guard) = self.guard.take() else {
            return self.attempt.rows.try_next().await.map_err(query_error);
        };
        let mut lost = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            // The first rows come when the cluster is done with the query.
            let first = tokio::select! {
                first = self.attempt.rows.try_next() => Some(first),
                gone = guard.until_lost() => {
                    lost = gone;
                    None
                }
            };
            if let Some(first) = first {
                lost = guard.lost().await;
                if lost.is_empty() {
                    return first.map_err(query_error);
                }
            }
            tracing::warn!(executors = ?lost, "executors were lost; the query runs again");
            guard.give_up(self.job_id(), &lost).await;
            (guard, self.attempt) = self.session.attempt_guarded(self.frame.clone()).await?;
        }
        guard.give_up(self.job_id(), &[]).await;
        let text = format!(
            "the query lost executors {MAX_ATTEMPTS} times, last {}",
            lost.join(", ")
        );
        Err(Error::new(ErrorKind::Failed, text)
            .with_hint("`emporia cluster status` shows the executors; see their logs"))
    }

    /// All rows; for small results only.
    ///
    /// # Errors
    /// Of the query.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    /// The scheduler's job id, once it accepted the query.
    pub fn job_id(&self) -> Option<String> {
        job_id(&self.attempt.plan)
    }
}

fn job_id(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    if let Some(query) = plan.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>() {
        return query.job_id().map(|id| id.to_string());
    }
    plan.children().into_iter().find_map(job_id)
}

/// The queries of a session that are under way, for progress and cancellation.
#[derive(Debug, Clone, Default)]
pub struct ActiveQueries(Arc<Mutex<Vec<Weak<dyn ExecutionPlan>>>>);

impl ActiveQueries {
    pub(crate) fn add(&self, plan: &Arc<dyn ExecutionPlan>) {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|p| p.strong_count() > 0);
        plans.push(Arc::downgrade(plan));
    }

    /// Job ids of the queries that the scheduler accepted and whose rows are still awaited.
    pub fn job_ids(&self) -> Vec<String> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans
            .iter()
            .filter_map(Weak::upgrade)
            .filter_map(|plan| job_id(&plan))
            .collect()
    }

    /// Cancels all of them at the scheduler `url`.
    ///
    /// # Errors
    /// `Unavailable` where the scheduler cannot be reached.
    pub async fn cancel(&self, url: &str) -> Result<usize> {
        let ids = self.job_ids();
        if ids.is_empty() {
            return Ok(0);
        }
        let lost = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(
                ErrorKind::Unavailable,
                format!("cannot cancel at the scheduler `{url}`"),
            )
            .with_source(e)
        };
        let mut scheduler = SchedulerGrpcClient::connect(url.to_owned())
            .await
            .map_err(|e| lost(Box::new(e)))?;
        for job_id in &ids {
            let request = CancelJobParams {
                job_id: job_id.clone(),
            };
            scheduler
                .cancel_job(request)
                .await
                .map_err(|e| lost(Box::new(e)))?;
        }
        Ok(ids.len())
    }
}
