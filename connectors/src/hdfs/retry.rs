//! When a failed call is tried again, and when not any more.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fault::{Fault, FaultKind};

/// The wait before the first new try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest time that one call may take.
const LONGEST_CALL: Duration = Duration::from_secs(30);

/// How long faults of a cluster are waited out.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    /// Names the cluster in messages.
    pub(super) cluster: Arc<str>,
    /// How long to go on without any progress.
    pub(super) limit: Duration,
}

impl Patience {
    /// How long one call may take before it counts as lost.
    pub(super) fn call_limit(&self) -> Duration {
        (self.limit / 4).min(LONGEST_CALL)
    }

    /// The tries of one operation.
    pub(super) fn tries(&self, path: &str) -> Tries {
        Tries {
            patience: self.clone(),
            path: path.to_owned(),
            last_progress: Instant::now(),
            failed: 0,
            met_dead_data_nodes: false,
        }
    }

    /// Calls until it succeeds, it fails for good, or the patience is at its end.
    pub(super) async fn retry<T, F>(
        &self,
        path: &str,
        mut call: impl FnMut() -> F + Send,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        let mut tries = self.tries(path);
        loop {
            match call().await {
                Ok(value) => return Ok(value),
                Err(fault) => tries.wait_after(fault).await?,
            }
        }
    }
}

/// The tries of one operation so far.
#[derive(Debug)]
pub(super) struct Tries {
    patience: Patience,
    path: String,
    last_progress: Instant,
    failed: u32,
    met_dead_data_nodes: bool,
}

impl Tries {
    /// Starts the patience anew, because something was achieved.
    pub(super) fn progressed(&mut self) {
        self.last_progress = Instant::now();
        self.failed = 0;
    }

    /// Whether one of them failed because of DataNodes.
    pub(super) fn met_dead_data_nodes(&self) -> bool {
        self.met_dead_data_nodes
    }

    /// Waits until the next try; an error where there is none.
    pub(super) async fn wait_after(&mut self, fault: Fault) -> Result<(), Fault> {
        if !fault.is_transient() {
            return Err(fault);
        }
        self.met_dead_data_nodes |= fault.kind() == FaultKind::DataNodes;
        let Patience { cluster, limit } = &self.patience;
        let waited = self.last_progress.elapsed();
        if waited >= *limit {
            return Err(fault.given_up(cluster, waited));
        }
        if self.failed == 0 {
            tracing::warn!(%cluster, path = %self.path, %fault, "hdfs failed, trying again");
        } else {
            tracing::debug!(%cluster, path = %self.path, %fault, failed = self.failed, "hdfs failed again");
        }
        let wait = backoff(self.failed, LONGEST_WAIT.min(*limit / 8));
        tokio::time::sleep(wait.min(*limit - waited)).await;
        self.failed += 1;
        Ok(())
    }
}

/// The wait after `failed` + 1 failures: half of it fixed, half by chance, so that the tasks of a
/// cluster do not come back all at once.
fn backoff(failed: u32, longest: Duration) -> Duration {
    let full = FIRST_WAIT.saturating_mul(1 << failed.min(10)).min(longest);
    let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    full.mul_f64(0.5 + chance / 2.0)
}

/// The outcome of `call`, or the fault that it took too long.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let seconds = limit.as_secs_f32();
        Err(Fault::new(
            FaultKind::Silent,
            format!("no answer within {seconds} s"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn patience() -> Patience {
        Patience {
            cluster: "nn:8020".into(),
            limit: Duration::from_millis(400),
        }
    }

    async fn fail(calls: &AtomicU32, kind: FaultKind) -> Fault {
        let call = || async {
            calls.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Fault::new(kind, "by the test"))
        };
        patience().retry("/a", call).await.unwrap_err()
    }

    #[tokio::test]
    async fn transient_faults_are_retried_until_the_patience_ends() {
        let calls = AtomicU32::new(0);
        let start = Instant::now();
        let fault = fail(&calls, FaultKind::SafeMode).await;
        let text = fault.to_string();
        let told = "the NameNode at nn:8020 is in safe mode (tried for ";
        assert!(text.starts_with(told), "{text}");
        assert!(start.elapsed() >= patience().limit);
        let calls = calls.into_inner();
        assert!((2..=20).contains(&calls), "{calls} calls");
    }

    #[tokio::test]
    async fn permanent_faults_are_not_retried() {
        let calls = AtomicU32::new(0);
        let fault = fail(&calls, FaultKind::Denied).await;
        assert_eq!(fault, Fault::new(FaultKind::Denied, "by the test"));
        assert_eq!(calls.into_inner(), 1);
    }

    #[tokio::test]
    async fn progress_renews_the_patience() {
        let mut tries = patience().tries("/a");
        let fault = Fault::new(FaultKind::Unreachable, "reset");
        let long_ago = Instant::now().checked_sub(patience().limit).unwrap();
        tries.last_progress = long_ago;
        tries.progressed();
        tries.wait_after(fault.clone()).await.unwrap();
        tries.last_progress = long_ago;
        tries.wait_after(fault).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_call_without_an_answer_is_given_up() {
        let limit = patience().call_limit();
        let fault = within(limit, std::future::pending::<Result<(), _>>())
            .await
            .unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Silent);
    }

    #[test]
    fn waits_grow_to_a_limit() {
        for failed in 0..100 {
            let wait = backoff(failed, LONGEST_WAIT);
            let full = FIRST_WAIT * 2_u32.pow(failed.min(6));
            assert!(wait >= full.min(LONGEST_WAIT) / 2 && wait <= LONGEST_WAIT);
        }
    }
}
