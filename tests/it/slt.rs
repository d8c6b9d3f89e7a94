//! Runs every `.slt` file twice: on one process and on a cluster of two executors.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use emporia_core::catalog::Catalog;
use emporia_core::error::Error;
use emporia_e2e::sandbox::{Sandbox, cells, single_process};
use emporia_e2e::workspace;
use emporia_engine::{EngineOptions, Session};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

struct Database {
    session: Session,
    name: &'static str,
}

/// sqllogictest wants a standard error with the text in `Display`.
#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let sql = sql.replace(
            "$DATA",
            &workspace().join("tests/slt/data").display().to_string(),
        );
        let frame = self.session.sql(&sql).await?;
        let fields = frame.schema().fields().clone();
        if fields.is_empty() {
            self.session.collect(frame).await?;
            return Ok(DBOutput::StatementComplete(0));
        }
        let types = fields.iter().map(|f| column_type(f.data_type())).collect();
        let batches = self.session.collect(frame).await?;
        let rows = cells(&batches).map_err(|e| Failure(e.to_string()))?;
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        self.name
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    if data_type.is_integer() {
        DefaultColumnType::Integer
    } else if data_type.is_numeric() {
        DefaultColumnType::FloatingPoint
    } else {
        DefaultColumnType::Text
    }
}

fn files() -> Vec<PathBuf> {
    let folder = workspace().join("tests/slt");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no .slt files");
    files
}

async fn run_all(open: impl Fn() -> Database) {
    for file in files() {
        let open = &open;
        let mut runner = Runner::new(async || Ok(open()));
        runner.run_file_async(&file).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slt_on_one_process() {
    run_all(|| Database {
        session: single_process(Catalog::default()).unwrap(),
        name: "single",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slt_on_a_cluster() {
    run_on_a_cluster(true).await;
}

/// Planned again, small stages have one partition.
#[tokio::test(flavor = "multi_thread")]
async fn slt_on_a_cluster_with_plans_that_stay() {
    run_on_a_cluster(false).await;
}

async fn run_on_a_cluster(adaptive: bool) {
    let sandbox = Arc::new(Sandbox::start(&[1, 1]).await.unwrap());
    let options = EngineOptions {
        adaptive,
        target_partitions: 4,
        ..EngineOptions::default()
    };
    run_all(|| Database {
        session: sandbox.session(Catalog::default(), &options).unwrap(),
        name: "cluster",
    })
    .await;
}
