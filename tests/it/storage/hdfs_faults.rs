//! HDFS that breaks while jobs read from it and write to it: what passes within `stores.patience`
//! costs time only, anything else ends with a clear error and leaves the old result.

use std::cell::Cell;
use std::process::Child;
use std::time::{Duration, Instant};

use emporia_e2e::cluster::Cluster;
use emporia_e2e::programs::wait_until;

use super::half_way::{Work, finished, half_way};
use super::workplace::{Workplace, printed, said};
use crate::faults::cluster::{self, Patience};

/// 400,000 rows, about 100 MB of text: a job over them takes some seconds.
const SCALE: &str = "0.2";

const CATALOG: &str = r##"
[tables.result]
connector = "parquet"
location = "HDFS/faults_{id}/result"

[tables.missing]
connector = "parquet"
location = "HDFS/faults_{id}/no-such-folder"
columns = ["session_id string"]

[tables.forbidden]
connector = "parquet"
location = "HDFS/forbidden_{id}/rows"
columns = ["session_id string"]
"##;

const READ: &str = "\
-- name: read
-- description: Totals of the sessions
-- input: sessions
-- output: rows
-- key: conversion_status

SELECT conversion_status, count(*) AS sessions, sum(duration_seconds) AS seconds,
       count(DISTINCT user_id) AS users, min(start_ts) AS first, max(session_id) AS last
FROM sessions GROUP BY conversion_status ORDER BY conversion_status
";

const WRITE: &str = "\
-- name: write
-- description: Copies the sessions
-- param: version int -- which run wrote the rows
-- input: sessions
-- output: rows
-- key: session_id

SELECT session_id, user_id, start_ts, end_ts, duration_seconds, conversion_status, referrer,
       $version AS version
FROM sessions
";

const CHECK: &str = "SELECT version, count(*) AS n, sum(duration_seconds) AS seconds, \
                     count(DISTINCT session_id) AS keys FROM result GROUP BY version";

struct Scene {
    workplace: Workplace,
    cluster: Cluster,
    /// What the read prints.
    totals: String,
    /// What the jobs cost the executors.
    read_work: Work,
    write_work: Work,
    /// Of the rows that the last write made.
    version: Cell<u32>,
}

impl Scene {
    fn open() -> Option<Self> {
        if !super::faults::are_wanted() {
            return None;
        }
        let workplace = Workplace::alone()?;
        let folder = format!("{}/faults_{}", workplace.services.hdfs, workplace.id);
        workplace.ok(&[
            "generate", "--quiet", "--scale", SCALE, "--tables", "sessions", "--format", "csv",
            "--out", &folder,
        ]);
        let table = format!(
            "[tables.sessions]\nconnector = \"csv\"\nlocation = \"{folder}/sessions/\"\n\
             contract = \"sessions\"\n"
        );
        workplace.catalog(&table);
        workplace.catalog(&CATALOG.replace("HDFS", &workplace.services.hdfs));
        workplace.write("read.sql", READ);
        workplace.write("write.sql", WRITE);
        let environment = workplace.services.environment();
        let cluster =
            cluster::start(&workplace.path("cluster"), 2, Patience::Short, &environment).unwrap();
        let mut scene = Self {
            workplace,
            cluster,
            totals: String::new(),
            read_work: Work::default(),
            write_work: Work::default(),
            version: Cell::new(1),
        };
        let (work, output) = Work::of(&scene.cluster, || scene.read());
        scene.read_work = work;
        scene.totals = printed(&output);
        assert!(scene.totals.lines().count() > 2, "{}", scene.totals);
        scene.write_work = Work::of(&scene.cluster, || scene.write()).0;
        Some(scene)
    }

    fn submit(&self, args: &[&str]) -> Child {
        let common = [
            "--no-progress",
            "--timeout",
            "240s",
            "--cluster",
            &self.cluster.url,
        ];
        let args = [&["submit"], args, &common].concat();
        self.workplace.start(&args)
    }

    fn read(&self) -> Child {
        self.submit(&["read.sql", "--format", "csv"])
    }

    fn write(&self) -> Child {
        let version = format!("version={}", self.version.get());
        self.submit(&["write.sql", "-p", &version, "--output", "result"])
    }

    /// What the result holds.
    #[track_caller]
    fn result(&self) -> String {
        self.workplace.value(CHECK)
    }

    /// Lets a fault happen in the middle of a read, which must be right in the end.
    fn disturb_read(&self, what: &str, strike: impl FnOnce(&Workplace)) {
        let job = half_way(&self.cluster, self.read_work, || self.read());
        let start = Instant::now();
        strike(&self.workplace);
        let output = finished(job);
        assert_eq!(printed(&output), self.totals, "{what}: {}", said(&output));
        eprintln!("read, {what}: right {:.1?} later", start.elapsed());
    }

    /// Lets a fault happen in the middle of a write, which must be published in the end.
    fn disturb_write(&self, what: &str, strike: impl FnOnce(&Workplace)) {
        let (before, old) = (self.result(), self.version.get());
        let job = half_way(&self.cluster, self.write_work, || {
            self.version.set(self.version.get() + 1);
            self.write()
        });
        let start = Instant::now();
        strike(&self.workplace);
        let output = finished(job);
        let expected = before.replacen(&format!("{old},"), &format!("{},", self.version.get()), 1);
        assert_eq!(self.result(), expected, "{what}: {}", said(&output));
        eprintln!("write, {what}: right {:.1?} later", start.elapsed());
    }
}

/// HBase keeps its files in HDFS and does not outlive its faults, so it is started anew for the tests
/// that come, and so is what a failed test left stopped.
impl Drop for Scene {
    fn drop(&mut self) {
        for server in ["hmaster", "region-1", "region-2", "region-3"] {
            let _ = self.workplace.try_control(&["kill", server]);
        }
        // All at once: a master that finds no region servers gives up.
        let _ = self.workplace.try_control(&["up", "hbase"]);
    }
}

impl Workplace {
    fn restart_name_node(&self) {
        self.control(&["kill", "namenode"]);
        // How long the fault lasts.
        std::thread::sleep(Duration::from_secs(3));
        self.control(&["start", "namenode"]);
    }

    /// Starts a DataNode again and waits until it has what was written meanwhile: it is on the other
    /// one alone until then, which the next fault may stop.
    fn restart_data_node(&self, name: &str) {
        self.control(&["start", name]);
        let are_all_replicated = wait_until(Duration::from_secs(60), || {
            let report = self.control(&["dfsadmin", "-report"]);
            let blocks = "Under replicated blocks: ";
            assert!(report.contains(blocks), "{report}");
            report.contains(&format!("{blocks}0\n"))
        });
        assert!(are_all_replicated, "blocks are on one DataNode only");
        // The report does not count blocks that the NameNode has not looked at; this waits until both
        // DataNodes have each block.
        let folder = format!("/faults_{}", self.id);
        self.control(&["fs", "-setrep", "-w", "2", &folder]);
    }

    fn safe_mode(&self, change: &str) {
        self.control(&["dfsadmin", "-safemode", change]);
    }
}

#[test]
fn servers_of_hdfs_may_go_while_a_job_runs() {
    let Some(scene) = Scene::open() else { return };
    eprintln!(
        "undisturbed: read {:?}, write {:?}",
        scene.read_work, scene.write_work
    );
    for name in ["datanode-1", "datanode-2"] {
        scene.disturb_read(&format!("{name} killed"), |w| {
            w.control(&["kill", name]);
        });
        scene.workplace.restart_data_node(name);
        scene.disturb_write(&format!("{name} killed"), |w| {
            w.control(&["kill", name]);
        });
        scene.workplace.restart_data_node(name);
    }
    scene.disturb_read("NameNode restarted", Workplace::restart_name_node);
    scene.disturb_write("NameNode restarted", Workplace::restart_name_node);
    scene.disturb_write("safe mode for a while", |workplace| {
        workplace.safe_mode("enter");
        // How long the fault lasts.
        std::thread::sleep(Duration::from_secs(5));
        workplace.safe_mode("leave");
    });
}

#[test]
fn faults_of_hdfs_that_stay_are_said_and_leave_the_old_result() {
    let Some(scene) = Scene::open() else { return };
    let workplace = &scene.workplace;
    let before = scene.result();
    let impatient = ("EMPORIA_STORES__PATIENCE", "2s");
    let write = [
        "submit",
        "write.sql",
        "--no-progress",
        "-p",
        "version=2",
        "--output",
        "result",
    ];
    let read = [
        "sql",
        "--no-progress",
        "-e",
        "SELECT count(*) FROM sessions",
    ];

    workplace.safe_mode("enter");
    workplace.refused(
        &write,
        &[impatient],
        4,
        &[
            "failed: cannot write to HDFS: the NameNode at",
            "is in safe mode",
            "dfsadmin -safemode get",
        ],
    );
    // Reading goes on.
    let n_rows = workplace.value("SELECT count(*) FROM sessions");
    workplace.safe_mode("leave");
    assert_eq!(scene.result(), before);

    // Nobody's user may read but not write.
    let nobody = ("EMPORIA_STORES__HDFS_USER", "nobody");
    workplace.refused(
        &write,
        &[nobody],
        1,
        &[
            "failed: cannot write to HDFS: Permission denied: user=nobody",
            "stores.hdfs_user",
        ],
    );
    assert_eq!(scene.result(), before);
    workplace.control(&[
        "fs",
        "-mkdir",
        "-p",
        &format!("/forbidden_{}/rows", workplace.id),
    ]);
    workplace.control(&[
        "fs",
        "-chmod",
        "700",
        &format!("/forbidden_{}", workplace.id),
    ]);
    workplace.refused(
        &[
            "sql",
            "--no-progress",
            "-e",
            "SELECT count(*) FROM forbidden",
        ],
        &[nobody],
        1,
        &[
            "Permission denied: user=nobody",
            &format!("forbidden_{}", workplace.id),
            "hint: ",
        ],
    );
    workplace.refuses(
        "SELECT count(*) FROM missing",
        3,
        &["no-such-folder", "check the location in the catalog"],
    );

    workplace.control(&["kill", "namenode"]);
    let name_node = [
        "HDFS at",
        "(tried for ",
        "hint: check that the NameNode runs",
    ];
    workplace.refused(&write, &[impatient], 4, &name_node);
    workplace.refused(&read, &[impatient], 4, &name_node);
    workplace.control(&["start", "namenode"]);
    assert_eq!(scene.result(), before);
    assert_eq!(workplace.value("SELECT count(*) FROM sessions"), n_rows);

    // One file of the result loses its end.
    let folder = format!("/faults_{}/result", workplace.id);
    let files = workplace.control(&["fs", "-ls", "-R", &folder]);
    let file = files
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        // Names of runs are in the order of time; the last is the current one.
        .rfind(|path| path.ends_with(".parquet"))
        .unwrap_or_else(|| panic!("no file in {files}"))
        .to_owned();
    workplace.control(&["fs", "-truncate", "-w", "1000", &file]);
    workplace.refuses(CHECK, 1, &["hint: "]);
    // A new run mends it.
    workplace.ok(&write);
    assert_eq!(scene.result(), before.replacen("1,", "2,", 1));
}
