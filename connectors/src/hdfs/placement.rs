//! How many copies of a new file are written at once.
//!
//! The NameNode goes on handing out a dead DataNode for ten minutes. The client library cannot ask
//! for another one, so that each block with two copies that includes the dead DataNode fails. A file
//! that met one is written again with one copy, which rarely meets the dead one, and HDFS is asked to
//! make the others from it. Java's client likewise goes on with the copies that it can write.
//!
//! The only copy is lost if its DataNode dies before HDFS makes another. So other files still get all
//! their copies at once, unless the failure took long to show.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A failure that shows sooner costs too little to write other files with one copy.
const SLOW: Duration = Duration::from_secs(1);
/// How long new files get one copy after a slow failure.
const WARY: Duration = Duration::from_secs(60);

/// The copies of new files, and how writing them went.
#[derive(Debug)]
pub(super) struct Placement {
    configured: Option<u32>,
    /// The cluster's own number, where none is configured.
    usual: OnceLock<u32>,
    last_slow_failure: Mutex<Option<Instant>>,
}

impl Placement {
    pub(super) fn new(configured: Option<u32>) -> Self {
        Self {
            configured,
            usual: OnceLock::new(),
            last_slow_failure: Mutex::new(None),
        }
    }

    /// How many copies a file is created with; `None` leaves it to the cluster. `has_failed` says
    /// that DataNodes failed in an earlier try of this file.
    pub(super) fn copies(&self, has_failed: bool) -> Option<u32> {
        if has_failed || self.is_wary() {
            return Some(1);
        }
        self.configured
    }

    /// How many copies a file shall have in the end, as far as known.
    pub(super) fn wanted(&self) -> Option<u32> {
        self.configured.or_else(|| self.usual.get().copied())
    }

    /// Notes how many copies the cluster gives a file.
    pub(super) fn learn(&self, usual: u32) {
        self.usual.get_or_init(|| usual);
    }

    /// Notes that the DataNodes of a block failed, which took `time` to show.
    pub(super) fn failed(&self, time: Duration) {
        if time < SLOW {
            return;
        }
        if !self.is_wary() {
            tracing::warn!("hdfs cannot place all copies, writing one of each block for a while");
        }
        *self
            .last_slow_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_wary(&self) -> bool {
        self.last_slow_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|when| when.elapsed() < WARY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slow_failures_change_how_other_files_are_written() {
        for configured in [None, Some(2)] {
            let placement = Placement::new(configured);
            placement.failed(Duration::ZERO);
            assert_eq!(placement.copies(true), Some(1));
            assert_eq!(placement.copies(false), configured);
            placement.failed(Duration::from_secs(30));
            assert_eq!(placement.copies(false), Some(1));
            placement.failed(Duration::ZERO);
            assert_eq!(placement.copies(false), Some(1));
        }
    }
}
