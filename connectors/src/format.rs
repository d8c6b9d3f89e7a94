//! Versions of what Emporia writes and reads again: in stores, and between its processes.
//!
//! A reader takes the versions that it knows, and refuses any other by name. A change that an older reader
//! would misunderstand raises the version; `testdata/` has a file of each version, and tests read them all.

use std::error::Error as StdError;
use std::fmt::{Display, Formatter};

use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use emporia_core::error::{EncodedError, Error, ErrorKind, Result};
use serde::Deserialize;

/// A format and the versions of it that this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// What it is called in messages, e.g. `manifest of a result`.
    pub name: &'static str,
    /// The oldest version that is read.
    pub oldest: u32,
    /// The version that is written, and the newest that is read.
    pub newest: u32,
}

/// The manifest of a commit of a result in files, and `_current`. Version 1 was `_current` alone, without a
/// number.
pub const MANIFEST: Format = Format {
    name: "manifest of a result",
    oldest: 1,
    newest: 2,
};

/// `_emporia:published` in the marker row of a table of HBase. Version 1 did not say its version.
pub const HBASE_MARKER: Format = Format {
    name: "marker row of a result",
    oldest: 1,
    newest: 2,
};

/// A document of the collection with the markers of results in MongoDB.
pub const MONGODB_MARKER: Format = Format {
    name: "marker of a result",
    oldest: 1,
    newest: 1,
};

/// The state of a cluster of `emporia cluster up`. Version 1 did not say its version.
pub const CLUSTER_STATE: Format = Format {
    name: "state of a cluster",
    oldest: 1,
    newest: 2,
};

/// What is left of a message of a plan behind its first bytes `magic`, whose last byte is a version; `None` where it
/// is another message.
///
/// # Errors
/// Where it is such a message of another version.
pub(crate) fn body<'a>(message: &'a [u8], magic: &[u8; 5]) -> DfResult<Option<&'a [u8]>> {
    let [name @ .., version] = magic;
    let Some((found, body)) = message
        .strip_prefix(name)
        .and_then(|versioned| versioned.split_first())
    else {
        return Ok(None);
    };
    match found == version {
        true => Ok(Some(body)),
        false => {
            let text = format!(
                "a part of a plan is of version {found}, and this Emporia reads version {version}"
            );
            let error = EncodedError::new(ErrorKind::Unsupported, text)
                .with_hint("client, scheduler and executors have to be of one version of Emporia");
            Err(DataFusionError::External(Box::new(OtherVersion(error))))
        }
    }
}

/// A part of a plan is of another version. The process that reads it tells the one that sent it what went wrong as
/// a text, so that text holds the error in its encoded form, too.
#[derive(Debug)]
struct OtherVersion(EncodedError);

impl Display for OtherVersion {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?})", self.0, self.0)
    }
}

impl StdError for OtherVersion {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl Format {
    /// Checks that `version` of what is at `place` is one that is read.
    ///
    /// # Errors
    /// `Unsupported`, with the versions.
    pub fn check(&self, place: impl Display, version: u32) -> Result<()> {
        if (self.oldest..=self.newest).contains(&version) {
            return Ok(());
        }
        let known = match self.oldest == self.newest {
            true => format!("version {}", self.newest),
            false => format!("versions {} to {}", self.oldest, self.newest),
        };
        let text = format!(
            "{place} is a {} of version {version}, and this Emporia reads {known}",
            self.name
        );
        let hint = match version > self.newest {
            true => "a newer Emporia wrote it; use that version or a newer one",
            false => "an older Emporia wrote it; read it with that version, and write it again",
        };
        Err(Error::new(ErrorKind::Unsupported, text).with_hint(hint))
    }

    /// Checks the version that a JSON object says in `version`; without it, it is of version 1.
    ///
    /// # Errors
    /// As of [`Format::check`]; text that is no such object passes, and is refused when it is read.
    pub fn check_json(&self, place: impl Display, text: &[u8]) -> Result<()> {
        match serde_json::from_slice::<Versioned>(text) {
            Ok(found) => self.check(place, found.version),
            Err(_) => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Versioned {
    #[serde(default = "first")]
    version: u32,
}

/// The version of what does not say one.
pub(crate) fn first() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::known;

    #[test]
    fn messages_of_other_versions_are_refused() {
        let magic = b"EMPO\x02";
        assert_eq!(body(b"EMPO\x02{}", magic).unwrap(), Some(&b"{}"[..]));
        assert_eq!(body(b"EMPF\x02{}", magic).unwrap(), None);
        assert_eq!(body(b"EMPO", magic).unwrap(), None);
        let error = body(b"EMPO\x03{}", magic).unwrap_err().to_string();
        assert!(
            error.contains("of version 3, and this Emporia reads version 2"),
            "{error}"
        );
    }

    /// The scheduler answers with such a text where it cannot read the plan of a client.
    #[test]
    fn another_version_keeps_its_name_in_a_text() {
        let error = body(b"EMPO\x03{}", b"EMPO\x02").unwrap_err();
        let here = known(&error).unwrap();
        let there = EncodedError::find(&format!("Could not parse plan: {error}")).unwrap();
        assert_eq!(here, there);
        assert_eq!(there.kind, ErrorKind::Unsupported);
        assert_eq!(
            there.message,
            "a part of a plan is of version 3, and this Emporia reads version 2"
        );
    }

    #[test]
    fn other_versions_are_refused_by_name() {
        let format = Format {
            name: "marker of a result",
            oldest: 2,
            newest: 3,
        };
        for version in [2, 3] {
            format.check("`x`", version).unwrap();
        }
        let newer = format.check("`x`", 4).unwrap_err();
        assert_eq!(newer.kind(), ErrorKind::Unsupported);
        assert_eq!(
            newer.message(),
            "`x` is a marker of a result of version 4, and this Emporia reads versions 2 to 3"
        );
        assert!(
            newer
                .hint()
                .unwrap()
                .starts_with("a newer Emporia wrote it")
        );
        let older = format.check_json("`x`", b"{}").unwrap_err();
        assert!(
            older
                .hint()
                .unwrap()
                .starts_with("an older Emporia wrote it")
        );
        format.check_json("`x`", b"no json").unwrap();
        format
            .check_json("`x`", br#"{"version": 3, "a": 1}"#)
            .unwrap();
    }
}
