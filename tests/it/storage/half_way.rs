//! Jobs that a fault is to meet in the middle.

use std::process::{Child, Output};
use std::time::Duration;

use emporia_e2e::cluster::Cluster;
use emporia_e2e::programs::wait_until;

use super::workplace::said;

/// How often a job is started that was over before the fault.
const TRIES: u32 = 5;
/// Time in which a job comes to its half.
const HALF: Duration = Duration::from_secs(120);

/// The work of a job: processor time of the executors, which tells how far it is whatever else the machine does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work(u64);

impl Work {
    /// The work of a job that is not disturbed, and its output.
    #[track_caller]
    pub(super) fn of(cluster: &Cluster, start: impl FnOnce() -> Child) -> (Self, Output) {
        let before = cluster.executor_ticks();
        let output = finished(start());
        (Self::since(cluster, before), output)
    }

    fn since(cluster: &Cluster, before: u64) -> Self {
        Self(cluster.executor_ticks().saturating_sub(before))
    }

    /// Starts a job and returns it when that many percent of its work are done; its output where it had ended
    /// before that.
    #[track_caller]
    pub(super) fn done(
        self,
        percent: u64,
        cluster: &Cluster,
        start: impl FnOnce() -> Child,
    ) -> Result<Child, Output> {
        let before = cluster.executor_ticks();
        let mut job = start();
        let mut has_ended = false;
        let is_done = wait_until(HALF, || {
            has_ended = job.try_wait().unwrap().is_some();
            has_ended
                || (Self::since(cluster, before).0 * 100 >= self.0 * percent
                    && cluster.n_active_queries().unwrap() > 0)
        });
        assert!(is_done, "the job does not go on");
        match has_ended {
            true => Err(job.wait_with_output().unwrap()),
            false => Ok(job),
        }
    }
}

/// A job of the cluster that runs, and has done nearly half of `work`.
#[track_caller]
pub(super) fn half_way(cluster: &Cluster, work: Work, start: impl Fn() -> Child) -> Child {
    for _ in 0..TRIES {
        match work.done(40, cluster, &start) {
            Ok(job) => return job,
            Err(output) => assert!(output.status.success(), "{}", said(&output)),
        }
    }
    panic!("the job was over too soon, {TRIES} times");
}

/// The output of a job that must end well.
#[track_caller]
pub(super) fn finished(job: Child) -> Output {
    let output = job.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    output
}
