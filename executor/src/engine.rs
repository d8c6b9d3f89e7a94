//! Ballista's execution of tasks, counted, checked and listed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::client_pool::BallistaClientPool;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{
    DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor,
};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use emporia_engine::running::TaskName;
use emporia_engine::{task_error, with_whole_frames};

use crate::checked_read::checked;
use crate::clients::ClientPool;
use crate::metrics::TaskMetrics;
use crate::running::{RunningTask, Tasks};

/// Runs tasks as Ballista does, checks what they read, lists those that run, keeps the types of their errors, and
/// counts them: Ballista's own collector of metrics cannot be replaced in an executor process.
pub(crate) struct CountingEngine {
    inner: DefaultExecutionEngine,
    metrics: TaskMetrics,
    tasks: Tasks,
}

impl CountingEngine {
    /// An engine that counts into `metrics` and lists what runs in `tasks`.
    pub(crate) fn new(metrics: TaskMetrics, tasks: Tasks) -> Self {
        Self::with_clients(Arc::new(ClientPool::default()), metrics, tasks)
    }

    fn with_clients(
        clients: Arc<dyn BallistaClientPool>,
        metrics: TaskMetrics,
        tasks: Tasks,
    ) -> Self {
        Self {
            inner: DefaultExecutionEngine::with_client_pool(clients),
            metrics,
            tasks,
        }
    }
}

/// What runs the tasks of an executor, for one without a process. It reaches other executors by way of `clients`.
///
/// # Errors
/// Where the metrics cannot be set up.
pub fn task_engine(
    clients: Arc<dyn BallistaClientPool>,
) -> emporia_core::error::Result<Arc<dyn ExecutionEngine>> {
    let engine = CountingEngine::with_clients(clients, TaskMetrics::new()?, Tasks::new());
    Ok(Arc::new(engine))
}

impl ExecutionEngine for CountingEngine {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let listed = self.tasks.start(TaskName {
            job: job_id.as_str().to_owned(),
            stage: stage_id,
            task: task_id,
        });
        let inner = self
            .inner
            .create_query_stage_exec(
                job_id,
                stage_id,
                task_id,
                global_output_partition_ids,
                checked(with_whole_frames(plan)?)?,
                work_dir,
                config,
            )
            .map_err(task_error)?;
        Ok(Arc::new(CountedTask {
            inner,
            metrics: self.metrics.clone(),
            _listed: listed,
        }))
    }
}

#[derive(Debug)]
struct CountedTask {
    inner: Arc<dyn QueryStageExecutor>,
    metrics: TaskMetrics,
    /// Ballista drops the task when its report is on the way.
    _listed: RunningTask,
}

impl fmt::Display for CountedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

// Some of the methods have a default that reports nothing, and nothing would be wrong rows.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl QueryStageExecutor for CountedTask {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let running = self.metrics.start();
        let result = self.inner.execute_query_stage(task_id, context).await;
        running.end(&result);
        result.map_err(task_error)
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.inner.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}
