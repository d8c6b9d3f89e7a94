//! What every connector must do, as one set of functions that runs against each.

use arrow::array::RecordBatch;
use emporia_e2e::sandbox::query;
use emporia_engine::Session;

use super::backend::{Backend, Desk, catalog, reference};
use super::predicates::{COLUMNS, Dice, predicate, rows};

const N_ROWS: usize = 240;
const N_PREDICATES: u64 = 60;

/// The rows of a query as sorted text.
async fn answer(session: &Session, sql: &str) -> Vec<String> {
    let rows = query(session, sql).await.unwrap_or_else(|e| {
        let hint = e.hint().unwrap_or_default().to_owned();
        panic!("{sql}: {e} ({hint}) {:?}", std::error::Error::source(&e))
    });
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.join("|")).collect();
    rows.sort();
    rows
}

async fn same(expected: &Session, found: &Session, sql: &str) {
    let expected = answer(expected, sql).await;
    assert_eq!(answer(found, sql).await, expected, "{sql}");
}

/// Stores `batches` and returns the session over them and the one to compare with.
async fn stored(desk: &Desk, backend: Backend, batches: &[RecordBatch]) -> (Session, Session) {
    let table = desk.define(backend, "contract", &COLUMNS);
    let n: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let written = desk.store(&table, batches).await.unwrap();
    assert_eq!(written, n as u64, "{backend:?} reports the rows it wrote");
    (desk.session(catalog(&table), false), reference(batches))
}

async fn reads(desk: &Desk, backend: Backend) {
    let mut dice = Dice::new(1);
    let batches = [rows(N_ROWS, &mut dice)];
    let (found, expected) = stored(desk, backend, &batches).await;
    let names: Vec<_> = COLUMNS
        .iter()
        .map(|c| c.split(' ').next().unwrap())
        .collect();
    let statements = [
        "SELECT * FROM t".to_owned(),
        "SELECT count(*) FROM t".to_owned(),
        "SELECT count(label), count(n), count(ratio) FROM t".to_owned(),
        "SELECT sum(price), min(ts), max(day) FROM t".to_owned(),
        "SELECT flag, count(*), sum(n) FROM t GROUP BY flag".to_owned(),
        "SELECT count(*) FROM (SELECT id FROM t UNION ALL SELECT id FROM t)".to_owned(),
        "SELECT a.id, b.label FROM t a JOIN t b ON a.id = b.id WHERE a.n > 0".to_owned(),
        "SELECT count(*) FROM t a LEFT JOIN (SELECT * FROM t WHERE n = 7) b ON a.id = b.id"
            .to_owned(),
        "SELECT count(*) FROM t WHERE id NOT IN (SELECT id FROM t WHERE flag)".to_owned(),
        "SELECT id FROM t ORDER BY id LIMIT 7".to_owned(),
        "SELECT id, label FROM t WHERE id = 'k4'".to_owned(),
        "SELECT id FROM t WHERE id IN ('k4', 'k8', 'none', 'é00002')".to_owned(),
        "SELECT id FROM t WHERE id = 'none'".to_owned(),
    ];
    let single = names.iter().map(|name| format!("SELECT {name} FROM t"));
    for sql in statements.into_iter().chain(single) {
        same(&expected, &found, &sql).await;
    }
    let limited = answer(&found, "SELECT id FROM t LIMIT 10").await;
    assert_eq!(limited.len(), 10);
}

async fn judges(desk: &Desk, backend: Backend) {
    let mut dice = Dice::new(2);
    let batches = [rows(N_ROWS, &mut dice)];
    let (found, expected) = stored(desk, backend, &batches).await;
    for seed in 0..N_PREDICATES {
        let predicate = predicate(&mut Dice::new(1000 + seed), 2);
        let sql = format!("SELECT id, n FROM t WHERE {predicate}");
        same(&expected, &found, &sql).await;
    }
}

async fn edges(desk: &Desk, backend: Backend) {
    let mut dice = Dice::new(3);
    let one = [rows(1, &mut dice)];
    let (found, expected) = stored(desk, backend, &one).await;
    for sql in [
        "SELECT * FROM t",
        "SELECT count(*) FROM t",
        "SELECT ratio FROM t",
    ] {
        same(&expected, &found, sql).await;
    }
    let none = [rows(1, &mut dice).slice(0, 0)];
    let (found, expected) = stored(desk, backend, &none).await;
    for sql in [
        "SELECT * FROM t",
        "SELECT count(*) FROM t",
        "SELECT sum(n) FROM t",
    ] {
        same(&expected, &found, sql).await;
    }
}

async fn spreads(desk: &Desk, backend: Backend) {
    let mut dice = Dice::new(4);
    // Distinct ids over several writers.
    let all = rows(900, &mut dice);
    let batches = [all.slice(0, 300), all.slice(300, 300), all.slice(600, 300)];
    let table = desk.define(backend, "spread", &COLUMNS);
    assert_eq!(desk.store(&table, &batches).await.unwrap(), 900);
    let expected = reference(&batches);
    for adaptive in [false, true] {
        let found = desk.session(catalog(&table), adaptive);
        for sql in [
            "SELECT count(*) FROM t",
            "SELECT count(*), sum(n) FROM (SELECT n FROM t UNION ALL SELECT n FROM t)",
            "SELECT count(*), sum(a.n) FROM t a JOIN t b ON a.id = b.id",
            "SELECT flag, count(*) FROM t GROUP BY 1",
        ] {
            same(&expected, &found, sql).await;
        }
    }
}

/// One test per connector and part of the contract.
macro_rules! contract {
    ($($name:ident: $backend:ident;)+) => {$(
        mod $name {
            use super::{Backend, Desk};

            #[tokio::test(flavor = "multi_thread")]
            async fn reads_what_was_written() {
                let Some(desk) = Desk::open().await else { return };
                super::reads(&desk, Backend::$backend).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn answers_as_if_nothing_was_pushed_down() {
                let Some(desk) = Desk::open().await else { return };
                super::judges(&desk, Backend::$backend).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn has_no_trouble_with_few_rows() {
                let Some(desk) = Desk::open().await else { return };
                super::edges(&desk, Backend::$backend).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn is_read_once_by_two_executors() {
                let Some(desk) = Desk::open().await else { return };
                super::spreads(&desk, Backend::$backend).await;
            }
        }
    )+};
}

contract! {
    parquet: Local;
    hdfs: Hdfs;
    hbase: HBase;
    mongodb: MongoDb;
}
