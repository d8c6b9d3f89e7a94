//! Encryption with rustls and ring.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::error::{Error, Result};
use crate::fault::{Fault, FaultKind};
use crate::options::{Address, TlsOptions};

/// Where systems keep the certificates of the authorities that they trust.
const SYSTEM_CA_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom to trust, and under which name.
#[derive(Debug, Clone)]
pub(crate) struct TlsConfig {
    client: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl TlsConfig {
    /// Reads the certificates.
    pub(crate) fn load(options: &TlsOptions) -> Result<Self> {
        let roots = match &options.ca_file {
            Some(file) => read_roots(file)?,
            None => system_roots()?,
        };
        let client =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| invalid(error.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let server_name = match &options.server_name {
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|error| invalid(format!("server name `{name}`: {error}")))?,
            ),
            None => None,
        };
        Ok(Self {
            client: Arc::new(client),
            server_name,
        })
    }
}

/// Encrypts a connected socket; a wrong certificate is told from a dead connection here.
pub(crate) fn handshake(
    config: &TlsConfig,
    address: &Address,
    socket: TcpStream,
    timeout: Duration,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Fault> {
    let wrong = |message: String| Fault::new(FaultKind::WrongProtocol, message);
    let name = match &config.server_name {
        Some(name) => name.clone(),
        None => ServerName::try_from(address.host.clone())
            .map_err(|error| wrong(format!("`{}` is not a TLS name: {error}", address.host)))?,
    };
    let session = ClientConnection::new(Arc::clone(&config.client), name)
        .map_err(|error| wrong(format!("cannot begin TLS: {error}")))?;
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            let of_tls = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            return Err(match of_tls {
                Some(rustls::Error::InvalidMessage(_)) => {
                    wrong("it does not speak TLS; leave out the tls options".to_owned())
                }
                Some(error) => wrong(format!("TLS failed: {error}")),
                None => Fault::of_io(&error, timeout),
            });
        }
    }
    Ok(stream)
}

fn system_roots() -> Result<RootCertStore> {
    SYSTEM_CA_FILES
        .iter()
        .find_map(|file| read_roots(Path::new(file)).ok())
        .ok_or_else(|| {
            invalid(format!(
                "no certificates of the system are found in {}; set the ca file",
                SYSTEM_CA_FILES.join(", ")
            ))
        })
}

fn read_roots(file: &Path) -> Result<RootCertStore> {
    let wrong = |message: String| invalid(format!("ca file {}: {message}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (n_added, _) = roots.add_parsable_certificates(certificates);
    match n_added {
        0 => Err(wrong("there is no certificate in it".to_owned())),
        _ => Ok(roots),
    }
}

fn invalid(message: String) -> Error {
    Error::InvalidOptions {
        message: format!("tls: {message}"),
    }
}
