//! A TLS endpoint before a gateway, as a proxy would be: the gateways of HBase have none themselves.
//!
//! The certificate is for `gateway.test` and of an authority made for these tests only.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A file beside this one.
pub(crate) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

/// An endpoint that decrypts for the gateway at this address; its own address.
pub(crate) fn endpoint(gateway: String) -> String {
    let certificate = CertificateDer::from_pem_file(file("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let gateway = TcpStream::connect(&gateway).unwrap();
            thread::spawn(move || forward(socket, session, gateway));
        }
    });
    address
}

/// Passes bytes on in both directions until one side ends.
fn forward(socket: TcpStream, session: ServerConnection, mut gateway: TcpStream) {
    let wait = Some(Duration::from_millis(2));
    socket.set_read_timeout(wait).unwrap();
    gateway.set_read_timeout(wait).unwrap();
    let mut tls = StreamOwned::new(session, socket);
    let mut buffer = [0; 4096];
    loop {
        match tls.read(&mut buffer) {
            Ok(n_read @ 1..) => gateway.write_all(&buffer[..n_read]).unwrap(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
        match gateway.read(&mut buffer) {
            Ok(n_read @ 1..) => tls.write_all(&buffer[..n_read]).unwrap(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
}
