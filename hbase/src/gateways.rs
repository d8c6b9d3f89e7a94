//! The gateways of a client: which one to use, and connections kept for later.
//!
//! Work goes round the gateways. One that failed is avoided for a while, which doubles with each
//! failure, so that a dead one does not cost its connect timeout again and again. When all are to
//! be avoided they are tried nevertheless: a caller that waits has nothing better to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::action::Action;
use crate::connection::{Connection, Dialect};
use crate::error::{Error, Result};
use crate::fault::{self, Fault, FaultKind};
use crate::handshake::{self, Interface};
use crate::options::{Address, ClientOptions};
use crate::wire::TlsConfig;

/// A connection that was idle for longer is dropped: the gateway closes it after 60 s.
const MAX_IDLE: Duration = Duration::from_secs(45);

/// Idle connections that are kept for one gateway.
const MAX_KEPT: usize = 32;

/// A gateway is avoided this long after its first failure, and never longer than the second.
const FIRST_AVOIDANCE: Duration = Duration::from_secs(1);
const LONGEST_AVOIDANCE: Duration = Duration::from_secs(30);

/// All gateways of one interface.
#[derive(Debug)]
pub(crate) struct Gateways {
    gateways: Vec<Gateway>,
    interface: Interface,
    dialect: Dialect,
    connect_timeout: Duration,
    request_timeout: Duration,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Gateway {
    name: String,
    address: Address,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    /// Whether the gateway ever answered.
    is_proven: bool,
    n_failures: u32,
    avoid_until: Option<Instant>,
}

impl Gateways {
    /// Checks the addresses; connects to none.
    pub(crate) fn new(
        names: &[String],
        interface: Interface,
        options: &ClientOptions,
        tls: Option<&TlsConfig>,
    ) -> Result<Arc<Self>> {
        let gateways = names
            .iter()
            .map(|name| {
                Ok(Gateway {
                    name: name.clone(),
                    address: Address::parse(name)?,
                    state: Mutex::default(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            // Clients that start at the same time begin at different gateways.
            turn: AtomicUsize::new(fastrand::usize(0..gateways.len().max(1))),
            gateways,
            interface,
            dialect: Dialect {
                protocol: options.protocol,
                transport: options.transport,
                tls: tls.cloned(),
                max_message_bytes: options.max_message_bytes,
            },
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
        }))
    }

    /// A connection to the gateway whose turn it is, or to the one on the preferred host.
    pub(crate) fn lend(
        self: &Arc<Self>,
        action: Action<'_>,
        preferred: Option<&str>,
    ) -> Result<Lease> {
        let mut tried = Vec::new();
        for index in self.order(preferred) {
            match self.connect(index) {
                Ok(connection) => {
                    return Ok(Lease {
                        gateways: Arc::clone(self),
                        index,
                        connection: Some(connection),
                    });
                }
                Err(fault) => {
                    let name = &self.gateways[index].name;
                    // Every further attempt would say the same.
                    match self.note_failure(index, fault.kind) {
                        1 => {
                            tracing::warn!(gateway = %name, error = %fault, "gateway cannot be used");
                        }
                        _ => {
                            tracing::debug!(gateway = %name, error = %fault, "gateway cannot be used");
                        }
                    }
                    tried.push((name, fault));
                }
            }
        }
        // Nothing that is only wrong will pass.
        if let Some((gateway, fault)) = tried.first()
            && tried
                .iter()
                .all(|(_, fault)| fault.kind == FaultKind::WrongProtocol)
        {
            return Err(fault.clone().at(action, gateway));
        }
        let tried: Vec<_> = tried
            .iter()
            .map(|(gateway, fault)| format!("{gateway} ({fault})"))
            .collect();
        Err(Error::NoGateway {
            action: action.to_string(),
            tried: tried.join(", "),
        })
    }

    /// All gateways, the best first.
    fn order(&self, preferred: Option<&str>) -> Vec<usize> {
        let n_gateways = self.gateways.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut order: Vec<_> = (0..n_gateways)
            .map(|step| (turn.wrapping_add(step)) % n_gateways)
            .collect();
        order.sort_by_cached_key(|&index| {
            let gateway = &self.gateways[index];
            let avoid_until = gateway.state().avoid_until.filter(|until| *until > now);
            let is_preferred =
                preferred.is_some_and(|host| host.eq_ignore_ascii_case(&gateway.address.host));
            (avoid_until, !is_preferred)
        });
        order
    }

    fn connect(&self, index: usize) -> fault::Result<Connection> {
        let gateway = &self.gateways[index];
        loop {
            let Some(mut connection) = gateway.state().idle.pop() else {
                break;
            };
            if connection.is_fresh(MAX_IDLE) {
                return Ok(connection);
            }
        }
        let is_proven = gateway.state().is_proven;
        let mut connection = handshake::open(
            &gateway.address,
            &self.dialect,
            self.interface,
            self.connect_timeout,
            is_proven,
        )?;
        connection.set_timeout(self.request_timeout)?;
        gateway.state().is_proven = true;
        tracing::debug!(gateway = %gateway.name, "connected");
        Ok(connection)
    }

    fn note_success(&self, index: usize) {
        let mut state = self.gateways[index].state();
        state.n_failures = 0;
        state.avoid_until = None;
    }

    /// Returns the number of failures since the last success.
    fn note_failure(&self, index: usize, kind: FaultKind) -> u32 {
        let mut state = self.gateways[index].state();
        let avoidance = match kind {
            // The gateway did as it was asked.
            FaultKind::TooLarge => return state.n_failures,
            FaultKind::WrongProtocol => LONGEST_AVOIDANCE,
            _ => FIRST_AVOIDANCE
                .saturating_mul(1 << state.n_failures.min(8))
                .min(LONGEST_AVOIDANCE),
        };
        state.n_failures = state.n_failures.saturating_add(1);
        state.avoid_until = Some(Instant::now() + avoidance);
        if kind == FaultKind::Connection {
            state.idle.clear();
        }
        state.n_failures
    }
}

impl Gateway {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is lent; it goes back when this is dropped, unless it is broken.
#[derive(Debug)]
pub(crate) struct Lease {
    gateways: Arc<Gateways>,
    index: usize,
    /// There until it goes back or breaks.
    connection: Option<Connection>,
}

impl Lease {
    /// Name of the gateway.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateways.gateways[self.index].name
    }

    /// Uses the connection, and remembers how the gateway did.
    pub(crate) fn call<T>(
        &mut self,
        action: Action<'_>,
        step: impl FnOnce(&mut Connection) -> fault::Result<T>,
    ) -> Result<T> {
        let result = match &mut self.connection {
            Some(connection) => step(connection),
            None => Err(Fault::new(FaultKind::Connection, "used after a fault")),
        };
        match &result {
            Err(fault) if fault.breaks_connection() => {
                self.connection = None;
                self.gateways.note_failure(self.index, fault.kind);
            }
            _ => self.gateways.note_success(self.index),
        }
        result.map_err(|fault| fault.at(action, self.gateway()))
    }

    /// Whether a fault made the connection useless.
    pub(crate) fn is_broken(&self) -> bool {
        self.connection.is_none()
    }

    /// The bytes of the last reply.
    pub(crate) fn reply_bytes(&self) -> &[u8] {
        self.connection
            .as_ref()
            .map_or(&[], Connection::reply_bytes)
    }

    /// Size of the last reply.
    pub(crate) fn reply_size(&self) -> usize {
        self.connection.as_ref().map_or(0, Connection::reply_size)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if connection.is_broken()
            || connection
                .set_timeout(self.gateways.request_timeout)
                .is_err()
        {
            return;
        }
        let mut state = self.gateways.gateways[self.index].state();
        if state.idle.len() < MAX_KEPT {
            state.idle.push(connection);
        }
    }
}
