//! Where queries run: from the settings to an open session.

use std::sync::Arc;
use std::time::Duration;

use emporia_core::catalog::Catalog;
use emporia_core::config::Cluster;
use emporia_core::error::Result;
use emporia_engine::reach;
use emporia_engine::rest::Rest;
use emporia_engine::{EngineOptions, Session, Stores, Target};

use crate::local::LocalCluster;
use crate::settings::Context;

/// Patience with a remote scheduler that does not answer.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);

/// An open session; an in-process cluster ends with it.
pub(crate) struct Connection {
    pub(crate) session: Session,
    pub(crate) url: String,
    options: EngineOptions,
    stores: Arc<Stores>,
    _local: Option<LocalCluster>,
}

impl Connection {
    /// Starts the in-process cluster or reaches the remote one, and opens a session on it.
    pub(crate) async fn open(context: &Context, catalog: Catalog) -> Result<Self> {
        let (url, local, total_slots) = match &context.settings.cluster {
            Cluster::Local { executors } => {
                let cluster = LocalCluster::start(*executors, &context.stores).await?;
                (cluster.url().to_owned(), Some(cluster), *executors)
            }
            Cluster::Remote { url } => (url.clone(), None, remote_slots(url).await?),
        };
        let options = engine_options(context, total_slots);
        let session = Session::open(
            catalog,
            Target::Scheduler(url.clone()),
            &options,
            &context.stores,
        )?;
        session.list_warehouse().await?;
        Ok(Self {
            session,
            url,
            options,
            stores: Arc::clone(&context.stores),
            _local: local,
        })
    }

    /// Another session on the same cluster, over other tables.
    pub(crate) fn session_over(&self, catalog: Catalog) -> Result<Session> {
        Session::open(
            catalog,
            Target::Scheduler(self.url.clone()),
            &self.options,
            &self.stores,
        )
    }
}

fn engine_options(context: &Context, total_slots: usize) -> EngineOptions {
    let settings = &context.settings;
    let target_partitions = match settings.target_partitions {
        0 => total_slots.max(1),
        chosen => chosen,
    };
    EngineOptions {
        adaptive: settings.aqe,
        target_partitions,
        batch_size: settings.batch_size,
        broadcast_threshold_bytes: settings.broadcast_threshold.0,
        ..EngineOptions::default()
    }
}

/// Checks that the scheduler answers and counts the task slots of its executors.
async fn remote_slots(url: &str) -> Result<usize> {
    reach(url).await?;
    let rest = Rest::new(url)?;
    let executors = rest.executors().await?;
    reach::check_any(&rest, &executors).await?;
    if executors.is_empty() {
        tracing::warn!(
            url,
            "the cluster has no executors; jobs wait for the first one"
        );
    }
    Ok(executors
        .iter()
        .map(|e| e.specification.vcores as usize)
        .sum())
}

/// Fails within seconds where nobody listens at `url`.
pub(crate) async fn reach(url: &str) -> Result<()> {
    let target = Target::Scheduler(url.to_owned());
    Session::open(
        Catalog::default(),
        target,
        &EngineOptions::default(),
        &Arc::default(),
    )?
    .check_reachable(REACH_TIMEOUT)
    .await
}
