//! The connectors behind one set of calls: the contract suite runs once for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use emporia_connectors::write::FileFormat;
use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::Result;
use emporia_core::job::OutputSpec;
use emporia_e2e::sandbox::{Sandbox, single_process_on};
use emporia_e2e::services::Services;
use emporia_engine::job::JobRun;
use emporia_engine::publish::{Destination, Mode, publish};
use emporia_engine::{EngineOptions, Session, Stores};
use tempfile::TempDir;
use tokio::sync::RwLockReadGuard;

/// Where tables are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Local,
    Hdfs,
    HBase,
    MongoDb,
}

/// More partitions than the two executors have slots.
const N_PARTITIONS: usize = 5;

/// A cluster with two executors of one slot each, and stores that it reaches.
pub(super) struct Desk {
    pub(super) services: Services,
    pub(super) stores: Arc<Stores>,
    sandbox: Sandbox,
    folder: TempDir,
    _servers: RwLockReadGuard<'static, ()>,
}

impl Desk {
    /// `None`, with a line that says why, where no servers run.
    pub(super) async fn open() -> Option<Self> {
        let services = Services::find()?;
        let servers = super::SERVERS.read().await;
        let stores = services.stores();
        Some(Self {
            sandbox: Sandbox::start_on(&[1, 1], &stores).await.unwrap(),
            services,
            stores,
            folder: tempfile::tempdir().unwrap(),
            _servers: servers,
        })
    }

    /// A session on the cluster.
    pub(super) fn session(&self, catalog: Catalog, adaptive: bool) -> Session {
        let options = EngineOptions {
            adaptive,
            target_partitions: N_PARTITIONS,
            ..EngineOptions::default()
        };
        self.sandbox.session(catalog, &options).unwrap()
    }

    /// A name that no other test uses.
    fn unique(name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{name}_{}_{n}", std::process::id())
    }

    /// A table definition on `backend`; `columns` are those of the catalog file.
    pub(super) fn define(&self, backend: Backend, name: &str, columns: &[&str]) -> TableDef {
        let name = Self::unique(name);
        let mut table = match backend {
            Backend::Local => {
                let folder = self.folder.path().join(name);
                TableDef::new("parquet", format!("file://{}", folder.display()))
            }
            Backend::Hdfs => {
                TableDef::new("parquet", format!("{}/contract/{name}", self.services.hdfs))
            }
            Backend::HBase => TableDef::new("hbase", format!("hbase:{name}")),
            Backend::MongoDb => TableDef::new("mongodb", format!("mongodb:contract.{name}")),
        };
        table.columns = columns.iter().map(|c| (*c).to_owned()).collect();
        match backend {
            Backend::HBase => {
                table.options.insert("key".to_owned(), "id".to_owned());
                table.options.insert("family".to_owned(), "f".to_owned());
                table
                    .options
                    .insert("presence".to_owned(), "f:_".to_owned());
            }
            Backend::MongoDb => {
                table.options.insert("key".to_owned(), "id".to_owned());
                // FerretDB, which stands in for MongoDB, has no decimals.
                table
                    .options
                    .insert("stored.price".to_owned(), "text".to_owned());
                // And it cannot sample.
                table
                    .options
                    .insert("split_at".to_owned(), "k2,k5".to_owned());
            }
            Backend::Local | Backend::Hdfs => {}
        }
        table
    }

    /// Writes rows to the table through the cluster's writers.
    pub(super) async fn store(&self, table: &TableDef, rows: &[RecordBatch]) -> Result<u64> {
        let session = single_process_on(Catalog::default(), &self.stores)?;
        let frame = memory_frame(&session, rows);
        let destination = match table.connector.as_str() {
            "hbase" | "mongodb" => Destination::Table {
                table: table.clone(),
                mode: Mode::Append,
            },
            _ => Destination::Folder {
                location: table.location.clone(),
                format: FileFormat::Parquet,
            },
        };
        let specs = [OutputSpec {
            name: "rows".to_owned(),
            key: vec!["id".to_owned()],
        }];
        let run = JobRun::table("rows", frame);
        let report = publish(&session, run, &specs, &destination).await?;
        Ok(report.tables.iter().map(|t| t.rows).sum())
    }
}

fn memory_frame(session: &Session, rows: &[RecordBatch]) -> datafusion::prelude::DataFrame {
    let schema = rows[0].schema();
    let partitions = rows.iter().map(|b| vec![b.clone()]).collect();
    let table = MemTable::try_new(schema, partitions).unwrap();
    session.context().read_table(Arc::new(table)).unwrap()
}

/// A session without a cluster that has `rows` as the table `t`: the answer to compare with.
pub(super) fn reference(rows: &[RecordBatch]) -> Session {
    let session = single_process_on(Catalog::default(), &Arc::default()).unwrap();
    let partitions = vec![rows.to_vec()];
    let table = MemTable::try_new(rows[0].schema(), partitions).unwrap();
    session
        .context()
        .register_table("t", Arc::new(table))
        .unwrap();
    session
}

/// A catalog with one table `t`.
pub(super) fn catalog(table: &TableDef) -> Catalog {
    Catalog {
        tables: [("t".to_owned(), table.clone())].into(),
        ..Catalog::default()
    }
}
