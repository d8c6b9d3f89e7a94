//! The client's errors in Emporia's words.

use datafusion::error::DataFusionError;
use emporia_core::error::{Error, ErrorKind};
use emporia_hbase::Error as ClientError;

use crate::error::{to_datafusion, worth_another_try};

/// For what the client program does itself.
pub(super) fn store_error(error: ClientError) -> Error {
    let mut cause = &error;
    while let ClientError::Exhausted { last, .. } = cause {
        cause = last;
    }
    let (kind, hint) = match cause {
        ClientError::InvalidOptions { .. } => {
            (ErrorKind::InvalidInput, "check the section [stores]")
        }
        ClientError::NoGateway { .. } => (
            ErrorKind::Unavailable,
            "start a Thrift gateway of HBase, or correct stores.hbase_gateways",
        ),
        ClientError::WrongProtocol { .. } => (
            ErrorKind::Unavailable,
            "correct stores.hbase_gateways, or set stores.hbase_protocol and \
             stores.hbase_transport to what the gateway speaks",
        ),
        ClientError::NoSuchTable { .. } => (
            ErrorKind::NotFound,
            "check the location in the catalog; it is hbase:TABLE or hbase:NAMESPACE:TABLE",
        ),
        ClientError::NoSuchFamily { .. } => (
            ErrorKind::NotFound,
            "check the families of the columns in the catalog",
        ),
        ClientError::Refused { .. } => (
            ErrorKind::PermissionDenied,
            "ask for rights on the table, or reach HBase as another user",
        ),
        ClientError::Timeout { .. } => (
            ErrorKind::Timeout,
            "see the log of the gateway, or raise stores.hbase_request_timeout",
        ),
        _ if error.is_transient() => (
            ErrorKind::Unavailable,
            "see the logs of the gateway and the region servers, then submit again",
        ),
        _ => (ErrorKind::Failed, "see the log of the gateway"),
    };
    Error::new(kind, error.to_string()).with_hint(hint)
}

/// For what tasks do: Ballista runs a task again after an I/O error, and after no other.
pub(super) fn transport_error(error: ClientError) -> DataFusionError {
    let is_transient = error.is_transient();
    let error = store_error(error);
    match is_transient {
        true => worth_another_try(error),
        false => to_datafusion(error),
    }
}
