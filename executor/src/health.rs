//! The probes and metrics of an executor.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ballista_executor::health::ExecutorHealth;
use emporia_core::shutdown::ShutdownToken;
use prometheus::TEXT_FORMAT;

use crate::metrics::Metrics;

/// `/healthz` is on while the process lives; `/readyz` while the scheduler takes its heartbeats and
/// it does not drain; `/metrics` is for Prometheus.
pub(crate) fn routes(health: ExecutorHealth, shutdown: ShutdownToken, metrics: Metrics) -> Router {
    let metrics = Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(metrics));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state((health, shutdown))
        .merge(metrics)
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn ready(State((health, shutdown)): State<(ExecutorHealth, ShutdownToken)>) -> Response {
    let reason = if shutdown.is_triggered() {
        "draining\n"
    } else if !health.is_ready() {
        "the scheduler has not answered the last heartbeat\n"
    } else {
        return "ready\n".into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}
