//! Errors as text, for the way from one process to another.
//!
//! Ballista passes on what failed as a text in which an error stands in its debug form, perhaps quoted. An
//! encoded error can be found in such a text and read from it, whatever stands around it:
//! `emporia-error:1:%7B%22kind%22…;`, a version and percent-encoded JSON of letters, digits and `%` only.

use std::error::Error as StdError;
use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind};

const MARK: &str = "emporia-error:";
const VERSION: &str = "1";

/// What there is to say about an [`Error`]; its debug form is what crosses to other processes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedError {
    /// What a caller can do about it.
    pub kind: ErrorKind,
    /// What was attempted on which object.
    pub message: String,
    /// What the user can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The texts of the causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

impl EncodedError {
    /// An error without hint and cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            causes: Vec::new(),
        }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error in a text in which one stands in its debug form; `None` where there is none.
    ///
    /// One that another version of Emporia wrote in another form is an error that says so.
    pub fn find(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(MARK)?;
        let (version, rest) = rest.split_once(':')?;
        let is_digits = !version.is_empty() && version.chars().all(|c| c.is_ascii_digit());
        let (encoded, _) = rest.split_once(';')?;
        if !is_digits {
            return None;
        }
        if version == VERSION
            && let Ok(json) = percent_decode_str(encoded).decode_utf8()
            && let Ok(encoded) = serde_json::from_str(&json)
        {
            return Some(encoded);
        }
        let text = "a process of another version of Emporia failed, and its error cannot be read";
        let hint =
            "run the same version in all processes; the logs of the executors have the error";
        Some(Self::new(ErrorKind::Failed, text).with_hint(hint))
    }
}

impl fmt::Display for EncodedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The form that [`EncodedError::find`] reads.
impl fmt::Debug for EncodedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        let encoded = utf8_percent_encode(&json, NON_ALPHANUMERIC);
        write!(f, "{MARK}{VERSION}:{encoded};")
    }
}

impl StdError for EncodedError {}

impl From<&Error> for EncodedError {
    fn from(error: &Error) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            causes: causes.map(ToString::to_string).collect(),
        }
    }
}

impl From<EncodedError> for Error {
    fn from(encoded: EncodedError) -> Self {
        let error = Self::new(encoded.kind, encoded.message);
        let error = match encoded.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        let cause = encoded.causes.into_iter().rev();
        let cause = cause.fold(None, |below, text| Some(Box::new(Cause { text, below })));
        match cause {
            Some(cause) => error.with_source(cause as Box<dyn StdError + Send + Sync>),
            None => error,
        }
    }
}

/// A cause that failed in another process: its text, and what it was made of.
#[derive(Debug)]
struct Cause {
    text: String,
    below: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.below.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> EncodedError {
        let below = std::io::Error::other("refused: \"no\"\n");
        let cause = Error::new(ErrorKind::Failed, "cannot connect").with_source(below);
        let error = Error::new(ErrorKind::Unavailable, "cannot read `shop:é`; it is gone")
            .with_hint("start \\ it")
            .with_source(cause);
        EncodedError::from(&error)
    }

    #[test]
    fn an_error_is_found_in_any_quotes() {
        let mut text = format!("IoError(Custom {{ kind: Other, error: {:?} }})", encoded());
        for _ in 0..3 {
            assert_eq!(EncodedError::find(&text), Some(encoded()), "{text}");
            text = format!("Task 3 failed, the reason is: {text:?}");
        }
    }

    /// Processes of other versions read this form; another one raises [`VERSION`].
    #[test]
    fn the_form_stays_what_it_is() {
        let error = EncodedError {
            causes: vec!["refused".to_owned(), "down".to_owned()],
            ..EncodedError::new(ErrorKind::NotFound, "no table `t`").with_hint("name it")
        };
        let stored = "emporia-error:1:%7B%22kind%22%3A%22not%5Ffound%22%2C%22message%22%3A%22no%20table%20%60t%60%22%2C\
                      %22hint%22%3A%22name%20it%22%2C%22causes%22%3A%5B%22refused%22%2C%22down%22%5D%7D;";
        assert_eq!(format!("{error:?}"), stored);
        assert_eq!(EncodedError::find(stored), Some(error));
        let short = "emporia-error:1:%7B%22kind%22%3A%22failed%22%2C%22message%22%3A%22x%22%7D;";
        let error = EncodedError::new(ErrorKind::Failed, "x");
        assert_eq!(format!("{error:?}"), short);
        assert_eq!(EncodedError::find(short), Some(error));
    }

    #[test]
    fn an_error_is_the_same_on_the_other_side() {
        let error = Error::from(encoded());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.message(), "cannot read `shop:é`; it is gone");
        assert_eq!(error.hint(), Some("start \\ it"));
        assert_eq!(EncodedError::from(&error), encoded());
    }

    #[test]
    fn another_version_is_named_and_other_text_is_none() {
        let newer = "Failed(emporia-error:2:%7B%7D;)";
        let found = EncodedError::find(newer).map(|encoded| encoded.to_string());
        assert!(found.is_some_and(|text| text.contains("another version")));
        let broken = "emporia-error:1:%7B;";
        assert_eq!(
            EncodedError::find(broken).map(|r| r.kind),
            Some(ErrorKind::Failed)
        );
        for text in [
            "",
            "emporia-error:",
            "emporia-error:x:y;",
            "emporia-error:1:%7B",
        ] {
            assert_eq!(EncodedError::find(text), None, "{text}");
        }
    }

    #[test]
    fn kinds_are_written_by_their_names() {
        for kind in [ErrorKind::NotFound, ErrorKind::ResourceExhausted] {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
        }
    }
}
