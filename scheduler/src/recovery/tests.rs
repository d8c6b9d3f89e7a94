//! Jobs on a cluster of executors that exist on paper: what Ballista's scheduler calls, without processes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::JobId;
use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::{
    FailedTask, FetchPartitionError, IoError, OperatorMetric, OperatorMetricsSet,
    ShuffleWritePartition, SuccessfulTask, TaskStatus, executor_status, operator_metric,
    task_status,
};
use ballista_core::serde::scheduler::{
    ExecutorData, ExecutorMetadata, ExecutorOperatingSystemSpecification, ExecutorSpecification,
};
use ballista_core::utils::{default_config_producer, default_session_builder};
use ballista_scheduler::cluster::{BallistaCluster, BoundTask, ClusterState, JobState};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::planner::DefaultDistributedPlanner;
use ballista_scheduler::scheduler_server::event::QueryStageSchedulerEvent;
use ballista_scheduler::state::execution_graph::{ExecutionGraphBox, StaticExecutionGraph};
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion::prelude::SessionConfig;

use super::*;

const LIMITS: Limits = Limits {
    task_failures: 4,
    stage_failures: 4,
    losses: 10,
};

/// A plan of `n_stages` stages after the first, each of which reads the one before; the first one has
/// `n_tasks` partitions, each other one `n_others`.
fn plan(n_stages: usize, n_tasks: usize, n_others: usize) -> Arc<dyn ExecutionPlan> {
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true)]));
    // The planner takes a plan without rows for one of one partition.
    let row = RecordBatch::new_empty(Arc::clone(&schema));
    let partitions = vec![vec![row]; n_tasks];
    let mut plan: Arc<dyn ExecutionPlan> =
        MemorySourceConfig::try_new_exec(&partitions, Arc::clone(&schema), None).unwrap();
    for _ in 0..n_stages {
        let key = col("k", &schema).unwrap();
        let order = [datafusion::physical_expr::PhysicalSortExpr::new_default(
            Arc::clone(&key),
        )];
        let hashed = Partitioning::Hash(vec![key], n_others);
        let exchange = Arc::new(RepartitionExec::try_new(plan, hashed).unwrap());
        let sorted = SortExec::new(order.into(), exchange).with_preserve_partitioning(true);
        plan = Arc::new(sorted);
    }
    plan
}

fn graph(job: &str, plan: Arc<dyn ExecutionPlan>) -> ExecutionGraphBox {
    let graph = StaticExecutionGraph::new(
        "scheduler",
        &JobId::from(job),
        "a query",
        "session",
        plan,
        0,
        Arc::new(SessionConfig::new().with_extension(Arc::new(Replanning::On))),
        &mut DefaultDistributedPlanner::new(),
        Some("a logical plan".to_owned()),
    );
    Box::new(graph.unwrap())
}

/// A job whose graph is in use is no reason to wait, and no job that has failed.
#[tokio::test]
async fn failed_jobs_are_found_without_waiting() {
    let shared = |job: &str| Arc::new(tokio::sync::RwLock::new(graph(job, plan(1, 2, 2))));
    let (failed, good, in_use) = (shared("failed"), shared("good"), shared("in use"));
    for graph in [&failed, &in_use] {
        graph.write().await.fail_job("no reason".to_owned());
    }
    let names = ["failed", "good", "in use"].map(JobId::from);
    let jobs = [&failed, &good, &in_use];
    let found = || watch::failed_of(names.iter().zip(jobs));
    let used = in_use.write().await;
    assert_eq!(found(), HashSet::from([names[0].clone()]));
    drop(used);
    assert_eq!(found().len(), 2);
}

struct Cluster {
    recovering: Recovering,
    jobs: HashMap<JobId, JobInfoCache>,
    executors: Vec<ExecutorMetadata>,
}

fn memory() -> BallistaCluster {
    let builder = Arc::new(default_session_builder);
    BallistaCluster::new_memory("scheduler", builder, Arc::new(default_config_producer))
}

fn executor(name: &str, n_slots: u32) -> ExecutorMetadata {
    ExecutorMetadata {
        id: name.to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 50051,
        grpc_port: 50052,
        specification: ExecutorSpecification::default().with_vcores(n_slots),
        os_info: ExecutorOperatingSystemSpecification::default(),
    }
}

impl Cluster {
    async fn new(n_executors: usize, n_slots: u32) -> Self {
        let rules = Rules {
            limits: LIMITS,
            has_copies: true,
        };
        let shared = Arc::new(Shared::new(Counts::new().unwrap()));
        let mut cluster = Self {
            recovering: Recovering::new(memory().cluster_state(), rules, shared),
            jobs: HashMap::new(),
            executors: Vec::new(),
        };
        for n in 0..n_executors {
            let metadata = executor(&format!("e{n}"), n_slots);
            cluster.register(&metadata).await;
            cluster.executors.push(metadata);
        }
        cluster
    }

    async fn register(&self, metadata: &ExecutorMetadata) {
        let n_slots = metadata.specification.vcores;
        let data = ExecutorData {
            executor_id: metadata.id.clone(),
            total_vcores: n_slots,
            available_vcores: n_slots,
        };
        let registered = self.recovering.register_executor(metadata.clone(), data);
        registered.await.unwrap();
    }

    fn submit(&mut self, job: &str, plan: Arc<dyn ExecutionPlan>) {
        let mut graph = graph(job, plan);
        graph.revive();
        self.jobs.insert(JobId::from(job), JobInfoCache::new(graph));
    }

    async fn bind(&self) -> Vec<BoundTask> {
        self.recovering.look_for_copies();
        let executors: HashSet<String> = self.executors.iter().map(|e| e.id.clone()).collect();
        let policy = TaskDistributionPolicy::RoundRobin;
        let jobs = Arc::new(self.jobs.clone());
        let bound = self
            .recovering
            .bind_schedulable_tasks(policy, jobs, Some(executors));
        bound.await.unwrap()
    }

    fn metadata(&self, executor: &str) -> &ExecutorMetadata {
        let mut executors = self.executors.iter();
        executors.find(|e| e.id == executor).unwrap()
    }

    async fn report(
        &self,
        (executor, task): &BoundTask,
        status: task_status::Status,
    ) -> Vec<QueryStageSchedulerEvent> {
        let report = TaskStatus {
            task_id: u32::try_from(task.key.task_id).unwrap(),
            job_id: task.key.job_id.as_str().to_owned(),
            stage_id: u32::try_from(task.key.stage_id).unwrap(),
            status: Some(status),
            metrics: metrics(task.global_input_partition_ids.len()),
            ..TaskStatus::default()
        };
        let graph = &self.jobs[&task.key.job_id].execution_graph;
        let executor = self.metadata(executor);
        let mut graph = graph.write().await;
        graph
            .update_task_status(executor, vec![report], 4, 4)
            .unwrap()
    }

    async fn succeed(&self, bound: &BoundTask, n_outputs: usize) -> Vec<QueryStageSchedulerEvent> {
        let partitions = (0..n_outputs).map(|partition| ShuffleWritePartition {
            partition_id: partition as u64,
            num_rows: 1,
            num_batches: 1,
            num_bytes: 1024 * 1024,
            file_id: Some(bound.1.key.task_id as u64),
            is_sort_shuffle: true,
        });
        let done = SuccessfulTask {
            executor_id: bound.0.clone(),
            partitions: partitions.collect(),
            ..SuccessfulTask::default()
        };
        self.report(bound, task_status::Status::Successful(done))
            .await
    }

    /// The task cannot write.
    async fn fail(&self, bound: &BoundTask) -> Vec<QueryStageSchedulerEvent> {
        let failed = FailedTask {
            error: "No space left on device".to_owned(),
            retryable: true,
            count_to_failures: true,
            failed_reason: Some(FailedReason::IoError(IoError {})),
        };
        self.report(bound, task_status::Status::Failed(failed))
            .await
    }

    /// The task gets no answer from the executor that holds its input.
    async fn fail_to_fetch(&self, bound: &BoundTask, stage: usize, holder: String) {
        let lost = FetchPartitionError {
            executor_id: holder,
            map_stage_id: u32::try_from(stage).unwrap(),
            map_partition_id: 0,
        };
        let failed = FailedTask {
            error: "no answer".to_owned(),
            retryable: true,
            count_to_failures: false,
            failed_reason: Some(FailedReason::FetchPartitionError(lost)),
        };
        self.report(bound, task_status::Status::Failed(failed))
            .await;
    }

    async fn status(&self, job: &str) -> Option<Status> {
        let graph = self.jobs[&JobId::from(job)].execution_graph.read().await;
        graph.status().status.clone()
    }
}

/// What a task reads from another executor than its own: the stage, and the executor.
fn read_from_others((executor, task): &BoundTask) -> Option<(usize, String)> {
    let mut nodes = vec![Arc::clone(&task.plan)];
    while let Some(node) = nodes.pop() {
        if let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() {
            let partitions = task.global_input_partition_ids.iter();
            let mut places = partitions.flat_map(|partition| &reader.partition[*partition]);
            if let Some(place) = places.find(|place| place.executor_meta.id != *executor) {
                return Some((reader.stage_id, place.executor_meta.id.clone()));
            }
        }
        nodes.extend(node.children().into_iter().cloned());
    }
    None
}

/// What a task of so many partitions measures, in four operators.
fn metrics(n_partitions: usize) -> Vec<OperatorMetricsSet> {
    let of = |partition: usize| OperatorMetric {
        metric: Some(operator_metric::Metric::OutputRows(1)),
        partition: Some(partition as u32),
    };
    let set = OperatorMetricsSet {
        metrics: (0..n_partitions).map(of).collect(),
    };
    vec![set; 4]
}

#[tokio::test]
async fn a_full_disk_of_one_executor_does_not_fail_a_query() {
    let mut cluster = Cluster::new(2, 2).await;
    cluster.submit("j", plan(1, 12, 4));
    let mut n_rounds = 0;
    while !matches!(cluster.status("j").await, Some(Status::Successful(_))) {
        n_rounds += 1;
        assert!(n_rounds < 100, "{:?}", cluster.status("j").await);
        for task in cluster.bind().await {
            if task.0 == "e0" {
                cluster.fail(&task).await;
            } else {
                cluster.succeed(&task, 4).await;
            }
        }
    }
    let standings = &cluster.recovering.shared().standings;
    assert!(standings.aside(Instant::now()).contains_key("e0"));
    // Another query does not meet the full disk.
    cluster.submit("k", plan(0, 4, 0));
    let bound = cluster.bind().await;
    assert!(
        bound.iter().all(|(executor, _)| executor == "e1"),
        "{bound:?}"
    );
}

#[tokio::test]
async fn what_was_planned_again_is_told() {
    let mut cluster = Cluster::new(2, 2).await;
    cluster.submit("j", plan(1, 1, 16));
    let job = JobId::from("j");
    let told = |cluster: &Cluster| cluster.recovering.shared().replans.of(&job);
    let bound = cluster.bind().await;
    assert!(told(&cluster).is_empty());
    for task in bound {
        cluster.succeed(&task, 16).await;
    }
    let told: Vec<_> = told(&cluster).into_iter().collect();
    let [(2, changes)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(changes, &["16 partitions are read as 4"]);
}

/// The scheduler reaches both. Each stage has so many tasks that what is computed again would lie on both.
#[tokio::test]
async fn executors_that_are_cut_from_each_other_do_not_fail_a_query() {
    let mut cluster = Cluster::new(2, 1).await;
    cluster.submit("j", plan(3, 16, 16));
    let (mut n_rounds, mut n_failures) = (0, 0);
    while !matches!(cluster.status("j").await, Some(Status::Successful(_))) {
        n_rounds += 1;
        assert!(n_rounds < 1000, "{:?}", cluster.status("j").await);
        for task in cluster.bind().await {
            if let Some((stage, holder)) = read_from_others(&task) {
                n_failures += 1;
                cluster.fail_to_fetch(&task, stage, holder).await;
            } else {
                cluster.succeed(&task, 16).await;
            }
        }
    }
    assert!(n_failures < 5, "{n_failures}");
    let aside = cluster.recovering.shared().aside(Instant::now());
    assert_eq!(aside.keys().collect::<Vec<_>>(), ["e1"]);
}

#[tokio::test]
async fn a_partition_that_fails_everywhere_fails_the_query() {
    let mut cluster = Cluster::new(2, 1).await;
    cluster.submit("j", plan(0, 1, 0));
    let mut executors = Vec::new();
    while matches!(cluster.status("j").await, Some(Status::Running(_))) {
        for task in cluster.bind().await {
            executors.push(task.0.clone());
            cluster.fail(&task).await;
        }
        assert!(executors.len() < 10);
    }
    assert_eq!(executors.len(), LIMITS.task_failures);
    assert_ne!(executors[0], executors[1]);
    assert!(matches!(cluster.status("j").await, Some(Status::Failed(_))));
}

#[tokio::test]
async fn a_new_process_under_an_old_name_is_a_loss() {
    let mut cluster = Cluster::new(2, 1).await;
    cluster.submit("j", plan(0, 2, 0));
    let bound = cluster.bind().await;
    assert_eq!(bound.len(), 2);
    assert!(cluster.bind().await.is_empty());
    let old = bound.iter().find(|(executor, _)| executor == "e0").unwrap();
    cluster.register(cluster.metadata("e0")).await;
    let again = cluster.bind().await;
    let [(executor, task)] = again.as_slice() else {
        panic!("{again:?}");
    };
    assert_eq!(executor, "e0");
    assert_eq!(
        task.global_input_partition_ids,
        old.1.global_input_partition_ids
    );
    assert_ne!(task.key, old.1.key);
    // The report of the old process changes nothing.
    cluster.succeed(old, 1).await;
    assert!(matches!(
        cluster.status("j").await,
        Some(Status::Running(_))
    ));
    let other = bound.iter().find(|(executor, _)| executor == "e1");
    for task in [other.unwrap(), &again[0]] {
        cluster.succeed(task, 1).await;
    }
    assert!(matches!(
        cluster.status("j").await,
        Some(Status::Successful(_))
    ));
    // One that comes from elsewhere is refused.
    let mut other = cluster.metadata("e0").clone();
    other.port += 1;
    let data = ExecutorData {
        executor_id: other.id.clone(),
        total_vcores: 1,
        available_vcores: 1,
    };
    assert!(
        cluster
            .recovering
            .register_executor(other, data)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_slow_task_is_started_elsewhere_and_one_result_counts() {
    let mut cluster = Cluster::new(2, 2).await;
    cluster.submit("j", plan(0, 6, 0));
    let bound = cluster.bind().await;
    let [slow, quick] = bound.as_slice() else {
        panic!("{bound:?}");
    };
    assert_eq!((slow.0.as_str(), quick.0.as_str()), ("e0", "e1"));
    {
        let mut graph = cluster.jobs[&JobId::from("j")]
            .execution_graph
            .write()
            .await;
        let stage = graph.fetch_running_stage(&[]).unwrap();
        stage.task_infos[slow.1.key.task_id].scheduled_time -= 60_000;
    }
    cluster.succeed(quick, 1).await;
    let last = cluster.bind().await;
    assert_eq!(last[0].0, "e1");
    assert!(cluster.bind().await.is_empty(), "not half has ended");
    cluster.succeed(&last[0], 1).await;
    let copies = cluster.bind().await;
    let [copy] = copies.as_slice() else {
        panic!("{copies:?}");
    };
    assert_eq!(copy.0, "e1");
    assert_eq!(
        copy.1.global_input_partition_ids,
        slow.1.global_input_partition_ids
    );
    assert!(cluster.bind().await.is_empty(), "one copy is enough");
    let events = cluster.succeed(copy, 1).await;
    let is_stopped = events.iter().any(|event| match event {
        QueryStageSchedulerEvent::CancelTasks(tasks) => tasks[0].task_id == slow.1.key.task_id,
        _ => false,
    });
    assert!(is_stopped, "{events:?}");
    assert_eq!(cluster.recovering.shared().counts.copied.get(), 1);
    let Some(Status::Successful(job)) = cluster.status("j").await else {
        panic!("{:?}", cluster.status("j").await);
    };
    assert_eq!(job.partition_location.len(), 3);
    // The slow one holds its slots until it has ended.
    let held = cluster.recovering.shared().slots.held("e0");
    assert!(held[&slow.1.key].is_given_up);
    cluster.succeed(slow, 1).await;
    assert!(cluster.recovering.shared().slots.held("e0").is_empty());
}

#[tokio::test]
async fn a_process_is_not_taken_for_the_silent_one_whose_name_it_has() {
    let cluster = Cluster::new(1, 1).await;
    let recovering = &cluster.recovering;
    let old = recovering.registrations()["e0"];
    cluster.register(cluster.metadata("e0")).await;
    // The answer to a question that was asked before.
    recovering.set_silent("e0", old);
    let heartbeat = || recovering.executor_heartbeats().remove("e0").unwrap();
    assert_ne!(heartbeat().timestamp, 0);
    let new = recovering.registrations()["e0"];
    assert!(recovering.is_registered("e0", new) && !recovering.is_registered("e0", old));
    recovering.set_silent("e0", new);
    assert_eq!(heartbeat().timestamp, 0);
    // One that is about to end anyway is not told to, see `expire_dead_executors` of Ballista.
    let status = heartbeat().status.and_then(|status| status.status);
    assert!(matches!(
        status,
        Some(executor_status::Status::Terminating(_))
    ));
    recovering.remove_executor("e0").await.unwrap();
    assert!(recovering.registrations().is_empty());
}

/// The same executor does not end the same partition again and again.
#[tokio::test]
async fn a_partition_that_is_lost_twice_goes_elsewhere() {
    let mut cluster = Cluster::new(2, 1).await;
    cluster.submit("j", plan(0, 2, 0));
    let mut bound = cluster.bind().await;
    for n_losses in 1..=2 {
        cluster.register(cluster.metadata("e0")).await;
        bound.retain(|(executor, _)| executor == "e1");
        let again = cluster.bind().await;
        assert_eq!(again.is_empty(), n_losses == 2, "{again:?}");
    }
    cluster.succeed(&bound[0], 1).await;
    assert_eq!(cluster.bind().await[0].0, "e1");
}

/// Sixteen partitions of 4 MiB are read as four, also after losses.
#[tokio::test]
async fn a_stage_keeps_its_plan_as_long_as_it_keeps_outputs() {
    let mut cluster = Cluster::new(2, 1).await;
    cluster.submit("j", plan(2, 4, 16));
    let mut n_partitions: HashMap<usize, HashSet<usize>> = HashMap::new();
    let mut n_losses = 0;
    while !matches!(cluster.status("j").await, Some(Status::Successful(_))) {
        let bound = cluster.bind().await;
        assert!(!bound.is_empty(), "{:?}", cluster.status("j").await);
        for task in &bound {
            let of_stage = n_partitions.entry(task.1.key.stage_id).or_default();
            of_stage.extend(&task.1.global_input_partition_ids);
            // The last stage loses a part of its input twice, and then all of it.
            if task.1.key.stage_id == 3 && n_losses < 3 {
                n_losses += 1;
                for executor in ["e0", "e1"].into_iter().take(1 + n_losses / 3) {
                    cluster.register(cluster.metadata(executor)).await;
                }
            }
            cluster.succeed(task, 16).await;
        }
    }
    assert_eq!(n_losses, 3);
    let of = |stage: usize| n_partitions[&stage].len();
    assert_eq!([of(1), of(2), of(3)], [4, 4, 4], "{n_partitions:?}");
    let Some(Status::Successful(job)) = cluster.status("j").await else {
        panic!("{:?}", cluster.status("j").await);
    };
    assert_eq!(job.partition_location.len(), 16 * 4);
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_results_are_removed() {
    let finished = finished(120, 110).await;
    let now = Instant::now();
    assert!(finished.expire(now).is_empty());
    let old = finished.expire(now + DATA_TTL);
    assert_eq!(old.len(), 110);
    assert_eq!(old[0], JobId::from("000000"));
    assert!(finished.expire(now + DATA_TTL).is_empty(), "once");
    assert_eq!(finished.get_jobs().await.unwrap().len(), 110);
    assert!(finished.expire(now + STATE_TTL).is_empty());
    assert!(finished.get_jobs().await.unwrap().is_empty());
}

const STATE_TTL: Duration = Duration::from_secs(7200);
const DATA_TTL: Duration = Duration::from_secs(3600);

/// A state that remembers at most `max_jobs` jobs, with jobs that have ended.
async fn finished(max_jobs: usize, n_jobs: usize) -> FinishedJobs {
    let shared = Arc::new(Shared::new(Counts::new().unwrap()));
    let keep = Keep {
        max_jobs,
        state: STATE_TTL,
        data: DATA_TTL,
    };
    let finished = FinishedJobs::new(memory().job_state(), Arc::clone(&shared), keep);
    let mut cluster = Cluster::new(1, 4).await;
    for n in 0..n_jobs {
        let name = format!("{n:06}");
        let job = JobId::from(name.as_str());
        cluster.submit(&name, plan(1, 4, 4));
        finished.accept_job(&job, &name, 0).unwrap();
        let handle = Arc::clone(&cluster.jobs[&job].execution_graph);
        {
            let graph = handle.read().await;
            let submitted = finished.submit_job(job.clone(), &graph, None);
            submitted.await.unwrap();
        }
        while matches!(cluster.status(&name).await, Some(Status::Running(_))) {
            for task in cluster.bind().await {
                cluster.succeed(&task, 4).await;
            }
        }
        let graph = handle.read().await;
        finished.save_job(&job, &graph).await.unwrap();
        drop(graph);
        cluster.jobs.clear();
    }
    finished
}

#[tokio::test]
async fn of_old_jobs_a_small_record_is_kept() {
    let finished = finished(120, 130).await;
    let jobs = finished.get_all_jobs().await.unwrap();
    assert_eq!(jobs.len(), 120);
    let graph = async |name: &str| {
        let graph = finished.get_execution_graph(&JobId::from(name)).await;
        graph.unwrap()
    };
    assert!(graph("000009").await.is_none());
    for name in ["000010", "000129"] {
        let graph = graph(name).await.unwrap();
        assert_eq!((graph.stage_count(), graph.completed_stages()), (2, 2));
        assert_eq!(graph.job_name(), "a query");
        let status = finished.get_job_status(&JobId::from(name)).await.unwrap();
        let Some(Status::Successful(job)) = status.unwrap().status else {
            panic!("{name} was successful");
        };
        assert_eq!(job.partition_location.len(), 4);
    }
    assert_eq!(graph("000129").await.unwrap().stages().len(), 2);
    let small = graph("000010").await.unwrap();
    assert!(small.stages().is_empty() && small.logical_plan().is_none());
    finished.remove_job(&JobId::from("000129")).await.unwrap();
    assert!(graph("000129").await.is_none());
    // Jobs that could not be planned are forgotten, too.
    for n in 0..200 {
        let job = JobId::from(format!("1{n:05}"));
        finished.accept_job(&job, "a query", 0).unwrap();
        let failed = finished.fail_unscheduled_job(&job, "no such column".to_owned());
        failed.await.unwrap();
    }
    assert_eq!(finished.get_all_jobs().await.unwrap().len(), 120);
    let status = finished.get_job_status(&JobId::from("100199")).await;
    let status = status.unwrap().unwrap().status;
    assert!(matches!(status, Some(Status::Failed(job)) if job.error == "no such column"));
}
