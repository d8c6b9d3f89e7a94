//! A session on one process and one on a cluster, over the same catalog.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use emporia_client::local::LocalCluster;
use emporia_core::catalog::Catalog;
use emporia_core::error::{Error, Result};
use emporia_engine::{EngineOptions, Session, Stores, Target};

use crate::cluster::Cluster;

/// A cluster and the ways to query it.
pub struct Sandbox {
    cluster: Held,
    stores: Arc<Stores>,
}

/// Keeps a cluster alive.
enum Held {
    InProcess(LocalCluster),
    Processes(Cluster),
}

impl Sandbox {
    /// Starts a cluster with one executor per element of `slots`.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub async fn start(slots: &[usize]) -> Result<Self> {
        Self::start_on(slots, &Arc::default()).await
    }

    /// As [`Sandbox::start`], with access to `stores`.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub async fn start_on(slots: &[usize], stores: &Arc<Stores>) -> Result<Self> {
        Ok(Self {
            cluster: Held::InProcess(LocalCluster::start_with(slots, stores).await?),
            stores: Arc::clone(stores),
        })
    }

    /// Starts a scheduler and two executors of one slot as processes, with their state in `folder`.
    ///
    /// # Errors
    /// With what the program said.
    pub fn of_processes(folder: &Path) -> Result<Self> {
        let flags = ["--executors", "2", "--slots", "1"];
        let cluster = Cluster::up(folder, &flags, &[]).map_err(Error::internal)?;
        Ok(Self {
            cluster: Held::Processes(cluster),
            stores: Arc::default(),
        })
    }

    /// The scheduler's address.
    pub fn url(&self) -> &str {
        match &self.cluster {
            Held::InProcess(cluster) => cluster.url(),
            Held::Processes(cluster) => &cluster.url,
        }
    }

    /// A session on the cluster.
    ///
    /// # Errors
    /// Where it cannot be built.
    pub fn session(&self, catalog: Catalog, options: &EngineOptions) -> Result<Session> {
        Session::open(
            catalog,
            Target::Scheduler(self.url().to_owned()),
            options,
            &self.stores,
        )
    }
}

/// A session without a cluster.
///
/// # Errors
/// Where it cannot be built.
pub fn single_process(catalog: Catalog) -> Result<Session> {
    single_process_on(catalog, &Arc::default())
}

/// A session without a cluster that reaches `stores`.
///
/// # Errors
/// Where it cannot be built.
pub fn single_process_on(catalog: Catalog, stores: &Arc<Stores>) -> Result<Session> {
    let options = EngineOptions::default();
    Session::open(catalog, Target::SingleProcess, &options, stores)
}

/// The rows of batches as text cells, nulls as `NULL`.
///
/// # Errors
/// Where a value cannot be shown.
pub fn cells(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, arrow::error::ArrowError> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|c| ArrayFormatter::try_new(c.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|c| c.value(row).to_string()).collect());
        }
    }
    Ok(rows)
}

/// Runs one statement and returns its rows as text.
///
/// # Errors
/// Of planning or running it.
pub async fn query(session: &Session, sql: &str) -> Result<Vec<Vec<String>>> {
    let frame = session.sql(sql).await?;
    let batches = session.collect(frame).await?;
    cells(&batches).map_err(|e| Error::internal(e.to_string()))
}
