//! Rows of a source that could not be read.

use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use emporia_core::Result;

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
    /// Name of the source file.
    pub(super) source: String,
    /// Line of the source file, counted from one.
    pub(super) line: u64,
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
            text(rejects.iter().map(|reject| &reject.source)),
            int64(rejects.iter().map(|reject| reject.line as i64)),
        ],
    )
}
