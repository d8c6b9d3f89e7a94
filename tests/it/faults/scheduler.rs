//! Schedulers that are killed or told to end.

use std::sync::Arc;
use std::time::Duration;

use emporia_e2e::programs::wait_until;

use super::cluster::{self, Patience, Processes, get};
use super::job::{Data, Replanning, Submission};
use super::turn;

/// Time in which a client notices that its scheduler is dead.
const NOTICED: Duration = Duration::from_secs(30);
/// Time in which an idle scheduler ends.
const IDLE_END: Duration = Duration::from_secs(10);
/// Time in which a scheduler ends that lets a query of some seconds end.
const BUSY_END: Duration = Duration::from_secs(60);

/// Exit code of a client that cannot reach its cluster.
const UNREACHABLE: Option<i32> = Some(4);

#[test]
fn a_killed_scheduler_leaves_the_old_result() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let cluster =
        cluster::start(&folder.path().join("cluster"), 2, Patience::Default, &[]).unwrap();
    let submission = Submission {
        data,
        job: "revenue_by_category",
        url: cluster.url.clone(),
        replanning: Replanning::On,
        folder: folder.path().join("job"),
    };
    let before = submission.run().unwrap();
    let mut process = submission
        .start_half(&before)
        .unwrap()
        .expect("the job is too fast");
    cluster.kill("scheduler").unwrap();
    let code = process.wait(NOTICED).and_then(|s| s.code());
    assert_eq!(code, UNREACHABLE, "{}", submission.errors());
    assert_eq!(submission.published(), Ok(Some(before.published)));
}

#[test]
fn an_idle_scheduler_ends_at_once() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut processes = Processes::start(folder.path(), 1).unwrap();
    assert_eq!(get(&processes.url, "/readyz").unwrap().0, 200);
    processes.scheduler.signal("TERM").unwrap();
    let code = processes.scheduler.wait(IDLE_END).and_then(|s| s.code());
    assert_eq!(code, Some(0));
}

#[test]
fn a_draining_scheduler_is_not_ready_and_refuses_new_jobs() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut processes = Processes::start(&folder.path().join("cluster"), 2).unwrap();
    let submission = |job, name| Submission {
        data: Arc::clone(&data),
        job,
        url: processes.url.clone(),
        replanning: Replanning::On,
        folder: folder.path().join(name),
    };
    let old = submission("revenue_by_category", "old");
    let new = submission("cohort", "new");
    let before = old.run().unwrap();
    let mut running = old
        .start_half(&before)
        .unwrap()
        .expect("the job is too fast");

    processes.scheduler.signal("TERM").unwrap();
    let mut answer = None;
    let is_draining = wait_until(Duration::from_secs(5), || {
        answer = get(&processes.url, "/readyz").ok();
        answer
            .as_ref()
            .is_some_and(|(status, body)| *status == 503 && body.contains("draining"))
    });
    assert!(is_draining, "{answer:?}");
    assert_eq!(get(&processes.url, "/healthz").unwrap().0, 200);
    let code = new.start().unwrap().wait(NOTICED).and_then(|s| s.code());
    assert_eq!(code, UNREACHABLE, "{}", new.errors());
    assert_eq!(new.published(), Ok(None));

    // The job is several queries, and the drain lets it end with all of them.
    let code = running.wait(BUSY_END).and_then(|s| s.code());
    assert_eq!(code, Some(0), "{}", old.errors());
    assert_eq!(old.compare(&before.published), Ok(()));
    let code = processes.scheduler.wait(BUSY_END).and_then(|s| s.code());
    assert_eq!(code, Some(0));
}
