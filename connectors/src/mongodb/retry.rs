//! Tries again what may succeed later, for as long as `stores.patience` says.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use mongodb::error::{Error as DriverError, Result};
use tokio::time::Instant;

use super::fault::{is_transient, told};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The time that is left for faults without progress in between.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    first_fault: Option<Instant>,
    pause: Duration,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            first_fault: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Something succeeded: the time starts anew.
    pub(super) fn progressed(&mut self) {
        self.first_fault = None;
        self.pause = FIRST_PAUSE;
    }

    /// Waits before another try after `error`; gives it back where another try is in vain.
    pub(super) async fn wait(&mut self, error: DriverError) -> Result<()> {
        if is_transient(&error) && self.wait_after(told(&error.kind).as_str()).await {
            Ok(())
        } else {
            Err(error)
        }
    }

    /// Waits before another try after `fault`; `false` where no time is left.
    pub(super) async fn wait_after(&mut self, fault: &(impl fmt::Display + ?Sized)) -> bool {
        let first_fault = *self.first_fault.get_or_insert_with(Instant::now);
        if first_fault.elapsed() + self.pause > self.limit {
            return false;
        }
        let pause_ms = self.pause.as_millis();
        tracing::warn!(%fault, pause_ms, "mongodb fault, trying again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

/// Calls `attempt` until it succeeds, fails for good, or `limit` is over; it must be idempotent.
pub(super) async fn patiently<T, F>(
    limit: Duration,
    mut attempt: impl FnMut() -> F + Send,
) -> Result<T>
where
    F: Future<Output = Result<T>> + Send,
{
    let mut patience = Patience::new(limit);
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => patience.wait(error).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use mongodb::error::ErrorKind;

    use super::*;

    fn lost() -> DriverError {
        ErrorKind::Io(Arc::new(io::Error::from(io::ErrorKind::ConnectionReset))).into()
    }

    #[tokio::test]
    async fn transient_faults_are_tried_again_until_patience_ends() {
        let mut n_calls = 0;
        let result = patiently(Duration::from_secs(60), || {
            n_calls += 1;
            let outcome = if n_calls < 3 {
                Err(lost())
            } else {
                Ok(n_calls)
            };
            async move { outcome }
        });
        assert_eq!(result.await.ok(), Some(3));

        let started = Instant::now();
        let result: Result<()> =
            patiently(Duration::from_millis(250), || async { Err(lost()) }).await;
        assert!(result.is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn permanent_faults_are_not() {
        let mut n_calls = 0;
        let result: Result<()> = patiently(Duration::from_secs(60), || {
            n_calls += 1;
            async { Err(DriverError::custom("no")) }
        })
        .await;
        assert!(result.is_err());
        assert_eq!(n_calls, 1);
    }
}
