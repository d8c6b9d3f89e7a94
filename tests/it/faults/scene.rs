//! A job on a cluster of children of the test, to be disturbed.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use emporia_e2e::programs::wait_until;

use super::cluster::{Network, Process, Processes, executors_of};
use super::job::{Data, Replanning, Submission, Undisturbed};

/// Time in which a job has to end after a fault.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// Tries to meet a job before it is over.
pub(super) const TRIES: usize = 5;
/// Time in which the scheduler notices that an executor is dead.
pub(super) const NOTICED: Duration = Duration::from_secs(15);

/// How a disturbed job ended.
pub(super) enum End {
    Right,
    /// It failed, and said so.
    Failed(String),
    Wrong(String),
    Hung,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right => f.write_str("right"),
            Self::Failed(what) => write!(f, "failed: {what}"),
            Self::Wrong(what) => write!(f, "wrong: {what}"),
            Self::Hung => f.write_str("hung"),
        }
    }
}

/// A job on a cluster of children of the test.
pub(super) struct Scene {
    /// Faults that last until they are dropped.
    pub(super) lasting: Vec<Box<dyn Any>>,
    pub(super) processes: Processes,
    pub(super) submission: Submission,
    pub(super) before: Undisturbed,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub(super) fn new(
        data: &Arc<Data>,
        job: &'static str,
        replanning: Replanning,
        network: Network,
        n_executors: usize,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cluster = folder.path().join("cluster");
        let processes = Processes::start_on(network, &cluster, n_executors).unwrap();
        let submission = Submission {
            data: Arc::clone(data),
            job,
            url: processes.url.clone(),
            replanning,
            folder: folder.path().join(job),
        };
        let before = submission.run().unwrap();
        Self {
            lasting: Vec::new(),
            processes,
            submission,
            before,
            _folder: folder,
        }
    }

    /// Starts the job and returns when it is half done.
    pub(super) fn half(&mut self) -> Process {
        for _ in 0..TRIES {
            if let Some(process) = self.submission.start_half(&self.before).unwrap() {
                return process;
            }
            self.before = self.submission.run().unwrap();
        }
        panic!("{} is too fast", self.submission.job);
    }

    /// Waits for the end of the job, and compares its rows with those of the undisturbed run.
    pub(super) fn end(&self, job: &mut Process) -> End {
        match job.wait(DEADLINE) {
            None => End::Hung,
            Some(status) if status.success() => {
                match self.submission.compare(&self.before.published) {
                    Ok(()) => End::Right,
                    Err(what) => End::Wrong(what),
                }
            }
            Some(status) => End::Failed(format!("{status}: {}", self.submission.errors())),
        }
    }

    pub(super) fn signal(&self, executor: usize, name: &str) {
        self.processes.executors[executor]
            .process
            .signal(name)
            .unwrap();
    }

    /// Waits until the scheduler counts on `n` executors.
    #[track_caller]
    pub(super) fn wait_for(&self, n: usize) {
        let url = &self.processes.url;
        let is_so = wait_until(NOTICED * 2, || executors_of(url).len() == n);
        assert!(is_so, "{n} wanted: {:?}", executors_of(url));
    }
}
