//! Faults, and the table of how jobs bore them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use emporia_e2e::programs::wait_until;

use super::cluster::{Network, Process, get, metric};
use super::job::{Data, JOBS, Replanning};
use super::proxy::Proxy;
use super::scene::{DEADLINE, End, Scene, TRIES};
use super::sick::{FullDisk, Slowed};
use super::{n_runs, turn};

/// Longest time between two deaths of an executor that flaps.
const FLAP: Duration = Duration::from_secs(5);
/// How long executors do not reach each other.
const CUT: Duration = Duration::from_secs(2);
/// Time in which a started executor has done a task of a running job.
const JOINED: Duration = Duration::from_secs(30);

/// What happens to the cluster while a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// One of three executors gets SIGKILL.
    Killed,
    /// Two of three get it at the same moment.
    TwoKilledAtOnce,
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
    /// No report of a task arrives until all tasks have ended. Heartbeats do.
    ReportsLost,
    /// One of two and the scheduler do not reach each other until the scheduler has noticed.
    CutFromScheduler,
    /// Two executors do not reach each other for a while. The scheduler reaches both.
    CutBetween,
    /// The same, and nobody mends it.
    CutForGood,
    /// Nothing can be written on one of two.
    DiskFull,
    /// One of three answers and is twenty times slower.
    Slowed,
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
            let n_executors = fault.n_executors();
            let mut scene = Scene::new(data, job, replanning, fault.network(), n_executors);
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
pub(super) fn survive(faults: &[Fault], jobs: &[&'static str], plannings: &[Replanning]) {
    let (jobs, plannings) = match n_runs() > 1 {
        true => (&JOBS[..], &Replanning::BOTH[..]),
        false => (jobs, plannings),
    };
    if !faults.iter().all(|fault| fault.is_possible()) {
        return;
    }
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

impl Fault {
    fn n_executors(self) -> usize {
        match self {
            Self::Killed
            | Self::TwoKilledAtOnce
            | Self::TwoKilled
            | Self::ToldToEnd
            | Self::Flapping
            | Self::Slowed => 3,
            Self::LateJoinerKilled => 1,
            _ => 2,
        }
    }

    fn network(self) -> Network {
        match self {
            Self::ReportsLost => Network::Reports,
            Self::CutFromScheduler | Self::CutBetween | Self::CutForGood => Network::All,
            _ => Network::Direct,
        }
    }

    /// Whether it can be made here; says so where not.
    fn is_possible(self) -> bool {
        match self.network() {
            Network::Direct => self != Self::DiskFull || FullDisk::is_possible(),
            Network::Reports | Network::All => Proxy::is_possible(),
        }
    }

    /// Starts the job and strikes in the middle of it.
    fn strike(self, scene: &mut Scene) -> Process {
        match self {
            Self::LateJoinerKilled => return start_and_kill_a_late_joiner(scene),
            Self::DiskFull => {
                let disk = FullDisk::mount(&scene.processes.executors[1].work_dir);
                scene.lasting.push(Box::new(disk.unwrap()));
                return scene.submission.start().unwrap();
            }
            _ => {}
        }
        let mut job = scene.half();
        match self {
            Self::Killed => scene.signal(1, "KILL"),
            Self::TwoKilledAtOnce => {
                scene.signal(1, "KILL");
                scene.signal(2, "KILL");
            }
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
            Self::ReportsLost => lose_reports(scene),
            Self::CutFromScheduler => {
                let links = cut_from_scheduler(scene);
                scene.wait_for(1);
                links.into_iter().for_each(Proxy::mend);
            }
            Self::CutBetween => {
                let links = cut_between(scene);
                // The fault itself.
                thread::sleep(CUT);
                let n_cut: usize = links.iter().map(|link| link.n_cut()).sum();
                eprintln!("{n_cut} connections were cut");
                links.into_iter().for_each(Proxy::mend);
            }
            Self::CutForGood => {
                cut_between(scene);
            }
            Self::Slowed => {
                let slowed = Slowed::new(&scene.processes.executors[1].process);
                scene.lasting.push(Box::new(slowed));
            }
            Self::LateJoinerKilled | Self::DiskFull => {}
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
            Self::CutBetween | Self::CutForGood => {
                let lost = metric(
                    &scene.processes.url,
                    "emporia_scheduler_executors_lost_total",
                );
                assert_eq!(lost, Some(0), "the scheduler reached both");
            }
            Self::Slowed => {
                let copied = metric(&scene.processes.url, "emporia_scheduler_tasks_copied_total");
                eprintln!("{copied:?} tasks were started a second time");
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

fn lose_reports(scene: &Scene) {
    let link = scene.processes.scheduler_link.as_ref().unwrap();
    link.cut();
    let executors = &scene.processes.executors;
    let have_ended = wait_until(DEADLINE, || {
        executors.iter().all(|e| e.n_running() == Some(0))
    });
    assert!(have_ended, "tasks go on");
    link.mend();
}

/// Cuts the connections in both ways; where.
fn cut_from_scheduler(scene: &Scene) -> Vec<&Proxy> {
    let processes = &scene.processes;
    let executor = &processes.executors[1];
    let to_scheduler = processes.scheduler_link.as_ref().unwrap();
    to_scheduler.cut_from(executor.process.pid());
    let to_executor = executor.links.as_ref().unwrap();
    for link in to_executor {
        link.cut_from(processes.scheduler.pid());
    }
    to_executor.iter().chain([to_scheduler]).collect()
}

/// Cuts the connections by which executors read from each other; where.
fn cut_between(scene: &Scene) -> Vec<&Proxy> {
    let executors = &scene.processes.executors;
    let mut links = Vec::new();
    for executor in executors {
        let [data, _] = executor.links.as_ref().unwrap();
        for other in executors {
            data.cut_from(other.process.pid());
        }
        links.push(data);
    }
    links
}

/// Damages the files below `folder`.
fn harm(folder: &Path, fault: Fault) {
    // The executor removes files at the same time.
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
