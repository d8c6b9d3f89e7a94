//! Whatever listens on the port, the client says what is wrong and does not hang.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use emporia_hbase::{Client, ClientOptions, Error, Protocol, Transport};

use crate::fake::{Act, Fake, options};
use crate::table::table;

/// The error of a client with these options, which must come soon.
fn error_of(options: ClientOptions) -> Error {
    let start = Instant::now();
    let error = Client::new(options).unwrap().check().unwrap_err();
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}: {error}");
    error
}

fn dialects() -> [(Protocol, Transport); 4] {
    [
        (Protocol::Binary, Transport::Buffered),
        (Protocol::Binary, Transport::Framed),
        (Protocol::Compact, Transport::Buffered),
        (Protocol::Compact, Transport::Framed),
    ]
}

#[test]
fn a_gateway_of_another_dialect_is_named() {
    for theirs in dialects() {
        let fake = Fake::speaking(table(1), theirs.0, theirs.1);
        for ours in dialects() {
            let mut options = options(&[&fake]);
            options.connect_timeout = Duration::from_secs(1);
            (options.protocol, options.transport) = ours;
            if ours == theirs {
                Client::new(options).unwrap().check().unwrap();
                continue;
            }
            let error = error_of(options);
            assert!(
                matches!(error, Error::WrongProtocol { .. }) && !error.is_transient(),
                "{theirs:?} {ours:?}: {error}"
            );
            let hint = format!("protocol to {:?} and transport to {:?}", theirs.0, theirs.1);
            assert!(error.to_string().contains(&hint.to_lowercase()), "{error}");
        }
    }
}

/// A server that answers any bytes with these, and closes the connection after the wait.
fn stranger(answer: &'static [u8], wait: Duration) -> ClientOptions {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            thread::spawn(move || {
                let _n_read = socket.read(&mut [0; 1024]);
                socket.write_all(answer).ok();
                thread::sleep(wait);
            });
        }
    });
    ClientOptions {
        connect_timeout: Duration::from_secs(1),
        ..ClientOptions::new([address])
    }
}

#[test]
fn an_http_server_is_named() {
    let options = stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n", Duration::ZERO);
    let error = error_of(options);
    assert!(matches!(error, Error::WrongProtocol { .. }), "{error}");
    assert!(error.to_string().contains("HTTP"), "{error}");
}

#[test]
fn a_tls_server_is_named() {
    let error = error_of(stranger(b"\x15\x03\x01\x00\x02\x02\x46", Duration::ZERO));
    assert!(matches!(error, Error::WrongProtocol { .. }), "{error}");
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[test]
fn a_silent_server_is_a_passing_fault() {
    let error = error_of(stranger(b"", Duration::from_secs(60)));
    assert!(matches!(error, Error::NoGateway { .. }), "{error}");
    assert!(
        error.is_transient() && error.to_string().contains("handshake"),
        "{error}"
    );
}

#[test]
fn a_server_that_hangs_up_is_a_passing_fault() {
    let error = error_of(stranger(b"", Duration::ZERO));
    assert!(matches!(error, Error::NoGateway { .. }), "{error}");
}

#[test]
fn absurd_lengths_in_the_handshake_are_refused() {
    for answer in [
        b"\x80\x01\x00\x02\x7f\xff\xff\xff".as_slice(),
        b"\x80\x01\x00\x02\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x82\x41\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        for (protocol, transport) in dialects() {
            let mut options = stranger(answer, Duration::ZERO);
            (options.protocol, options.transport) = (protocol, transport);
            let error = error_of(options);
            assert!(
                matches!(error, Error::WrongProtocol { .. } | Error::NoGateway { .. }),
                "{answer:?} {protocol:?} {transport:?}: {error}"
            );
        }
    }
}

#[test]
fn a_closed_port_is_no_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = error_of(ClientOptions::new([address.clone()]));
    assert!(matches!(error, Error::NoGateway { .. }), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn an_old_gateway_without_the_call_is_accepted() {
    let fake = Fake::start(table(1));
    fake.script(
        "getThriftServerType",
        [Act::Raw(
            b"\x80\x01\x00\x03\x00\x00\x00\x13getThriftServerType\x00\x00\x00\x01\
              \x0b\x00\x01\x00\x00\x00\x02no\x08\x00\x02\x00\x00\x00\x01\x00",
        )],
    );
    Client::new(options(&[&fake])).unwrap().check().unwrap();
}

#[test]
fn a_thrift2_server_is_named() {
    let fake = Fake::start(table(1));
    fake.script(
        "getThriftServerType",
        [Act::Raw(
            b"\x80\x01\x00\x02\x00\x00\x00\x13getThriftServerType\x00\x00\x00\x01\
              \x08\x00\x00\x00\x00\x00\x02\x00",
        )],
    );
    let error = error_of(options(&[&fake]));
    assert!(error.to_string().contains("Thrift2"), "{error}");
}
