//! Jobs that are stopped while a store answers, or is silent: they end soon, say why, and leave no
//! query behind, no half result, and a cluster that works.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use emporia_e2e::cluster::{Cluster, signal};
use emporia_e2e::programs::wait_until;

use super::workplace::{Workplace, said};
use crate::faults::cluster::{self, Patience};

/// In HBase a row is asked for at a time, so that a scan lasts.
const CATALOG: &str = r##"
[tables.in_hbase]
connector = "hbase"
location = "hbase:cancel_{id}"
columns = ["id string", "n int64"]
options = { key = "id", family = "f", presence = "f:_", "scan.page_rows" = "1" }

[tables.in_mongodb]
connector = "mongodb"
location = "mongodb:cancel_{id}.rows"
columns = ["id string", "n int64"]
options = { key = "id" }

[tables.in_hdfs]
connector = "csv"
location = "HDFS/cancel_{id}/rows"
columns = ["id string", "n int64"]
"##;

/// A store that falls silent when its servers are stopped.
struct Store {
    table: &'static str,
    servers: &'static [&'static str],
}

const STORES: [Store; 3] = [
    Store {
        table: "in_hbase",
        servers: &["thrift-1", "thrift-2"],
    },
    Store {
        table: "in_mongodb",
        servers: &["ferretdb"],
    },
    Store {
        table: "in_hdfs",
        servers: &["datanode-1", "datanode-2"],
    },
];

/// When the store falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// Before the job begins.
    Before,
    /// When its query runs on the cluster.
    During,
    Never,
}

/// What stops the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    CtrlC,
    Timeout,
}

/// Longest time in which the query of a job gets to the cluster.
const STARTED: Duration = Duration::from_secs(60);
/// Time that the job gets before it is stopped.
const RUN: Duration = Duration::from_secs(3);
/// How often a job is run until it is met while it reads, which may take less than a second.
const MEETINGS: usize = 8;
/// Longest time that the server may take for what it was sent before a job was stopped, and after which a
/// stopped job counts as dead: twice `stores.patience` and a minute.
const SERVER_CATCHES_UP: Duration = Duration::from_secs(480);
/// Longest time that it may take to give up then.
const SOON: Duration = Duration::from_secs(12);

impl Workplace {
    fn sends(&self, store: &Store, signal: &str) {
        for server in store.servers {
            self.control(&["kill", server, signal]);
        }
    }

    /// Collections of the test's database.
    fn staged(&self) -> Vec<String> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let names = runtime.block_on(async {
            let stores = self.services.stores();
            let client = stores.mongodb().await.unwrap();
            let database = client.database(&format!("cancel_{}", self.id));
            database.list_collection_names().await.unwrap()
        });
        let is_other = |name: &String| !["rows", "emporia_markers"].contains(&name.as_str());
        names.into_iter().filter(is_other).collect()
    }
}

/// Runs a job and stops it; false if it was over before it was stopped or its store fell silent.
#[must_use]
fn is_stopped(
    workplace: &Workplace,
    cluster: &Cluster,
    store: &Store,
    sql: &str,
    silence: Silence,
    stop: Stop,
) -> bool {
    let what = format!("{sql} (silence: {silence:?}, stop: {stop:?})");
    let limit = format!("{}s", RUN.as_secs());
    let mut args = vec!["sql", "--no-progress", "--cluster", &cluster.url, "-e", sql];
    if stop == Stop::Timeout {
        args.extend(["--timeout", &limit]);
    }
    if silence == Silence::Before {
        workplace.sends(store, "-STOP");
    }
    let mut start = Instant::now();
    let mut child = workplace
        .command(&args, &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().into();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if silence != Silence::Before {
            let has_started = wait_until(STARTED, || {
                let has_ended = !matches!(child.try_wait(), Ok(None));
                has_ended || cluster.n_active_queries().unwrap() > 0
            });
            assert!(has_started, "{what} does not start");
            start = Instant::now();
        }
        if silence == Silence::During {
            workplace.sends(store, "-STOP");
        }
        if stop == Stop::CtrlC {
            // A store that answers may be through in less than that.
            if silence != Silence::Never {
                std::thread::sleep(RUN.saturating_sub(start.elapsed()));
            }
            signal("INT", pid).unwrap();
        }
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let output = receiver.recv_timeout(RUN + SOON);
        let output = output
            .unwrap_or_else(|_| panic!("{what} does not end"))
            .unwrap();
        let (code, words) = match stop {
            Stop::Timeout => (5, "the timeout of 3 s passed"),
            Stop::CtrlC => (130, "interrupted"),
        };
        let said = said(&output);
        if silence != Silence::Before && output.status.success() {
            return false;
        }
        assert_eq!(output.status.code(), Some(code), "{what}: {said}");
        assert!(said.contains(words), "{what}: {said}");
        assert!(!said.contains("came to its end"), "{what}: {said}");
        assert!(
            start.elapsed() < RUN + SOON,
            "{what} took {:?}",
            start.elapsed()
        );
        let is_over = wait_until(SOON, || cluster.n_active_queries().unwrap() == 0);
        assert!(is_over, "{what} left a query behind");
        true
    }));
    if silence != Silence::Never {
        workplace.sends(store, "-CONT");
    }
    eprintln!("{what}: {:.1?}", start.elapsed());
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

#[test]
fn a_job_that_reads_or_writes_a_store_can_be_stopped() {
    let Some(workplace) = Workplace::alone() else {
        return;
    };
    workplace.generate("0.01", "users", ".");
    workplace.catalog(&CATALOG.replace("HDFS", &workplace.services.hdfs));
    let environment = workplace.services.environment();
    let cluster =
        cluster::start(&workplace.path("cluster"), 2, Patience::Short, &environment).unwrap();
    // Ten thousand rows, and a million.
    let pairs = "SELECT a.user_id || b.user_id AS id, 1 AS n FROM users a CROSS JOIN users b";
    let triples = "SELECT a.user_id || b.user_id || c.user_id AS id, 2 AS n FROM users a \
                   CROSS JOIN users b CROSS JOIN users c";
    for store in &STORES {
        let table = store.table;
        workplace.writes(&format!("INSERT OVERWRITE {table} {pairs}"));
        let read = format!("SELECT sum(n), count(DISTINCT id) FROM {table}");
        let write = format!("INSERT OVERWRITE {table} {triples}");
        // A read of HDFS is over too soon to be met.
        let silences = match table {
            "in_hdfs" => vec![Silence::Before],
            "in_mongodb" => vec![Silence::Before, Silence::During],
            _ => vec![Silence::Before, Silence::During, Silence::Never],
        };
        let reads = silences.iter().map(|silence| (&read, *silence));
        // So is a write.
        let writes = match table {
            "in_hdfs" => vec![Silence::During],
            _ => vec![Silence::During, Silence::Never],
        };
        let writes = writes.iter().map(|silence| (&write, *silence));
        for (sql, silence) in reads.chain(writes) {
            let stops: &[Stop] = match silence {
                Silence::Before => &[Stop::CtrlC, Stop::Timeout],
                _ => &[Stop::CtrlC],
            };
            for &stop in stops {
                let is_met = (0..MEETINGS)
                    .any(|_| is_stopped(&workplace, &cluster, store, sql, silence, stop));
                assert!(is_met, "{sql} was over too soon, {MEETINGS} times");
                if silence == Silence::Never {
                    // What was staged may be left, under a name that nobody reads ...
                    let staged = workplace.staged();
                    let is_staged = |name: &String| {
                        name.starts_with("rows__run_") || name.starts_with("rows__new_")
                    };
                    assert!(staged.iter().all(is_staged), "{sql}: {staged:?}");
                }
                // The old result is there, and the cluster has slots to read it with.
                let text = workplace.ok(&[
                    "sql",
                    "--quiet",
                    "--no-progress",
                    "--format",
                    "csv",
                    "--timeout",
                    "60s",
                    "--cluster",
                    &cluster.url,
                    "-e",
                    &read,
                ]);
                assert_eq!(text.lines().nth(1), Some("10000,10000"), "{sql}: {text}");
            }
        }
    }
    // ... until a later job succeeds: the server finishes the batches that it has got, and makes the
    // collection again for them.
    let is_clear = wait_until(SERVER_CATCHES_UP, || {
        workplace.writes("INSERT OVERWRITE in_mongodb SELECT user_id AS id, 1 AS n FROM users");
        workplace.staged().is_empty()
    });
    assert!(is_clear, "{:?}", workplace.staged());
}
