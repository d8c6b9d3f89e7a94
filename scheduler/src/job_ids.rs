//! Ids of jobs.
//!
//! Ballista's own generator reads a clock that a thread sets every millisecond, which keeps a core
//! of an idle scheduler from resting.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use ballista_scheduler::scheduler_server::JobIdGenerator;

/// Jobs that can get an id in one millisecond before ids run ahead of the clock.
const PER_MILLISECOND: u64 = 1 << 12;

/// Ids that sort by time, also after a restart of the scheduler.
#[derive(Debug, Default)]
pub(crate) struct JobIds {
    last: AtomicU64,
}

impl JobIds {
    fn next(&self, unix_millis: u64) -> String {
        let now = unix_millis.saturating_mul(PER_MILLISECOND);
        let after = |last: u64| now.max(last + 1);
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(after(last))
            });
        format!("{:014x}", after(last.unwrap_or_else(|last| last)))
    }
}

#[async_trait]
impl JobIdGenerator for JobIds {
    async fn next_id(&self) -> String {
        let now = chrono::Utc::now().timestamp_millis();
        self.next(u64::try_from(now).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_sort_by_time() {
        let ids = JobIds::default();
        let made: Vec<_> = [5, 5, 4, 6, 1_800_000_000_000]
            .map(|millis| ids.next(millis))
            .into();
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        assert!(made.iter().all(|id| id.len() == 14), "{made:?}");
    }
}
