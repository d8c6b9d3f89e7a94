//! A session on one process and one on a cluster, over the same catalog.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use emporia_client::local::LocalCluster;
use emporia_core::catalog::Catalog;
use emporia_core::error::Result;
use emporia_engine::{EngineOptions, Session, Target};

/// A cluster and the ways to query it.
pub struct Sandbox {
    cluster: LocalCluster,
}

impl Sandbox {
    /// Starts a cluster with one executor per element of `slots`.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub async fn start(slots: &[usize]) -> Result<Self> {
        Ok(Self {
            cluster: LocalCluster::start_with(slots).await?,
        })
    }

    /// The scheduler's address.
    pub fn url(&self) -> &str {
        self.cluster.url()
    }

    /// A session on the cluster.
    ///
    /// # Errors
    /// Where it cannot be built.
    pub fn session(&self, catalog: Catalog, options: &EngineOptions) -> Result<Session> {
        Session::open(
            catalog,
            Target::Scheduler(self.cluster.url().to_owned()),
            options,
        )
    }
}

/// A session without a cluster.
///
/// # Errors
/// Where it cannot be built.
pub fn single_process(catalog: Catalog) -> Result<Session> {
    Session::open(catalog, Target::SingleProcess, &EngineOptions::default())
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
    cells(&batches).map_err(|e| emporia_core::Error::internal(e.to_string()))
}
