//! Faults of the stores and the cluster, each in the middle of a job that reads from HBase and of
//! one that writes to it.
//!
//! `EMPORIA_FAULT_RUNS` says how often each is tried (`make test-faults` says ten times); without it
//! the test is skipped, because it takes many minutes. The table that is printed at the end counts
//! what came of it. A run is *right* when the job ended well with exactly the
//! expected rows, *clean* when it failed and the result that was there before is intact; anything
//! else is *wrong*. A run whose job was over before the fault does not count and is tried again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use emporia_e2e::programs::program;
use emporia_e2e::services::Services;
use tempfile::TempDir;

use super::predicates::Dice;
use emporia_e2e::cluster::Cluster;

use crate::faults::cluster::{self, Patience};

/// Rows of the tables: a job over them takes a second or two.
const SCALE: &str = "0.1";
/// A job that takes longer hangs.
const PATIENCE: &str = "240s";
/// HBase forgets a scanner that is not used for 20 s.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(30);
/// How often a run is tried whose job was over before the fault.
const TRIES: u32 = 5;

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

struct Scene {
    services: Services,
    folder: TempDir,
}

impl Scene {
    fn open() -> Option<Self> {
        let scene = Self {
            services: Services::find()?,
            folder: tempfile::tempdir().unwrap(),
        };
        let out = scene.path("data");
        let out = out.to_str().unwrap();
        scene.ok(&[
            "generate",
            "--quiet",
            "--scale",
            SCALE,
            "--tables",
            "sessions,users",
            "--out",
            out,
        ]);
        let catalog = scene.path("data/emporia.toml");
        let catalog = catalog.to_str().unwrap();
        let source = format!("fault_sessions_{}", std::process::id());
        let entry = scene.ok(&[
            "load",
            "sessions",
            "--quiet",
            "--catalog",
            catalog,
            "--to",
            &format!("hbase:{source}"),
        ]);
        let entry = String::from_utf8(entry.stdout).unwrap();
        let tables = std::fs::read_to_string(catalog).unwrap();
        let entry = entry.replace("[tables.sessions", "[tables.in_hbase");
        let result = format!(
            "\n[tables.result]\nconnector = \"hbase\"\nlocation = \"hbase:fault_result_{}\"\n",
            std::process::id()
        );
        std::fs::write(
            scene.path("data/emporia.toml"),
            tables + "\n" + &entry + &result,
        )
        .unwrap();
        std::fs::write(scene.path("read.sql"), READ).unwrap();
        std::fs::write(scene.path("write.sql"), WRITE).unwrap();
        std::fs::write(scene.path("check.sql"), CHECK).unwrap();
        Some(scene)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("emporia").unwrap());
        command
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("EMPORIA_CONFIG")
            .envs(self.services.environment());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        output
    }

    fn submit(&self, url: &str, file: &str, extra: &[&str]) -> Vec<String> {
        let catalog = self.path("data/emporia.toml").display().to_string();
        let mut args: Vec<String> = [
            "submit",
            file,
            "--quiet",
            "--no-progress",
            "--format",
            "csv",
            "--timeout",
            PATIENCE,
            "--cluster",
            url,
            "--catalog",
            &catalog,
        ]
        .iter()
        .map(|a| (*a).to_owned())
        .collect();
        args.extend(extra.iter().map(|a| (*a).to_owned()));
        args
    }

    /// Runs the control script of the servers.
    fn control(&self, args: &[&str]) -> String {
        let output = self.controlled(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "services {args:?}: {errors}");
        text(&output)
    }

    /// Runs the control script for what the servers may refuse.
    fn may_control(&self, args: &[&str]) -> bool {
        self.controlled(args).status.success()
    }

    fn controlled(&self, args: &[&str]) -> Output {
        Command::new(emporia_e2e::workspace().join("tests/services/services"))
            .args(args)
            .env("EMPORIA_SERVICES_DIR", &self.services.folder)
            .output()
            .unwrap()
    }

    /// The region server that has a part of `table`.
    fn server_of(&self, table: &str, dice: &mut Dice) -> String {
        let regions = self.control(&["admin", "regions", table]);
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
            Fault::RegionSplitAndMoved if table.starts_with("fault_sessions") => {
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
                self.control(&["kill", aim]);
            }
            Fault::RegionSplitAndMoved => {
                // HBase refuses to split a region that is the half of another since a moment ago.
                if !self.may_control(&["admin", "split", table, aim]) {
                    eprintln!("the region of {aim} was not split");
                }
                self.control(&["admin", "move", table, aim, "other"]);
            }
            Fault::GatewayPaused => {
                self.control(&["kill", aim, "-STOP"]);
                std::thread::sleep(BEYOND_THE_LEASE);
                self.control(&["kill", aim, "-CONT"]);
            }
        }
    }

    /// Undoes it.
    fn mend(&self, fault: Fault, aim: &str) {
        if matches!(fault, Fault::GatewayKilled | Fault::RegionServerKilled) {
            self.control(&["start", aim]);
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

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[expect(clippy::disallowed_methods, reason = "so a user tells the tests")]
pub(super) fn n_runs() -> u32 {
    std::env::var("EMPORIA_FAULT_RUNS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

fn start_cluster(scene: &Scene, folder: &Path) -> Cluster {
    let environment = scene.services.environment();
    cluster::start(folder, 3, Patience::Short, &environment).unwrap()
}

/// A fault, and what it is to hit in the cluster of a run.
struct Blow<'a> {
    scene: &'a Scene,
    cluster: &'a Cluster,
    fault: Fault,
    aim: String,
    /// The table that the job reads or writes.
    table: String,
    /// Percent of the time of an undisturbed run after which it comes.
    share: u32,
}

impl Blow<'_> {
    /// Runs a job and strikes when it has run for a while; `None` where it was over before.
    fn during(&self, args: &[String], undisturbed: Duration) -> Option<Output> {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut job = self.scene.command(&args);
        let mut job = job
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(undisturbed * self.share / 100);
        let is_early = job.try_wait().unwrap().is_none();
        if is_early {
            let Self { fault, aim, .. } = self;
            self.scene.strike(*fault, aim, self.cluster, &self.table);
        }
        let output = job.wait_with_output().unwrap();
        is_early.then_some(output)
    }
}

#[test]
fn faults_leave_the_right_rows_or_the_old_result() {
    if n_runs() == 0 {
        eprintln!("skipped: it takes many minutes; `make test-faults` runs it");
        return;
    }
    let _servers = super::SERVERS.blocking_write();
    let Some(scene) = Scene::open() else { return };
    let mut table = String::from("\nfault | job | runs | right | failed clean | wrong | seconds\n");
    let mut wrong = Vec::new();
    for fault in FAULTS {
        for job in ["read", "write"] {
            let start = Instant::now();
            let tally = try_often(&scene, fault, job);
            writeln!(
                table,
                "{fault:?} | {job} | {} | {} | {} | {} | {:.0}",
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

fn try_often(scene: &Scene, fault: Fault, job: &str) -> Tally {
    let mut tally = Tally::default();
    let mut dice = Dice::new(fault as u64 * 2 + u64::from(job == "write") + 77);
    for run in 1..=n_runs() {
        let mut verdict = None;
        for attempt in 1..=TRIES {
            let folder = scene.path(&format!("cluster-{fault:?}-{job}-{run}-{attempt}"));
            let cluster = start_cluster(scene, &folder);
            let start = Instant::now();
            let table = match job {
                "read" => format!("fault_sessions_{}", std::process::id()),
                _ => format!("fault_result_{}", std::process::id()),
            };
            verdict = match job {
                "read" => read(scene, &cluster, fault, table, &mut dice),
                _ => write(scene, &cluster, fault, table, &mut dice),
            };
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("{fault:?} | {job} | run {run} | {verdict:?} | {seconds:.0} s");
            if verdict.is_some() {
                break;
            }
        }
        match verdict {
            Some(Ok(true)) => tally.right += 1,
            Some(Ok(false)) => tally.clean += 1,
            Some(Err(what)) => tally
                .wrong
                .push(format!("{fault:?}, {job}, run {run}: {what}")),
            None => tally.wrong.push(format!(
                "{fault:?}, {job}, run {run}: the fault never came in time"
            )),
        }
    }
    tally
}

/// Whether a run was right, or failed clean; `None` where the fault came too late.
type Verdict = Option<Result<bool, String>>;

fn blow<'a>(
    scene: &'a Scene,
    cluster: &'a Cluster,
    fault: Fault,
    table: String,
    dice: &mut Dice,
) -> Blow<'a> {
    Blow {
        aim: scene.aim(fault, &table, dice),
        share: 20 + u32::try_from(dice.below(60)).unwrap(),
        scene,
        cluster,
        fault,
        table,
    }
}

fn read(scene: &Scene, cluster: &Cluster, fault: Fault, table: String, dice: &mut Dice) -> Verdict {
    let args = scene.submit(&cluster.url, "read.sql", &[]);
    let plain: Vec<_> = args.iter().map(String::as_str).collect();
    let start = Instant::now();
    let expected = text(&scene.ok(&plain));
    let undisturbed = start.elapsed();
    let blow = blow(scene, cluster, fault, table, dice);
    let output = blow.during(&args, undisturbed)?;
    scene.mend(fault, &blow.aim);
    if !output.status.success() {
        return Some(clean_failure(&output));
    }
    Some(match text(&output) == expected {
        true => Ok(true),
        false => Err(format!("{}instead of\n{expected}", text(&output))),
    })
}

fn write(
    scene: &Scene,
    cluster: &Cluster,
    fault: Fault,
    table: String,
    dice: &mut Dice,
) -> Verdict {
    let run = |version: &str| {
        let mut args = scene.submit(
            &cluster.url,
            "write.sql",
            &["-p", &format!("version={version}"), "--output", "result"],
        );
        // A folder format means nothing to a table.
        if let Some(at) = args.iter().position(|a| a == "--format") {
            args.drain(at..at + 2);
        }
        args
    };
    // The check reads through the in-process cluster: a fault may have left this one weak.
    let check = || {
        let args = scene.submit("local[2]", "check.sql", &[]);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        text(&scene.ok(&args))
    };
    let first = run("1");
    let first: Vec<_> = first.iter().map(String::as_str).collect();
    let start = Instant::now();
    scene.ok(&first);
    let undisturbed = start.elapsed();
    let before = check();
    let blow = blow(scene, cluster, fault, table, dice);
    let output = blow.during(&run("2"), undisturbed)?;
    let after = check();
    scene.mend(fault, &blow.aim);
    let expected = before.replace("\n1,", "\n2,");
    let is_right = (output.status.success(), after == expected, after == before);
    Some(match is_right {
        (true, true, _) => Ok(true),
        (false, _, true) => clean_failure(&output),
        _ => Err(format!(
            "exit {:?}, the table holds\n{after}and held\n{before}{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stderr)
        )),
    })
}

/// A failure says what failed.
fn clean_failure(output: &Output) -> Result<bool, String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    match (output.status.code(), errors.contains("error:")) {
        (Some(1 | 4 | 5), true) => {
            eprintln!("failed clean: {errors}");
            Ok(false)
        }
        (code, _) => Err(format!("exit {code:?}: {errors}")),
    }
}
