//! The gate for every connector: two executors with one slot each, more partitions than slots.
//!
//! Ballista 55 keeps, for each task, only the task's slice of the partitions of the leaves it knows.
//! A custom leaf is left whole, so that each task reads all of it. The first test shows that this
//! is so (and will fail on the day that Ballista mends it); the second that `SplitScanExec`, which
//! all our connectors scan through, is right.

mod raw_leaf;

use std::fmt::Write as _;

use emporia_core::catalog::{Catalog, TableDef};
use emporia_e2e::sandbox::{Sandbox, query, single_process};
use emporia_engine::EngineOptions;

const N_PARTITIONS: usize = 8;
const ROWS_PER_PARTITION: usize = 10;

/// The statements that a doubled scan gets wrong.
const QUERIES: [&str; 4] = [
    "SELECT count(*) FROM t",
    "SELECT count(*), sum(value) FROM (SELECT value FROM t UNION ALL SELECT value FROM t)",
    "SELECT count(*), sum(a.value) FROM t a JOIN t b ON a.value = b.value",
    "SELECT value % 7 AS bucket, count(*) FROM t GROUP BY 1 ORDER BY 1",
];

fn options(adaptive: bool) -> EngineOptions {
    EngineOptions {
        adaptive,
        target_partitions: N_PARTITIONS,
        ..EngineOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_leaf_is_read_once_per_task() {
    let cluster = raw_leaf::Cluster::start(&options(false)).await;
    let n = cluster.count(N_PARTITIONS, ROWS_PER_PARTITION).await;
    let expected = N_PARTITIONS * ROWS_PER_PARTITION;
    assert!(
        n > expected && n % expected == 0,
        "{n} rows of {expected}; if they are equal, Ballista now restricts custom leaves and \
         SplitScanExec may become one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_scan_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut value = 0;
    for part in 0..N_PARTITIONS {
        let mut text = String::from("value\n");
        for _ in 0..ROWS_PER_PARTITION {
            writeln!(text, "{value}").unwrap();
            value += 1;
        }
        std::fs::write(folder.path().join(format!("part-{part}.csv")), text).unwrap();
    }
    let mut table = TableDef::new("csv", format!("file://{}", folder.path().display()));
    table.columns = vec!["value int64".to_owned()];
    let catalog = Catalog {
        tables: [("t".to_owned(), table)].into(),
        ..Catalog::default()
    };

    let reference = single_process(catalog.clone()).unwrap();
    let sandbox = Sandbox::start(&[1, 1]).await.unwrap();
    for adaptive in [false, true] {
        let session = sandbox
            .session(catalog.clone(), &options(adaptive))
            .unwrap();
        for sql in QUERIES {
            let expected = query(&reference, sql).await.unwrap();
            let found = query(&session, sql).await.unwrap();
            assert_eq!(found, expected, "adaptive={adaptive}: {sql}");
        }
    }
    let count = query(&reference, QUERIES[0]).await.unwrap();
    assert_eq!(count, [["80"]], "the reference itself is right");
}
