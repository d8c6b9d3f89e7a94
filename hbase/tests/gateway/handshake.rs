//! Wrong options against real servers.

use std::time::{Duration, Instant};

use emporia_hbase::{Client, ClientOptions, Error, Protocol, Transport};

use crate::real::{Real, variable};

fn error_of(options: ClientOptions) -> Error {
    let start = Instant::now();
    let error = Client::new(options).unwrap().check().unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}: {error}",
        start.elapsed()
    );
    error
}

#[test]
fn a_wrong_dialect_is_named() {
    let Some(real) = Real::find() else { return };
    real.client().check().unwrap();
    for (protocol, transport) in [
        (Protocol::Binary, Transport::Framed),
        (Protocol::Compact, Transport::Buffered),
        (Protocol::Compact, Transport::Framed),
    ] {
        let mut options = real.options();
        options.connect_timeout = Duration::from_secs(3);
        (options.protocol, options.transport) = (protocol, transport);
        let error = error_of(options);
        assert!(matches!(error, Error::WrongProtocol { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains("set protocol to binary and transport to buffered")
        );
    }
}

#[test]
fn the_other_interface_is_named() {
    let Some(real) = Real::find() else { return };
    let Some(admin) = real.admin_gateway else {
        return;
    };
    let error = error_of(ClientOptions::new([admin]));
    assert!(error.to_string().contains("Thrift2"), "{error}");
}

#[test]
fn an_http_port_is_named() {
    let Some(web) = variable("EMPORIA_TEST_HDFS_WEB") else {
        return;
    };
    let address = web.trim_start_matches("http://").to_owned();
    let mut options = ClientOptions::new([address]);
    options.connect_timeout = Duration::from_secs(3);
    let error = error_of(options);
    assert!(matches!(error, Error::WrongProtocol { .. }), "{error:?}");
    assert!(error.to_string().contains("HTTP"), "{error}");
}
