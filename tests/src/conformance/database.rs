//! The one place that runs a statement, on one process or on a cluster.
//!
//! On one process, tables that a statement makes are held in memory. A cluster does not see that
//! memory, so there the statement runs on one process beside it, and the rows of the table are
//! stored as Parquet files, which the cluster reads.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::concat_batches;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrameWriteOptions;
use emporia_core::catalog::Catalog;
use emporia_engine::insert::insert;
use emporia_engine::statement::{Statement as Understood, StatementError};
use emporia_engine::{EngineOptions, Session, Target};
use tempfile::TempDir;

use super::cells::ColumnType;
use super::statement::{Kind, Statement};
use crate::sandbox::Sandbox;

/// Partitions of scans and exchanges, as DataFusion runs its files.
const PARTITIONS: usize = 4;
/// Files of a stored table, so that more than one task reads it.
const FILES: usize = 3;

/// Where statements run.
pub enum Place {
    /// On DataFusion in this process.
    OneProcess,
    /// On this cluster.
    Cluster(Sandbox),
}

impl Place {
    /// Two executors with fewer slots than there are partitions.
    ///
    /// # Errors
    /// Where the cluster does not become ready.
    pub async fn cluster() -> Result<Self, String> {
        let sandbox = Sandbox::start(&[1, 1]).await;
        sandbox.map(Self::Cluster).map_err(|e| e.to_string())
    }

    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OneProcess => "one process",
            Self::Cluster(_) => "cluster",
        }
    }
}

/// What a statement returned.
pub(super) struct Answer {
    pub(super) types: Vec<ColumnType>,
    pub(super) batches: Vec<RecordBatch>,
}

impl Answer {
    pub(super) fn n_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn nothing() -> Self {
        Self {
            types: Vec::new(),
            batches: Vec::new(),
        }
    }

    /// The number of rows that a statement wrote.
    fn count(n_rows: u64) -> Result<Self, String> {
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![n_rows]));
        let batch = RecordBatch::try_from_iter([("count", column)]).map_err(|e| e.to_string())?;
        Ok(Self {
            types: batch
                .schema()
                .fields()
                .iter()
                .map(|f| ColumnType::of(f))
                .collect(),
            batches: vec![batch],
        })
    }
}

/// A session, and what a cluster needs beside it.
pub(super) struct Database {
    session: Session,
    beside: Option<Beside>,
}

/// One process that makes the tables of a cluster.
struct Beside {
    session: Session,
    folder: TempDir,
    n_tables: usize,
    /// Tables that are made of files which a statement declared.
    declared: BTreeSet<TableReference>,
}

impl Database {
    pub(super) fn open(place: &Place) -> Result<Self, String> {
        let options = EngineOptions {
            target_partitions: PARTITIONS,
            ..EngineOptions::default()
        };
        let one_process = || {
            let target = Target::SingleProcess;
            Session::open(Catalog::default(), target, &options, &Arc::default())
        };
        let session = match place {
            Place::OneProcess => one_process(),
            Place::Cluster(sandbox) => sandbox.session(Catalog::default(), &options),
        };
        let beside = match place {
            Place::OneProcess => None,
            Place::Cluster(_) => Some(Beside {
                session: one_process().map_err(|e| e.to_string())?,
                folder: tempfile::tempdir().map_err(|e| e.to_string())?,
                n_tables: 0,
                declared: BTreeSet::new(),
            }),
        };
        Ok(Self {
            session: session.map_err(|e| e.to_string())?,
            beside,
        })
    }

    /// Runs one statement.
    pub(super) async fn run(&mut self, statement: &Statement) -> Result<Answer, String> {
        let Some(beside) = &mut self.beside else {
            return run(&self.session, &statement.sql).await;
        };
        match (statement.kind(), statement.table()) {
            (Kind::Table, Some(table)) if !beside.declared.contains(&table) => {
                let answer = run(&beside.session, &statement.sql).await?;
                beside.show(&self.session, &table).await?;
                Ok(answer)
            }
            (Kind::Table, table) => {
                if let Some(table) = table.filter(|_| statement.drops()) {
                    beside.declared.remove(&table);
                    let _ = run(&beside.session, &statement.sql).await;
                }
                write(&self.session, &statement.sql).await
            }
            (Kind::External | Kind::Definition, table) => {
                // A later CREATE TABLE … AS may need it.
                let _ = run(&beside.session, &statement.sql).await;
                let answer = run(&self.session, &statement.sql).await?;
                beside.declared.extend(table);
                Ok(answer)
            }
            // The cluster publishes a folder, which later records do not expect.
            (Kind::Copy, _) => run(&beside.session, &statement.sql).await,
            (Kind::Query, _) => run(&self.session, &statement.sql).await,
        }
    }
}

/// How an error begins that says that rows cannot be stored for a cluster.
pub(super) const UNSTORED: &str = "the table cannot be stored as Parquet";

async fn run(session: &Session, sql: &str) -> Result<Answer, String> {
    let frame = session.sql(sql).await.map_err(|e| e.to_string())?;
    let fields = frame.schema().fields().clone();
    let batches = session.collect(frame).await.map_err(|e| e.to_string())?;
    if fields.is_empty() {
        return Ok(Answer::nothing());
    }
    // Types change where the query is prepared to run, e.g. of the branches of a union.
    let fields = match batches.first() {
        Some(batch) => batch.schema().fields().clone(),
        None => fields,
    };
    Ok(Answer {
        types: fields.iter().map(|f| ColumnType::of(f)).collect(),
        batches,
    })
}

/// Runs a statement that writes files, as `emporia sql` does.
async fn write(session: &Session, sql: &str) -> Result<Answer, String> {
    let failed = |e: StatementError| e.into_error().to_string();
    match session.statement(sql).await.map_err(failed)? {
        Understood::Write(insertion) => {
            let report = insert(session, insertion)
                .await
                .map_err(|e| e.to_string())?;
            Answer::count(report.tables.iter().map(|t| t.rows).sum())
        }
        Understood::Command(command) => {
            session.run(command).await.map_err(failed)?;
            Ok(Answer::nothing())
        }
        Understood::Query(_) => run(session, sql).await,
    }
}

impl Beside {
    /// Makes the table as it is now known to the cluster's session.
    async fn show(&mut self, session: &Session, table: &TableReference) -> Result<(), String> {
        let drop = format!("DROP TABLE IF EXISTS {}", table.to_quoted_string());
        run(session, &drop).await?;
        let context = self.session.context();
        if !context
            .table_exist(table.clone())
            .map_err(|e| e.to_string())?
        {
            return Ok(());
        }
        let folder = self.store(table).await?;
        let create = format!(
            "CREATE EXTERNAL TABLE {} STORED AS PARQUET LOCATION '{}/'",
            table.to_quoted_string(),
            folder.display()
        );
        run(session, &create).await.map(|_| ())
    }

    /// Writes the rows as files and returns their folder.
    async fn store(&mut self, table: &TableReference) -> Result<PathBuf, String> {
        let unstored = |e: datafusion::error::DataFusionError| format!("{UNSTORED}: {e}");
        self.n_tables += 1;
        let folder = self.folder.path().join(self.n_tables.to_string());
        std::fs::create_dir(&folder).map_err(|e| e.to_string())?;
        let context = self.session.context();
        let frame = context.table(table.clone()).await.map_err(unstored)?;
        let schema = Arc::clone(frame.schema().inner());
        let batches = frame.collect().await.map_err(unstored)?;
        let rows = concat_batches(&schema, &batches).map_err(|e| e.to_string())?;
        let size = rows.num_rows().div_ceil(FILES).max(1);
        for index in 0..FILES {
            let from = (index * size).min(rows.num_rows());
            let part = rows.slice(from, size.min(rows.num_rows() - from));
            if index > 0 && part.num_rows() == 0 {
                break;
            }
            let file = folder.join(format!("{index}.parquet"));
            let options = DataFrameWriteOptions::new().with_single_file_output(true);
            let frame = context.read_batch(part).map_err(unstored)?;
            frame
                .write_parquet(&file.display().to_string(), options, None)
                .await
                .map_err(unstored)?;
        }
        Ok(folder)
    }
}
