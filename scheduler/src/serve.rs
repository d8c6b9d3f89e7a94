//! Assembles and serves the scheduler.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::api::get_routes;
use ballista_scheduler::cluster::{BallistaCluster, ClusterState, JobState};
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use emporia_core::config::{SchedulerSettings, StoreSettings, Switch};
use emporia_core::error::{Error, Result};
use emporia_core::shutdown::ShutdownToken;
use prometheus::TEXT_FORMAT;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::RoutesBuilder;

use crate::config;
use crate::drain::{self, Drain};
use crate::lease;
use crate::metrics::Metrics;
use crate::recovery::{self, Counts, FinishedJobs, Keep, Limits, Recovering, Rules, Shared};
use crate::{planned_again, set_aside};

/// How often a task may be lost with its executor, or without a report, before its job fails.
const MAX_LOSSES: usize = 10;

/// Ballista's scheduler with the plans of DataFusion.
pub(crate) type Scheduler = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// Serves until `shutdown` is triggered and all jobs have ended.
///
/// While it drains, readiness is off and new sessions are refused; running jobs go on with all their
/// queries, and executors still reach it.
///
/// # Errors
/// Where the configuration is wrong or the listener fails.
pub async fn serve(
    settings: SchedulerSettings,
    stores: StoreSettings,
    listener: TcpListener,
    shutdown: ShutdownToken,
) -> Result<()> {
    let address = listener
        .local_addr()
        .map_err(|e| Error::internal("cannot read the listener's address").with_source(e))?;
    let config = config::build(&settings, stores, address.port())?;
    let max_message = settings.grpc_max_message.as_usize();
    let failed = |e| Error::internal("cannot start the scheduler").with_source(e);
    if let Some(folder) = &config.event_log_dir {
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::invalid(format!("cannot create the event log folder `{folder}`")).with_source(e)
        })?;
    }
    let rules = Rules {
        limits: Limits {
            task_failures: settings.task_max_failures,
            stage_failures: settings.stage_max_failures,
            losses: MAX_LOSSES,
        },
        has_copies: settings.speculation == Switch::On,
    };
    let cluster = BallistaCluster::new_from_config(&config)
        .await
        .map_err(failed)?;
    let counts =
        Counts::new().map_err(|e| Error::internal("cannot set up the metrics").with_source(e))?;
    let shared = Arc::new(Shared::new(counts));
    let recovering = Recovering::new(cluster.cluster_state(), rules, Arc::clone(&shared));
    let recovering = Arc::new(recovering);
    let keep = Keep {
        max_jobs: settings.finished_jobs_kept,
        state: settings.finished_job_state_ttl,
        data: settings.finished_job_data_ttl,
    };
    let finished = FinishedJobs::new(cluster.job_state(), Arc::clone(&shared), keep);
    let finished = Arc::new(finished);
    let cluster = BallistaCluster::new(
        Arc::clone(&recovering) as Arc<dyn ClusterState>,
        Arc::clone(&finished) as Arc<dyn JobState>,
    );
    let scheduler: Arc<Scheduler> = Arc::new(
        create_scheduler(cluster, Arc::new(config))
            .await
            .map_err(failed)?,
    );

    let metrics = Metrics::new(Arc::clone(&scheduler), Arc::clone(&shared))?;
    let watch = recovery::watch(recovering, finished, Arc::clone(&scheduler));
    let _watch = AbortOnDropHandle::new(tokio::spawn(watch));
    let leases = lease::watch(Arc::clone(&shared), Arc::clone(&scheduler));
    let _leases = AbortOnDropHandle::new(tokio::spawn(leases));
    let drain = Drain::new(shutdown.clone(), max_message);
    let router = routes(&scheduler, metrics, max_message, shutdown, drain.clone());
    let noting = middleware::from_fn_with_state(Arc::clone(&shared), lease::note);
    let telling = middleware::from_fn_with_state(Arc::clone(&shared), set_aside::tell);
    let explaining = middleware::from_fn_with_state(shared, planned_again::tell);
    let router = router.layer(noting).layer(telling).layer(explaining);
    let drained = drain.done(Arc::clone(&scheduler));
    tracing::info!(%address, "scheduler ready");
    axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(drained)
    .await
    .map_err(|e| Error::internal("the scheduler's listener failed").with_source(e))
}

fn routes(
    scheduler: &Arc<Scheduler>,
    metrics: Metrics,
    max_message: usize,
    shutdown: ShutdownToken,
    drain: Drain,
) -> Router {
    let grpc = SchedulerGrpcServer::new(scheduler.as_ref().clone())
        .max_encoding_message_size(max_message)
        .max_decoding_message_size(max_message);
    let mut services = RoutesBuilder::default();
    services.add_service(grpc);
    let health = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state((Arc::clone(scheduler), shutdown));
    let metrics = Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(metrics));
    get_routes(Arc::clone(scheduler))
        .merge(services.routes().into_axum_router())
        .merge(health)
        .merge(metrics)
        .layer(middleware::from_fn_with_state(drain, drain::admit))
}

async fn ready(State((scheduler, shutdown)): State<(Arc<Scheduler>, ShutdownToken)>) -> Response {
    let reason = if shutdown.is_triggered() {
        "draining\n"
    } else if !scheduler.is_ready() {
        "no executor is registered\n"
    } else {
        return "ready\n".into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text().await {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
