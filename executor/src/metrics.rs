//! What an executor counts, in the text form of Prometheus. docs/operations.md lists the names.

use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use ballista_core::BALLISTA_VERSION;
use ballista_core::serde::protobuf::ShuffleWritePartition;
use emporia_core::config::ExecutorSettings;
use emporia_core::error::{Error, Result};
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// In front of every name.
const PREFIX: &str = "emporia_executor";
/// Upper bounds of the histogram of task times, in seconds.
const SECONDS: [f64; 9] = [0.01, 0.05, 0.2, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0];

const SUCCEEDED: &str = "succeeded";
const FAILED: &str = "failed";
const CANCELLED: &str = "cancelled";

fn invalid(error: prometheus::Error) -> Error {
    Error::internal("cannot set up the metrics").with_source(error)
}

/// The metrics of an executor process.
pub(crate) struct Metrics {
    registry: Registry,
    work_dir: PathBuf,
    available: IntGauge,
    used: IntGauge,
}

impl Metrics {
    /// Collects `tasks` and what the process itself says.
    ///
    /// # Errors
    /// `Internal` where two metrics have one name.
    pub(crate) fn new(settings: &ExecutorSettings, tasks: &TaskMetrics) -> Result<Self> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None).map_err(invalid)?;
        let register = |metric: Box<dyn Collector>| registry.register(metric).map_err(invalid);
        for metric in tasks.collectors() {
            register(metric)?;
        }
        register(Box::new(ProcessCollector::for_self()))?;
        let build = IntGaugeVec::new(
            Opts::new("build_info", "1, with the versions as labels."),
            &["version", "ballista"],
        )
        .map_err(invalid)?;
        let versions = [env!("CARGO_PKG_VERSION"), BALLISTA_VERSION];
        build.with_label_values(&versions).set(1);
        register(Box::new(build))?;
        let slots = gauge("task_slots", "Partitions that can be worked on at a time.")?;
        slots.set(task_slots(settings));
        register(Box::new(slots))?;
        let available = gauge(
            "work_dir_available_bytes",
            "Free space of the file system that holds the work folder.",
        )?;
        register(Box::new(available.clone()))?;
        let used = gauge(
            "work_dir_used_bytes",
            "Used space of the file system that holds the work folder.",
        )?;
        register(Box::new(used.clone()))?;
        Ok(Self {
            registry,
            work_dir: settings.work_dir.clone(),
            available,
            used,
        })
    }

    /// The text that a scrape gets.
    ///
    /// # Errors
    /// `Internal` where a metric cannot be written.
    pub(crate) fn text(&self) -> Result<String> {
        // Without an answer the last values stay; the process goes on either way.
        if let Ok(disk) = rustix::fs::statvfs(&self.work_dir) {
            let bytes = |blocks: u64| (blocks * disk.f_frsize).try_into().unwrap_or(i64::MAX);
            self.available.set(bytes(disk.f_bavail));
            self.used.set(bytes(disk.f_blocks - disk.f_bfree));
        }
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .map_err(invalid)
    }
}

fn gauge(name: &str, help: &str) -> Result<IntGauge> {
    IntGauge::new(name, help).map_err(invalid)
}

fn task_slots(settings: &ExecutorSettings) -> i64 {
    let n = match settings.task_slots {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    n.try_into().unwrap_or(i64::MAX)
}

/// Counts of the tasks that an executor runs; clones count into one.
#[derive(Debug, Clone)]
pub(crate) struct TaskMetrics {
    running: IntGauge,
    ended: IntCounterVec,
    seconds: Histogram,
    rows: IntCounter,
    bytes: IntCounter,
}

impl TaskMetrics {
    /// Counts that begin at zero.
    ///
    /// # Errors
    /// `Internal` where a name is not one that Prometheus takes.
    pub(crate) fn new() -> Result<Self> {
        let counter = |name, help| IntCounter::new(name, help).map_err(invalid);
        let ended = IntCounterVec::new(Opts::new("tasks_total", "Tasks that ended."), &["outcome"])
            .map_err(invalid)?;
        for outcome in [SUCCEEDED, FAILED, CANCELLED] {
            ended.with_label_values(&[outcome]);
        }
        let seconds = HistogramOpts::new("task_seconds", "How long tasks took.");
        let seconds = seconds.buckets(SECONDS.to_vec());
        Ok(Self {
            running: gauge("tasks_running", "Tasks that run.")?,
            ended,
            seconds: Histogram::with_opts(seconds).map_err(invalid)?,
            rows: counter(
                "output_rows_total",
                "Rows that tasks wrote for the next stage or the client.",
            )?,
            bytes: counter(
                "output_bytes_total",
                "Bytes that tasks wrote for the next stage or the client.",
            )?,
        })
    }

    fn collectors(&self) -> [Box<dyn Collector>; 5] {
        [
            Box::new(self.running.clone()),
            Box::new(self.ended.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.rows.clone()),
            Box::new(self.bytes.clone()),
        ]
    }

    /// A task that starts now. Dropped before its end it counts as cancelled, or as failed in a
    /// panic.
    pub(crate) fn start(&self) -> RunningTask<'_> {
        self.running.inc();
        RunningTask {
            metrics: self,
            start: Instant::now(),
            outcome: None,
        }
    }
}

/// A task between its start and its end.
#[must_use]
pub(crate) struct RunningTask<'a> {
    metrics: &'a TaskMetrics,
    start: Instant,
    outcome: Option<&'static str>,
}

impl RunningTask<'_> {
    /// Counts the task and what it wrote.
    pub(crate) fn end<E>(mut self, result: &Result<Vec<ShuffleWritePartition>, E>) {
        self.outcome = Some(match result {
            Ok(partitions) => {
                let sum = |of: fn(&ShuffleWritePartition) -> u64| partitions.iter().map(of).sum();
                self.metrics.rows.inc_by(sum(|p| p.num_rows));
                self.metrics.bytes.inc_by(sum(|p| p.num_bytes));
                SUCCEEDED
            }
            Err(_) => FAILED,
        });
    }
}

impl Drop for RunningTask<'_> {
    fn drop(&mut self) {
        let without_end = if thread::panicking() {
            FAILED
        } else {
            CANCELLED
        };
        let outcome = self.outcome.unwrap_or(without_end);
        self.metrics.running.dec();
        self.metrics.ended.with_label_values(&[outcome]).inc();
        self.metrics
            .seconds
            .observe(self.start.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_has(text: &str, line: &str) {
        assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
    }

    #[test]
    fn tasks_are_counted_by_how_they_end() -> Result<()> {
        let settings = ExecutorSettings {
            task_slots: 3,
            work_dir: std::env::temp_dir(),
            ..ExecutorSettings::default()
        };
        let tasks = TaskMetrics::new()?;
        let metrics = Metrics::new(&settings, &tasks)?;
        let partition = ShuffleWritePartition {
            num_rows: 5,
            num_bytes: 80,
            ..ShuffleWritePartition::default()
        };
        tasks.start().end::<()>(&Ok(vec![partition, partition]));
        tasks.start().end(&Err("disk full"));
        drop(tasks.start());
        let panicked = thread::scope(|s| {
            let task = s.spawn(|| {
                let _running = tasks.start();
                panic!("a task may panic");
            });
            task.join().is_err()
        });
        assert!(panicked);
        let running = tasks.start();
        let text = metrics.text()?;
        for line in [
            "emporia_executor_tasks_running 1",
            "emporia_executor_tasks_total{outcome=\"succeeded\"} 1",
            "emporia_executor_tasks_total{outcome=\"failed\"} 2",
            "emporia_executor_tasks_total{outcome=\"cancelled\"} 1",
            "emporia_executor_task_seconds_count 4",
            "emporia_executor_output_rows_total 10",
            "emporia_executor_output_bytes_total 160",
            "emporia_executor_task_slots 3",
        ] {
            assert_has(&text, line);
        }
        drop(running);
        assert_has(&metrics.text()?, "emporia_executor_tasks_running 0");
        Ok(())
    }

    #[test]
    fn the_process_and_its_disk_are_described() -> Result<()> {
        let settings = ExecutorSettings {
            work_dir: std::env::temp_dir(),
            ..ExecutorSettings::default()
        };
        let text = Metrics::new(&settings, &TaskMetrics::new()?)?.text()?;
        for name in [
            "process_resident_memory_bytes",
            "process_cpu_seconds_total",
            "process_open_fds",
            "work_dir_available_bytes",
            "work_dir_used_bytes",
            "build_info",
        ] {
            let name = format!("{PREFIX}_{name}");
            let value = text.lines().find(|l| l.starts_with(&name));
            assert!(
                value.is_some_and(|l| !l.ends_with(" 0")) || name.ends_with("cpu_seconds_total"),
                "{name} in\n{text}"
            );
        }
        Ok(())
    }
}
