//! Jobs end with their clients: nobody computes for long what nobody waits for.
//!
//! A client follows its job in one of two ways. It asks for the state again and again, as Emporia's do, or it
//! keeps the stream open on which Ballista pushes states. A job of which neither is true for [`PATIENCE`] looks is
//! cancelled. Looks are counted and not time: a scheduler that was stopped for a while hears its clients before it
//! has looked that often again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ballista_core::serde::protobuf::{GetJobStatusParams, JobStatus};
use ballista_core::{JobId, JobStatusSubscriber};
use prost::Message;
use tokio::sync::mpsc::WeakSender;

use crate::drain::GRPC_PREFIX;
use crate::recovery::Shared;
use crate::serve::Scheduler;

/// How many looks a job stays for which nobody asks.
const PATIENCE: u32 = 25;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest question for a state that is read.
const MAX_QUESTION: usize = 64 * 1024;
/// The states of one job in the REST API.
const REST_JOB: &str = "/api/job/";
const GRPC_STATUS: &str = "SchedulerGrpc/GetJobStatus";

/// Which jobs somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Jobs that were asked for since the last look.
    asked: HashSet<JobId>,
    /// The streams on which states are pushed, until their jobs have ended.
    streams: HashMap<JobId, WeakSender<JobStatus>>,
    /// For how many looks nobody waited for a job that runs.
    silent: HashMap<JobId, u32>,
}

impl Leases {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody asked for the state of a job.
    fn asked(&self, job: &str) {
        self.inner().asked.insert(job.into());
    }

    /// The states of a job are pushed to a client.
    pub(crate) fn pushed(&self, job: &JobId, stream: &JobStatusSubscriber) {
        let stream = stream.downgrade();
        self.inner().streams.insert(job.clone(), stream);
    }

    /// Looks once; the jobs of `running` for which nobody has waited for too long.
    fn abandoned(&self, running: HashSet<JobId>) -> Vec<JobId> {
        let mut inner = self.inner();
        let Inner {
            asked,
            streams,
            silent,
        } = &mut *inner;
        streams.retain(|_, stream| stream.strong_count() > 0);
        silent.retain(|job, _| running.contains(job));
        let asked = std::mem::take(asked);
        let is_open = |job: &JobId| {
            let stream = streams.get(job).and_then(WeakSender::upgrade);
            stream.is_some_and(|stream| !stream.is_closed())
        };
        let mut abandoned = Vec::new();
        for job in running {
            if asked.contains(&job) || is_open(&job) {
                silent.insert(job, 0);
                continue;
            }
            let n_looks = silent.entry(job.clone()).or_default();
            *n_looks += 1;
            if *n_looks > PATIENCE {
                abandoned.push(job);
            }
        }
        abandoned
    }
}

/// Cancels the jobs of `scheduler` that nobody waits for, for as long as it runs.
pub(crate) async fn watch(shared: Arc<Shared>, scheduler: Arc<Scheduler>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let running = scheduler.state.task_manager.get_running_job_cache();
        let running = running.keys().cloned().collect();
        for job in shared.leases.abandoned(running) {
            let seconds = PATIENCE;
            tracing::warn!(%job, seconds, "nobody waits for a job any more; it is cancelled");
            if let Err(error) = scheduler.cancel_job(job.clone()).await {
                tracing::warn!(%error, %job, "a job that nobody waits for cannot be cancelled");
            }
        }
    }
}

/// Lets requests through and notes for which jobs they ask.
pub(crate) async fn note(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if let Some(rest) = path.strip_prefix(REST_JOB) {
        shared.leases.asked(rest.split('/').next().unwrap_or(rest));
        return next.run(request).await;
    }
    if !path.ends_with(GRPC_STATUS) {
        return next.run(request).await;
    }
    let (head, content) = request.into_parts();
    let Ok(message) = body::to_bytes(content, MAX_QUESTION).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if let Some(job) = job_of(&message) {
        shared.leases.asked(&job);
    }
    next.run(Request::from_parts(head, Body::from(message)))
        .await
}

/// The job of a question; `None` where it cannot be read, which the service reports.
fn job_of(message: &[u8]) -> Option<String> {
    let question = message.get(GRPC_PREFIX..)?;
    Some(GetJobStatusParams::decode(question).ok()?.job_id)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn jobs(names: &[&str]) -> HashSet<JobId> {
        names.iter().map(|name| JobId::from(*name)).collect()
    }

    /// Looks `n` times at one job; whether it is given up then.
    fn is_given_up(leases: &Leases, n: u32) -> bool {
        let mut abandoned = Vec::new();
        for _ in 0..n {
            abandoned = leases.abandoned(jobs(&["a"]));
        }
        !abandoned.is_empty()
    }

    #[test]
    fn a_job_that_nobody_asks_for_is_given_up() {
        let leases = Leases::default();
        assert!(!is_given_up(&leases, PATIENCE));
        leases.asked("a");
        assert!(!is_given_up(&leases, PATIENCE + 1));
        assert!(is_given_up(&leases, 1));
        // It is named until it is gone.
        assert!(is_given_up(&leases, 1));
        assert!(leases.abandoned(jobs(&[])).is_empty());
        assert!(leases.inner().silent.is_empty());
    }

    #[test]
    fn a_job_lives_as_long_as_its_stream() {
        let leases = Leases::default();
        let (sender, receiver) = mpsc::channel(1);
        leases.pushed(&"a".into(), &sender);
        assert!(!is_given_up(&leases, 10 * PATIENCE));
        // Between the look at the running jobs and its planning, it is not among them.
        assert!(leases.abandoned(jobs(&[])).is_empty());
        assert!(!is_given_up(&leases, 10 * PATIENCE));
        drop(receiver);
        assert!(!is_given_up(&leases, PATIENCE));
        // The client may ask, too.
        leases.asked("a");
        assert!(!is_given_up(&leases, PATIENCE + 1));
        assert!(is_given_up(&leases, 1));
        drop(sender);
        assert!(leases.abandoned(jobs(&[])).is_empty());
        assert!(leases.inner().streams.is_empty());
    }

    #[test]
    fn the_job_of_a_question_is_read() {
        let question = GetJobStatusParams {
            job_id: "7XQ".to_owned(),
        };
        let message = [vec![0; GRPC_PREFIX], question.encode_to_vec()].concat();
        assert_eq!(job_of(&message).as_deref(), Some("7XQ"));
        assert_eq!(job_of(b"x"), None);
    }
}
