//! What happens to jobs when the processes of a cluster are killed or told to end.
//!
//! The clusters are the built programs. A fault comes when a job has done half of its stages, which
//! a run without a fault has counted, so that slow machines do not shift it. The tests take turns, also with
//! those that break the servers of `storage`: else they would disturb each other's clocks.

mod clients;
pub(crate) mod cluster;
mod executor;
mod job;
mod matrix;
mod proxy;
mod result;
mod same_rows;
mod scene;
mod scheduler;
mod sick;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other test of this kind computes. A test that also wants the servers of `storage` takes its
/// turn first, so that no two tests wait for each other.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often each fault is tried; 0 to leave them out.
#[expect(clippy::disallowed_methods, reason = "so a user tells the tests")]
pub(crate) fn n_runs() -> u32 {
    let asked_for = std::env::var("EMPORIA_FAULT_RUNS");
    asked_for.ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}
