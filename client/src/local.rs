//! A cluster inside the client's process: one scheduler and at least two executors, over real
//! sockets and with the same code as the separate processes, so that what works here works there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use emporia_core::config::{ExecutorSettings, SchedulerSettings};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::shutdown::ShutdownToken;
use emporia_engine::Stores;
use emporia_engine::rest::Rest;
use emporia_executor::Executor;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};

use crate::port::{self, LOOPBACK, free_ports};

/// Fewer executors would hide faults that only show when a stage is spread.
const MIN_EXECUTORS: usize = 2;
/// How long the executors may take to register.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at the scheduler's readiness.
const READY_POLL: Duration = Duration::from_millis(5);

/// A running in-process cluster; ends when dropped.
pub struct LocalCluster {
    url: String,
    scheduler: JoinHandle<Result<()>>,
    executors: Vec<Executor>,
    _work_dir: TempDir,
}

impl LocalCluster {
    /// Starts a scheduler and `n` executors (at least two) with one task slot each.
    ///
    /// # Errors
    /// Where a port or folder cannot be had, or the executors do not register in time.
    pub async fn start(n: usize, stores: &Arc<Stores>) -> Result<Self> {
        Self::start_with(&[1].repeat(n.max(MIN_EXECUTORS)), stores).await
    }

    /// Starts a scheduler and one executor for each element of `slots`, with that many task slots.
    ///
    /// # Errors
    /// As of [`LocalCluster::start`].
    pub async fn start_with(slots: &[usize], stores: &Arc<Stores>) -> Result<Self> {
        port::with_tries(async || Self::start_once(slots, stores).await).await
    }

    async fn start_once(slots: &[usize], stores: &Arc<Stores>) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Failed, "cannot start the local cluster").with_source(e)
        };
        let listener = TcpListener::bind((LOOPBACK, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let url = format!("http://{LOOPBACK}:{port}");
        let settings = SchedulerSettings {
            bind_port: port,
            ..SchedulerSettings::default()
        };
        let min_executors = slots.len();
        let scheduler = tokio::spawn(emporia_scheduler::serve(
            settings,
            stores.settings().clone(),
            listener,
            ShutdownToken::new(),
        ));
        let work_dir = tempfile::Builder::new()
            .prefix("emporia-")
            .tempdir()
            .map_err(|e| {
                failed(e).with_hint("it needs a folder for temporary files; TMPDIR names another")
            })?;
        let mut executors = Vec::with_capacity(slots.len());
        for (index, task_slots) in slots.iter().enumerate() {
            let [flight_port, grpc_port] = free_ports().map_err(failed)?;
            let settings = ExecutorSettings {
                id: Some(format!("local-{index}")),
                flight_port,
                grpc_port,
                scheduler_url: url.clone(),
                task_slots: *task_slots,
                work_dir: work_dir.path().join(format!("executor-{index}")),
                memory_fraction: ExecutorSettings::default().memory_fraction / min_executors as f64,
                ..ExecutorSettings::default()
            };
            executors.push(Executor::spawn(&settings, stores)?);
        }
        let mut cluster = Self {
            url,
            scheduler,
            executors,
            _work_dir: work_dir,
        };
        cluster.wait_until_ready(min_executors).await?;
        Ok(cluster)
    }

    /// The scheduler's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn wait_until_ready(&mut self, n: usize) -> Result<()> {
        let start = Instant::now();
        let scheduler = Rest::new(&self.url)?;
        while start.elapsed() < START_TIMEOUT {
            if let Some(failure) = self.failure().await {
                return Err(failure);
            }
            if scheduler
                .executors()
                .await
                .is_ok_and(|found| found.len() >= n)
            {
                return Ok(());
            }
            tokio::time::sleep(READY_POLL).await;
        }
        Err(
            Error::new(ErrorKind::Failed, "the local cluster did not become ready")
                .with_hint("run again with --log-level info to see why"),
        )
    }

    /// Why a part of the cluster has ended, which none does on its own while all is well.
    async fn failure(&mut self) -> Option<Error> {
        if self.scheduler.is_finished() {
            return Some(ended("scheduler", (&mut self.scheduler).await));
        }
        let executor = self.executors.iter_mut().find(|e| e.is_finished())?;
        Some(ended("executor", executor.join().await))
    }
}

fn ended(part: &str, result: std::result::Result<Result<()>, JoinError>) -> Error {
    let text = format!("a {part} of the local cluster ended at its start");
    match result {
        // Ballista takes the failure of a service for an orderly end.
        Ok(Ok(())) => Error::new(ErrorKind::Unavailable, text),
        Ok(Err(e)) => Error::new(e.kind(), text).with_source(e),
        Err(e) => Error::new(ErrorKind::Failed, text).with_source(e),
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.scheduler.abort();
    }
}
