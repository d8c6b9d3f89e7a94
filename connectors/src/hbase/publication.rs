//! How a result appears in HBase whole or not at all; `docs/publishing.md` has the protocol and its
//! proof, and `publication_model` searches it.
//!
//! All cells of a run have one timestamp, its *run*, which is newer than that of any run before.
//! Tables keep all versions, so the cells of the published run stay readable below those of a run
//! that is being written. One cell, `_emporia:published` of the marker row of the main table, says
//! which run counts; it is replaced by compare-and-put, and that is the switch for all tables of
//! the result. Cells of older runs are removed after it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_hbase::{Client, FamilySpec, RowMutation, TableSpec};
use serde::{Deserialize, Serialize};

use super::count::count_rows;
use super::error::store_error;
use super::mapping::Mapping;
use super::purge::purge;
use super::result::ResultTable;
use super::snapshot::{MARKER_FAMILY, MARKER_ROW, Snapshot, check_version, marker_cell};
use super::write::HBaseSink;
use crate::format::{HBASE_MARKER, first};

/// Cells are never dropped for their number: only a purge removes those of older runs.
pub(super) const ALL_VERSIONS: i32 = i32::MAX;
/// Timestamp of the cells that a marker row starts with; older than every later change of them.
const FIRST: i64 = 1;
/// Column that says which run is published.
const PUBLISHED: &str = "published";
/// Column from which runs draw their timestamps.
const LAST_RUN: &str = "last_run";
/// Column that names the main table of the result that a table belongs to.
const OWNER: &str = "owner";
/// Published runs that a marker row remembers.
const REMEMBERED: usize = 100;
/// How often a timestamp is drawn anew when other runs draw at the same time.
const MAX_DRAWS: usize = 100;

/// The content of `_emporia:published`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Version of the format.
    #[serde(default = "first")]
    pub version: u32,
    /// Timestamp of the cells of the published run; 0 where nothing was published yet.
    pub run: i64,
    /// Whether cells of older timestamps count too: a table that was written without publishing
    /// before its first overwrite.
    #[serde(default)]
    pub includes_older: bool,
    /// Identifies the run in logs and reports.
    pub run_id: String,
    /// The runs that were published last, to this one.
    #[serde(default)]
    pub recent: Vec<i64>,
    /// The tables of the result by name.
    pub tables: BTreeMap<String, PublishedTable>,
}

impl Published {
    /// What a table holds that nothing was published in: no rows, or those of timestamps up to `rows_until`.
    fn nothing(rows_until: Option<i64>) -> Self {
        Self {
            version: HBASE_MARKER.newest,
            run: rows_until.unwrap_or(0),
            includes_older: rows_until.is_some(),
            run_id: String::new(),
            recent: Vec::new(),
            tables: BTreeMap::new(),
        }
    }

    /// What comes after this.
    fn next(&self, run: i64, run_id: &str, tables: BTreeMap<String, PublishedTable>) -> Self {
        Self {
            version: HBASE_MARKER.newest,
            run,
            includes_older: false,
            run_id: run_id.to_owned(),
            recent: with_next(&self.recent, run),
            tables,
        }
    }
}

/// The runs that a marker row remembers which comes after one that remembers `recent`.
pub(super) fn with_next(recent: &[i64], run: i64) -> Vec<i64> {
    let first = (recent.len() + 1).saturating_sub(REMEMBERED);
    let known = recent.iter().skip(first).copied();
    known.chain([run]).collect()
}

/// A run that nobody has drawn: newer than the clock, than the published one and than the one that was drawn last.
pub(super) fn next_run(clock: i64, published: i64, drawn: i64) -> i64 {
    clock.max(published + 1).max(drawn + 1)
}

/// One table of a published result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedTable {
    /// Rows of the table.
    pub rows: u64,
    /// How columns become keys and cells.
    pub mapping: Mapping,
    /// The columns whose text makes up the key, where no definition says what it is.
    #[serde(default)]
    pub text_key: Vec<String>,
}

/// A run that is being written.
pub struct Publication {
    client: Client,
    owner: String,
    run: i64,
    run_id: String,
    /// `_emporia:published` as it was when the run began.
    before: Vec<u8>,
    published: Published,
    tables: BTreeMap<String, PublishedTable>,
    /// Tables that hold no cells of earlier runs: this run made them, and it is the result's first.
    clean_tables: BTreeSet<String>,
    is_first: bool,
}

impl Publication {
    /// Begins a run of the result whose main table is `owner`; creates the table where it is
    /// missing.
    ///
    /// # Errors
    /// Where HBase fails or the table belongs to another result.
    pub fn begin(client: Client, owner: &TableSpec, run_id: &str) -> Result<Self> {
        let is_new = claim(&client, owner, &owner.name)?;
        let name = owner.name.as_str();
        let before = cell(&client, name, PUBLISHED)?.unwrap_or_default();
        let published = published(name, &before)?;
        let (run, drawn) = draw_run(&client, name, published.run)?;
        Ok(Self {
            published,
            run,
            run_id: run_id.to_owned(),
            before,
            tables: BTreeMap::new(),
            clean_tables: BTreeSet::from_iter((is_new && drawn == 0).then(|| name.to_owned())),
            is_first: drawn == 0,
            owner: name.to_owned(),
            client,
        })
    }

    /// Adds a table to the result and creates it where it is missing; where its rows go.
    ///
    /// # Errors
    /// Where HBase fails or the table belongs to another result.
    pub fn add(&mut self, table: ResultTable) -> Result<HBaseSink> {
        let name = &table.spec.name;
        if *name != self.owner {
            let is_new = claim(&self.client, &table.spec, &self.owner)?;
            if is_new && self.is_first {
                self.clean_tables.insert(name.clone());
            }
        }
        // A delete would remove the cell of the published run too. It is not needed: cells of older
        // runs do not count.
        let sink = sink(&table, self.run, false)?;
        let entry = PublishedTable {
            rows: 0,
            mapping: table.mapping,
            text_key: table.text_key,
        };
        self.tables.insert(table.spec.name, entry);
        Ok(sink)
    }

    /// Makes the run the published one, once every table holds as many rows as were written; then
    /// removes the cells of older runs.
    ///
    /// # Errors
    /// `Failed` where rows are missing or another run was published first. The old result then
    /// still counts. Where HBase fails, the error says whether it is known what became of the run.
    pub fn publish(mut self, rows: &BTreeMap<String, u64>) -> Result<()> {
        for (name, table) in &mut self.tables {
            table.rows = rows.get(name).copied().unwrap_or(0);
            let stored = count_rows(&self.client, &table.mapping, self.run, table.rows)?;
            if stored != table.rows {
                return Err(Error::new(
                    ErrorKind::Failed,
                    format!(
                        "{} rows were written to `hbase:{name}` but it holds {stored}",
                        table.rows
                    ),
                )
                .with_hint("the key of the table does not tell its rows apart; declare another"));
            }
        }
        if !self.switch()? {
            return Err(Error::new(
                ErrorKind::Failed,
                format!(
                    "cannot replace `hbase:{}`: another job did while this one ran",
                    self.owner
                ),
            )
            .with_hint("the result of the other job is there; submit this one again"));
        }
        for (name, table) in &self.tables {
            if self.clean_tables.contains(name) {
                continue;
            }
            if let Err(error) = purge(&self.client, &table.mapping, self.run, table.rows) {
                tracing::warn!(%error, table = name, "old cells could not be removed; the next run will");
            }
        }
        Ok(())
    }
}

impl Publication {
    /// Replaces `_emporia:published`; whether the run is, or was, the published one.
    fn switch(&self) -> Result<bool> {
        let next = self
            .published
            .next(self.run, &self.run_id, self.tables.clone());
        let text = serde_json::to_vec(&next)
            .map_err(|e| Error::internal("cannot write the marker row").with_source(e))?;
        let (client, owner) = (&self.client, &self.owner);
        let column = marker_column(PUBLISHED);
        let switched = client.compare_and_put(owner, MARKER_ROW, &column, &self.before, &text);
        if matches!(switched, Ok(true)) {
            return Ok(true);
        }
        // The answer may have got lost, and another run may have been published since.
        let found = cell(client, owner, PUBLISHED)
            .and_then(|text| published(owner, &text.unwrap_or_default()));
        match (switched, found) {
            (_, Ok(found)) if found.recent.contains(&self.run) => Ok(true),
            (Ok(_), Ok(_)) => Ok(false),
            (Err(error), Ok(found)) if found.run == self.published.run => Err(store_error(error)),
            (Err(_), Ok(_)) => Ok(false),
            (_, Err(error)) => {
                let text = format!(
                    "it is not known whether run {} was published in `hbase:{owner}`",
                    self.run_id
                );
                Err(Error::new(error.kind(), text)
                    .with_hint(
                        "read the result when HBase answers, before submitting the job again",
                    )
                    .with_source(error))
            }
        }
    }
}

/// Where the rows of a table go that is written to as it is: rows appear one by one. Creates the
/// table where it is missing.
///
/// # Errors
/// `InvalidInput` where the readers of the table keep to a published run, which new rows are no
/// part of.
pub fn upsert_sink(client: &Client, table: &ResultTable, deletes_nulls: bool) -> Result<HBaseSink> {
    let name = table.spec.name.as_str();
    client.create_table(&table.spec).map_err(store_error)?;
    let has_marker = client
        .families(name)
        .map_err(store_error)?
        .iter()
        .any(|family| family == MARKER_FAMILY);
    if has_marker && cell(client, name, OWNER)?.is_some() {
        return Err(Error::invalid(format!(
            "rows cannot be added to `hbase:{name}`, which holds the published result of a job"
        ))
        .with_hint("INSERT OVERWRITE replaces it whole"));
    }
    sink(table, now_millis(), deletes_nulls)
}

fn sink(table: &ResultTable, timestamp: i64, deletes_nulls: bool) -> Result<HBaseSink> {
    Ok(HBaseSink {
        table: table.spec.name.clone(),
        mapping: serde_json::to_string(&table.mapping)
            .map_err(|e| Error::internal("cannot write a mapping").with_source(e))?,
        timestamp,
        deletes_nulls,
        text_key: table.text_key.clone(),
    })
}

/// Creates `table` where it is missing and writes its marker row, as a table of the result `owner`;
/// whether it was missing.
fn claim(client: &Client, table: &TableSpec, owner: &str) -> Result<bool> {
    let mut spec = table.clone();
    spec.families.push(FamilySpec::new(MARKER_FAMILY));
    let name = table.name.as_str();
    let is_new = client.create_table(&spec).map_err(store_error)?;
    if !is_new {
        check_versions(client, name)?;
    }
    match cell(client, name, OWNER)? {
        Some(held) if held == owner.as_bytes() => return Ok(is_new),
        Some(held) => {
            return Err(Error::invalid(format!(
                "table `hbase:{name}` belongs to the result `hbase:{}`",
                held.escape_ascii()
            ))
            .with_hint("write to another table"));
        }
        None => {}
    }
    // Rows that were there before stay readable until the first run of this result is published.
    let first = Published::nothing((!is_new).then(now_millis));
    let text = serde_json::to_vec(&first)
        .map_err(|e| Error::internal("cannot write the marker row").with_source(e))?;
    let value = |column: &str, value: &[u8]| (marker_column(column), Some(value.to_vec()));
    let row = RowMutation {
        key: MARKER_ROW.to_vec(),
        cells: vec![
            value(OWNER, owner.as_bytes()),
            value(PUBLISHED, &text),
            value(LAST_RUN, b"0"),
        ],
    };
    client.put(name, FIRST, &[row]).map_err(store_error)?;
    Ok(is_new)
}

/// An overwrite needs the old cells below the new ones until the switch.
fn check_versions(client: &Client, table: &str) -> Result<()> {
    let families = client.describe(table).map_err(store_error)?;
    if !families.iter().any(|f| f.name == MARKER_FAMILY) {
        return Err(Error::invalid(format!(
            "table `hbase:{table}` was not made by Emporia for results: it has no family `{MARKER_FAMILY}`"
        ))
        .with_hint("write to another table, or add the family and raise VERSIONS of the others"));
    }
    let narrow = families
        .iter()
        .find(|f| f.name != MARKER_FAMILY && f.max_versions < ALL_VERSIONS);
    match narrow {
        None => Ok(()),
        Some(family) => Err(Error::invalid(format!(
            "family `{}` of table `hbase:{table}` keeps {} versions, so an overwrite could lose the old result before the new one is complete",
            family.name, family.max_versions
        ))
        .with_hint(format!("set its VERSIONS to {ALL_VERSIONS}, or write to another table"))),
    }
}

/// A timestamp for a new run, newer than the clock's, the published run's and every drawn one; and
/// the one that was drawn last, 0 where none was.
fn draw_run(client: &Client, owner: &str, published: i64) -> Result<(i64, i64)> {
    for _ in 0..MAX_DRAWS {
        let last = cell(client, owner, LAST_RUN)?.unwrap_or_default();
        let drawn: i64 = std::str::from_utf8(&last)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| corrupt(owner))?;
        let run = next_run(now_millis(), published, drawn);
        let text = run.to_string().into_bytes();
        let column = marker_column(LAST_RUN);
        let is_mine = client
            .compare_and_put(owner, MARKER_ROW, &column, &last, &text)
            .map_err(store_error)?;
        if is_mine {
            return Ok((run, drawn));
        }
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("too many runs of `hbase:{owner}` begin at the same time"),
    ))
}

/// What the marker row of the result that `table` belongs to says of it; `None` where it is no
/// table of a published result.
///
/// # Errors
/// `Corrupt` where the marker row is not readable, `Unavailable` where no gateway answers.
pub(super) fn published_table(
    client: &Client,
    table: &str,
) -> Result<Option<(PublishedTable, Snapshot)>> {
    let families = client.families(table).map_err(store_error)?;
    if !families.iter().any(|family| family == MARKER_FAMILY) {
        return Ok(None);
    }
    let Some(owner) = cell(client, table, OWNER)? else {
        return Ok(None);
    };
    let owner = String::from_utf8(owner).map_err(|e| corrupt(table).with_source(e))?;
    let Some(text) = cell(client, &owner, PUBLISHED)? else {
        return Ok(None);
    };
    let mut published = published(&owner, &text)?;
    let snapshot = Snapshot {
        run: published.run,
        includes_older: published.includes_older,
        owner,
    };
    let result = published.tables.remove(table);
    Ok(result.map(|result| (result, snapshot)))
}

/// Reads `_emporia:published`.
pub(super) fn published(table: &str, text: &[u8]) -> Result<Published> {
    check_version(table, text)?;
    serde_json::from_slice(text).map_err(|e| corrupt(table).with_source(e))
}

/// A cell of the marker row of `table`.
fn cell(client: &Client, table: &str, column: &str) -> Result<Option<Vec<u8>>> {
    marker_cell(client, table, &marker_column(column))
}

fn marker_column(qualifier: &str) -> String {
    format!("{MARKER_FAMILY}:{qualifier}")
}

fn corrupt(table: &str) -> Error {
    let text = format!("the marker row of table `hbase:{table}` is not readable");
    Error::new(ErrorKind::Corrupt, text)
        .with_hint("remove the table, or restore its row `\\x00emporia`")
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use emporia_core::catalog::TableDef;

    use super::*;

    fn stored() -> Published {
        let quoted = Field::new("\"q\"", DataType::Int64, true);
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, true),
            Field::new("price", DataType::Decimal128(18, 2), true),
            Field::new("tags", DataType::Struct(vec![quoted].into()), true),
        ]);
        let definition = TableDef::new("hbase", "hbase:sales");
        let key = ["id".to_owned()];
        let table = ResultTable::complete("sales", &definition, &schema, &key).unwrap();
        let table = PublishedTable {
            rows: 3,
            mapping: table.mapping,
            text_key: table.text_key,
        };
        let tables = [("sales".to_owned(), table)].into();
        let before = Published::nothing(None).next(1_700_000_000_000, "a", BTreeMap::new());
        before.next(1_700_000_000_001, "b", tables)
    }

    #[test]
    fn marker_rows_of_all_versions_are_read() {
        let text = include_str!("testdata/published-2.json");
        assert_eq!(serde_json::to_string(&stored()).unwrap(), text.trim_end());
        assert_eq!(published("sales", text.as_bytes()).unwrap(), stored());
        let text = include_str!("testdata/published-1.json");
        let expected = Published {
            version: 1,
            recent: Vec::new(),
            ..stored()
        };
        assert_eq!(published("sales", text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn newer_marker_rows_are_refused() {
        let text = serde_json::to_string(&stored()).unwrap();
        let newer = text.replace("\"version\":2", "\"version\":3");
        let error = published("sales", newer.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.message(),
            "`_emporia:published` of table `hbase:sales` is a marker row of a result of version 3, and this \
             Emporia reads versions 1 to 2"
        );
        let cut = published("sales", &text.as_bytes()[..20]).unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Corrupt);
    }
}
