//! Executors that are killed, paused, told to end, or join late and die.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emporia_e2e::programs::wait_until;

use super::cluster::{self, Patience, Process, Processes, executors_of, get};
use super::job::{Data, JOBS, Submission, Undisturbed};
use super::turn;

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

/// A job on a cluster of children of the test.
struct Scene {
    processes: Processes,
    submission: Submission,
    before: Undisturbed,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(data: &Arc<Data>, job: &'static str, n_executors: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let processes = Processes::start(&folder.path().join("cluster"), n_executors).unwrap();
        let submission = Submission {
            data: Arc::clone(data),
            job,
            url: processes.url.clone(),
            aqe: false,
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
    fn half(&mut self) -> Process {
        for _ in 0..TRIES {
            if let Some(process) = self.submission.start_half(&self.before).unwrap() {
                return process;
            }
            self.before = self.submission.run().unwrap();
        }
        panic!("{} is too fast", self.submission.job);
    }

    /// The job ends well, with the rows of the undisturbed run.
    #[track_caller]
    fn ends_right(&self, mut job: Process, what: &str) {
        let start = Instant::now();
        let name = self.submission.job;
        let status = job.wait(DEADLINE);
        let code = status.and_then(|s| s.code());
        let errors = self.submission.errors();
        assert_eq!(code, Some(0), "{name}, {what}: {status:?} {errors}");
        let compared = self.submission.compare(&self.before.published);
        assert_eq!(compared, Ok(()), "{name}, {what}");
        eprintln!("{name}, {what}: right {:.1?} later", start.elapsed());
    }
}

#[test]
fn a_killed_executor_costs_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    for job in JOBS {
        let mut scene = Scene::new(&data, job, 3);
        let process = scene.half();
        scene.processes.executors[1].process.signal("KILL").unwrap();
        scene.ends_right(process, "executor-2 killed");
        // The executors that are left have all their slots.
        scene.submission.run().unwrap();
        let metrics = get(&scene.processes.url, "/metrics").unwrap().1;
        let lost = "emporia_scheduler_executors_lost_total 1";
        assert!(metrics.lines().any(|line| line == lost), "{metrics}");
    }
}

/// The second loss comes while the first is repaired.
#[test]
fn two_killed_executors_cost_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let mut scene = Scene::new(&data, "clv", 3);
    let process = scene.half();
    let executors = &scene.processes.executors;
    executors[1].process.signal("KILL").unwrap();
    let url = scene.processes.url.clone();
    let is_noticed = wait_until(NOTICED, || executors_of(&url).len() == 2);
    assert!(is_noticed, "{:?}", executors_of(&url));
    executors[2].process.signal("KILL").unwrap();
    scene.ends_right(process, "two executors killed");
}

/// Nobody but the scheduler knows of an executor that joins when a query has begun.
#[test]
fn an_executor_that_joins_late_and_dies_costs_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    for job in ["clv", "revenue_by_category"] {
        let mut scene = Scene::new(&data, job, 1);
        let mut process = None;
        for _ in 0..TRIES {
            let mut started = scene.submission.start().unwrap();
            scene.processes.add_executor().unwrap();
            let joined = scene.processes.executors.last().unwrap();
            let mut has_ended = false;
            let has_worked = wait_until(JOINED, || {
                has_ended = !matches!(started.0.try_wait(), Ok(None));
                has_ended || joined.n_done() > 0
            });
            assert!(has_worked, "{} got no task", joined.name);
            joined.process.signal("KILL").unwrap();
            if !has_ended {
                process = Some(started);
                break;
            }
            // Too fast: the next try starts with the executors of this one gone.
            let url = scene.processes.url.clone();
            assert!(wait_until(NOTICED, || executors_of(&url) == ["executor-1"]));
            scene.before = scene.submission.run().unwrap();
        }
        let process = process.expect("the job is too fast");
        scene.ends_right(process, "a late executor killed");
    }
}

/// A paused process accepts connections, and reports late what it did before.
#[test]
fn a_paused_executor_costs_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let mut scene = Scene::new(&data, "clv", 2);
    let process = scene.half();
    let paused = &scene.processes.executors[1].process;
    paused.signal("STOP").unwrap();
    let url = scene.processes.url.clone();
    let is_noticed = wait_until(NOTICED * 2, || executors_of(&url) == ["executor-1"]);
    paused.signal("CONT").unwrap();
    assert!(is_noticed, "{:?}", executors_of(&url));
    scene.ends_right(process, "executor-2 paused");
}

/// All that was computed is lost, and a new process comes under an old name.
#[test]
fn all_executors_may_die_and_one_come_back() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let mut scene = Scene::new(&data, "revenue_by_category", 2);
    let process = scene.half();
    for executor in &scene.processes.executors {
        executor.process.signal("KILL").unwrap();
    }
    let url = scene.processes.url.clone();
    assert!(wait_until(NOTICED, || executors_of(&url).is_empty()));
    scene.processes.executors[0].restart().unwrap();
    scene.ends_right(process, "all killed, one back");
}

/// An executor that dies again and again costs time, or the job fails and says so.
#[test]
fn an_executor_that_flaps_costs_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let mut scene = Scene::new(&data, "clv", 3);
    let mut process = scene.half();
    let start = Instant::now();
    while matches!(process.0.try_wait(), Ok(None)) && start.elapsed() < DEADLINE {
        scene.processes.executors[1].restart().unwrap();
        let url = scene.processes.url.clone();
        wait_until(FLAP, || {
            executors_of(&url).len() == 3 || !matches!(process.0.try_wait(), Ok(None))
        });
    }
    scene.ends_right(process, "executor-2 flaps");
}

/// What becomes of the files of an executor's output.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Removed,
    WithoutIndex,
    CutOff,
}

#[test]
fn damaged_files_of_outputs_cost_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    for damage in [Damage::Removed, Damage::WithoutIndex, Damage::CutOff] {
        let mut scene = Scene::new(&data, "clv", 2);
        let process = scene.half();
        let n_damaged = harm(&scene.processes.executors[1].work_dir, damage);
        scene.ends_right(process, &format!("{n_damaged} files {damage:?}"));
    }
}

/// Damages all files below `folder`; how many.
fn harm(folder: &Path, damage: Damage) -> usize {
    let mut n_damaged = 0;
    // The executor removes files meanwhile.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            n_damaged += harm(&path, damage);
            continue;
        }
        let is_index = path.to_string_lossy().contains("index");
        let is_done = match damage {
            Damage::Removed => fs::remove_file(&path).is_ok(),
            Damage::WithoutIndex => is_index && fs::remove_file(&path).is_ok(),
            Damage::CutOff => !is_index && cut_off(&path).is_ok(),
        };
        n_damaged += usize::from(is_done);
    }
    n_damaged
}

fn cut_off(path: &Path) -> std::io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(file.metadata()?.len() / 2)
}

#[test]
fn an_executor_that_is_told_to_end_drains() {
    let data = Data::get().unwrap();
    let _turn = turn();
    for job in JOBS {
        let mut scene = Scene::new(&data, job, 3);
        let process = scene.half();
        scene.processes.executors[1].process.signal("TERM").unwrap();
        scene.ends_right(process, "executor-2 told to end");
        let executor = &mut scene.processes.executors[1].process;
        let code = executor.wait(DEADLINE).and_then(|s| s.code());
        assert_eq!(code, Some(0), "the executor of {job}");
    }
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
