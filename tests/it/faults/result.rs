//! Results whose files are damaged after the query's end, while they are fetched.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use emporia_core::catalog::Catalog;
use emporia_engine::{EngineOptions, Session, Stores, Target};

use super::cluster::Processes;
use super::turn;

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

#[test]
fn a_result_that_is_cut_while_it_is_fetched_is_an_error() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes::start(folder.path(), 1).unwrap();
    let options = EngineOptions {
        target_partitions: N_BRANCHES,
        ..EngineOptions::default()
    };
    let target = Target::Scheduler(processes.url.clone());
    let stores = Arc::<Stores>::default();
    let session = Session::open(Catalog::default(), target, &options, &stores).unwrap();
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
