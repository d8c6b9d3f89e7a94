//! Starts an executor and waits for its end.

use std::sync::Arc;

use ballista_core::error::BallistaError;
use ballista_executor::executor_process::start_executor_process;
use ballista_executor::health::ExecutorHealth;
use emporia_core::config::{ExecutorSettings, StoreSettings};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::shutdown::ShutdownToken;
use emporia_engine::Stores;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};

use crate::metrics::{Metrics, TaskMetrics};
use crate::{config, health, wait};

/// Serves until the process gets SIGTERM or SIGINT (Ballista's executor listens for them itself and
/// lets running tasks end) or the scheduler stops it. `shutdown` turns readiness off.
///
/// # Errors
/// `Unavailable` where the scheduler cannot be reached or refuses this executor, for example
/// because it is of another version.
pub async fn serve(
    settings: ExecutorSettings,
    stores: StoreSettings,
    shutdown: ShutdownToken,
) -> Result<()> {
    let state = ExecutorHealth::new();
    let tasks = TaskMetrics::new()?;
    let metrics = Metrics::new(&settings, &tasks)?;
    let config = config::build(&settings, &Stores::new(stores), state.clone(), tasks)?;
    let listener = listen(&settings.bind_host, settings.health_port, "--health-port").await?;
    let probes = health::routes(state, shutdown.clone(), metrics);
    let probes = tokio::spawn(async move { axum::serve(listener, probes).await });
    let scheduler = format!("{}:{}", config.scheduler_host, config.scheduler_port);
    wait::for_scheduler(&scheduler, settings.scheduler_connect_timeout).await?;
    check_ports(&settings).await?;
    let result = start_executor_process(Arc::new(config)).await;
    probes.abort();
    match result {
        Ok(()) if !shutdown.is_triggered() => Err(ended(&scheduler)),
        result => result.map_err(|e| refused(&scheduler, e)),
    }
}

/// An executor inside another process; stops with it.
pub struct Executor(JoinHandle<Result<()>>);

impl Executor {
    /// Starts an executor on the current runtime, without waiting until it is registered.
    ///
    /// # Errors
    /// Where the configuration is wrong.
    pub fn spawn(settings: &ExecutorSettings, stores: &Arc<Stores>) -> Result<Self> {
        let health = ExecutorHealth::new();
        let config = Arc::new(config::build(
            settings,
            stores,
            health,
            TaskMetrics::new()?,
        )?);
        let scheduler = format!("{}:{}", config.scheduler_host, config.scheduler_port);
        let settings = settings.clone();
        Ok(Self(tokio::spawn(async move {
            check_ports(&settings).await?;
            start_executor_process(config)
                .await
                .map_err(|e| refused(&scheduler, e))
        })))
    }

    /// Whether it has ended, which an executor does on its own only after a failure.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for its end and says why it ended; panics where asked for a second time.
    pub async fn join(&mut self) -> std::result::Result<Result<()>, JoinError> {
        (&mut self.0).await
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes sure that Ballista's services can listen: it takes their failure for an orderly end.
async fn check_ports(settings: &ExecutorSettings) -> Result<()> {
    listen(&settings.bind_host, settings.flight_port, "--flight-port").await?;
    listen(&settings.bind_host, settings.grpc_port, "--grpc-port").await?;
    Ok(())
}

async fn listen(host: &str, port: u16, flag: &str) -> Result<TcpListener> {
    TcpListener::bind((host, port)).await.map_err(|e| {
        let text = format!("cannot listen on {host}:{port}");
        Error::new(ErrorKind::Unavailable, text)
            .with_hint(format!("choose another {flag}"))
            .with_source(e)
    })
}

/// Ballista takes the failure of a service for an orderly end. So is the scheduler's wish for the
/// end of an executor that it has given up, which a supervisor should start again.
fn ended(scheduler: &str) -> Error {
    let text =
        format!("the executor for the scheduler at {scheduler} ended without giving a reason");
    Error::new(ErrorKind::Unavailable, text)
        .with_hint("see its log: a port may be taken, or the scheduler may have given it up")
}

fn refused(scheduler: &str, error: BallistaError) -> Error {
    let text = format!("the executor cannot work for the scheduler at {scheduler}");
    Error::new(ErrorKind::Unavailable, text)
        .with_hint("scheduler and executors must be of the same version")
        .with_source(error)
}
