//! How a process ends: a signal starts the drain, a deadline or a second signal ends it.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::{Error, ErrorKind, Result};

/// How long a process waits for the threads of its runtime: work that was cancelled must not hold it.
const THREADS_END: Duration = Duration::from_millis(500);

/// Tells every part of a process to finish what it does and start nothing new. Clones share one
/// state.
#[derive(Debug, Clone, Default)]
pub struct ShutdownToken(CancellationToken);

impl ShutdownToken {
    /// A token that nobody has triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the drain.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether the drain has started.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the start of the drain.
    pub async fn triggered(&self) {
        self.0.cancelled().await;
    }

    /// As [`Self::triggered`], for a future that outlives the caller, such as the end of a server.
    pub async fn triggered_owned(self) {
        self.0.cancelled_owned().await;
    }
}

/// Waits for SIGTERM or SIGINT and returns its name.
///
/// # Errors
/// `Internal` where the process cannot listen to signals.
pub async fn on_signal() -> Result<&'static str> {
    Ok(Signals::listen()?.next().await)
}

/// Runs a process from start to end.
///
/// `start` gets the token and returns the work of the process. On SIGTERM or SIGINT the token is
/// triggered and the work has `drain_timeout` to end; a second signal ends it at once. Work that
/// ends by itself ends the process. Where the work does not end in time it is dropped.
///
/// # Errors
/// That of the work; `Timeout` past the deadline; `Cancelled` after the second signal; `Internal`
/// where the process cannot listen to signals.
pub async fn run_until_signal<T, W>(
    drain_timeout: Duration,
    start: impl FnOnce(ShutdownToken) -> W,
) -> Result<T>
where
    W: Future<Output = Result<T>>,
{
    let mut signals = Signals::listen()?;
    run_until(async || signals.next().await, drain_timeout, start).await
}

async fn run_until<T, W>(
    mut next_signal: impl AsyncFnMut() -> &'static str,
    drain_timeout: Duration,
    start: impl FnOnce(ShutdownToken) -> W,
) -> Result<T>
where
    W: Future<Output = Result<T>>,
{
    let token = ShutdownToken::new();
    let mut work = Box::pin(start(token.clone()));
    tokio::select! {
        result = &mut work => return result,
        signal = next_signal() => {
            info!(signal, drain_timeout_ms = drain_timeout.as_millis() as u64, "draining");
        }
    }
    token.trigger();
    tokio::select! {
        result = timeout(drain_timeout, &mut work) => result.unwrap_or_else(|_| {
            let limit = drain_timeout.as_secs_f64();
            Err(Error::new(ErrorKind::Timeout, format!("cannot drain within {limit} s"))
                .with_hint("raise `drain_timeout` above the longest task"))
        }),
        signal = next_signal() => {
            warn!(signal, "drain interrupted");
            Err(Error::new(ErrorKind::Cancelled, format!("drain interrupted by a second {signal}")))
        }
    }
}

/// Ends the runtime of a process that has done its work.
///
/// Joins the threads, and detaches them only if they do not end within half a second. glibc's `pthread_detach` reads
/// the stack of the thread. If the thread ends at that moment and its stack is too large for glibc to keep, the
/// memory is gone and the process dies of SIGSEGV.
pub fn end_runtime(runtime: Runtime) {
    runtime.shutdown_timeout(THREADS_END);
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind, name| {
            signal(kind)
                .map_err(|e| Error::internal(format!("cannot listen to {name}")).with_source(e))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Delivers `n` signals, then none.
    fn signals(n: usize) -> impl AsyncFnMut() -> &'static str {
        let mut left = n;
        async move || {
            if left == 0 {
                return pending().await;
            }
            left -= 1;
            "SIGTERM"
        }
    }

    #[tokio::test]
    async fn token_wakes_every_clone() {
        let token = ShutdownToken::new();
        let clone = token.clone();
        assert!(!clone.is_triggered());
        token.trigger();
        clone.triggered().await;
        clone.clone().triggered_owned().await;
        assert!(clone.is_triggered());
    }

    #[tokio::test]
    async fn work_that_ends_by_itself_ends_the_process() -> Result<()> {
        assert_eq!(run_until(signals(0), LONG, |_| async { Ok(7) }).await?, 7);
        let failed: Result<()> =
            run_until(signals(0), LONG, |_| async { Err(Error::invalid("bad")) }).await;
        assert_eq!(failed.map_err(|e| e.kind()), Err(ErrorKind::InvalidInput));
        Ok(())
    }

    #[tokio::test]
    async fn signal_drains() -> Result<()> {
        let drained = run_until(signals(1), LONG, |token| async move {
            token.triggered().await;
            Ok("drained")
        });
        assert_eq!(drained.await?, "drained");
        Ok(())
    }

    #[tokio::test]
    async fn drain_ends_at_the_deadline() {
        let stuck: Result<()> =
            run_until(signals(1), Duration::from_millis(10), |_| pending()).await;
        assert_eq!(stuck.map_err(|e| e.kind()), Err(ErrorKind::Timeout));
    }

    #[tokio::test]
    async fn second_signal_ends_the_drain() {
        let stuck: Result<()> = run_until(signals(2), LONG, |_| pending()).await;
        assert_eq!(stuck.map_err(|e| e.kind()), Err(ErrorKind::Cancelled));
    }

    #[tokio::test]
    async fn real_signal_is_heard() -> Result<()> {
        let mut signals = Signals::listen()?;
        let status = tokio::process::Command::new("kill")
            .args(["-TERM", &std::process::id().to_string()])
            .status()
            .await
            .map_err(|e| Error::internal("cannot run kill").with_source(e))?;
        assert!(status.success());
        assert_eq!(signals.next().await, "SIGTERM");
        Ok(())
    }
}
