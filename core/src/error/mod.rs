//! The one error vocabulary of Emporia.
//!
//! Every crate keeps precise private errors where it needs them and converts them, once, into
//! [`Error`]. The kinds are only those on which a caller acts differently; the text says what was
//! attempted, on which object, and what to do.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

mod encoded;

pub use encoded::EncodedError;

/// Shorthand for results with Emporia's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A named object (table, column, file, job) does not exist.
    NotFound,
    /// A name is taken already.
    AlreadyExists,
    /// The user's SQL, parameters, configuration or flags are wrong; nothing was started.
    InvalidInput,
    /// The caller may not do this.
    PermissionDenied,
    /// A process or server cannot be reached; trying again later may help.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// Somebody cancelled the work.
    Cancelled,
    /// Disk, memory or another bounded resource ran out.
    ResourceExhausted,
    /// The request is understood but not supported.
    Unsupported,
    /// Stored data cannot be read as what it claims to be.
    Corrupt,
    /// A job started and failed.
    Failed,
    /// A defect of Emporia itself.
    Internal,
}

impl ErrorKind {
    /// The process exit code for an error of this kind.
    ///
    /// 1 job failed, 3 invalid job, SQL or configuration, 4 cluster unreachable, 5 timeout,
    /// 130 interrupted. Code 2 (usage) belongs to the argument parser.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotFound | Self::AlreadyExists | Self::InvalidInput | Self::Unsupported => 3,
            Self::Unavailable => 4,
            Self::Timeout => 5,
            Self::Cancelled => 130,
            Self::PermissionDenied
            | Self::ResourceExhausted
            | Self::Corrupt
            | Self::Failed
            | Self::Internal => 1,
        }
    }

    /// A stable lowercase name for logs and machine-readable output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::InvalidInput => "invalid_input",
            Self::PermissionDenied => "permission_denied",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::Failed => "failed",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with a kind, a message, an optional hint and an optional cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is lowercase and says what was attempted on which object.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// Shorthand for [`ErrorKind::InvalidInput`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without cause and hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|s| s.as_ref() as &(dyn StdError + 'static))
    }
}

/// The name in `candidates` that is closest to `wanted`, for "did you mean" hints.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&wanted, &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= 1 + c.len().max(wanted.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_as_documented() {
        for (kind, code) in [
            (ErrorKind::NotFound, 3),
            (ErrorKind::AlreadyExists, 3),
            (ErrorKind::InvalidInput, 3),
            (ErrorKind::Unsupported, 3),
            (ErrorKind::Unavailable, 4),
            (ErrorKind::Timeout, 5),
            (ErrorKind::Cancelled, 130),
            (ErrorKind::PermissionDenied, 1),
            (ErrorKind::ResourceExhausted, 1),
            (ErrorKind::Corrupt, 1),
            (ErrorKind::Failed, 1),
            (ErrorKind::Internal, 1),
        ] {
            assert_eq!(kind.exit_code(), code, "{kind}");
        }
        assert_eq!(
            ErrorKind::ResourceExhausted.to_string(),
            "resource_exhausted"
        );
    }

    #[test]
    fn nearest_is_the_closest_name_and_never_a_far_one() {
        let names = ["bind_port", "bind_host", "work_dir"];
        let check = |wanted: &str, expected: Option<&str>| {
            assert_eq!(nearest(wanted, names), expected, "{wanted}");
        };
        check("bind_prot", Some("bind_port"));
        check("BIND_HOST", Some("bind_host"));
        check("workdir", Some("work_dir"));
        check("log_level", None);
        check("", None);
        assert_eq!(nearest("anything", []), None);
    }

    #[test]
    fn error_keeps_message_hint_and_cause_apart() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Unavailable, "cannot read `a.csv`")
            .with_hint("try again")
            .with_source(cause);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "cannot read `a.csv`");
        assert_eq!(error.message(), "cannot read `a.csv`");
        assert_eq!(error.hint(), Some("try again"));
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("disk on fire"));
        assert!(Error::invalid("x").source().is_none());
    }
}
