//! What the driver's errors mean: which are worth another try, and what to tell the user.

use datafusion::error::DataFusionError;
use emporia_core::config::StoreSettings;
use emporia_core::error::{Error, ErrorKind, Result};
use mongodb::error::{Error as DriverError, ErrorKind as DriverKind, WriteFailure};

use super::connect;
use crate::error::{to_datafusion, worth_another_try};

/// The namespace exists already.
pub(super) const NAMESPACE_EXISTS: i32 = 48;
/// There is no such namespace.
pub(super) const NAMESPACE_NOT_FOUND: i32 = 26;
/// A unique index has this key already.
pub(super) const DUPLICATE_KEY: i32 = 11000;

/// Codes of servers that are starting, stopping, electing or overloaded, and of cursors that they
/// forgot meanwhile.
const TRANSIENT: [i32; 24] = [
    6, 7, 24, 43, 64, 89, 91, 112, 133, 134, 175, 189, 237, 246, 262, 9001, 10058, 10107, 11600,
    11602, 13388, 13435, 13436, 358,
];
/// Codes of requests that the user may not make.
const DENIED: [i32; 4] = [11, 13, 18, 8000];
/// Codes of commands and stages that the server does not have.
const UNSUPPORTED: [i32; 7] = [59, 72, 115, 238, 303, 40324, 40415];

/// The code that the server gave.
pub(super) fn code_of(error: &DriverError) -> Option<i32> {
    match error.kind.as_ref() {
        DriverKind::Command(e) => Some(e.code),
        DriverKind::Write(WriteFailure::WriteError(e)) => Some(e.code),
        DriverKind::Write(WriteFailure::WriteConcernError(e)) => Some(e.code),
        _ => None,
    }
}

/// Whether the server lacks the command or stage.
pub(super) fn is_unsupported(error: &DriverError) -> bool {
    code_of(error).is_some_and(|code| UNSUPPORTED.contains(&code))
}

/// Whether an error with this code goes away by itself.
pub(super) fn is_transient_code(code: i32) -> bool {
    TRANSIENT.contains(&code)
}

/// Whether the server is too old, or too new, for the driver, which has no kind of error for it.
fn is_of_another_version(error: &DriverError) -> bool {
    match error.kind.as_ref() {
        DriverKind::ServerSelection { message, .. } => message.contains("wire version"),
        DriverKind::IncompatibleServer { .. } => true,
        _ => false,
    }
}

/// Whether the same request may succeed later.
pub(super) fn is_transient(error: &DriverError) -> bool {
    if is_of_another_version(error) {
        return false;
    }
    let is_lost = matches!(
        error.kind.as_ref(),
        DriverKind::Io(_)
            | DriverKind::ConnectionPoolCleared { .. }
            | DriverKind::ServerSelection { .. }
            | DriverKind::DnsResolve { .. }
    );
    is_lost
        || code_of(error).is_some_and(is_transient_code)
        || error.contains_label(mongodb::error::RETRYABLE_WRITE_ERROR)
        || error.contains_label(mongodb::error::TRANSIENT_TRANSACTION_ERROR)
}

/// What the driver says where no server answered, without the debug form of all that it knows of the servers;
/// `None` for any other fault.
fn without_topology(fault: &str) -> Option<String> {
    let (timeout, topology) = fault.split_once(" Topology: ")?;
    let reason = topology.split_once("I/O error: ").and_then(|(_, rest)| {
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        rest.get(..end)
    });
    let timeout = timeout.trim_end_matches('.');
    Some(match reason {
        Some(reason) => format!("{timeout}: {}", reason.trim()),
        None => timeout.to_owned(),
    })
}

/// A fault in one line, for the log.
pub(super) fn told(fault: &DriverKind) -> String {
    let text = fault.to_string();
    without_topology(&text).unwrap_or(text)
}

/// What was attempted, for the text of an error.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// E.g. ``read `shop.orders` ``.
    what: String,
    servers: String,
}

impl Attempt {
    /// `what` follows "cannot".
    pub(super) fn to(what: impl Into<String>, settings: &StoreSettings) -> Self {
        Self {
            what: what.into(),
            servers: connect::servers(settings),
        }
    }

    /// The error for the user: names the servers, never the connection string.
    pub(super) fn failed(&self, error: DriverError) -> Error {
        let Self { what, servers } = self;
        let (kind, why, hint) = match (error.kind.as_ref(), code_of(&error)) {
            (DriverKind::Authentication { .. }, _) | (_, Some(18)) => (
                ErrorKind::PermissionDenied,
                "the server refuses the user or the password",
                "check stores.mongodb_user and stores.mongodb_password_file, or the connection string",
            ),
            (_, Some(code)) if DENIED.contains(&code) => (
                ErrorKind::PermissionDenied,
                "the user may not do this",
                "grant the user of stores.mongodb_uri the right to it",
            ),
            (_, Some(NAMESPACE_NOT_FOUND)) => (
                ErrorKind::NotFound,
                "there is no such collection",
                "check the table's location",
            ),
            (_, Some(DUPLICATE_KEY)) => (
                ErrorKind::InvalidInput,
                "two documents have the same key in a unique index",
                "make the rows unique, or drop `unique` from the option `indexes`",
            ),
            (_, Some(50)) => (
                ErrorKind::Timeout,
                "it took longer than the server allows",
                "raise maxTimeMS on the server",
            ),
            _ if is_of_another_version(&error) => (
                ErrorKind::Unsupported,
                "the server is of another version",
                "use MongoDB 4.4 or newer",
            ),
            _ if is_unsupported(&error) => (
                ErrorKind::Unsupported,
                "the server does not know the command",
                "use MongoDB 4.4 or newer",
            ),
            _ if is_transient(&error) => (
                ErrorKind::Unavailable,
                "the server does not answer",
                "check that it runs and that stores.mongodb_uri names it",
            ),
            _ => (ErrorKind::Failed, "the server reports an error", ""),
        };
        let failed = Error::new(kind, format!("cannot {what} on {servers}: {why}"));
        let failed = match hint {
            "" => failed,
            hint => failed.with_hint(hint),
        };
        match without_topology(&error.kind.to_string()) {
            Some(told) => failed.with_source(told),
            None => failed.with_source(*error.kind),
        }
    }

    /// The error for a plan: `IoError` where the task may be tried again.
    pub(super) fn failed_in_plan(&self, error: DriverError) -> DataFusionError {
        let may_retry = is_transient(&error);
        let error = self.failed(error);
        match may_retry {
            true => worth_another_try(error),
            false => to_datafusion(error),
        }
    }

    /// As [`Attempt::failed`], for a whole result.
    pub(super) fn check<T>(&self, result: mongodb::error::Result<T>) -> Result<T> {
        result.map_err(|e| self.failed(e))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use emporia_core::config::Secret;

    use super::*;

    fn attempt() -> Attempt {
        let settings = StoreSettings {
            mongodb_uri: Some(Secret::new("mongodb://shop:secret@mongo-1:27017/?w=1")),
            ..StoreSettings::default()
        };
        Attempt::to("read `shop.orders`", &settings)
    }

    fn command_error(code: i32) -> DriverError {
        let reply = format!(r#"{{"code": {code}, "codeName": "Name", "errmsg": "text"}}"#);
        let command = serde_json::from_str(&reply).map(DriverKind::Command);
        command.map_or_else(DriverError::custom, DriverError::from)
    }

    #[test]
    fn a_lost_server_is_worth_another_try() {
        let refused = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        let error = attempt().failed_in_plan(DriverKind::Io(refused).into());
        assert!(matches!(&error, DataFusionError::IoError(_)), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("cannot read `shop.orders` on mongo-1:27017"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn codes_of_the_server_have_kinds() {
        for (code, kind, is_retried) in [
            (43, ErrorKind::Unavailable, true),
            (11600, ErrorKind::Unavailable, true),
            (13, ErrorKind::PermissionDenied, false),
            (18, ErrorKind::PermissionDenied, false),
            (26, ErrorKind::NotFound, false),
            (50, ErrorKind::Timeout, false),
            (238, ErrorKind::Unsupported, false),
            (11000, ErrorKind::InvalidInput, false),
            (2, ErrorKind::Failed, false),
        ] {
            let error = command_error(code);
            assert_eq!(code_of(&error), Some(code));
            assert_eq!(is_transient(&error), is_retried, "{code}");
            assert_eq!(attempt().failed(error).kind(), kind, "{code}");
        }
    }

    #[test]
    fn the_state_of_the_driver_is_not_told() {
        let fault = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ \
                     { Address: h:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), \
                     labels: {} } ] }";
        let told =
            "Server selection timeout: No available servers: Connection refused (os error 111)";
        assert_eq!(without_topology(fault).as_deref(), Some(told));
        assert_eq!(without_topology("I/O error: broken pipe"), None);
        let bare = without_topology("No available servers. Topology: { Type: Unknown }");
        assert_eq!(bare.as_deref(), Some("No available servers"));
    }
}
