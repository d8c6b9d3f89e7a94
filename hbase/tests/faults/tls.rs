//! A gateway behind a TLS endpoint.
//!
//! The certificate in `tls/` is for `gateway.test` and of an authority made for these tests only.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use emporia_hbase::{Client, ClientOptions, Error, KeyRange, ScanRequest, TlsOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::fake::{Act, Fake, options};
use crate::table::{Rows, expected, table};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/faults/tls")
        .join(name)
}

/// An endpoint that decrypts for the gateway at this address; its own address.
fn endpoint(gateway: String) -> String {
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

fn encrypted(fake: &Fake, server_name: Option<&str>) -> ClientOptions {
    ClientOptions {
        gateways: vec![endpoint(fake.address.clone())],
        tls: Some(TlsOptions {
            ca_file: Some(file("ca.pem")),
            server_name: server_name.map(str::to_owned),
        }),
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(2),
        ..options(&[fake])
    }
}

#[test]
fn a_scan_over_tls_survives_a_lost_connection() {
    let fake = Fake::start(table(500));
    fake.script("scannerGetList", [Act::Serve, Act::Close, Act::Cut(3000)]);
    let client = Client::new(encrypted(&fake, Some("gateway.test"))).unwrap();
    let mut rows = Rows::default();
    let mut scanner = client.scan(ScanRequest {
        page_rows: Some(100),
        ..ScanRequest::new("t", KeyRange::all())
    });
    while scanner.next_page(&mut rows).unwrap() > 0 {}
    assert_eq!(rows.0, expected(&fake.table(), |_| true, None));
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let fake = Fake::start(table(1));
    let client = Client::new(encrypted(&fake, None)).unwrap();
    let error = client.check().unwrap_err();
    assert!(matches!(error, Error::WrongProtocol { .. }), "{error:?}");
    assert!(error.to_string().contains("TLS failed"), "{error}");
}

#[test]
fn a_gateway_without_tls_is_named() {
    let fake = Fake::start(table(1));
    let mut options = encrypted(&fake, Some("gateway.test"));
    options.gateways = vec![fake.address.clone()];
    let error = Client::new(options).unwrap().check().unwrap_err();
    assert!(!error.to_string().is_empty(), "{error}");
}

#[test]
fn an_endpoint_with_tls_is_named_to_a_client_without() {
    let fake = Fake::start(table(1));
    let mut options = encrypted(&fake, None);
    options.tls = None;
    let error = Client::new(options).unwrap().check().unwrap_err();
    assert!(error.to_string().contains("speaks TLS"), "{error}");
}

#[test]
fn a_ca_file_that_holds_no_certificate_is_an_error() {
    for name in ["key.pem", "missing.pem"] {
        let mut options = options(&[]);
        options.gateways = vec!["localhost:1".to_owned()];
        options.tls = Some(TlsOptions {
            ca_file: Some(file(name)),
            server_name: None,
        });
        let error = Client::new(options).unwrap_err();
        assert!(matches!(error, Error::InvalidOptions { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
}
