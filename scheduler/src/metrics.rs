//! What the scheduler counts, in the text form of Prometheus. docs/operations.md lists the names.
//!
//! Ballista's own metrics are there too, under its names; its `pending_task_queue_size` stays at
//! zero, because nothing sets it.

use std::sync::Arc;
use std::time::Instant;

use ballista_core::BALLISTA_VERSION;
use emporia_core::error::{Error, Result};
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::recovery::Shared;
use crate::serve::Scheduler;

/// In front of the names that are not Ballista's.
const PREFIX: &str = "emporia_scheduler";

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("cannot set up the metrics").with_source(error)
}

/// The metrics of a scheduler.
pub(crate) struct Metrics {
    scheduler: Arc<Scheduler>,
    shared: Arc<Shared>,
    registry: Registry,
    executors: IntGauge,
    executors_aside: IntGauge,
    aside_seconds: IntGaugeVec,
    task_slots: IntGauge,
    running_jobs: IntGauge,
    queued_jobs: IntGauge,
    pending_tasks: IntGauge,
}

impl Metrics {
    /// Describes `scheduler` and what its jobs share.
    ///
    /// # Errors
    /// `Internal` where two metrics have one name.
    pub(crate) fn new(scheduler: Arc<Scheduler>, shared: Arc<Shared>) -> Result<Self> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None).map_err(invalid)?;
        let counts = &shared.counts;
        for counter in [&counts.rerun, &counts.lost, &counts.copied] {
            registry
                .register(Box::new(counter.clone()))
                .map_err(invalid)?;
        }
        let gauge = |name: &str, help: &str| -> Result<IntGauge> {
            let gauge = IntGauge::new(name, help).map_err(invalid)?;
            registry
                .register(Box::new(gauge.clone()))
                .map_err(invalid)?;
            Ok(gauge)
        };
        let build = IntGaugeVec::new(
            Opts::new("build_info", "1, with the versions as labels."),
            &["version", "ballista"],
        )
        .map_err(invalid)?;
        let versions = [env!("CARGO_PKG_VERSION"), BALLISTA_VERSION];
        build.with_label_values(&versions).set(1);
        registry.register(Box::new(build)).map_err(invalid)?;
        let aside_seconds = IntGaugeVec::new(
            Opts::new(
                "executor_set_aside_seconds",
                "How long an executor gets no tasks yet; only those that are set aside.",
            ),
            &["executor"],
        )
        .map_err(invalid)?;
        registry
            .register(Box::new(aside_seconds.clone()))
            .map_err(invalid)?;
        Ok(Self {
            executors: gauge("executors", "Executors that are registered.")?,
            executors_aside: gauge(
                "executors_set_aside",
                "Executors that get no tasks for a while: tasks fail there only, or others do not reach them.",
            )?,
            aside_seconds,
            task_slots: gauge("task_slots", "Task slots of all executors.")?,
            running_jobs: gauge("jobs_running", "Jobs that run.")?,
            queued_jobs: gauge("jobs_queued", "Jobs that were taken and do not run yet.")?,
            pending_tasks: gauge(
                "tasks_pending",
                "Partitions that could be worked on and wait for a slot.",
            )?,
            scheduler,
            shared,
            registry,
        })
    }

    /// The text that a scrape gets.
    ///
    /// # Errors
    /// `Internal` where the state cannot be read or a metric not be written.
    pub(crate) async fn text(&self) -> Result<String> {
        let state = &self.scheduler.state;
        let executors = state.executor_manager.get_executors_state().await;
        let executors = executors.map_err(invalid)?;
        let slots = executors
            .iter()
            .map(|(executor, ..)| i64::from(executor.specification.vcores));
        self.task_slots.set(slots.sum());
        self.executors.set(number(executors.len()));
        let aside = self.shared.aside(Instant::now());
        self.executors_aside.set(number(aside.len()));
        self.aside_seconds.reset();
        for (executor, left) in &aside {
            let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            self.aside_seconds
                .with_label_values(&[executor])
                .set(seconds);
        }
        self.running_jobs
            .set(number(self.scheduler.running_job_number()));
        self.queued_jobs
            .set(number(self.scheduler.pending_job_number()));
        let mut pending = 0;
        for job in state.task_manager.get_running_job_cache().values() {
            pending += job.execution_graph.read().await.available_tasks();
        }
        self.pending_tasks.set(number(pending));

        let mut families = prometheus::gather();
        families.extend(self.registry.gather());
        TextEncoder::new()
            .encode_to_string(&families)
            .map_err(invalid)
    }
}

fn number(n: usize) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}
