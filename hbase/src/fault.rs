//! What can go wrong on one connection, before it is known what was attempted there.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::action::Action;
use crate::error::Error;

/// Result of a step on a connection.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// A failed step on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

/// What kind of fault it is; the first group leaves the connection in an unknown state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The connection failed.
    Connection,
    /// Nothing came for this long.
    Timeout(Duration),
    /// What came is no reply to the request.
    Malformed,
    /// What came is larger than allowed.
    TooLarge,
    /// The other side speaks something else.
    WrongProtocol,

    /// The table does not exist.
    NoSuchTable,
    /// The column family does not exist.
    NoSuchFamily,
    /// The table exists already.
    TableExists,
    /// Access is denied.
    Denied,
    /// The server will never do it.
    Invalid,
    /// The server does not know the call.
    UnknownMethod,
    /// The server failed without saying why.
    Internal,
    /// The scanner is gone, but another one can be opened.
    ScannerGone,
    /// It may work later.
    Unavailable,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Timeout(waited) => write!(f, "{} within {waited:?}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Malformed, message)
    }

    /// A fault of the socket; `waited` is its timeout.
    pub(crate) fn of_io(error: &io::Error, waited: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::new(FaultKind::Timeout(waited), "no answer")
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero => {
                Self::new(FaultKind::Connection, "closed by the gateway")
            }
            _ => Self::new(FaultKind::Connection, error.to_string()),
        }
    }

    /// The same fault, where one without a reason is known to pass.
    pub(crate) fn or_passing(self) -> Self {
        match self.kind {
            FaultKind::Internal => Self::new(FaultKind::Unavailable, self.message),
            _ => self,
        }
    }

    /// Whether the connection may not be used again: bytes of an old reply may still come.
    pub(crate) fn breaks_connection(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::Connection
                | FaultKind::Timeout(_)
                | FaultKind::Malformed
                | FaultKind::TooLarge
                | FaultKind::WrongProtocol
        )
    }

    /// The error for the caller.
    pub(crate) fn at(self, action: Action<'_>, gateway: &str) -> Error {
        let Self { kind, message } = self;
        let table = action.table().to_owned();
        let action = action.to_string();
        let gateway = gateway.to_owned();
        match kind {
            FaultKind::Connection => Error::Connection {
                action,
                gateway,
                message,
            },
            FaultKind::Timeout(after) => Error::Timeout {
                action,
                gateway,
                after,
            },
            FaultKind::Malformed => Error::Malformed {
                action,
                gateway,
                message,
            },
            FaultKind::TooLarge => Error::TooLarge {
                action,
                gateway,
                message,
            },
            FaultKind::WrongProtocol => Error::WrongProtocol {
                gateway,
                hint: message,
            },
            FaultKind::NoSuchTable => Error::NoSuchTable { action, table },
            FaultKind::NoSuchFamily => Error::NoSuchFamily { action, message },
            FaultKind::Denied => Error::Refused {
                action,
                gateway,
                message,
            },
            FaultKind::ScannerGone => Error::ScannerGone {
                action,
                gateway,
                message,
            },
            FaultKind::Unavailable => Error::Unavailable {
                action,
                gateway,
                message,
            },
            FaultKind::Invalid
            | FaultKind::Internal
            | FaultKind::UnknownMethod
            | FaultKind::TableExists => Error::InvalidRequest { action, message },
        }
    }
}
