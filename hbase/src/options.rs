//! How a client reaches its gateways.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};

/// Options of a [`crate::Client`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// The Thrift1 gateways, `host:port` each. Work is spread over them, and each stands in for
    /// the others.
    pub gateways: Vec<String>,
    /// A Thrift2 gateway, `host:port`. Only tables with split keys need it: Thrift1 cannot create
    /// them.
    pub admin_gateway: Option<String>,
    /// How the gateways encode messages.
    pub protocol: Protocol,
    /// How the gateways delimit messages.
    pub transport: Transport,
    /// Encryption, where the gateways are behind a TLS endpoint.
    pub tls: Option<TlsOptions>,
    /// How long connecting may take, and the handshake after it.
    pub connect_timeout: Duration,
    /// How long a gateway may be silent while a reply is due. It must exceed the time that HBase
    /// needs for one page of a scan.
    pub request_timeout: Duration,
    /// How long a fault that may pass is borne without progress before it becomes an error.
    pub patience: Duration,
    /// The largest reply that is accepted.
    pub max_message_bytes: usize,
}

/// How messages are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Thrift's binary protocol, the default of HBase.
    Binary,
    /// Thrift's compact protocol, `-c` of the gateway: about a quarter fewer bytes.
    Compact,
}

/// How messages are delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A message ends where its last field ends, the default of HBase.
    Buffered,
    /// Each message follows its length, `-f` of the gateway.
    Framed,
}

/// Encryption of the connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// PEM file with the certificates of the authorities to trust; without it, those of the
    /// system.
    pub ca_file: Option<PathBuf>,
    /// Name that the gateways' certificates carry, where it differs from their host.
    pub server_name: Option<String>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            gateways: Vec::new(),
            admin_gateway: None,
            protocol: Protocol::Binary,
            transport: Transport::Buffered,
            tls: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            patience: Duration::from_secs(120),
            max_message_bytes: 64 * 1024 * 1024,
        }
    }
}

impl ClientOptions {
    /// The default options for these gateways.
    pub fn new<S: Into<String>>(gateways: impl IntoIterator<Item = S>) -> Self {
        Self {
            gateways: gateways.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Checks what can be checked without connecting.
    pub(crate) fn check(&self) -> Result<()> {
        if self.gateways.is_empty() {
            return Err(invalid(
                "no gateway is given; list at least one `host:port`",
            ));
        }
        for (name, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            if timeout.is_zero() {
                return Err(invalid(format!("{name} must not be zero")));
            }
        }
        // Positions in a reply are kept in 32 bits.
        if self.max_message_bytes < 4096 || self.max_message_bytes > i32::MAX as usize {
            return Err(invalid(format!(
                "max_message_bytes is {}; it must be between 4096 and {}",
                self.max_message_bytes,
                i32::MAX
            )));
        }
        Ok(())
    }
}

/// Host and port of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = || invalid(format!("gateway `{text}` is not of the form `host:port`"));
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        if host.is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidOptions {
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        let address = |host: &str, port| Address {
            host: host.to_owned(),
            port,
        };
        assert_eq!(
            Address::parse("hbase-0:9090").unwrap(),
            address("hbase-0", 9090)
        );
        assert_eq!(Address::parse("[::1]:9090").unwrap(), address("::1", 9090));
        for text in [
            "hbase", "hbase:", ":9090", "::1:9090", "a:0", "a:99999", "[::1:9",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.to_string().contains("host:port"), "{error}");
        }
    }

    #[test]
    fn options_without_gateway_or_time_are_refused() {
        assert!(ClientOptions::default().check().is_err());
        let mut options = ClientOptions::new(["a:1"]);
        options.check().unwrap();
        options.request_timeout = Duration::ZERO;
        assert!(options.check().is_err());
        options = ClientOptions::new(["a:1"]);
        options.max_message_bytes = usize::MAX;
        assert!(options.check().is_err());
    }
}
