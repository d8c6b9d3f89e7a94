//! Faults of the stores and the cluster, each in the middle of a job that reads from HBase and of
//! one that writes to it.
//!
//! `EMPORIA_FAULT_RUNS` says how often each is tried (`make test-faults` says ten times); without it
//! the test is skipped, because it takes many minutes. The table that is printed at the end counts
//! what came of it. A run is *right* when the job ended well with exactly the
//! expected rows, *clean* when it failed and the result that was there before is intact; anything
//! else is *wrong*.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use emporia_e2e::programs::program;
use emporia_e2e::services::Services;
use tempfile::TempDir;

use super::predicates::Dice;
use crate::faults::cluster::{Cluster, Patience};

/// Rows of the tables: a job over them takes a second or two.
const SCALE: &str = "0.1";
/// A job that takes longer hangs.
const PATIENCE: &str = "240s";

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
    fn control(&self, args: &[&str]) {
        let script = emporia_e2e::workspace().join("tests/services/services");
        let output = Command::new(script)
            .args(args)
            .env("EMPORIA_SERVICES_DIR", &self.services.folder)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "services {args:?}: {errors}");
    }

    /// Lets the fault happen.
    fn strike(&self, fault: Fault, cluster: &Cluster, dice: &mut Dice, table: &str) {
        match fault {
            Fault::ExecutorKilled => {
                let name = format!("executor-{}", 1 + dice.below(3));
                cluster.kill(&name).unwrap();
            }
            Fault::GatewayKilled => self.control(&["kill", "thrift-1"]),
            Fault::RegionServerKilled => {
                let name = format!("region-{}", 1 + dice.below(3));
                self.control(&["kill", &name]);
            }
            Fault::RegionSplitAndMoved => {
                let key = format!("user_{:06}", dice.below(10_000));
                // A split of a key that is a boundary already is refused; the move still counts.
                let script = emporia_e2e::workspace().join("tests/services/services");
                let _ = Command::new(&script)
                    .args(["admin", "split", table, &key])
                    .env("EMPORIA_SERVICES_DIR", &self.services.folder)
                    .output();
                let _ = Command::new(&script)
                    .args(["admin", "move", table, &key, "other"])
                    .env("EMPORIA_SERVICES_DIR", &self.services.folder)
                    .output();
            }
            Fault::GatewayPaused => {
                self.control(&["kill", "thrift-1", "-STOP"]);
                std::thread::sleep(Duration::from_secs(35));
                self.control(&["kill", "thrift-1", "-CONT"]);
            }
        }
    }

    /// Undoes it.
    fn mend(&self, fault: Fault) {
        match fault {
            Fault::GatewayKilled => self.control(&["start", "thrift-1"]),
            Fault::RegionServerKilled => {
                for name in ["region-1", "region-2", "region-3"] {
                    self.control(&["start", name]);
                }
            }
            _ => {}
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
    Cluster::up_with(folder, 3, Patience::Short, &environment).unwrap()
}

/// Runs a job and strikes when it has run for a while; its output and whether it still ran then.
fn disturbed(
    scene: &Scene,
    cluster: &Cluster,
    args: &[String],
    fault: Fault,
    dice: &mut Dice,
    undisturbed: Duration,
    table: &str,
) -> Output {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut job = scene.command(&args);
    let job = job
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let share = 20 + u32::try_from(dice.below(60)).unwrap();
    std::thread::sleep(undisturbed * share / 100);
    scene.strike(fault, cluster, dice, table);
    job.wait_with_output().unwrap()
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
        let folder = scene.path(&format!("cluster-{fault:?}-{job}-{run}"));
        let cluster = start_cluster(scene, &folder);
        let verdict = match job {
            "read" => read(scene, &cluster, fault, &mut dice),
            _ => write(scene, &cluster, fault, &mut dice),
        };
        scene.mend(fault);
        match verdict {
            Ok(true) => tally.right += 1,
            Ok(false) => tally.clean += 1,
            Err(what) => tally
                .wrong
                .push(format!("{fault:?}, {job}, run {run}: {what}")),
        }
    }
    tally
}

/// Whether the disturbed read was right; `false` where it failed.
fn read(scene: &Scene, cluster: &Cluster, fault: Fault, dice: &mut Dice) -> Result<bool, String> {
    let args = scene.submit(&cluster.url, "read.sql", &[]);
    let plain: Vec<_> = args.iter().map(String::as_str).collect();
    let start = Instant::now();
    let expected = text(&scene.ok(&plain));
    let undisturbed = start.elapsed();
    let source = format!("fault_sessions_{}", std::process::id());
    let output = disturbed(scene, cluster, &args, fault, dice, undisturbed, &source);
    if !output.status.success() {
        return clean_failure(&output);
    }
    match text(&output) == expected {
        true => Ok(true),
        false => Err(format!("{}instead of\n{expected}", text(&output))),
    }
}

/// Whether the disturbed write was published; `false` where it failed and left the old result.
fn write(scene: &Scene, cluster: &Cluster, fault: Fault, dice: &mut Dice) -> Result<bool, String> {
    let run = |version: &str| {
        scene.submit(
            &cluster.url,
            "write.sql",
            &["-p", &format!("version={version}"), "--output", "result"],
        )
    };
    // The check reads through the in-process cluster: a fault may have left this one weak.
    let check = || {
        let args = scene.submit("local[2]", "check.sql", &[]);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        text(&scene.ok(&args))
    };
    // A folder format means nothing to a table.
    let without_format = |args: Vec<String>| -> Vec<String> {
        let mut args = args;
        if let Some(at) = args.iter().position(|a| a == "--format") {
            args.drain(at..at + 2);
        }
        args
    };
    let first = without_format(run("1"));
    let first: Vec<_> = first.iter().map(String::as_str).collect();
    let start = Instant::now();
    scene.ok(&first);
    let undisturbed = start.elapsed();
    let before = check();
    let args = without_format(run("2"));
    let target = format!("fault_result_{}", std::process::id());
    let output = disturbed(scene, cluster, &args, fault, dice, undisturbed, &target);
    let after = check();
    let expected = before.replace("\n1,", "\n2,");
    match (output.status.success(), after == expected, after == before) {
        (true, true, _) => Ok(true),
        (false, _, true) => clean_failure(&output),
        _ => Err(format!(
            "exit {:?}, the table holds\n{after}and held\n{before}{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
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
