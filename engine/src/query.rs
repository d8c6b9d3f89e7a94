//! One query on the cluster: its rows, its job id, and how to cancel it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{CancelJobParams, GetJobStatusParams, PartitionLocation};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{exec_datafusion_err, exec_err};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::DataFrame;
use datafusion_proto::protobuf::LogicalPlanNode;
use emporia_core::error::{Error, ErrorKind, Result};
use futures::TryStreamExt;

use crate::failure::{job_failed, lost_scheduler, query_error};
use crate::reach::{self, out_of_reach};
use crate::rest::Rest;
use crate::session::{Session, Target};

/// How often a query is submitted whose result is lost before it is fetched.
const MAX_ATTEMPTS: usize = 4;

/// Rows that are fetched before the first of them are handed out, in bytes of memory. A result up to this
/// size can be computed again where an executor is lost while it is fetched.
const FETCHED_AHEAD: usize = 16 * 1024 * 1024;

/// A running query.
pub struct Query {
    session: Session,
    frame: DataFrame,
    attempt: Attempt,
    /// Rows that were fetched and not handed out.
    fetched: VecDeque<RecordBatch>,
    /// Whether the first rows are here.
    has_begun: bool,
    count: Count,
}

/// The rows of a result: how many came, and how many executors reported when they wrote them. A file that is cut off
/// reads as one that ends there.
#[derive(Debug, Default)]
struct Count {
    n_fetched: u64,
    /// `None` where this process computes the rows.
    n_reported: Option<u64>,
}

impl Count {
    fn add(&mut self, batch: &RecordBatch) {
        self.n_fetched += batch.num_rows() as u64;
    }

    /// Checks that all rows came.
    fn check(&self) -> std::result::Result<(), DataFusionError> {
        let n_fetched = self.n_fetched;
        match self.n_reported {
            Some(n_reported) if n_reported != n_fetched => {
                exec_err!("{n_fetched} rows were fetched of {n_reported} that were written")
            }
            _ => Ok(()),
        }
    }
}

/// One run of the query's plan.
pub(crate) struct Attempt {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) rows: SendableRecordBatchStream,
}

impl Query {
    pub(crate) fn new(session: Session, frame: DataFrame, attempt: Attempt) -> Self {
        Self {
            session,
            frame,
            attempt,
            fetched: VecDeque::new(),
            has_begun: false,
            count: Count::default(),
        }
    }

    /// The next rows, `None` at the end.
    ///
    /// The scheduler computes again what is lost with an executor. Only a result that is lost after the
    /// query's end, before it is fetched, is for the client: the query is submitted again.
    ///
    /// # Errors
    /// Of the query; of kind `Failed` where an executor is lost that holds rows of a large result of which
    /// others were handed out.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if !self.has_begun {
            self.begin().await?;
            self.has_begun = true;
        }
        if let Some(batch) = self.fetched.pop_front() {
            return Ok(Some(batch));
        }
        let error = match self.attempt.rows.try_next().await {
            Ok(Some(batch)) => {
                self.count.add(&batch);
                return Ok(Some(batch));
            }
            Ok(None) => match self.count.check() {
                Ok(()) => return Ok(None),
                Err(error) => error,
            },
            Err(error) => error,
        };
        Err(Outcome::of(&self.session, self.job_id()).await.error(error))
    }

    /// Fetches the first rows.
    async fn begin(&mut self) -> Result<()> {
        for n_attempts in 1.. {
            let Err(error) = self.fetch_ahead().await else {
                break;
            };
            match Outcome::of(&self.session, self.job_id()).await {
                Outcome::Done => {}
                outcome => return Err(outcome.error(error)),
            }
            if let Some(error) = unreached(&self.session, &self.attempt.plan).await {
                return Err(error);
            }
            if n_attempts == MAX_ATTEMPTS {
                return Err(result_lost(error));
            }
            tracing::warn!("the result was lost; the query runs again");
            tracing::debug!(%error, "the rows could not be fetched");
            self.attempt = self.session.attempt(self.frame.clone()).await?;
        }
        Ok(())
    }

    async fn fetch_ahead(&mut self) -> std::result::Result<(), DataFusionError> {
        self.fetched.clear();
        self.count = Count::default();
        let mut n_bytes = 0;
        let mut is_all = false;
        while n_bytes < FETCHED_AHEAD && !is_all {
            if let Some(batch) = self.attempt.rows.try_next().await? {
                n_bytes += batch.get_array_memory_size();
                self.count.add(&batch);
                self.fetched.push_back(batch);
            } else {
                is_all = true;
            }
        }
        if let Some(places) = places(&self.session, &self.attempt.plan).await? {
            self.count.n_reported = Some(n_reported(&places)?);
        }
        if is_all { self.count.check() } else { Ok(()) }
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

/// What became of a query whose rows stay away.
enum Outcome {
    /// It succeeded; what failed is the fetch of its rows.
    Done,
    Failed {
        job_id: String,
        /// The scheduler's reason.
        told: String,
    },
    SchedulerLost,
    /// Nobody but this process knows of it.
    Unknown,
}

impl Outcome {
    /// Asks the scheduler, after rows of the query could not be fetched. `job_id` is known once it took the query.
    async fn of(session: &Session, job_id: Option<String>) -> Self {
        let mut scheduler = match session.scheduler().await {
            Ok(Some(scheduler)) => scheduler,
            Ok(None) => return Self::Unknown,
            Err(_) => return Self::SchedulerLost,
        };
        // Without a job it is asked whether it answers.
        let request = GetJobStatusParams {
            job_id: job_id.clone().unwrap_or_default(),
        };
        let Ok(answer) = scheduler.get_job_status(request).await else {
            return Self::SchedulerLost;
        };
        let Some(job_id) = job_id else {
            return Self::Unknown;
        };
        let status = answer.into_inner().status;
        match status.and_then(|status| status.status) {
            Some(Status::Successful(_)) => Self::Done,
            Some(Status::Failed(failed)) => Self::Failed {
                job_id,
                told: failed.error,
            },
            // Another scheduler by now, which does not know the job, or the stream of its states broke.
            None | Some(Status::Queued(_) | Status::Running(_)) => Self::SchedulerLost,
        }
    }

    /// The error for the user, where this process saw `error`.
    fn error(self, error: DataFusionError) -> Error {
        match self {
            Self::Done => result_lost(error),
            Self::Failed { job_id, told } => job_failed(&job_id, &told),
            Self::SchedulerLost => lost_scheduler(error),
            Self::Unknown => query_error(error),
        }
    }
}

/// Where the result of a plan lies; `None` where this process computes it.
///
/// # Errors
/// Where the scheduler does not say it.
async fn places(
    session: &Session,
    plan: &Arc<dyn ExecutionPlan>,
) -> std::result::Result<Option<Vec<PartitionLocation>>, DataFusionError> {
    let Some(query) = plan.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>() else {
        return Ok(None);
    };
    if let Some(job_id) = query.job_id()
        && let Some(Status::Successful(job)) = job_status(session, job_id.to_string()).await
    {
        return Ok(Some(job.partition_location));
    }
    exec_err!("the scheduler does not say where the rows of the query lie, and how many they are")
}

/// The rows of a result as executors reported them when they wrote it.
fn n_reported(places: &[PartitionLocation]) -> std::result::Result<u64, DataFusionError> {
    let n_rows = |place: &PartitionLocation| {
        let stats = place.partition_stats.as_ref();
        let n_rows = stats.and_then(|stats| u64::try_from(stats.num_rows).ok());
        n_rows.ok_or_else(|| exec_datafusion_err!("an executor did not say how many rows it wrote"))
    };
    places.iter().map(n_rows).sum()
}

/// The error where rows lie on executors that live and that this process does not reach: to compute them again
/// would not help.
async fn unreached(session: &Session, plan: &Arc<dyn ExecutionPlan>) -> Option<Error> {
    let Target::Scheduler(url) = session.target() else {
        return None;
    };
    let places = places(session, plan).await.ok()??.into_iter();
    let mut holders: Vec<_> = places
        .filter_map(|place| Some(place.executor_meta?.id))
        .collect();
    holders.sort_unstable();
    holders.dedup();
    let unreached = reach::unreached(&Rest::new(url).ok()?, &holders).await;
    (!unreached.is_empty()).then(|| out_of_reach(UNREACHED, &unreached))
}

/// What the scheduler says about a job; `None` if it does not answer or does not know the job.
async fn job_status(session: &Session, job_id: String) -> Option<Status> {
    let mut scheduler = session.scheduler().await.ok()??;
    let request = GetJobStatusParams { job_id };
    let answer = scheduler.get_job_status(request).await.ok()?;
    answer.into_inner().status?.status
}

const UNREACHED: &str =
    "the query is done, but executors that hold its rows cannot be reached from here";

fn result_lost(error: DataFusionError) -> Error {
    let text =
        "the query is done, but its rows cannot be fetched from the executors that hold them";
    let cause = query_error(error);
    Error::new(ErrorKind::Failed, text)
        .with_hint("submit again; `emporia cluster status` shows the executors")
        .with_source(cause)
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
