//! Executors that compute nothing: they take tasks, wait for the time that a task takes, and report what a
//! real executor would. Scheduler and network are real.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::executor_grpc_server::{ExecutorGrpc, ExecutorGrpcServer};
use ballista_core::serde::protobuf::executor_status::Status as Alive;
use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::operator_metric::Metric;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelTasksParams, CancelTasksResult, ExecutorOperatingSystemSpecification,
    ExecutorRegistration, ExecutorStatus, FailedTask, HeartBeatParams, LaunchMultiTaskParams,
    LaunchMultiTaskResult, LaunchTaskParams, LaunchTaskResult, MultiTaskDefinition, OperatorMetric,
    OperatorMetricsSet, RegisterExecutorParams, RemoveJobDataParams, RemoveJobDataResult,
    ShuffleWritePartition, StopExecutorParams, StopExecutorResult, SuccessfulTask, TaskId,
    TaskKilled, TaskStatus, UpdateTaskStatusParams, task_status,
};
use ballista_core::serde::scheduler::ExecutorSpecification;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use emporia_engine::running::{ExecutorTasks, TASKS_ACTION, TaskName};
use emporia_engine::state::physical_codec;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::plans::task_context;

/// Largest message, as by default in Emporia.
pub(crate) const MAX_MESSAGE: usize = 128 * 1024 * 1024;
const HEARTBEAT: Duration = Duration::from_secs(5);
/// What each operator of a task measures, for each partition.
const METRICS: [Metric; 3] = [
    Metric::OutputRows(1),
    Metric::ElapseTime(1_000),
    Metric::OutputBatches(1),
];

/// Number of operators of each stage, by job and stage.
#[derive(Debug, Default)]
struct Operators(Mutex<HashMap<(String, u32), usize>>);

/// One executor.
struct Executor {
    registration: ExecutorRegistration,
    scheduler: SchedulerGrpcClient<Channel>,
    task_time: Duration,
    operators: Arc<Operators>,
    context: Arc<TaskContext>,
    running: Mutex<HashSet<TaskName>>,
    reports: mpsc::UnboundedSender<TaskStatus>,
}

/// An executor's side that others call.
struct Served(Arc<Executor>);

/// Runs `n` executors in this process until `stop`, once all of them are registered.
///
/// # Errors
/// Where the scheduler cannot be reached, or no port is free.
pub(crate) async fn run(
    url: &str,
    name: &str,
    n: usize,
    n_slots: u32,
    task_time: Duration,
    stop: CancellationToken,
) -> Result<(), String> {
    let operators = Arc::new(Operators::default());
    let context = task_context()?;
    for index in 0..n {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|e| format!("cannot listen: {e}"))?;
        let port = listener.local_addr().map_err(|e| e.to_string())?.port();
        let scheduler = SchedulerGrpcClient::connect(url.to_owned()).await;
        let scheduler = scheduler.map_err(|e| format!("cannot reach {url}: {e}"))?;
        let scheduler = scheduler
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let (reports, queue) = mpsc::unbounded_channel();
        let executor = Arc::new(Executor {
            registration: registration(format!("{name}-{index}"), port, n_slots),
            scheduler,
            task_time,
            operators: Arc::clone(&operators),
            context: Arc::clone(&context),
            running: Mutex::default(),
            reports,
        });
        let grpc = ExecutorGrpcServer::new(Served(Arc::clone(&executor)))
            .max_decoding_message_size(MAX_MESSAGE);
        let flight = FlightServiceServer::new(Served(Arc::clone(&executor)));
        let incoming = stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(socket, _)| socket);
            Some((accepted, listener))
        });
        let server = Server::builder().add_service(grpc).add_service(flight);
        tokio::spawn(server.serve_with_incoming(incoming.boxed()));
        tokio::spawn(Arc::clone(&executor).report(queue));
        executor.register().await?;
        tokio::spawn(executor.beat());
    }
    stop.cancelled().await;
    Ok(())
}

fn registration(id: String, port: u16, n_slots: u32) -> ExecutorRegistration {
    ExecutorRegistration {
        id,
        host: Some("127.0.0.1".to_owned()),
        port: port.into(),
        grpc_port: port.into(),
        specification: Some(ExecutorSpecification::default().with_vcores(n_slots).into()),
        os_info: Some(ExecutorOperatingSystemSpecification {
            system_name: "Debian GNU/Linux".to_owned(),
            kernel_ver: "6.12.0-amd64".to_owned(),
            os_ver: "13".to_owned(),
            os_ver_long: "Linux (Debian GNU/Linux 13)".to_owned(),
            physical_cores: n_slots,
            ..ExecutorOperatingSystemSpecification::default()
        }),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    }
}

impl Operators {
    /// The number of operators of a task's plan; a stage is looked at once.
    fn of(&self, task: &MultiTaskDefinition, context: &TaskContext) -> Result<usize, String> {
        let key = (task.job_id.clone(), task.stage_id);
        if let Some(n) = lock(&self.0).get(&key) {
            return Ok(*n);
        }
        let codec = physical_codec();
        let plan = PhysicalPlanNode::try_decode(&task.plan)
            .and_then(|node| node.try_into_physical_plan(context, codec.as_ref()))
            .map_err(|e| format!("the plan of a task cannot be read: {e}"))?;
        let n = count(&plan);
        lock(&self.0).insert(key, n);
        Ok(n)
    }

    fn forget(&self, job: &str) {
        lock(&self.0).retain(|(of, _), _| of != job);
    }
}

fn count(plan: &Arc<dyn ExecutionPlan>) -> usize {
    1 + plan.children().into_iter().map(count).sum::<usize>()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| d.as_millis().try_into().unwrap_or(u64::MAX))
}

impl Executor {
    fn id(&self) -> &str {
        &self.registration.id
    }

    async fn register(&self) -> Result<(), String> {
        let params = RegisterExecutorParams {
            metadata: Some(self.registration.clone()),
        };
        let registered = self.scheduler.clone().register_executor(params).await;
        registered
            .map(drop)
            .map_err(|e| format!("{} cannot register: {e}", self.id()))
    }

    async fn beat(self: Arc<Self>) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let beat = HeartBeatParams {
                executor_id: self.id().to_owned(),
                metrics: Vec::new(),
                status: Some(ExecutorStatus {
                    status: Some(Alive::Active(String::new())),
                }),
                metadata: Some(self.registration.clone()),
            };
            if let Err(error) = self.scheduler.clone().heart_beat_from_executor(beat).await {
                tracing::warn!(%error, executor = self.id(), "a heartbeat failed");
            }
        }
    }

    /// Sends reports, those that have piled up in one call, as a real executor does.
    async fn report(self: Arc<Self>, mut queue: mpsc::UnboundedReceiver<TaskStatus>) {
        while let Some(first) = queue.recv().await {
            let mut task_status = vec![first];
            while let Ok(next) = queue.try_recv() {
                task_status.push(next);
            }
            let names: Vec<TaskName> = task_status
                .iter()
                .map(|task| name(&task.job_id, task.stage_id, task.task_id))
                .collect();
            let params = UpdateTaskStatusParams {
                executor_id: self.id().to_owned(),
                task_status,
            };
            let sent = self.scheduler.clone().update_task_status(params).await;
            if let Err(error) = sent {
                tracing::error!(%error, executor = self.id(), "a report failed");
            }
            let mut running = lock(&self.running);
            for name in &names {
                running.remove(name);
            }
        }
    }

    fn launch(self: &Arc<Self>, task: &MultiTaskDefinition) -> Result<(), String> {
        let n_operators = self.operators.of(task, &self.context)?;
        for id in &task.task_ids {
            let done = self.done(task, id, n_operators);
            let name = name(&task.job_id, task.stage_id, id.task_id);
            lock(&self.running).insert(name.clone());
            if self.task_time.is_zero() {
                self.send(done);
                continue;
            }
            let executor = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(executor.task_time).await;
                // It may have been stopped.
                if lock(&executor.running).contains(&name) {
                    executor.send(done);
                }
            });
        }
        Ok(())
    }

    fn send(&self, report: TaskStatus) {
        if self.reports.send(report).is_err() {
            tracing::error!(executor = self.id(), "reports are not sent any more");
        }
    }

    /// The report of a task that wrote a row to each of its partitions.
    fn done(&self, task: &MultiTaskDefinition, id: &TaskId, n_operators: usize) -> TaskStatus {
        let is_sort_shuffle = id.global_output_partition_ids.len() != id.vcores_consumed as usize;
        let written = |partition: &u32| ShuffleWritePartition {
            partition_id: u64::from(*partition),
            num_batches: 1,
            num_rows: 1,
            num_bytes: 512,
            file_id: Some(u64::from(id.task_id)),
            is_sort_shuffle,
        };
        let partitions = 0..id.vcores_consumed;
        let metrics = partitions.flat_map(|partition| {
            METRICS.map(|metric| OperatorMetric {
                metric: Some(metric),
                partition: Some(partition),
            })
        });
        let set = OperatorMetricsSet {
            metrics: metrics.collect(),
        };
        let now = millis();
        TaskStatus {
            task_id: id.task_id,
            job_id: task.job_id.clone(),
            stage_id: task.stage_id,
            stage_attempt_num: task.stage_attempt_num,
            launch_time: task.launch_time,
            start_exec_time: now,
            end_exec_time: now,
            metrics: vec![set; n_operators],
            status: Some(task_status::Status::Successful(SuccessfulTask {
                executor_id: self.id().to_owned(),
                partitions: id.global_output_partition_ids.iter().map(written).collect(),
                ..SuccessfulTask::default()
            })),
        }
    }
}

fn name(job: &str, stage: u32, task: u32) -> TaskName {
    TaskName {
        job: job.to_owned(),
        stage: stage as usize,
        task: task as usize,
    }
}

fn killed(task: &TaskName) -> TaskStatus {
    TaskStatus {
        task_id: u32::try_from(task.task).unwrap_or(u32::MAX),
        job_id: task.job.clone(),
        stage_id: u32::try_from(task.stage).unwrap_or(u32::MAX),
        status: Some(task_status::Status::Failed(FailedTask {
            error: "it was stopped".to_owned(),
            retryable: false,
            count_to_failures: false,
            failed_reason: Some(FailedReason::TaskKilled(TaskKilled {})),
        })),
        ..TaskStatus::default()
    }
}

#[async_trait::async_trait]
impl ExecutorGrpc for Served {
    async fn launch_task(
        &self,
        _request: Request<LaunchTaskParams>,
    ) -> Result<Response<LaunchTaskResult>, Status> {
        Err(Status::unimplemented("tasks come in groups"))
    }

    async fn launch_multi_task(
        &self,
        request: Request<LaunchMultiTaskParams>,
    ) -> Result<Response<LaunchMultiTaskResult>, Status> {
        for task in &request.into_inner().multi_tasks {
            self.0.launch(task).map_err(Status::internal)?;
        }
        Ok(Response::new(LaunchMultiTaskResult::default()))
    }

    async fn stop_executor(
        &self,
        _request: Request<StopExecutorParams>,
    ) -> Result<Response<StopExecutorResult>, Status> {
        tracing::warn!(executor = self.0.id(), "the scheduler has given it up");
        Ok(Response::new(StopExecutorResult {}))
    }

    async fn cancel_tasks(
        &self,
        request: Request<CancelTasksParams>,
    ) -> Result<Response<CancelTasksResult>, Status> {
        for task in request.into_inner().task_infos {
            let task = name(&task.job_id, task.stage_id, task.task_id);
            if lock(&self.0.running).remove(&task) {
                self.0.send(killed(&task));
            }
        }
        Ok(Response::new(CancelTasksResult { cancelled: true }))
    }

    async fn remove_job_data(
        &self,
        request: Request<RemoveJobDataParams>,
    ) -> Result<Response<RemoveJobDataResult>, Status> {
        self.0.operators.forget(&request.into_inner().job_id);
        Ok(Response::new(RemoveJobDataResult {}))
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("there are no rows here"))
}

/// Only the scheduler's question for the tasks is answered.
#[async_trait::async_trait]
impl FlightService for Served {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        if request.into_inner().r#type != TASKS_ACTION {
            return unused();
        }
        let tasks = ExecutorTasks {
            incarnation: self.0.id().to_owned(),
            running: lock(&self.0.running).iter().cloned().collect(),
            ended: Vec::new(),
        };
        let body = tasks
            .encode()
            .map_err(|e| Status::internal(e.to_string()))?;
        let answer = arrow_flight::Result { body: body.into() };
        Ok(Response::new(stream::once(async { Ok(answer) }).boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        unused()
    }

    async fn list_flights(
        &self,
        _: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        unused()
    }

    async fn get_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        unused()
    }

    async fn poll_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        unused()
    }

    async fn get_schema(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        unused()
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        unused()
    }

    async fn do_put(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        unused()
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        unused()
    }

    async fn list_actions(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        unused()
    }
}
