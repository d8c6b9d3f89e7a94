//! Manifests: what a commit of a result says.

use std::collections::BTreeMap;

use emporia_core::error::{Error, ErrorKind, Result};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::decide::{Commit, Hint};
use crate::format::{MANIFEST, first};

/// One file of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path relative to the result folder.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// One table of a result set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedOutput {
    /// `parquet`, `csv` or `json`.
    pub format: String,
    /// Name and type of each column, so that an output without files still has a schema; a type as
    /// `codec::schema_to_names` writes it.
    pub columns: Vec<(String, String)>,
    /// Columns that take no null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// The files that make up the table; possibly none. After rows were added they belong to
    /// several runs.
    pub files: Vec<DataFile>,
}

/// A published result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultSet {
    /// Identifies the run.
    pub run_id: String,
    /// The run that this one replaced; its files are kept for readers that started before.
    pub previous: Option<String>,
    /// Name of the main output.
    pub main: String,
    /// Tables by output name.
    pub outputs: BTreeMap<String, PublishedOutput>,
}

/// The content of `_commits/<n>.json` and of `_current`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of the format.
    #[serde(default = "first")]
    pub(super) version: u32,
    /// The number in its name; 0 in `_current` of version 1.
    #[serde(default)]
    pub(super) commit: u64,
    /// Whether the result was dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) dropped: bool,
    #[serde(flatten)]
    pub(super) result: ResultSet,
    /// The last commits, to this one.
    #[serde(default)]
    pub(super) commits: Vec<Commit>,
}

impl Manifest {
    /// The commit `commits` ends with.
    pub(super) fn new(result: ResultSet, dropped: bool, commits: Vec<Commit>) -> Self {
        Self {
            version: MANIFEST.newest,
            commit: commits.last().map_or(0, |last| last.number),
            dropped,
            result,
            commits,
        }
    }

    /// Reads what was found at `place`.
    ///
    /// # Errors
    /// `Unsupported` where it is of another version, `Corrupt` where it is no manifest.
    pub(super) fn read(place: &Path, text: &[u8]) -> Result<Self> {
        MANIFEST.check_json(format!("`/{place}`"), text)?;
        serde_json::from_slice(text).map_err(|e| {
            let text = format!("`/{place}` is not a {}", MANIFEST.name);
            Error::new(ErrorKind::Corrupt, text)
                .with_hint("restore it from a backup, or remove the result and start again")
                .with_source(e)
        })
    }

    /// Its text.
    ///
    /// # Errors
    /// `Internal`.
    pub(super) fn write(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal("cannot write the manifest of a result").with_source(e))
    }

    /// What it says as `_current`.
    pub(super) fn hint(&self) -> Hint {
        Hint {
            commit: self.commit,
            run: self.result.run_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest> {
        Manifest::read(&Path::from("r/_commits/7.json"), text.as_bytes())
    }

    fn result() -> ResultSet {
        let file = |run: &str| DataFile {
            path: format!("run-{run}/rows/part-0.parquet"),
            rows: 3,
            bytes: 900,
        };
        let output = PublishedOutput {
            format: "parquet".to_owned(),
            columns: vec![
                ("id".to_owned(), "Int64".to_owned()),
                ("total".to_owned(), "Decimal128(18, 2)".to_owned()),
            ],
            required: vec!["id".to_owned()],
            files: vec![
                file("0195d9a2000070008000000000000001"),
                file("0195d9a2000170008000000000000002"),
            ],
        };
        ResultSet {
            run_id: "0195d9a2000170008000000000000002".to_owned(),
            previous: Some("0195d9a2000070008000000000000001".to_owned()),
            main: "rows".to_owned(),
            outputs: [("rows".to_owned(), output)].into(),
        }
    }

    fn commits(result: &ResultSet) -> Vec<Commit> {
        let runs = [result.previous.clone().unwrap(), result.run_id.clone()];
        let numbered = (6..).zip(runs);
        numbered
            .map(|(number, run)| Commit { number, run })
            .collect()
    }

    #[test]
    fn manifests_of_all_versions_are_read() {
        let second = Manifest::new(result(), false, commits(&result()));
        let stored = include_str!("testdata/manifest-2.json");
        assert_eq!(read(stored).unwrap(), second);
        assert_eq!(
            String::from_utf8(second.write().unwrap()).unwrap(),
            stored.trim_end()
        );

        let first = read(include_str!("testdata/manifest-1.json")).unwrap();
        assert_eq!((first.version, first.commit), (1, 0));
        assert_eq!(first.result, result());
        assert!(!first.dropped && first.commits.is_empty());

        let dropped = read(include_str!("testdata/dropped-2.json")).unwrap();
        let no_result = ResultSet {
            main: String::new(),
            outputs: BTreeMap::new(),
            ..result()
        };
        assert_eq!(dropped, Manifest::new(no_result, true, commits(&result())));
    }

    #[test]
    fn other_manifests_are_refused() {
        let newer =
            include_str!("testdata/manifest-2.json").replace("\"version\": 2", "\"version\": 3");
        let error = read(&newer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.message(),
            "`/r/_commits/7.json` is a manifest of a result of version 3, and this Emporia reads versions 1 to 2"
        );
        let cut = read(&newer.replace("\"version\": 3", "\"version\": 2")[..100]).unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Corrupt);
        assert_eq!(read("{}").unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
