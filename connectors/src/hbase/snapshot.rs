//! The published state of a table, and making sure that a query reads that one only.
//!
//! A table that results are written to has a marker row. It says which run is published, or names
//! the table whose marker row says so. Readers take the cells of that run; see [`super::publication`]
//! for how the marker changes.
//!
//! A task that ends checks that the run is still the published one. Cells of older runs are removed
//! after the switch to a newer one, so a scan that goes on meanwhile could miss rows.

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_hbase::{Client, KeyRange, RowSink, after};
use serde::{Deserialize, Serialize};

use super::error::store_error;
use crate::format::HBASE_MARKER;

/// Key of the marker row, which is a row of no query.
pub(super) const MARKER_ROW: &[u8] = b"\x00emporia";
/// Family of the cells of the marker row.
pub(super) const MARKER_FAMILY: &str = "_emporia";

/// The cell that holds the published run.
const PUBLISHED: &str = "_emporia:published";
/// The cell that names the table whose marker row counts.
const OWNER: &str = "_emporia:owner";

/// All rows but the marker.
pub(super) fn behind_marker() -> KeyRange {
    KeyRange::new(after(MARKER_ROW), Vec::new())
}

/// The published state of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Timestamp of the cells of the published run.
    pub run: i64,
    /// Whether cells of older timestamps count too.
    pub includes_older: bool,
    /// The table whose marker row counts.
    pub owner: String,
}

/// What a reader needs of `_emporia:published`.
#[derive(Deserialize)]
struct Marker {
    run: i64,
    #[serde(default)]
    includes_older: bool,
}

impl Snapshot {
    /// The published state of `table`, which has these families; `None` where nothing is ever
    /// published in it, and its rows are read as they are.
    ///
    /// # Errors
    /// `Corrupt` where the marker row is not readable, `Unavailable` where no gateway answers.
    pub fn load(client: &Client, table: &str, families: &[String]) -> Result<Option<Self>> {
        if !families.iter().any(|family| family == MARKER_FAMILY) {
            return Ok(None);
        }
        let owner = match marker_cell(client, table, OWNER)? {
            Some(owner) => String::from_utf8(owner).map_err(|e| corrupt(table).with_source(e))?,
            None => table.to_owned(),
        };
        Ok(marker(client, &owner)?.map(|marker| Self {
            run: marker.run,
            includes_older: marker.includes_older,
            owner,
        }))
    }

    /// Cells from this timestamp on belong to no published run.
    pub fn before(&self) -> i64 {
        self.run.saturating_add(1)
    }

    /// Whether a cell of this timestamp, older than [`Snapshot::before`], is a part of it.
    pub fn includes(&self, timestamp: i64) -> bool {
        self.includes_older || timestamp == self.run
    }

    /// Makes sure that nothing else was published since.
    ///
    /// # Errors
    /// `Failed` where another run counts now; what was read may then lack rows.
    pub fn check(&self, client: &Client, table: &str) -> Result<()> {
        if current_run(client, &self.owner)? == Some(self.run) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Failed,
            format!("table `hbase:{table}` was overwritten while it was read"),
        )
        .with_hint("submit the query again"))
    }
}

/// The published run of the result whose main table is `owner`, `None` where there is none.
///
/// # Errors
/// `Corrupt` where the marker row is not readable, `Unavailable` where no gateway answers.
pub fn current_run(client: &Client, owner: &str) -> Result<Option<i64>> {
    Ok(marker(client, owner)?.map(|marker| marker.run))
}

fn marker(client: &Client, owner: &str) -> Result<Option<Marker>> {
    match marker_cell(client, owner, PUBLISHED)? {
        Some(json) => parse(owner, &json).map(Some),
        None => Ok(None),
    }
}

fn parse(owner: &str, json: &[u8]) -> Result<Marker> {
    check_version(owner, json)?;
    serde_json::from_slice(json).map_err(|e| corrupt(owner).with_source(e))
}

/// Checks the version of `_emporia:published` of a table.
///
/// # Errors
/// `Unsupported` where it is another.
pub(super) fn check_version(table: &str, json: &[u8]) -> Result<()> {
    HBASE_MARKER.check_json(format!("`{PUBLISHED}` of table `hbase:{table}`"), json)
}

/// A cell, `family:qualifier`, of the marker row of `table`.
///
/// # Errors
/// `Unavailable` where no gateway answers, `NotFound` where there is no such table or family.
pub(super) fn marker_cell(client: &Client, table: &str, column: &str) -> Result<Option<Vec<u8>>> {
    let mut value = LastValue(None);
    let columns = [column.to_owned()];
    client
        .get(table, &[MARKER_ROW.to_vec()], &columns, None, &mut value)
        .map_err(store_error)?;
    Ok(value.0)
}

struct LastValue(Option<Vec<u8>>);

impl RowSink for LastValue {
    fn row(&mut self, _: &[u8]) {}

    fn cell(&mut self, _: &[u8], _: i64, value: &[u8]) {
        self.0 = Some(value.to_vec());
    }
}

fn corrupt(table: &str) -> Error {
    let text = format!("the marker row of table `hbase:{table}` is not readable");
    Error::new(ErrorKind::Corrupt, text)
        .with_hint("remove the table, or restore its row `\\x00emporia`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_needs_the_run_only() {
        let marker = parse("t", br#"{"run":17,"run_id":"x","tables":{}}"#).unwrap();
        assert_eq!((marker.run, marker.includes_older), (17, false));
        let marker = parse("t", br#"{"version":2,"run":17,"includes_older":true}"#).unwrap();
        assert!(marker.includes_older);
        assert_eq!(parse("t", b"17").err().unwrap().kind(), ErrorKind::Corrupt);
        let newer = parse("t", br#"{"version":3,"run":17}"#).err().unwrap();
        assert_eq!(newer.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_snapshot_is_one_run_or_all_up_to_it() {
        let mut snapshot = Snapshot {
            run: 5,
            includes_older: false,
            owner: "t".to_owned(),
        };
        assert_eq!(snapshot.before(), 6);
        assert!(snapshot.includes(5) && !snapshot.includes(4));
        snapshot.includes_older = true;
        assert!(snapshot.includes(4));
    }
}
