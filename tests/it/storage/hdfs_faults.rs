//! HDFS that breaks while jobs read from it and write to it: what passes within `stores.patience`
//! costs time only, anything else ends with a clear error and leaves the old result.

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use emporia_e2e::cluster::Cluster;
use emporia_e2e::programs::wait_until;

use super::workplace::{Workplace, printed, said};
use crate::faults::cluster::{self, Patience};

/// 400,000 rows, about 100 MB of text: a job over them takes some seconds.
const SCALE: &str = "0.2";

/// How often a job is started that was over before the fault.
const TRIES: u32 = 5;
/// Pause between two looks at a job.
const POLL: Duration = Duration::from_millis(10);

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
    /// What the read prints, and how long it takes.
    totals: String,
    read_time: Duration,
    write_time: Duration,
    version: u32,
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
            read_time: Duration::ZERO,
            write_time: Duration::ZERO,
            version: 1,
        };
        let start = Instant::now();
        scene.totals = printed(&scene.finished(scene.read(&[])));
        scene.read_time = start.elapsed();
        assert!(scene.totals.lines().count() > 2, "{}", scene.totals);
        let start = Instant::now();
        scene.finished(scene.write(&[]));
        scene.write_time = start.elapsed();
        Some(scene)
    }

    fn submit(&self, args: &[&str], extra: &[(&str, &str)]) -> Child {
        let common = [
            "--no-progress",
            "--timeout",
            "240s",
            "--cluster",
            &self.cluster.url,
        ];
        self.workplace
            .command(&[&["submit"], args, &common].concat(), extra)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn read(&self, extra: &[(&str, &str)]) -> Child {
        self.submit(&["read.sql", "--format", "csv"], extra)
    }

    fn write(&self, extra: &[(&str, &str)]) -> Child {
        let version = format!("version={}", self.version);
        self.submit(&["write.sql", "-p", &version, "--output", "result"], extra)
    }

    /// The output of a job that must end well.
    #[track_caller]
    fn finished(&self, job: Child) -> Output {
        let output = job.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        output
    }

    /// What the result holds.
    #[track_caller]
    fn result(&self) -> String {
        self.workplace.value(CHECK)
    }

    /// A job that runs, and has run for nearly half of `time`, or of the time that it took in a try in which
    /// it was faster.
    #[track_caller]
    fn half_way(&mut self, mut time: Duration, start: impl Fn(&mut Self) -> Child) -> Child {
        for _ in 0..TRIES {
            let begin = Instant::now();
            let mut job = start(self);
            let has_begun = wait_until(Duration::from_secs(20), || {
                self.cluster.n_active_queries().unwrap() > 0 || has_ended(&mut job)
            });
            assert!(has_begun, "the query does not begin");
            let mut has_ended = has_ended(&mut job);
            while !has_ended && begin.elapsed() < time * 4 / 10 {
                std::thread::sleep(POLL);
                has_ended = self::has_ended(&mut job);
            }
            if !has_ended {
                return job;
            }
            self.finished(job);
            time = time.min(begin.elapsed());
        }
        panic!("the job was over too soon, {TRIES} times");
    }

    /// Lets a fault happen in the middle of a read, which must be right in the end.
    fn disturb_read(&mut self, what: &str, strike: impl FnOnce(&Workplace)) {
        let job = self.half_way(self.read_time, |scene| scene.read(&[]));
        let start = Instant::now();
        strike(&self.workplace);
        let output = self.finished(job);
        assert_eq!(printed(&output), self.totals, "{what}: {}", said(&output));
        eprintln!("read, {what}: right {:.1?} later", start.elapsed());
    }

    /// Lets a fault happen in the middle of a write, which must be published in the end.
    fn disturb_write(&mut self, what: &str, strike: impl FnOnce(&Workplace)) {
        let (before, old) = (self.result(), self.version);
        let job = self.half_way(self.write_time, |scene| {
            scene.version += 1;
            scene.write(&[])
        });
        let start = Instant::now();
        strike(&self.workplace);
        let output = self.finished(job);
        let expected = before.replacen(&format!("{old},"), &format!("{},", self.version), 1);
        assert_eq!(self.result(), expected, "{what}: {}", said(&output));
        eprintln!("write, {what}: right {:.1?} later", start.elapsed());
    }
}

pub(super) fn has_ended(job: &mut Child) -> bool {
    job.try_wait().unwrap().is_some()
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
    let Some(mut scene) = Scene::open() else {
        return;
    };
    eprintln!(
        "undisturbed: read {:.1?}, write {:.1?}",
        scene.read_time, scene.write_time
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
