//! Jobs that a fault is to meet in the middle.

use std::process::{Child, Output};
use std::time::{Duration, Instant};

use emporia_e2e::cluster::Cluster;
use emporia_e2e::programs::wait_until;

use super::workplace::said;

/// How often a job is started that was over before the fault.
const TRIES: u32 = 5;
/// Pause between two looks at a job.
const POLL: Duration = Duration::from_millis(10);

/// A job of the cluster that runs, and has run for nearly half of `time`, or of the time that it took in a try
/// in which it was faster.
#[track_caller]
pub(super) fn half_way(cluster: &Cluster, mut time: Duration, start: impl Fn() -> Child) -> Child {
    for _ in 0..TRIES {
        let begin = Instant::now();
        let mut job = start();
        let has_begun = wait_until(Duration::from_secs(20), || {
            cluster.n_active_queries().unwrap() > 0 || has_ended(&mut job)
        });
        assert!(has_begun, "the query does not begin");
        let mut is_over = has_ended(&mut job);
        while !is_over && begin.elapsed() < time * 4 / 10 {
            std::thread::sleep(POLL);
            is_over = has_ended(&mut job);
        }
        if !is_over {
            return job;
        }
        finished(job);
        time = time.min(begin.elapsed());
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

fn has_ended(job: &mut Child) -> bool {
    job.try_wait().unwrap().is_some()
}
