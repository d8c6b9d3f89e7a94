//! The first call on a new connection, and what its failure means.
//!
//! A gateway that speaks another dialect does not say so. It hangs, because it takes a length for
//! another one; it closes the connection; or it sends something strange. So each connection begins
//! with the cheapest call there is, under a short timeout. When that fails and no gateway ever
//! answered, the other dialects are tried once, to tell a wrong option from a sick gateway.

use std::time::Duration;

use crate::connection::{Connection, Dialect};
use crate::fault::{Fault, FaultKind, Result};
use crate::options::{Address, Protocol, Transport};
use crate::wire::reply;

/// Time for each other dialect that is tried.
const TRIAL: Duration = Duration::from_secs(2);

/// Which of HBase's two Thrift interfaces a gateway serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interface {
    Thrift1 = 1,
    Thrift2 = 2,
}

/// Opens a connection on which the gateway has answered.
///
/// `is_proven` says that this gateway answered before, in this dialect.
pub(crate) fn open(
    address: &Address,
    dialect: &Dialect,
    interface: Interface,
    timeout: Duration,
    is_proven: bool,
) -> Result<Connection> {
    let mut connection = Connection::open(address, dialect, timeout)?;
    match greet(&mut connection) {
        Ok(code) if code == interface as i32 => Ok(connection),
        Ok(code) => Err(wrong(format!(
            "it is a Thrift{code} server, a Thrift{} server is needed",
            interface as i32
        ))),
        // Gateways before HBase 2.1 do not know the call, but they understood it.
        Err(fault) if fault.kind == FaultKind::UnknownMethod => Ok(connection),
        Err(fault) if is_proven || !fault.breaks_connection() => Err(fault),
        Err(fault) => Err(diagnose(address, dialect, fault)),
    }
}

fn greet(connection: &mut Connection) -> Result<i32> {
    connection.ask("getThriftServerType", |_| Ok(()), reply::i32)
}

/// Finds out why the first call failed.
fn diagnose(address: &Address, dialect: &Dialect, fault: Fault) -> Fault {
    let others = [
        (Protocol::Binary, Transport::Buffered),
        (Protocol::Binary, Transport::Framed),
        (Protocol::Compact, Transport::Buffered),
        (Protocol::Compact, Transport::Framed),
    ];
    for (protocol, transport) in others {
        if (protocol, transport) == (dialect.protocol, dialect.transport) {
            continue;
        }
        let other = Dialect {
            protocol,
            transport,
            ..dialect.clone()
        };
        let answered = Connection::open(address, &other, TRIAL)
            .and_then(|mut connection| greet(&mut connection))
            .map_or_else(|fault| fault.kind == FaultKind::UnknownMethod, |_| true);
        if answered {
            return wrong(format!(
                "it speaks {}; set protocol to {} and transport to {}",
                describe(protocol, transport),
                name_of(protocol),
                transport_name(transport)
            ));
        }
    }
    match fault.kind {
        // Strange bytes are a certain sign; silence and a closed connection may pass.
        FaultKind::Malformed | FaultKind::TooLarge => wrong(fault.message),
        FaultKind::Timeout(after) => Fault::new(
            FaultKind::Timeout(after),
            "no answer to the handshake (overloaded, or no hbase gateway?)",
        ),
        FaultKind::Connection => Fault::new(
            FaultKind::Connection,
            format!("{} during the handshake", fault.message),
        ),
        _ => fault,
    }
}

fn wrong(message: String) -> Fault {
    Fault::new(FaultKind::WrongProtocol, message)
}

fn describe(protocol: Protocol, transport: Transport) -> String {
    format!(
        "the {} protocol over the {} transport",
        name_of(protocol),
        transport_name(transport)
    )
}

fn name_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Binary => "binary",
        Protocol::Compact => "compact",
    }
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Buffered => "buffered",
        Transport::Framed => "framed",
    }
}
