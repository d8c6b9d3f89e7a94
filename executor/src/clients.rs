//! Connections to other executors, kept for the next shuffle read.
//!
//! Ballista's own pool is not public, and an execution engine other than its default one gets none.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::client::BallistaClient;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::Result;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::utils::GrpcClientConfig;

/// How long a connection is kept without use.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

type Peer = (String, u16, GrpcClientConfig);
type IdleClients = HashMap<Peer, Vec<(Instant, BallistaClient)>>;

/// Idle connections by peer, the most recently used last.
#[derive(Clone, Default)]
pub(crate) struct ClientPool(Arc<Mutex<IdleClients>>);

impl fmt::Debug for ClientPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPool").finish_non_exhaustive()
    }
}

impl ClientPool {
    fn with_idle<T>(&self, use_idle: impl FnOnce(&mut IdleClients) -> T) -> T {
        use_idle(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An idle connection to `peer`; those that were idle for too long, to anyone, are closed.
    fn take(&self, peer: &Peer) -> Option<BallistaClient> {
        self.with_idle(|idle| {
            close_unused(idle);
            idle.get_mut(peer)?.pop().map(|(_, client)| client)
        })
    }

    fn give_back(&self, peer: Peer, client: BallistaClient) {
        self.with_idle(|idle| idle.entry(peer).or_default().push((Instant::now(), client)));
    }
}

#[async_trait]
impl BallistaClientPool for ClientPool {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        config: &GrpcClientConfig,
        customize_endpoint: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient> {
        let peer = (host.to_owned(), port, config.clone());
        let client = match self.take(&peer) {
            Some(client) => client,
            None => {
                BallistaClient::try_new(
                    host,
                    port,
                    config.max_message_size,
                    config.use_tls,
                    customize_endpoint,
                    config.io_retries_times,
                    config.io_retry_wait_time_ms,
                    config.initial_connection_window_size,
                    config.initial_stream_window_size,
                )
                .await?
            }
        };
        let pool = self.clone();
        let give_back = Box::new(move |client| pool.give_back(peer, client));
        Ok(PooledClient::new(client, give_back))
    }

    async fn evict_idle(&self) {
        self.with_idle(close_unused);
    }
}

fn close_unused(idle: &mut IdleClients) {
    idle.retain(|_, clients| {
        clients.retain(|(since, _)| since.elapsed() < IDLE_LIMIT);
        !clients.is_empty()
    });
}
