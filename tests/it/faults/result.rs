//! Results that are lost after the query's end: their files are damaged while they are fetched, or the executor
//! that holds them dies before.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use emporia_core::catalog::Catalog;
use emporia_e2e::programs::wait_until;
use emporia_e2e::sandbox::cells;
use emporia_engine::{EngineOptions, Session, Stores, Target};

use super::cluster::{Network, Processes, get};
use super::proxy::Proxy;
use super::turn;

/// Time in which a small query ends.
const DEADLINE: Duration = Duration::from_secs(60);
/// Three files with more rows than are fetched ahead.
const BRANCH: &str =
    "SELECT value, repeat(CAST(value AS VARCHAR), 40) AS text FROM generate_series(1, 150000)";
const N_BRANCHES: usize = 3;

/// Cuts a file off in the midst of a batch.
fn cut_off(file: &Path) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

/// Keeps the first batch of a file, with the mark of its end.
fn shorten(file: &Path) {
    let mut reader = StreamReader::try_new(File::open(file).unwrap(), None).unwrap();
    let Some(first) = reader.next() else { return };
    let first = first.unwrap();
    let shorter = file.with_extension("shorter");
    let mut writer =
        StreamWriter::try_new(File::create(&shorter).unwrap(), &first.schema()).unwrap();
    writer.write(&first).unwrap();
    writer.finish().unwrap();
    fs::rename(shorter, file).unwrap();
}

/// Changes each file below `folder`; how many there are.
fn each_file(folder: &Path, change: fn(&Path)) -> usize {
    let mut n_files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            n_files += each_file(&path, change);
        } else {
            change(&path);
            n_files += 1;
        }
    }
    n_files
}

fn session(processes: &Processes, target_partitions: usize) -> Session {
    let options = EngineOptions {
        target_partitions,
        ..EngineOptions::default()
    };
    let target = Target::Scheduler(processes.url.clone());
    let stores = Arc::<Stores>::default();
    Session::open(Catalog::default(), target, &options, &stores).unwrap()
}

#[test]
fn a_result_that_is_cut_while_it_is_fetched_is_an_error() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes::start(folder.path(), 1).unwrap();
    let session = session(&processes, N_BRANCHES);
    let text = [BRANCH; N_BRANCHES].join(" UNION ALL ");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for change in [cut_off, shorten] {
        runtime.block_on(async {
            let frame = session.sql(&text).await.unwrap();
            let mut query = session.start(frame).await.unwrap();
            let mut n_rows = query.next().await.unwrap().unwrap().num_rows();
            let n_files = each_file(&processes.executors[0].work_dir, change);
            assert!(n_files >= N_BRANCHES, "{n_files} files");
            let error = loop {
                match query.next().await {
                    Ok(Some(batch)) => n_rows += batch.num_rows(),
                    Ok(None) => panic!("{n_rows} rows without an error"),
                    Err(error) => break error,
                }
            };
            assert!(error.message().contains("cannot be fetched"), "{error}");
        });
    }
}

/// How many queries of the cluster have that status.
fn n_queries(processes: &Processes, status: &str) -> usize {
    let queries = get(&processes.url, "/api/jobs").unwrap().1;
    queries.matches(&format!("\"{status}\"")).count()
}

/// The client cannot fetch from the executor, which dies then with the result; another one is there later.
#[test]
fn a_result_whose_executor_dies_before_it_is_fetched_is_computed_again() {
    if !Proxy::is_possible() {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut processes = Processes::start_on(Network::All, folder.path(), 1).unwrap();
    let session = session(&processes, 2);
    let text = "SELECT value % 3 AS k, count(*) AS n, sum(value) AS total \
                FROM generate_series(1, 100000) GROUP BY value % 3 ORDER BY k";
    let [data, _] = processes.executors[0].links.as_ref().unwrap();
    data.cut_from(std::process::id());
    let query = thread::spawn(move || {
        let rows = async {
            let frame = session.sql(text).await?;
            session.start(frame).await?.collect().await
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { tokio::time::timeout(DEADLINE, rows).await })
    });
    let is_done = || n_queries(&processes, "Completed") > 0;
    assert!(wait_until(DEADLINE, is_done), "it has no result");
    // The client looks for executors before the query, too.
    let n_before = data.n_cut();
    let is_asked_for = wait_until(DEADLINE, || data.n_cut() > n_before);
    assert!(is_asked_for, "nobody fetched the result");
    processes.executors[0].process.signal("KILL").unwrap();
    processes.add_executor().unwrap();
    let rows = query.join().unwrap().unwrap().unwrap();
    let expected = [
        ["0", "33333", "1666683333"],
        ["1", "33334", "1666716667"],
        ["2", "33333", "1666650000"],
    ];
    assert_eq!(cells(&rows).unwrap(), expected);
    assert!(n_queries(&processes, "Completed") > 1, "it ran once only");
}
