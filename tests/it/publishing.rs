//! Results appear whole or not at all: readers see all rows of one run or of the run before, also
//! after failures, kills and lost attempts.

mod desk;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use emporia_e2e::cluster::Cluster;
use emporia_e2e::programs::{program, wait_until};
use emporia_e2e::sandbox::cells;

use desk::{Desk, N_FILES, ROWS_PER_FILE, TABLES};

/// Long enough for a job that is alone, and for one that shares two cores with all other tests.
const PATIENCE: Duration = Duration::from_secs(60);

const FAST: &str = "modulus=40000";
const SLOW: &str = "modulus=320";

/// A program that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_second_run_replaces_the_first_and_keeps_it_for_its_readers() {
    let desk = Desk::new();
    let generate = [
        "generate",
        "--scale",
        "0.01",
        "--tables",
        "transactions",
        "--out",
        "shop",
    ];
    desk.printed(&generate);
    let shop =
        "[tables.transactions]\nconnector = \"parquet\"\nlocation = \"shop/transactions/\"\n";
    desk.write("emporia.toml", &format!("{TABLES}{shop}"));

    let summary =
        "SELECT count(*), count(DISTINCT currency || '/' || user_id), max(rank) FROM result";
    let mut earlier: Vec<String> = Vec::new();
    for top in ["3", "5", "7"] {
        desk.printed(&[
            "submit",
            "top_customers",
            "-p",
            &format!("top={top}"),
            "-o",
            "result",
        ]);
        let seen = desk.ask(summary);
        let seen: Vec<_> = seen.split(',').collect();
        assert_eq!(seen[0], seen[1], "a customer is there twice");
        assert_eq!(seen[2], top, "the rows are not those of the last run");
        let (current, previous) = desk.pointed_runs();
        assert!(!earlier.contains(&current));
        assert_eq!(previous.as_ref(), earlier.last());
        desk.has_no_other_runs();
        earlier.push(current);
    }
}

#[test]
fn a_job_that_fails_leaves_the_old_result_and_nothing_else() {
    let desk = Desk::new();
    desk.printed(&["submit", "copy.sql", "-p", "least=30001", "-o", "result"]);
    let (pointer, runs) = (desk.pointer(), desk.runs());
    desk.spoil_last_file();
    desk.fails(&["submit", "copy.sql", "-o", "result"]);
    assert_eq!(desk.pointer(), pointer);
    assert_eq!(desk.runs(), runs, "the failed run left files");
    let rows = desk.ask("SELECT count(*), count(DISTINCT id), min(id) FROM result");
    assert_eq!(rows, "10000,10000,30001");
}

#[test]
fn a_killed_client_leaves_the_old_result_and_the_next_run_clears_up() {
    let _turn = crate::faults::turn();
    let desk = Desk::new();
    let cluster = Cluster::up(desk.folder(), &[], &[]).unwrap();
    let remote = ["--cluster", &cluster.url];
    let submit = |param: &'static str| {
        let args = ["submit", "pairs.sql", "-o", "result", "-p", param];
        [args.as_slice(), remote.as_slice()].concat()
    };
    let summary = "SELECT count(*), count(DISTINCT CAST(a AS VARCHAR) || '/' || CAST(b AS VARCHAR)) \
                   FROM result";
    desk.printed(&submit(FAST));
    let (pointer, rows) = (desk.pointer(), desk.ask(summary));

    let client = Command::new(program("emporia").unwrap())
        .args(submit(SLOW))
        .current_dir(desk.folder())
        .env_remove("EMPORIA_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut client = Killed(client.unwrap());
    assert!(
        wait_until(PATIENCE, || cluster.n_active_queries().unwrap() > 0),
        "the job did not start"
    );
    client.0.kill().unwrap();
    let status = client.0.wait().unwrap();
    assert_eq!(status.code(), None, "the client ended before it was killed");
    assert_eq!(desk.pointer(), pointer);
    assert_eq!(desk.ask(summary), rows);

    // The executors go on without the client; what they write is nobody's.
    assert!(
        wait_until(PATIENCE, || cluster.n_active_queries().unwrap() == 0),
        "the job did not end"
    );
    assert_eq!(desk.pointer(), pointer);
    assert_eq!(desk.ask(summary), rows);

    desk.printed(&submit("modulus=10000"));
    assert_ne!(desk.pointer(), pointer);
    let seen = desk.ask(summary);
    let (count, distinct) = seen.split_once(',').unwrap();
    assert_eq!(count, distinct, "a pair is there twice");
    assert_ne!(seen, rows);
    desk.has_no_other_runs();
}

#[test]
fn files_of_lost_attempts_are_not_read() {
    let desk = Desk::new();
    desk.printed(&["submit", "copy.sql", "-o", "result"]);
    let summary = "SELECT count(*), count(DISTINCT id) FROM result";
    assert_eq!(desk.ask(summary), "40000,40000");
    let listed = desk.files("rows").remove(0);
    let copy_to = |target: PathBuf| {
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&listed, target).unwrap();
    };
    copy_to(listed.with_file_name("part-lost.parquet"));
    copy_to(desk.path("out/run-00000000000000000000000000000000/rows/part-lost.parquet"));
    assert_eq!(desk.ask(summary), "40000,40000");

    desk.printed(&["submit", "copy.sql", "-p", "least=30001", "-o", "result"]);
    assert_eq!(desk.ask(summary), "10000,10000");
    desk.has_no_other_runs();
}

#[test]
fn a_single_file_is_replaced_whole_or_not_at_all() {
    let desk = Desk::new();
    let names = || {
        let entries = fs::read_dir(desk.folder()).unwrap();
        entries
            .map(|e| e.unwrap().file_name())
            .collect::<BTreeSet<_>>()
    };
    desk.printed(&["submit", "copy.sql", "-p", "least=40000", "-o", "rows.csv"]);
    let old = fs::read_to_string(desk.path("rows.csv")).unwrap();
    assert_eq!(old, "id,price\n40000,10000.25\n");
    desk.printed(&["submit", "sorted.sql", "-o", "rows.csv"]);
    let new = fs::read_to_string(desk.path("rows.csv")).unwrap();
    assert_eq!(new.lines().count(), 1 + N_FILES * ROWS_PER_FILE);

    let before = names();
    desk.spoil_last_file();
    desk.fails(&["submit", "copy.sql", "-o", "rows.csv"]);
    assert_eq!(fs::read_to_string(desk.path("rows.csv")).unwrap(), new);
    desk.fails(&["submit", "copy.sql", "-o", "other.csv"]);
    assert_eq!(names(), before, "the failed jobs left files");
}

/// The rows of the job `sorted`, as text.
fn sorted_rows() -> Vec<Vec<String>> {
    let rows = (1..=ROWS_PER_FILE).rev().flat_map(|row| {
        (0..N_FILES).map(move |file| {
            vec![
                (file * ROWS_PER_FILE + row).to_string(),
                format!("{row}.25"),
            ]
        })
    });
    rows.collect()
}

/// The rows of a Parquet file in the order of the file.
async fn parquet_rows(path: &Path) -> Vec<Vec<String>> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    let path = path.to_str().unwrap();
    let frame = context
        .read_parquet(path, ParquetReadOptions::default())
        .await
        .unwrap();
    cells(&frame.collect().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn published_files_keep_the_order_of_the_result() {
    let desk = Desk::new();
    desk.printed(&["submit", "sorted.sql", "-o", "result"]);
    let mut found = Vec::new();
    for file in desk.files("rows") {
        found.extend(parquet_rows(&file).await);
    }
    assert!(
        found == sorted_rows(),
        "parquet: {} rows, {:?} …",
        found.len(),
        found.first()
    );

    desk.printed(&["submit", "sorted.sql", "-o", "result", "--format", "csv"]);
    let mut found = Vec::new();
    for file in desk.files("rows") {
        let text = fs::read_to_string(file).unwrap();
        let rows = text
            .lines()
            .skip(1)
            .map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
        found.extend(rows);
    }
    assert!(
        found == sorted_rows(),
        "csv: {} rows, {:?} …",
        found.len(),
        found.first()
    );
}
