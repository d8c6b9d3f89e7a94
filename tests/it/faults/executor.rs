//! Executors that are killed, paused, told to end, or join late and die; files of their outputs that go.
//!
//! Each fault strikes once, or `EMPORIA_FAULT_RUNS` times (`make test-faults`).

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emporia_e2e::programs::wait_until;

use super::cluster::{self, Patience, Process, Processes, executors_of, get};
use super::job::{Data, JOBS, Replanning, Submission, Undisturbed};
use super::{n_runs, turn};

/// Time in which a job has to end after the loss of an executor.
const DEADLINE: Duration = Duration::from_secs(60);
/// Tries to break an executor before the job is over.
const TRIES: usize = 5;
/// Time in which the scheduler notices that an executor is dead.
const NOTICED: Duration = Duration::from_secs(15);
/// Longest time between two deaths of an executor that flaps.
const FLAP: Duration = Duration::from_secs(5);
/// Time in which a started executor has done a task of a running job.
const JOINED: Duration = Duration::from_secs(30);

/// What happens to the cluster while a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// One of three executors gets SIGKILL.
    Killed,
    /// A second one as well, while the loss of the first is repaired.
    TwoKilled,
    /// One that joined after the job began gets SIGKILL. Nobody but the scheduler knows of it.
    LateJoinerKilled,
    /// One of two gets SIGSTOP until the scheduler has noticed, and reports late what it did before.
    Paused,
    /// One of three gets SIGTERM, and ends well.
    ToldToEnd,
    /// Both get SIGKILL, and one comes back under its old name.
    AllKilledOneBack,
    /// One of two dies and comes back before the scheduler has noticed.
    Restarted,
    /// One of three dies and comes back again and again.
    Flapping,
    /// The files of one of two are removed,
    FilesRemoved,
    /// or their indexes,
    IndexesRemoved,
    /// or cut off.
    FilesCutOff,
}

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

/// The faults that a job had to bear, and how it ended.
#[derive(Default)]
struct Table {
    rows: String,
    /// Ends that are not right: each of these faults leaves an executor that can do the work.
    bad: Vec<String>,
}

impl Table {
    /// Runs the job under the fault as often as is wanted.
    fn add(&mut self, data: &Arc<Data>, fault: Fault, job: &'static str, replanning: Replanning) {
        let (mut n_right, mut n_failed, mut n_wrong, mut n_hung) = (0, 0, 0, 0);
        let mut longest = Duration::ZERO;
        for run in 1..=n_runs() {
            let mut scene = Scene::planned(data, job, replanning, fault.n_executors());
            let mut process = fault.strike(&mut scene);
            let start = Instant::now();
            let end = scene.end(&mut process);
            longest = longest.max(start.elapsed());
            match end {
                End::Right => n_right += 1,
                End::Failed(_) => n_failed += 1,
                End::Wrong(_) => n_wrong += 1,
                End::Hung => n_hung += 1,
            }
            if !matches!(end, End::Right) {
                self.bad.push(format!(
                    "{fault:?}, {job}, replanning {replanning:?}, run {run}: {end}"
                ));
            }
            fault.check_afterwards(&mut scene);
        }
        writeln!(
            self.rows,
            "{fault:?} | {job} | {replanning:?} | {} | {n_right} | {n_failed} | {n_wrong} | {n_hung} | {:.1}",
            n_runs(),
            longest.as_secs_f64()
        )
        .unwrap();
    }

    #[track_caller]
    fn check(self) {
        let Self { rows, bad } = self;
        let head = "fault | job | replanning | runs | right | failed clearly | wrong | hung | longest, seconds";
        eprintln!("\n{head}\n{rows}");
        assert!(bad.is_empty(), "{head}\n{rows}\n{}", bad.join("\n"));
    }
}

/// Tries each fault on these jobs, planned in these ways; on all jobs and in both ways where faults are tried
/// often.
#[track_caller]
fn survive(faults: &[Fault], jobs: &[&'static str], plannings: &[Replanning]) {
    let (jobs, plannings) = match n_runs() > 1 {
        true => (&JOBS[..], &Replanning::BOTH[..]),
        false => (jobs, plannings),
    };
    let data = Data::get().unwrap();
    let _turn = turn();
    let mut table = Table::default();
    for fault in faults {
        for job in jobs {
            for replanning in plannings {
                table.add(&data, *fault, job, *replanning);
            }
        }
    }
    table.check();
}

/// A job on a cluster of children of the test.
pub(super) struct Scene {
    pub(super) processes: Processes,
    pub(super) submission: Submission,
    before: Undisturbed,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub(super) fn new(data: &Arc<Data>, job: &'static str, n_executors: usize) -> Self {
        Self::planned(data, job, Replanning::On, n_executors)
    }

    fn planned(
        data: &Arc<Data>,
        job: &'static str,
        replanning: Replanning,
        n_executors: usize,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let processes = Processes::start(&folder.path().join("cluster"), n_executors).unwrap();
        Self::with(data, job, replanning, processes, folder)
    }

    /// A job on `processes`, with a folder for what it makes.
    pub(super) fn on(
        data: &Arc<Data>,
        job: &'static str,
        processes: Processes,
        folder: tempfile::TempDir,
    ) -> Self {
        Self::with(data, job, Replanning::On, processes, folder)
    }

    fn with(
        data: &Arc<Data>,
        job: &'static str,
        replanning: Replanning,
        processes: Processes,
        folder: tempfile::TempDir,
    ) -> Self {
        let submission = Submission {
            data: Arc::clone(data),
            job,
            url: processes.url.clone(),
            replanning,
            folder: folder.path().join(job),
        };
        let before = submission.run().unwrap();
        Self {
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

    fn signal(&self, executor: usize, name: &str) {
        self.processes.executors[executor]
            .process
            .signal(name)
            .unwrap();
    }

    /// Waits until the scheduler counts on `n` executors.
    #[track_caller]
    fn wait_for(&self, n: usize) {
        let url = &self.processes.url;
        let is_so = wait_until(NOTICED * 2, || executors_of(url).len() == n);
        assert!(is_so, "{n} wanted: {:?}", executors_of(url));
    }
}

impl Fault {
    fn n_executors(self) -> usize {
        match self {
            Self::Killed | Self::TwoKilled | Self::ToldToEnd | Self::Flapping => 3,
            Self::LateJoinerKilled => 1,
            _ => 2,
        }
    }

    /// Starts the job and strikes in the middle of it.
    fn strike(self, scene: &mut Scene) -> Process {
        if self == Self::LateJoinerKilled {
            return start_and_kill_a_late_joiner(scene);
        }
        let mut job = scene.half();
        match self {
            Self::Killed => scene.signal(1, "KILL"),
            Self::TwoKilled => {
                scene.signal(1, "KILL");
                scene.wait_for(2);
                scene.signal(2, "KILL");
            }
            Self::Paused => {
                scene.signal(1, "STOP");
                scene.wait_for(1);
                scene.signal(1, "CONT");
            }
            Self::ToldToEnd => scene.signal(1, "TERM"),
            Self::AllKilledOneBack => {
                scene.signal(0, "KILL");
                scene.signal(1, "KILL");
                scene.wait_for(0);
                scene.processes.executors[0].restart().unwrap();
            }
            Self::Restarted => scene.processes.executors[1].restart().unwrap(),
            Self::Flapping => flap(scene, &mut job),
            Self::FilesRemoved | Self::IndexesRemoved | Self::FilesCutOff => {
                harm(&scene.processes.executors[1].work_dir, self);
            }
            Self::LateJoinerKilled => {}
        }
        job
    }

    /// What has to hold when the job is over.
    fn check_afterwards(self, scene: &mut Scene) {
        match self {
            Self::Killed => {
                // The executors that are left have all their slots.
                scene.submission.run().unwrap();
                let metrics = get(&scene.processes.url, "/metrics").unwrap().1;
                let lost = "emporia_scheduler_executors_lost_total 1";
                assert!(metrics.lines().any(|line| line == lost), "{metrics}");
            }
            Self::ToldToEnd => {
                let executor = &mut scene.processes.executors[1].process;
                let code = executor.wait(DEADLINE).and_then(|s| s.code());
                assert_eq!(code, Some(0), "an executor that is told to end");
            }
            Self::Restarted => {
                let executor = &mut scene.processes.executors[1].process;
                assert!(matches!(executor.0.try_wait(), Ok(None)), "it was refused");
            }
            _ => {}
        }
    }
}

fn start_and_kill_a_late_joiner(scene: &mut Scene) -> Process {
    for _ in 0..TRIES {
        let mut job = scene.submission.start().unwrap();
        scene.processes.add_executor().unwrap();
        let joined = scene.processes.executors.last().unwrap();
        let mut has_ended = false;
        let has_worked = wait_until(JOINED, || {
            has_ended = !matches!(job.0.try_wait(), Ok(None));
            has_ended || joined.n_done() > 0
        });
        assert!(has_worked, "{} got no task", joined.name);
        joined.process.signal("KILL").unwrap();
        if !has_ended {
            return job;
        }
        // Too fast: the next try starts with the executors of this one gone.
        scene.wait_for(1);
        scene.before = scene.submission.run().unwrap();
    }
    panic!("{} is too fast", scene.submission.job);
}

fn flap(scene: &mut Scene, job: &mut Process) {
    let start = Instant::now();
    while matches!(job.0.try_wait(), Ok(None)) && start.elapsed() < DEADLINE {
        scene.processes.executors[1].restart().unwrap();
        let executor = &scene.processes.executors[1];
        wait_until(FLAP, || {
            executor.is_ready() || !matches!(job.0.try_wait(), Ok(None))
        });
    }
}

/// Damages the files below `folder`.
fn harm(folder: &Path, fault: Fault) {
    // The executor removes files meanwhile.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            harm(&path, fault);
            continue;
        }
        let is_index = path.to_string_lossy().contains("index");
        let _ = match fault {
            Fault::IndexesRemoved if is_index => fs::remove_file(&path),
            Fault::FilesCutOff if !is_index => cut_off(&path),
            Fault::FilesRemoved => fs::remove_file(&path),
            _ => Ok(()),
        };
    }
}

fn cut_off(path: &Path) -> std::io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(file.metadata()?.len() / 2)
}

#[test]
fn a_killed_executor_costs_no_row() {
    survive(&[Fault::Killed], &JOBS, &Replanning::BOTH);
}

#[test]
fn two_killed_executors_cost_no_row() {
    survive(&[Fault::TwoKilled], &["clv"], &[Replanning::On]);
}

#[test]
fn an_executor_that_joins_late_and_dies_costs_no_row() {
    let jobs = ["clv", "revenue_by_category"];
    survive(&[Fault::LateJoinerKilled], &jobs, &Replanning::BOTH);
}

#[test]
fn a_paused_executor_costs_no_row() {
    survive(&[Fault::Paused], &["clv"], &[Replanning::On]);
}

#[test]
fn all_executors_may_die_and_one_come_back() {
    let jobs = ["revenue_by_category"];
    survive(&[Fault::AllKilledOneBack], &jobs, &[Replanning::On]);
}

#[test]
fn an_executor_that_restarts_at_once_costs_no_row() {
    survive(&[Fault::Restarted], &["clv"], &[Replanning::On]);
}

#[test]
fn an_executor_that_flaps_costs_no_row() {
    survive(&[Fault::Flapping], &["clv"], &[Replanning::On]);
}

#[test]
fn damaged_files_of_outputs_cost_no_row() {
    let faults = [
        Fault::FilesRemoved,
        Fault::IndexesRemoved,
        Fault::FilesCutOff,
    ];
    survive(&faults, &["clv"], &Replanning::BOTH);
}

#[test]
fn an_executor_that_is_told_to_end_drains() {
    survive(&[Fault::ToldToEnd], &JOBS, &[Replanning::On]);
}

#[test]
fn a_dead_executor_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster::start(folder.path(), 2, Patience::Default, &[]).unwrap();
    assert_eq!(executors_of(&cluster.url).len(), 2);
    cluster.kill("executor-1").unwrap();
    let is_noticed = wait_until(NOTICED, || executors_of(&cluster.url) == ["executor-2"]);
    assert!(is_noticed, "{:?}", executors_of(&cluster.url));
}
