//! The one place that runs a statement, on one process or on a cluster.
//!
//! Tables that a statement makes are managed tables: files that all processes read.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use emporia_core::catalog::Catalog;
use emporia_engine::insert::insert;
use emporia_engine::statement::{Statement as Understood, StatementError};
use emporia_engine::{EngineOptions, Session, Target};

use super::cells::ColumnType;
use super::statement::Statement;
use crate::sandbox::Sandbox;

/// Partitions of scans and exchanges, as DataFusion runs its files.
const PARTITIONS: usize = 4;

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

    /// The number of rows that a statement wrote or changed.
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

/// A session whose tables end with it.
pub(super) struct Database {
    session: Session,
}

impl Database {
    pub(super) fn open(place: &Place) -> Result<Self, String> {
        let options = EngineOptions {
            target_partitions: PARTITIONS,
            ..EngineOptions::default()
        };
        let session = match place {
            Place::OneProcess => {
                let target = Target::SingleProcess;
                Session::open(Catalog::default(), target, &options, &Arc::default())
            }
            Place::Cluster(sandbox) => sandbox.session(Catalog::default(), &options),
        };
        Ok(Self {
            session: session.map_err(|e| e.to_string())?,
        })
    }

    /// Runs one statement, as `emporia sql` does.
    pub(super) async fn run(&mut self, statement: &Statement) -> Result<Answer, String> {
        let failed = |e: StatementError| e.into_error().to_string();
        let session = &self.session;
        if matches!(statement.words().next(), Some("set" | "reset")) {
            return self.set(&statement.sql).await;
        }
        let frame = match session.statement(&statement.sql).await.map_err(failed)? {
            Understood::Query(frame) => frame,
            Understood::Write(insertion) => {
                let report = insert(session, insertion)
                    .await
                    .map_err(|e| e.to_string())?;
                return Answer::count(report.tables.iter().map(|t| t.rows).sum());
            }
            Understood::Command(command) => {
                let done = session.run(command).await.map_err(failed)?;
                return done
                    .changed
                    .map_or_else(|| Ok(Answer::nothing()), Answer::count);
            }
        };
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

    /// Changes a setting of DataFusion, also one that Emporia refuses: the records after it are for it.
    async fn set(&self, sql: &str) -> Result<Answer, String> {
        let frame = self.session.context().sql(sql).await;
        let rows = frame.map_err(|e| e.to_string())?.collect().await;
        rows.map(|_| Answer::nothing()).map_err(|e| e.to_string())
    }
}
