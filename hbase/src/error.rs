//! The errors of the client.
//!
//! Variants are what a caller can act on. Texts say what was attempted on what; of a Java stack
//! trace they keep the first line.

use std::time::Duration;

/// Results with the client's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options contradict themselves; nothing was attempted.
    #[error("invalid options of the hbase client: {message}")]
    InvalidOptions {
        /// What is wrong with which option.
        message: String,
    },

    /// No gateway could be connected.
    #[error("cannot {action}: no gateway can be reached: {tried}")]
    NoGateway {
        /// What was attempted.
        action: String,
        /// Each gateway with what happened there.
        tried: String,
    },

    /// The gateway, or whatever listens there, speaks something else than the options say.
    #[error("gateway {gateway} does not speak the configured protocol: {hint}")]
    WrongProtocol {
        /// The address.
        gateway: String,
        /// What it seems to speak, and what to set.
        hint: String,
    },

    /// The table does not exist.
    #[error("cannot {action}: there is no table `{table}`")]
    NoSuchTable {
        /// What was attempted.
        action: String,
        /// The table.
        table: String,
    },

    /// The table has no such column family.
    #[error("cannot {action}: no such column family: {message}")]
    NoSuchFamily {
        /// What was attempted.
        action: String,
        /// What HBase says.
        message: String,
    },

    /// Authentication or authorisation failed.
    #[error("cannot {action} through gateway {gateway}: access denied: {message}")]
    Refused {
        /// What was attempted.
        action: String,
        /// The gateway.
        gateway: String,
        /// What HBase says.
        message: String,
    },

    /// The request can never succeed as it is.
    #[error("cannot {action}: {message}")]
    InvalidRequest {
        /// What was attempted.
        action: String,
        /// What is wrong, or what HBase says.
        message: String,
    },

    /// A request or reply is larger than allowed, also in its smallest portion.
    #[error("cannot {action} through gateway {gateway}: {message}")]
    TooLarge {
        /// What was attempted.
        action: String,
        /// The gateway.
        gateway: String,
        /// What is too large, and which option bounds it.
        message: String,
    },

    /// The gateway was silent for too long. What was asked may still happen.
    #[error("cannot {action}: gateway {gateway} was silent for {after:?}")]
    Timeout {
        /// What was attempted.
        action: String,
        /// The gateway.
        gateway: String,
        /// The time it was given.
        after: Duration,
    },

    /// The connection failed while a request was under way. What was asked may have happened.
    #[error("cannot {action}: lost the connection to gateway {gateway}: {message}")]
    Connection {
        /// What was attempted.
        action: String,
        /// The gateway.
        gateway: String,
        /// What the system says.
        message: String,
    },

    /// The gateway sent bytes that are no reply to the request.
    #[error("cannot {action}: malformed reply of gateway {gateway}: {message}")]
    Malformed {
        /// What was attempted.
        action: String,
        /// The gateway.
        gateway: String,
        /// What is wrong with the reply.
        message: String,
    },

    /// HBase cannot do it now, but may do it later.
    #[error("cannot {action} through gateway {gateway} now: {message}")]
    Unavailable {
        /// What was attempted.
        action: String,
        /// The gateway.
        gateway: String,
        /// What HBase says.
        message: String,
    },

    /// The scanner is gone on the server: expired, or its region moved. A scan opens another one;
    /// callers do not see this error but as the last one of [`Error::Exhausted`].
    #[error("cannot {action}: the scanner is gone on gateway {gateway}: {message}")]
    ScannerGone {
        /// What was attempted.
        action: String,
        /// The gateway.
        gateway: String,
        /// What HBase says.
        message: String,
    },

    /// A passing fault did not pass within the patience of the client.
    #[error("gave up after {attempts} attempts within {waited:.1?}: {last}")]
    Exhausted {
        /// How many times it was attempted without progress.
        attempts: u32,
        /// The time since the first fault.
        waited: Duration,
        /// The last fault.
        last: Box<Error>,
    },
}

impl Error {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoGateway { .. }
            | Self::Timeout { .. }
            | Self::Connection { .. }
            | Self::Malformed { .. }
            | Self::Unavailable { .. }
            | Self::ScannerGone { .. } => true,
            Self::Exhausted { last, .. } => last.is_transient(),
            Self::InvalidOptions { .. }
            | Self::WrongProtocol { .. }
            | Self::NoSuchTable { .. }
            | Self::NoSuchFamily { .. }
            | Self::Refused { .. }
            | Self::InvalidRequest { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Whether it is unknown if the request took effect.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Connection { .. }
                | Self::Malformed { .. }
                | Self::Unavailable { .. }
        )
    }
}
