//! Executors without processes: each has a folder and runs the tasks that it is given as a real one does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::RuntimeProducer;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::{BallistaError, Result};
use ballista_core::execution_plans::sort_shuffle::get_index_path;
use ballista_core::execution_plans::{ShuffleReaderExec, compute_global_output_partition_ids};
use ballista_core::extension::{BallistaConfigGrpcEndpoint, SessionConfigHelperExt};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::{
    ExecutorRegistration, FailedTask, MultiTaskDefinition, PartitionStats, SuccessfulTask, TaskId,
    TaskStatus, task_status,
};
use ballista_core::serde::scheduler::from_proto::get_task_definition_vec;
use ballista_core::serde::scheduler::{
    ExecutorMetadata, PartitionLocation, TaskDefinition, TaskKey,
};
use ballista_core::utils::GrpcClientConfig;
use ballista_executor::execution_engine::ExecutionEngine;
use ballista_executor::executor::Executor;
use ballista_executor::metrics::LoggingMetricsCollector;
use ballista_scheduler::state::execution_graph::TaskDescription;
use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use emporia_core::config::StoreSettings;
use emporia_engine::state;
use emporia_engine::{EngineOptions, Stores};
use emporia_executor::task_engine;
use futures::TryStreamExt;

/// What all executors share: what runs tasks, and how plans are written for them.
pub(super) struct Machine {
    engine: Arc<dyn ExecutionEngine>,
    runtime: RuntimeProducer,
    functions: Arc<BallistaFunctionRegistry>,
    config: SessionConfig,
}

/// A task as it is sent to an executor.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) key: TaskKey,
    definition: MultiTaskDefinition,
}

/// There are no connections: what one executor reads of another is in its folder before it reads it, or the other one
/// does not answer.
#[derive(Debug)]
struct NoConnections;

#[async_trait]
impl BallistaClientPool for NoConnections {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        _: &GrpcClientConfig,
        _: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient> {
        let text = format!("{host}:{port} does not answer");
        Err(BallistaError::GrpcConnectionError(text))
    }

    async fn evict_idle(&self) {}
}

fn codec() -> BallistaCodec<LogicalPlanNode, PhysicalPlanNode> {
    BallistaCodec::new(state::logical_codec(), state::physical_codec())
}

/// The plan of a task, as the scheduler writes it.
pub(super) fn sent(task: &TaskDescription) -> Sent {
    let partitions = &task.global_input_partition_ids;
    let plan = restrict_plan_to_partitions(Arc::clone(&task.plan), partitions).unwrap();
    let codec = state::physical_codec();
    let node = PhysicalPlanNode::try_from_physical_plan(plan, codec.as_ref()).unwrap();
    let mut plan = Vec::new();
    node.try_encode(&mut plan).unwrap();
    let number = |n: usize| u32::try_from(n).unwrap();
    let outputs = compute_global_output_partition_ids(&task.plan, partitions);
    let definition = MultiTaskDefinition {
        task_ids: vec![TaskId {
            task_id: number(task.key.task_id),
            task_attempt_num: number(task.task_attempt),
            global_output_partition_ids: outputs.into_iter().map(number).collect(),
            vcores_consumed: task.vcores_consumed,
        }],
        job_id: task.key.job_id.as_str().to_owned(),
        stage_id: number(task.key.stage_id),
        stage_attempt_num: number(task.stage_attempt_num),
        plan,
        session_id: task.session_id.clone(),
        launch_time: 0,
        props: task.session_config.to_key_value_pairs(),
    };
    Sent {
        key: task.key.clone(),
        definition,
    }
}

impl Machine {
    pub(super) fn new() -> Self {
        let stores = Stores::new(StoreSettings::default());
        let runtime = state::runtime(None, &stores).unwrap();
        Self {
            engine: task_engine(Arc::new(NoConnections)).unwrap(),
            runtime: Arc::new(move |_| Ok(Arc::clone(&runtime))),
            functions: Arc::new(state::function_registry().unwrap()),
            config: state::session_config(&EngineOptions::default(), &stores),
        }
    }

    fn received(&self, task: &Sent) -> Result<TaskDefinition> {
        let functions = &self.functions;
        let mut tasks = get_task_definition_vec(
            task.definition.clone(),
            Arc::clone(&self.runtime),
            self.config.clone(),
            functions.scalar_functions.clone(),
            functions.aggregate_functions.clone(),
            functions.window_functions.clone(),
            functions.higher_order_functions.clone(),
            codec(),
        )?;
        Ok(tasks.remove(0))
    }

    /// Runs a task in the folder of `host`; what it reports.
    pub(super) async fn run(&self, host: &Host, task: &Sent, places: &Places) -> TaskStatus {
        match self.received(task) {
            Ok(received) => {
                let fetched = places.fetch(host, &received.plan);
                let report = self.execute(host, task, received).await;
                fetched.iter().for_each(|file| {
                    std::fs::remove_file(file).unwrap();
                });
                report
            }
            Err(error) => failed(task, error),
        }
    }

    async fn execute(&self, host: &Host, task: &Sent, received: TaskDefinition) -> TaskStatus {
        let work_dir = host.folder.to_str().unwrap();
        let stage = self.engine.create_query_stage_exec(
            received.job_id,
            received.stage_id,
            received.task_id,
            received.global_output_partition_ids,
            received.plan,
            work_dir,
            &received.session_config,
        );
        let stage = match stage {
            Ok(stage) => stage,
            Err(error) => return failed(task, error.into()),
        };
        let functions = &self.functions;
        let config = received.session_config.clone();
        let context = TaskContext::new(
            None,
            received.session_id,
            received.session_config,
            functions.scalar_functions.clone(),
            functions.higher_order_functions.clone(),
            functions.aggregate_functions.clone(),
            functions.window_functions.clone(),
            (self.runtime)(&config).unwrap(),
        );
        let executor = Executor::new(
            ExecutorRegistration::default(),
            work_dir,
            Arc::clone(&self.runtime),
            Arc::new(SessionConfig::new),
            Arc::clone(functions),
            Arc::new(LoggingMetricsCollector::default()),
            2,
            Arc::clone(&self.engine),
        );
        let context = Arc::new(context);
        let partitions =
            executor.execute_query_stage(task.key.clone(), Arc::clone(&stage), context);
        let partitions = match partitions.await {
            Ok(partitions) => partitions,
            Err(error) => return failed(task, error),
        };
        let metrics = stage.collect_plan_metrics().into_iter();
        let done = SuccessfulTask {
            executor_id: host.metadata.id.clone(),
            partitions,
            runtime_stats: stage.collect_runtime_stats_reports(),
            task_column_stats: stage.collect_column_stats(),
            window_state: stage.collect_window_state_reports().unwrap(),
        };
        TaskStatus {
            metrics: metrics
                .map(TryInto::try_into)
                .collect::<Result<Vec<_>>>()
                .unwrap(),
            ..status(task, task_status::Status::Successful(done))
        }
    }

    /// The rows at the places of a result, as a client fetches them; `None` where they are gone.
    pub(super) async fn result(
        &self,
        result: &[PartitionLocation],
        schema: &Arc<dyn ExecutionPlan>,
        places: &Places,
    ) -> Option<Vec<RecordBatch>> {
        let context = Arc::new(
            TaskContext::default()
                .with_session_config(self.config.clone())
                .with_runtime((self.runtime)(&self.config).unwrap()),
        );
        let mut batches = Vec::new();
        for place in result {
            let folder = places.0.get(&place.executor_meta.id)?;
            if !place.path(folder.to_str()?).ok()?.exists() {
                return None;
            }
            let partitioning = Partitioning::UnknownPartitioning(1);
            let reader = ShuffleReaderExec::try_new(
                place.partition_id.stage_id,
                vec![vec![place.clone()]],
                schema.schema(),
                partitioning,
            );
            let reader = reader.unwrap().with_work_dir(folder.to_str()?.to_owned());
            let rows = reader.execute(0, Arc::clone(&context)).unwrap();
            let rows: Vec<_> = rows.try_collect().await.ok()?;
            let stats: PartitionStats = place.partition_stats.into();
            let n_rows: usize = rows.iter().map(|batch| batch.num_rows()).sum();
            if stats.num_rows != i64::try_from(n_rows).unwrap() {
                return None;
            }
            batches.extend(rows);
        }
        Some(batches)
    }
}

fn status(task: &Sent, status: task_status::Status) -> TaskStatus {
    let definition = &task.definition;
    TaskStatus {
        task_id: definition.task_ids[0].task_id,
        job_id: definition.job_id.clone(),
        stage_id: definition.stage_id,
        stage_attempt_num: definition.stage_attempt_num,
        status: Some(status),
        ..TaskStatus::default()
    }
}

/// The report of a task that failed.
pub(super) fn failed(task: &Sent, error: BallistaError) -> TaskStatus {
    status(task, task_status::Status::Failed(FailedTask::from(error)))
}

/// An executor.
pub(super) struct Host {
    pub(super) metadata: ExecutorMetadata,
    pub(super) folder: PathBuf,
    /// Which of the processes under its name this is.
    pub(super) process: usize,
    pub(super) is_up: bool,
    /// Tasks that it was given and has not ended.
    pub(super) tasks: Vec<Sent>,
    /// Tasks that have ended in this process.
    pub(super) ended: Vec<TaskKey>,
}

impl Host {
    /// The files of outputs, in order.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect_files(&self.folder, &mut files);
        files.sort();
        files
    }

    /// The process ends, and its folder with it.
    pub(super) fn end(&mut self) {
        self.is_up = false;
        self.tasks.clear();
        self.ended.clear();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }

    /// A new process takes its place.
    pub(super) fn begin(&mut self) {
        std::fs::create_dir_all(&self.folder).unwrap();
        self.is_up = true;
        self.process += 1;
    }
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The folders of the executors that answer, by id.
pub(super) struct Places(pub(super) BTreeMap<String, PathBuf>);

impl Places {
    /// Puts the outputs that a plan reads of other executors into the folder of `host`, where no file of this name
    /// is there: that is the one that a reader would take. What was put there.
    fn fetch(&self, host: &Host, plan: &Arc<dyn ExecutionPlan>) -> Vec<PathBuf> {
        let mut fetched = Vec::new();
        plan.apply(|node| {
            if let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() {
                for place in reader.partition.iter().flatten() {
                    self.fetch_one(host, place, &mut fetched);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        fetched
    }

    fn fetch_one(&self, host: &Host, place: &PartitionLocation, fetched: &mut Vec<PathBuf>) {
        let Some(owner) = self.0.get(&place.executor_meta.id) else {
            return;
        };
        let from = place.path(owner.to_str().unwrap()).unwrap();
        let to = place.path(host.folder.to_str().unwrap()).unwrap();
        if to.exists() || !from.exists() {
            return;
        }
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        for (from, to) in [
            (get_index_path(&from), get_index_path(&to)),
            (from.clone(), to.clone()),
        ] {
            if from.exists() && !to.exists() {
                std::fs::hard_link(from, &to).unwrap();
                fetched.push(to);
            }
        }
    }
}
