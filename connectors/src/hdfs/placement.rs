//! How many copies of a new file are written at once.
//!
//! The NameNode goes on handing out a dead DataNode for ten minutes. The client library cannot ask
//! for another one, so that each block with two copies that includes the dead DataNode fails. After
//! such a failure new files are written with one copy for a while, which rarely meets the dead one,
//! and HDFS is asked to make the others from it. Java's client likewise goes on with the copies that
//! it can write.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long files are written with one copy after a failure.
const WARY: Duration = Duration::from_secs(60);

/// The copies of new files, and how writing them went.
#[derive(Debug)]
pub(super) struct Placement {
    configured: Option<u32>,
    /// The cluster's own number, where none is configured.
    usual: OnceLock<u32>,
    last_failure: Mutex<Option<Instant>>,
}

impl Placement {
    pub(super) fn new(configured: Option<u32>) -> Self {
        Self {
            configured,
            usual: OnceLock::new(),
            last_failure: Mutex::new(None),
        }
    }

    /// How many copies the next file is created with; `None` leaves it to the cluster.
    pub(super) fn copies(&self) -> Option<u32> {
        let last = *self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match last {
            Some(when) if when.elapsed() < WARY => Some(1),
            _ => self.configured,
        }
    }

    /// How many copies a file shall have in the end, as far as known.
    pub(super) fn wanted(&self) -> Option<u32> {
        self.configured.or_else(|| self.usual.get().copied())
    }

    /// Notes how many copies the cluster gives a file.
    pub(super) fn learn(&self, usual: u32) {
        self.usual.get_or_init(|| usual);
    }

    /// Notes that the DataNodes of a block failed.
    pub(super) fn failed(&self) {
        let mut last = self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|when| when.elapsed() >= WARY) {
            tracing::warn!("hdfs cannot place all copies, writing one of each block for a while");
        }
        *last = Some(Instant::now());
    }
}
