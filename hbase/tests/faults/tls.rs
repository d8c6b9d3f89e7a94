//! A gateway behind a TLS endpoint.

use std::time::Duration;

use emporia_hbase::{Client, ClientOptions, Error, KeyRange, ScanRequest, TlsOptions};

use crate::fake::{Act, Fake, options};
use crate::table::{Rows, expected, table};
use crate::tls_endpoint::{endpoint, file};

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
