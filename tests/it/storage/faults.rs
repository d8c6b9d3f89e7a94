//! Faults of the stores and the cluster, each in the middle of a job that reads from HBase and of
//! one that writes to it.
//!
//! `EMPORIA_FAULT_RUNS` says how often each is tried: once without it, ten times with `make
//! test-faults`, and 0 leaves them out, because a run of all takes minutes. The table that is printed at
//! the end counts what came of it. A run is *right* when the job ended well with exactly the
//! expected rows, *clean* when it failed and the result that was there before is intact; anything
//! else is *wrong*. A run whose job was over before the fault does not count and is tried again.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use emporia_e2e::cluster::Cluster;

use super::predicates::Dice;
use super::workplace::{Workplace, printed, said};
use crate::faults::cluster::{self, Patience};
use crate::faults::n_runs;

/// Rows of the tables: a job over them takes a second or two.
const SCALE: &str = "0.1";
/// A job that takes longer hangs.
const PATIENCE: &str = "240s";
/// HBase forgets a scanner that is not used for 20 s.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(30);
/// How often a run is tried whose job was over before the fault.
const TRIES: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Read,
    Write,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    ExecutorKilled,
    GatewayKilled,
    RegionServerKilled,
    RegionSplitAndMoved,
    GatewayPaused,
}

const FAULTS: [Fault; 5] = [
    Fault::ExecutorKilled,
    Fault::GatewayKilled,
    Fault::RegionServerKilled,
    Fault::RegionSplitAndMoved,
    Fault::GatewayPaused,
];

/// Outcomes of the runs of one fault.
#[derive(Debug, Default)]
struct Tally {
    right: u32,
    clean: u32,
    wrong: Vec<String>,
}

/// Sessions in files and in HBase, and a table of HBase for results.
struct Scene {
    workplace: Workplace,
    /// The tables of HBase that the jobs read and write.
    source: String,
    result: String,
}

impl Scene {
    fn open() -> Option<Self> {
        let workplace = Workplace::alone()?;
        workplace.generate(SCALE, "sessions,users", ".");
        let source = format!("fault_sessions_{}", workplace.id);
        let result = format!("fault_result_{}", workplace.id);
        let target = format!("hbase:{source}");
        let entry = workplace.ok(&["load", "sessions", "--quiet", "--to", &target]);
        workplace.catalog(&entry.replace("[tables.sessions", "[tables.in_hbase"));
        workplace.catalog(&format!(
            "[tables.result]\nconnector = \"hbase\"\nlocation = \"hbase:{result}\"\n"
        ));
        workplace.write("read.sql", READ);
        workplace.write("write.sql", WRITE);
        workplace.write("check.sql", CHECK);
        Some(Self {
            workplace,
            source,
            result,
        })
    }

    /// The table that a job reads or writes.
    fn table(&self, job: Job) -> &str {
        match job {
            Job::Read => &self.source,
            Job::Write => &self.result,
        }
    }

    /// The region server that has a part of `table`.
    fn server_of(&self, table: &str, dice: &mut Dice) -> String {
        let regions = self.workplace.control(&["admin", "regions", table]);
        let servers: Vec<_> = regions
            .lines()
            .filter_map(|line| line.split('\t').next())
            .filter(|server| server.starts_with("region-"))
            .collect();
        assert!(!servers.is_empty(), "{table}: {regions}");
        servers[usize::try_from(dice.below(servers.len() as u64)).unwrap()].to_owned()
    }

    /// The server that the fault is to hit, chosen before the job begins.
    fn aim(&self, fault: Fault, table: &str, dice: &mut Dice) -> String {
        match fault {
            Fault::ExecutorKilled => format!("executor-{}", 1 + dice.below(3)),
            Fault::GatewayKilled | Fault::GatewayPaused => format!("thrift-{}", 1 + dice.below(2)),
            Fault::RegionServerKilled => self.server_of(table, dice),
            // Keys in the middle of what the tables hold.
            Fault::RegionSplitAndMoved if table == self.source => {
                format!("user_{:06}", 1 + dice.below(998))
            }
            Fault::RegionSplitAndMoved => format!("sess_{:04x}", 1 + dice.below(0xfffe)),
        }
    }

    /// Lets the fault happen to `aim`.
    fn strike(&self, fault: Fault, aim: &str, cluster: &Cluster, table: &str) {
        match fault {
            Fault::ExecutorKilled => cluster.kill(aim).unwrap(),
            Fault::GatewayKilled | Fault::RegionServerKilled => {
                self.workplace.control(&["kill", aim]);
            }
            Fault::RegionSplitAndMoved => {
                // HBase refuses to split a region that is the half of another since a moment ago.
                let split = ["admin", "split", table, aim];
                if !self.workplace.try_control(&split).unwrap().status.success() {
                    eprintln!("the region of {aim} was not split");
                }
                self.workplace
                    .control(&["admin", "move", table, aim, "other"]);
            }
            Fault::GatewayPaused => {
                self.workplace.control(&["kill", aim, "-STOP"]);
                std::thread::sleep(BEYOND_THE_LEASE);
                self.workplace.control(&["kill", aim, "-CONT"]);
            }
        }
    }

    /// Undoes it.
    fn mend(&self, fault: Fault, aim: &str) {
        if matches!(fault, Fault::GatewayKilled | Fault::RegionServerKilled) {
            self.workplace.control(&["start", aim]);
        }
    }
}

const READ: &str = "\
-- name: read
-- description: Totals of the sessions in HBase
-- input: in_hbase
-- output: rows
-- key: conversion_status

SELECT conversion_status, count(*) AS sessions, sum(duration_seconds) AS seconds,
       count(DISTINCT user_id) AS users, min(start_ts) AS first, max(session_id) AS last
FROM in_hbase GROUP BY conversion_status ORDER BY conversion_status
";

const WRITE: &str = "\
-- name: write
-- description: Copies the sessions into HBase
-- param: version int -- which run wrote the rows
-- input: sessions
-- output: rows
-- key: session_id

SELECT session_id, user_id, duration_seconds, $version AS version FROM sessions
";

const CHECK: &str = "\
-- name: check
-- description: What the result holds
-- input: result
-- output: rows
-- key: version

SELECT version, count(*) AS n, sum(duration_seconds) AS seconds, count(DISTINCT session_id) AS keys
FROM result GROUP BY version ORDER BY version
";

/// Whether faults are to be tried at all; says so where they are not.
pub(super) fn are_wanted() -> bool {
    let are_wanted = n_runs() > 0;
    if !are_wanted {
        eprintln!("skipped: EMPORIA_FAULT_RUNS is 0");
    }
    are_wanted
}

fn start_cluster(scene: &Scene, folder: &Path) -> Cluster {
    let environment = scene.workplace.services.environment();
    cluster::start(folder, 3, Patience::Short, &environment).unwrap()
}

/// A fault, and what it is to hit in the cluster of a run.
struct Blow<'a> {
    scene: &'a Scene,
    cluster: &'a Cluster,
    fault: Fault,
    aim: String,
    /// The table that the job reads or writes.
    table: &'a str,
    /// Percent of the time of an undisturbed run after which it comes.
    share: u32,
}

impl<'a> Blow<'a> {
    fn new(
        scene: &'a Scene,
        cluster: &'a Cluster,
        fault: Fault,
        job: Job,
        dice: &mut Dice,
    ) -> Self {
        let table = scene.table(job);
        Self {
            scene,
            cluster,
            fault,
            aim: scene.aim(fault, table, dice),
            table,
            share: 20 + u32::try_from(dice.below(60)).unwrap(),
        }
    }

    /// Runs a job and strikes when it has run for a while; `None` where it was over before.
    fn during(&self, args: &[&str], undisturbed: Duration) -> Option<Output> {
        let mut job = self
            .scene
            .workplace
            .command(args, &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(undisturbed * self.share / 100);
        let is_early = job.try_wait().unwrap().is_none();
        if is_early {
            let Self { fault, aim, .. } = self;
            self.scene.strike(*fault, aim, self.cluster, self.table);
        }
        let output = job.wait_with_output().unwrap();
        is_early.then_some(output)
    }
}

#[test]
fn faults_leave_the_right_rows_or_the_old_result() {
    if !are_wanted() {
        return;
    }
    let Some(scene) = Scene::open() else { return };
    let mut table = String::from("\nfault | job | runs | right | failed clean | wrong | seconds\n");
    let mut wrong = Vec::new();
    for fault in FAULTS {
        for job in [Job::Read, Job::Write] {
            let start = Instant::now();
            let tally = try_often(&scene, fault, job);
            writeln!(
                table,
                "{fault:?} | {job:?} | {} | {} | {} | {} | {:.0}",
                n_runs(),
                tally.right,
                tally.clean,
                tally.wrong.len(),
                start.elapsed().as_secs_f64()
            )
            .unwrap();
            wrong.extend(tally.wrong);
        }
    }
    eprintln!("{table}");
    assert!(wrong.is_empty(), "{table}\n{}", wrong.join("\n"));
}

fn try_often(scene: &Scene, fault: Fault, job: Job) -> Tally {
    let mut tally = Tally::default();
    let mut dice = Dice::new(fault as u64 * 2 + u64::from(job == Job::Write) + 77);
    for run in 1..=n_runs() {
        let mut verdict = None;
        for attempt in 1..=TRIES {
            let folder = format!("cluster-{fault:?}-{job:?}-{run}-{attempt}");
            let cluster = start_cluster(scene, &scene.workplace.path(&folder));
            let start = Instant::now();
            verdict = match job {
                Job::Read => read(scene, &cluster, fault, &mut dice),
                Job::Write => write(scene, &cluster, fault, &mut dice),
            };
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("{fault:?} | {job:?} | run {run} | {verdict:?} | {seconds:.0} s");
            if verdict.is_some() {
                break;
            }
        }
        let what = match verdict {
            Some(Ok(true)) => {
                tally.right += 1;
                continue;
            }
            Some(Ok(false)) => {
                tally.clean += 1;
                continue;
            }
            Some(Err(what)) => what,
            None => "the fault never came in time".to_owned(),
        };
        tally
            .wrong
            .push(format!("{fault:?}, {job:?}, run {run}: {what}"));
    }
    tally
}

/// Whether a run was right, or failed clean; `None` where the fault came too late.
type Verdict = Option<Result<bool, String>>;

fn submit<'a>(url: &'a str, file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "submit",
        file,
        "--quiet",
        "--no-progress",
        "--timeout",
        PATIENCE,
        "--cluster",
        url,
    ];
    [&common, more].concat()
}

fn read(scene: &Scene, cluster: &Cluster, fault: Fault, dice: &mut Dice) -> Verdict {
    let args = submit(&cluster.url, "read.sql", &["--format", "csv"]);
    let start = Instant::now();
    let expected = scene.workplace.ok(&args);
    let undisturbed = start.elapsed();
    let blow = Blow::new(scene, cluster, fault, Job::Read, dice);
    let output = blow.during(&args, undisturbed)?;
    scene.mend(fault, &blow.aim);
    if !output.status.success() {
        return Some(clean_failure(&output));
    }
    Some(match printed(&output) == expected {
        true => Ok(true),
        false => Err(format!("{}instead of\n{expected}", printed(&output))),
    })
}

fn write(scene: &Scene, cluster: &Cluster, fault: Fault, dice: &mut Dice) -> Verdict {
    let run = |version: &'static str| {
        submit(
            &cluster.url,
            "write.sql",
            &["-p", version, "--output", "result"],
        )
    };
    // The check reads through the in-process cluster: a fault may have left this one weak.
    let check = || {
        let args = submit("local[2]", "check.sql", &["--format", "csv"]);
        scene.workplace.ok(&args)
    };
    let start = Instant::now();
    scene.workplace.ok(&run("version=1"));
    let undisturbed = start.elapsed();
    let before = check();
    let blow = Blow::new(scene, cluster, fault, Job::Write, dice);
    let output = blow.during(&run("version=2"), undisturbed)?;
    let after = check();
    scene.mend(fault, &blow.aim);
    let expected = before.replace("\n1,", "\n2,");
    Some(match output.status.success() {
        true if after == expected => Ok(true),
        false if after == before => clean_failure(&output),
        _ => Err(format!(
            "exit {:?}, the table holds\n{after}and held\n{before}{}",
            output.status.code(),
            said(&output)
        )),
    })
}

/// A failure says what failed.
fn clean_failure(output: &Output) -> Result<bool, String> {
    let errors = said(output);
    match (output.status.code(), errors.contains("error:")) {
        (Some(1 | 4 | 5), true) => {
            eprintln!("failed clean: {errors}");
            Ok(false)
        }
        (code, _) => Err(format!("exit {code:?}: {errors}")),
    }
}
