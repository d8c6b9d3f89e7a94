//! How long a fault that may pass is borne.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The pause after the first fault; it doubles up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Counts the faults since the last progress.
#[derive(Debug)]
pub(crate) struct Backoff {
    patience: Duration,
    n_faults: u32,
    since: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            n_faults: 0,
            since: None,
        }
    }

    /// Something was achieved: what comes next is a new trouble.
    pub(crate) fn progress(&mut self) {
        self.n_faults = 0;
        self.since = None;
    }

    /// Sleeps before the next attempt.
    ///
    /// # Errors
    /// When the fault is permanent or patience has ended.
    pub(crate) fn bear(&mut self, error: Error) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        self.n_faults = self.n_faults.saturating_add(1);
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited >= self.patience {
            return Err(match self.n_faults {
                1 => error,
                attempts => Error::Exhausted {
                    attempts,
                    waited,
                    last: Box::new(error),
                },
            });
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << (self.n_faults - 1).min(16))
            .min(LONGEST_PAUSE);
        // Half of it is chance, so that many waiting tasks do not come back together.
        let pause = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
        thread::sleep(pause.min(self.patience - waited));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Error {
        Error::NoGateway {
            action: "test".to_owned(),
            tried: "a:1".to_owned(),
        }
    }

    #[test]
    fn patience_ends_and_progress_renews_it() {
        let mut backoff = Backoff::new(Duration::from_millis(120));
        let mut n_borne = 0;
        let error = loop {
            match backoff.bear(fault()) {
                Ok(()) => n_borne += 1,
                Err(error) => break error,
            }
        };
        assert!(n_borne >= 2, "{n_borne}");
        assert!(
            matches!(error, Error::Exhausted { attempts, .. } if attempts == n_borne + 1),
            "{error}"
        );
        backoff.progress();
        backoff.bear(fault()).unwrap();
    }

    #[test]
    fn a_permanent_fault_is_not_borne() {
        let error = Error::InvalidRequest {
            action: "test".to_owned(),
            message: "no".to_owned(),
        };
        let error = Backoff::new(Duration::MAX).bear(error).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest { .. }));
    }
}
