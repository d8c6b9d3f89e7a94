//! A folder of Parquet files, and two sessions that read it: one process and a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::{Error, Result};
use emporia_e2e::sandbox::{Sandbox, query, single_process};
use emporia_engine::{EngineOptions, Session};
use tempfile::TempDir;

/// Files that were put anywhere, which tells their times apart.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// The folder is the table `t`.
pub(super) struct Shelf {
    folder: TempDir,
    definition: TableDef,
    cluster: Sandbox,
}

impl Shelf {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}/t/", folder.path().display());
        fs::create_dir(folder.path().join("t")).unwrap();
        Self {
            folder,
            definition: TableDef::new("parquet", location),
            cluster: Sandbox::start(&[1, 1]).await.unwrap(),
        }
    }

    /// Reads files of another connector.
    pub(super) fn connector(&mut self, name: &str) {
        name.clone_into(&mut self.definition.connector);
    }

    /// Declares columns of the table.
    pub(super) fn columns(&mut self, columns: &[&str]) {
        self.definition.columns = columns.iter().map(|c| (*c).to_owned()).collect();
    }

    /// Declares columns in the names of folders.
    pub(super) fn partitions(&mut self, columns: &str) {
        let options = &mut self.definition.options;
        options.insert("partitions".to_owned(), columns.to_owned());
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("t").join(file)
    }

    /// Puts a file there, whole.
    pub(super) fn put(&self, file: &str, bytes: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        let written = self.folder.path().join("written");
        fs::write(&written, bytes).unwrap();
        // A clock may show two files that follow each other closely the same time.
        let seconds = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
        let file = fs::File::options().write(true).open(&written).unwrap();
        file.set_modified(time).unwrap();
        fs::rename(written, path).unwrap();
    }

    pub(super) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    fn catalog(&self) -> Catalog {
        Catalog {
            tables: [("t".to_owned(), self.definition.clone())].into(),
            ..Catalog::default()
        }
    }

    /// Sessions that stay.
    pub(super) fn sessions(&self) -> [Session; 2] {
        let options = EngineOptions {
            target_partitions: 4,
            ..EngineOptions::default()
        };
        [
            single_process(self.catalog()).unwrap(),
            self.cluster.session(self.catalog(), &options).unwrap(),
        ]
    }

    /// The rows of the query, which are the same in both sessions.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        rows_of(&self.sessions(), sql).await
    }

    /// The error of the query, which comes in both sessions and has all the words.
    pub(super) async fn fails(&self, sql: &str, words: &[&str]) {
        for session in self.sessions() {
            has_words(query(&session, sql).await, words);
        }
    }
}

pub(super) async fn rows_of(sessions: &[Session; 2], sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    for session in sessions {
        let rows = query(session, sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {}", full(&e)));
        found.push(rows.iter().map(|row| row.join(",")).collect::<Vec<_>>());
    }
    let on_cluster = found.pop().unwrap();
    assert_eq!(found, std::slice::from_ref(&on_cluster), "{sql}");
    on_cluster
}

pub(super) fn has_words<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let error = result.expect_err("it has to fail");
    let text = full(&error);
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

/// The error with hint and causes.
fn full(error: &Error) -> String {
    let mut text = format!("{error}; {}", error.hint().unwrap_or_default());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A Parquet file of these columns.
pub(super) fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    parquet_of(&[columns], WriterProperties::new())
}

/// A Parquet file with a row group for each element of `groups`.
pub(super) fn parquet_of(
    groups: &[Vec<(&str, ArrayRef)>],
    properties: WriterProperties,
) -> Vec<u8> {
    let batches: Vec<_> = groups
        .iter()
        .map(|columns| {
            RecordBatch::try_from_iter_with_nullable(
                columns
                    .iter()
                    .map(|(name, values)| (*name, Arc::clone(values), true)),
            )
        })
        .collect::<std::result::Result<_, _>>()
        .unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batches[0].schema(), Some(properties)).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// A column of whole numbers.
pub(super) fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}
