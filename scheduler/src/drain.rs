//! The drain: what a scheduler that is told to end still takes, and when it is done.
//!
//! A job may be several queries with work of the client between them. So sessions that handed in a
//! query before the drain may go on, new ones are refused, and the scheduler ends when nothing has
//! run for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ballista_core::serde::protobuf::ExecuteQueryParams;
use emporia_core::error::{EncodedError, ErrorKind};
use emporia_core::shutdown::ShutdownToken;
use prost::Message;
use tonic::Status;

use crate::serve::Scheduler;

/// How often the drain looks whether jobs are still running.
const POLL: Duration = Duration::from_millis(100);
/// How long a client may work between two queries of its job.
const GAP: Duration = Duration::from_secs(5);
/// How long after its last query a session may still be in the middle of a job.
const RECENT: Duration = Duration::from_secs(60);
/// How long sessions are remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// In front of a gRPC message: whether it is compressed, and its length.
pub(crate) const GRPC_PREFIX: usize = 5;

/// What the drain knows of the scheduler's clients. Clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    shutdown: ShutdownToken,
    sessions: Arc<Mutex<Sessions>>,
    max_message: usize,
}

/// Sessions and when each of them handed in its last query.
#[derive(Debug, Default)]
struct Sessions {
    last: HashMap<String, Instant>,
    /// When old sessions were forgotten the last time.
    cleaned: Option<Instant>,
}

impl Sessions {
    fn note(&mut self, session: String, now: Instant) {
        // All are looked at now and then only: there may be as many as queries.
        let is_due = |cleaned| now.saturating_duration_since(cleaned) >= RECENT;
        if self.cleaned.is_none_or(is_due) {
            self.cleaned = Some(now);
            self.last
                .retain(|_, last| now.saturating_duration_since(*last) < REMEMBERED);
        }
        self.last.insert(session, now);
    }

    fn is_known(&self, session: &str) -> bool {
        self.last.contains_key(session)
    }

    /// Whether a client may be in the middle of a job.
    fn is_in_use(&self, now: Instant) -> bool {
        let mut last = self.last.values();
        last.any(|last| now.saturating_duration_since(*last) < RECENT)
    }
}

impl Drain {
    /// Messages of at most `max_message` bytes are looked at.
    pub(crate) fn new(shutdown: ShutdownToken, max_message: usize) -> Self {
        Self {
            shutdown,
            sessions: Arc::default(),
            max_message,
        }
    }

    /// Waits for the start of the drain and for its end.
    pub(crate) async fn done(self, scheduler: Arc<Scheduler>) {
        self.shutdown.triggered().await;
        let n_jobs = || scheduler.running_job_number() + scheduler.pending_job_number();
        let mut idle_since = None;
        let mut said = 0;
        let may_go_on = n_jobs() > 0 || self.sessions().is_in_use(Instant::now());
        let gap = if may_go_on { GAP } else { Duration::ZERO };
        loop {
            let now = Instant::now();
            match n_jobs() {
                0 if now - *idle_since.get_or_insert(now) >= gap => return,
                0 => {}
                n_jobs => {
                    idle_since = None;
                    if n_jobs != said {
                        tracing::info!(n_jobs, "waiting for jobs to end");
                        said = n_jobs;
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a query of the session is taken.
    fn admits(&self, session: String) -> bool {
        let mut sessions = self.sessions();
        let is_admitted = !self.shutdown.is_triggered() || sessions.is_known(&session);
        if is_admitted {
            sessions.note(session, Instant::now());
        }
        is_admitted
    }
}

/// Lets requests through, but for queries of new sessions once the scheduler drains.
pub(crate) async fn admit(State(drain): State<Drain>, request: Request, next: Next) -> Response {
    if !request.uri().path().contains("SchedulerGrpc/ExecuteQuery") {
        return next.run(request).await;
    }
    let (head, content) = request.into_parts();
    let Ok(message) = body::to_bytes(content, drain.max_message + GRPC_PREFIX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if !drain.admits(session_of(&message)) {
        return refusal();
    }
    next.run(Request::from_parts(head, Body::from(message)))
        .await
}

/// The session of a query; empty where the message cannot be read, which the service reports.
fn session_of(message: &[u8]) -> String {
    let query = message.get(GRPC_PREFIX..).unwrap_or_default();
    ExecuteQueryParams::decode(query)
        .map(|query| query.session_id)
        .unwrap_or_default()
}

fn refusal() -> Response {
    let error = EncodedError::new(ErrorKind::Unavailable, "the scheduler is shutting down")
        .with_hint("submit again when it is back");
    Status::unavailable(format!("{error:?}")).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(session: &str) -> Vec<u8> {
        let query = ExecuteQueryParams {
            session_id: session.to_owned(),
            ..ExecuteQueryParams::default()
        };
        [vec![0; GRPC_PREFIX], query.encode_to_vec()].concat()
    }

    #[test]
    fn sessions_go_on_and_new_ones_are_refused_once_it_drains() {
        let shutdown = ShutdownToken::new();
        let drain = Drain::new(shutdown.clone(), 1024);
        assert!(drain.admits(session_of(&message("old"))));
        shutdown.trigger();
        assert!(drain.admits(session_of(&message("old"))));
        assert!(!drain.admits(session_of(&message("new"))));
        assert!(!drain.admits(session_of(b"no query")));
    }

    #[test]
    fn sessions_are_forgotten() {
        let mut sessions = Sessions::default();
        let start = Instant::now();
        sessions.note("a".to_owned(), start);
        assert!(sessions.is_in_use(start + RECENT / 2));
        assert!(!sessions.is_in_use(start + RECENT));
        sessions.note("b".to_owned(), start + REMEMBERED);
        assert!(!sessions.is_known("a") && sessions.is_known("b"));
    }
}
