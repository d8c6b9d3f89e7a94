//! The client: its options, its gateways, and how a call is repeated.

use std::sync::Arc;

use crate::action::Action;
use crate::backoff::Backoff;
use crate::error::{Error, Result};
use crate::gateways::{Gateways, Lease};
use crate::handshake::Interface;
use crate::options::ClientOptions;
use crate::wire::{TlsConfig, reply};

/// A client of one HBase cluster. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    gateways: Arc<Gateways>,
    admin: Option<Arc<Gateways>>,
}

impl Client {
    /// A client with these options. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::InvalidOptions`].
    pub fn new(options: ClientOptions) -> Result<Self> {
        options.check()?;
        let tls = options.tls.as_ref().map(TlsConfig::load).transpose()?;
        let gateways = Gateways::new(
            &options.gateways,
            Interface::Thrift1,
            &options,
            tls.as_ref(),
        )?;
        let admin = match &options.admin_gateway {
            Some(name) => Some(Gateways::new(
                std::slice::from_ref(name),
                Interface::Thrift2,
                &options,
                tls.as_ref(),
            )?),
            None => None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                gateways,
                admin,
            }),
        })
    }

    /// Makes sure that one gateway answers. Each is tried once; nothing is waited for.
    ///
    /// # Errors
    /// [`Error::NoGateway`], [`Error::WrongProtocol`].
    pub fn check(&self) -> Result<()> {
        let action = Action::general("reach hbase");
        let mut lease = self.inner.gateways.lend(action, None)?;
        lease.call(action, |connection| {
            connection.ask("getThriftServerType", |_| Ok(()), reply::nothing)
        })
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// The Thrift1 gateways.
    pub(crate) fn gateways(&self) -> &Arc<Gateways> {
        &self.inner.gateways
    }

    /// A new stock of patience.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.inner.options.patience)
    }

    /// Repeats `attempt` until it succeeds, fails for good, or patience ends. The attempt must do
    /// no harm when it is made again after it took effect.
    pub(crate) fn run<T>(
        &self,
        action: Action<'_>,
        attempt: impl FnMut(&mut Lease) -> Result<T>,
    ) -> Result<T> {
        self.run_on(&self.inner.gateways, action, attempt)
    }

    /// The same on the Thrift2 gateway.
    pub(crate) fn run_admin<T>(
        &self,
        action: Action<'_>,
        attempt: impl FnMut(&mut Lease) -> Result<T>,
    ) -> Result<T> {
        let admin = self
            .inner
            .admin
            .as_ref()
            .ok_or_else(|| Error::InvalidRequest {
                action: action.to_string(),
                message: "a table with split keys can only be created through a thrift2 gateway; \
                      configure the admin gateway"
                    .to_owned(),
            })?;
        self.run_on(admin, action, attempt)
    }

    fn run_on<T>(
        &self,
        gateways: &Arc<Gateways>,
        action: Action<'_>,
        mut attempt: impl FnMut(&mut Lease) -> Result<T>,
    ) -> Result<T> {
        let mut backoff = self.backoff();
        loop {
            let result = gateways
                .lend(action, None)
                .and_then(|mut lease| attempt(&mut lease));
            match result {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let text = error.to_string();
                    backoff.bear(error)?;
                    tracing::debug!(error = text, "tries again");
                }
            }
        }
    }
}
