//! The probes of an executor.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ballista_executor::health::ExecutorHealth;
use emporia_core::shutdown::ShutdownToken;

/// `/healthz` is on while the process lives; `/readyz` while the scheduler takes its heartbeats and
/// it does not drain.
pub(crate) fn routes(health: ExecutorHealth, shutdown: ShutdownToken) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state((health, shutdown))
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
