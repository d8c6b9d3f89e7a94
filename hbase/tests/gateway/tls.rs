//! A real gateway behind a TLS endpoint.

use emporia_hbase::{Client, ClientOptions, TlsOptions};

use crate::real::{Real, collect, numbered_rows};
use crate::tls_endpoint::{endpoint, file};

fn encrypted(real: &Real, server_name: &str) -> Client {
    let options = ClientOptions {
        tls: Some(TlsOptions {
            ca_file: Some(file("ca.pem")),
            server_name: Some(server_name.to_owned()),
        }),
        ..ClientOptions::new([endpoint(real.gateways[0].clone())])
    };
    Client::new(options).unwrap()
}

#[test]
fn rows_are_written_and_read_over_tls() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &[]);
    let client = encrypted(&real, "gateway.test");
    let rows = numbered_rows(3000, 200);
    client.put(&table.name, 5, &rows).unwrap();
    let over_tls = collect(client.scan(table.request())).unwrap();
    assert_eq!(over_tls.len(), rows.len());
    assert_eq!(over_tls, table.rows(table.request()));
}

#[test]
fn nothing_is_sent_to_a_gateway_of_another_name() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &[]);
    let client = encrypted(&real, "other.test");
    let error = client
        .put(&table.name, 5, &numbered_rows(1, 1))
        .unwrap_err();
    assert!(error.to_string().contains("TLS failed"), "{error}");
    assert!(table.rows(table.request()).is_empty());
}
