//! Ctrl-C and the timeout: both cancel the work, tidily at first.

use std::time::Duration;

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::shutdown;
use emporia_engine::Session;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::console;

/// How long cancelled work may take to clean up after itself.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two requests to cancel: a job that runs several queries starts the next one.
const CANCEL_POLL: Duration = Duration::from_millis(50);
/// Patience with the scheduler's answer to one request to cancel.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
const INTERRUPTED: u8 = 130;

/// Runs `work` until it ends, Ctrl-C (or SIGTERM) is pressed or `timeout` passes.
///
/// Then the queries of `session` are cancelled and the work gets time to remove what it wrote. A
/// second Ctrl-C leaves at once.
///
/// # Errors
/// Those of the work; `Cancelled` after Ctrl-C; `Timeout`.
pub(crate) async fn guarded<T>(
    session: Option<&Session>,
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = Box::pin(work);
    let (_watch, interrupted) = watch_signals();
    let stopped = tokio::select! {
        result = &mut work => {
            if result.is_err() {
                cancel(session).await;
            }
            return result;
        }
        _ = interrupted => Error::new(ErrorKind::Cancelled, "interrupted"),
        limit = passed(timeout) => {
            let message = format!("the timeout of {} s passed", limit.as_secs_f64());
            Error::new(ErrorKind::Timeout, message)
                .with_hint("raise --timeout; --log-level info shows what a job waits for, such as a store")
        }
    };
    if session.is_none() {
        return Err(stopped);
    }
    console::write_line(&format!(
        "{stopped}; cancelling the job (Ctrl-C again leaves at once)"
    ));
    let deadline = tokio::time::sleep(CLEAN_UP_TIMEOUT);
    tokio::pin!(deadline);
    loop {
        cancel(session).await;
        tokio::select! {
            result = &mut work => {
                if result.is_ok() {
                    console::write_line("the job came to its end before it could be cancelled");
                }
                return Err(stopped);
            }
            () = &mut deadline => return Err(stopped),
            () = tokio::time::sleep(CANCEL_POLL) => {}
        }
    }
}

async fn cancel(session: Option<&Session>) {
    let Some(session) = session else { return };
    match tokio::time::timeout(CANCEL_TIMEOUT, session.cancel()).await {
        Ok(Ok(n_queries)) => tracing::debug!(n_queries, "cancelled"),
        Ok(Err(error)) => tracing::debug!(%error, "cannot cancel"),
        Err(_) => tracing::debug!("the scheduler did not answer the cancellation"),
    }
}

async fn passed(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(timeout) => {
            tokio::time::sleep(timeout).await;
            timeout
        }
        None => std::future::pending().await,
    }
}

/// Resolves at the first signal; the second one ends the process even where the main task is stuck
/// in a write to a full pipe.
fn watch_signals() -> (AbortOnDropHandle<()>, impl Future<Output = ()>) {
    let (sender, receiver) = oneshot::channel();
    let task = tokio::spawn(async move {
        match shutdown::on_signal().await {
            Ok(_) => drop(sender.send(())),
            Err(error) => {
                tracing::warn!(%error, "Ctrl-C is not handled");
                return std::future::pending().await;
            }
        }
        if shutdown::on_signal().await.is_ok() {
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    let interrupted = async move {
        if receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    (AbortOnDropHandle::new(task), interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_passes_through() {
        let done = guarded(None, None, async { Ok(7) }).await;
        assert_eq!(done.ok(), Some(7));
        let failed: Result<()> = guarded(None, None, async { Err(Error::invalid("bad")) }).await;
        assert_eq!(failed.map_err(|e| e.kind()), Err(ErrorKind::InvalidInput));
    }

    #[tokio::test]
    async fn work_that_is_too_slow_times_out() {
        let stuck = std::future::pending::<Result<()>>();
        let outcome = guarded(None, Some(Duration::from_millis(1)), stuck).await;
        assert_eq!(outcome.map_err(|e| e.kind()), Err(ErrorKind::Timeout));
    }
}
