//! Plans of any number of tasks, and how they are submitted.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use ballista_core::extension::SessionConfigHelperExt;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::execute_query_result;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{ExecuteQueryParams, GetJobStatusParams, KeyValuePair};
use ballista_core::version;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion::prelude::SessionContext;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use emporia_engine::state::{physical_codec, planning_state, runtime, session_config};
use emporia_engine::{EngineOptions, Stores};
use tonic::Request;
use tonic::transport::Channel;

use crate::executors::MAX_MESSAGE;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What plans are read with.
pub(crate) fn task_context() -> Result<Arc<TaskContext>, String> {
    let stores = Stores::new(Default::default());
    let runtime = runtime(None, &stores).map_err(text)?;
    let config = session_config(&EngineOptions::default(), &stores);
    let state = planning_state(config, runtime).map_err(text)?;
    Ok(SessionContext::new_with_state(state).task_ctx())
}

/// A chain of stages: the first has `n_tasks` partitions, each further one reads it by hash in `n_readers`.
pub(crate) fn chain(n_tasks: usize, n_readers: usize, n_stages: usize) -> Result<Vec<u8>, String> {
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true)]));
    let partitions = vec![vec![RecordBatch::new_empty(Arc::clone(&schema))]; n_tasks];
    let source = MemorySourceConfig::try_new_exec(&partitions, Arc::clone(&schema), None);
    let mut plan: Arc<dyn ExecutionPlan> = source.map_err(text)?;
    for _ in 1..n_stages {
        let key = col("k", &schema).map_err(text)?;
        let order = [PhysicalSortExpr::new_default(Arc::clone(&key))];
        let hashed = Partitioning::Hash(vec![key], n_readers);
        let exchange = Arc::new(RepartitionExec::try_new(plan, hashed).map_err(text)?);
        let sorted = SortExec::new(order.into(), exchange).with_preserve_partitioning(true);
        plan = Arc::new(sorted);
    }
    let codec = physical_codec();
    let node = PhysicalPlanNode::try_from_physical_plan(plan, codec.as_ref()).map_err(text)?;
    let mut bytes = Vec::new();
    node.try_encode(&mut bytes).map_err(text)?;
    Ok(bytes)
}

/// A connection to the scheduler.
#[derive(Clone)]
pub(crate) struct Client {
    scheduler: SchedulerGrpcClient<Channel>,
    settings: Vec<KeyValuePair>,
    session: String,
    poll: Duration,
}

impl Client {
    /// Connects; the end of a job is asked for at intervals of `poll`.
    pub(crate) async fn connect(url: &str, session: &str, poll: Duration) -> Result<Self, String> {
        let scheduler = SchedulerGrpcClient::connect(url.to_owned())
            .await
            .map_err(text)?;
        let stores = Stores::new(Default::default());
        let config = session_config(&EngineOptions::default(), &stores)
            .set_str("ballista.scheduler.max_partitions_per_task", "1");
        Ok(Self {
            scheduler: scheduler
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
            settings: config.to_key_value_pairs(),
            session: session.to_owned(),
            poll,
        })
    }

    /// Goes on as another session.
    pub(crate) fn rename(&mut self, session: String) {
        self.session = session;
    }

    /// Submits a plan; the id of its job.
    pub(crate) async fn submit(&mut self, plan: Vec<u8>) -> Result<String, String> {
        let mut request = Request::new(ExecuteQueryParams {
            session_id: self.session.clone(),
            settings: self.settings.clone(),
            operation_id: String::new(),
            query: Some(Query::PhysicalPlan(plan)),
        });
        version::insert_version_header(request.metadata_mut());
        let answer = self.scheduler.execute_query(request).await.map_err(text)?;
        match answer.into_inner().result {
            Some(execute_query_result::Result::Success(taken)) => Ok(taken.job_id),
            other => Err(format!("the plan was not taken: {other:?}")),
        }
    }

    /// Waits for the end of a job.
    pub(crate) async fn wait(&mut self, job_id: &str) -> Result<(), String> {
        loop {
            let request = GetJobStatusParams {
                job_id: job_id.to_owned(),
            };
            let answer = self.scheduler.get_job_status(request).await.map_err(text)?;
            let status = answer.into_inner().status.and_then(|status| status.status);
            match status {
                Some(Status::Successful(_)) => return Ok(()),
                Some(Status::Failed(failed)) => return Err(failed.error),
                // It gets its number before it is known.
                None | Some(Status::Queued(_) | Status::Running(_)) => {
                    tokio::time::sleep(self.poll).await;
                }
            }
        }
    }
}
