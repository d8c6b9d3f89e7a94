//! Rows of a source that could not be read.

use std::fmt::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use emporia_core::text::grouped;
use emporia_core::{Error, ErrorKind, Result};

use crate::columns::{batch_of, int64, text};

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reject {
    /// The table that the row is missing from.
    pub(super) table: &'static str,
    /// What the row breaks.
    pub(super) rule: &'static str,
    /// The row as it came.
    pub(super) raw: String,
    pub(super) place: Place,
}

/// Where a row stands in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Name of the file; of a workbook, with the sheet.
    source: String,
    /// Number of the line or row, counted from one.
    position: u64,
    /// What is counted.
    unit: &'static str,
}

impl Place {
    /// A line of a file.
    pub(super) fn line(file: &str, line: u64) -> Self {
        Self {
            source: file.to_owned(),
            position: line,
            unit: "line",
        }
    }

    /// A row of a sheet.
    pub(super) fn row(workbook: &str, sheet: &str, row: u64) -> Self {
        Self {
            source: format!("{workbook}, sheet {sheet}"),
            position: row,
            unit: "row",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {} {}", self.source, self.unit, self.position)
    }
}

/// Largest share of the rows of a source that may be rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxRejects(f64);

impl Default for MaxRejects {
    /// One row in twenty.
    fn default() -> Self {
        Self(0.05)
    }
}

impl FromStr for MaxRejects {
    type Err = Error;

    /// Reads `0.05` or `5%`.
    fn from_str(text: &str) -> Result<Self> {
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
            None => text.parse(),
        };
        match share {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err(Error::invalid(format!(
                "`{text}` is not a share from 0 to 1, or 0% to 100%"
            ))),
        }
    }
}

impl MaxRejects {
    /// Whether `rejected` rows beside `taken` ones are too many.
    pub fn is_exceeded(self, rejected: u64, taken: u64) -> bool {
        rejected as f64 > self.0 * (rejected + taken) as f64
    }

    /// The share in percent.
    pub fn percent(self) -> f64 {
        self.0 * 100.0
    }

    /// Checks what was read of `source` before anything is written.
    pub(super) fn check(self, rejects: &[Reject], taken: usize, source: &Path) -> Result<()> {
        let (rejected, taken) = (rejects.len() as u64, taken as u64);
        let total = grouped(rejected + taken);
        let source = source.display();
        let text = match (taken, rejected) {
            (0, 0) => format!("`{source}` has no rows to import"),
            (0, _) => format!("none of the {total} rows of `{source}` can be read"),
            _ if self.is_exceeded(rejected, taken) => format!(
                "{} of the {total} rows of `{source}` cannot be read, which is more than {:.1} %",
                grouped(rejected),
                self.percent()
            ),
            _ => return Ok(()),
        };
        let error = Error::new(ErrorKind::Failed, text);
        Err(match (first(rejects), taken) {
            (None, _) => error,
            (Some(first), 0) => error.with_hint(format!("nothing was written; {first}")),
            (Some(first), _) => error.with_hint(format!(
                "nothing was written; {first}; pass --max-rejects to import the other rows"
            )),
        })
    }
}

/// Rejects that are named in a message.
const SHOWN: usize = 3;

/// A remark if rows were rejected.
pub(super) fn note(rejects: &[Reject]) -> Option<String> {
    let first = first(rejects)?;
    let n_rejects = grouped(rejects.len() as u64);
    Some(format!("rows in the table `rejects`: {n_rejects}; {first}"))
}

/// The first rejects as text.
fn first(rejects: &[Reject]) -> Option<String> {
    let mut text = String::from("the first rejects:");
    for (n, reject) in rejects.iter().take(SHOWN).enumerate() {
        let separator = if n == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator} {} ({})", reject.place, reject.rule);
    }
    (!rejects.is_empty()).then_some(text)
}

/// Rows of `rejects`.
pub(super) fn batch(
    rejects: &[Reject],
    schema: &SchemaRef,
    rows: Range<usize>,
) -> Result<RecordBatch> {
    let rejects = &rejects[rows];
    batch_of(
        schema,
        vec![
            text(rejects.iter().map(|reject| reject.table)),
            text(rejects.iter().map(|reject| reject.rule)),
            text(rejects.iter().map(|reject| &reject.raw)),
            text(rejects.iter().map(|reject| &reject.place.source)),
            int64(rejects.iter().map(|reject| reject.place.position as i64)),
        ],
    )
}
