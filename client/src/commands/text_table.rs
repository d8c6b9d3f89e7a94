//! Small lists of texts, printed in any form.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use emporia_core::error::{Error, Result};

use crate::args::ListFormat;
use crate::output::{self, Display};

/// Rows of `N` texts.
pub(super) struct TextTable<const N: usize> {
    names: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> TextTable<N> {
    /// A table without rows.
    pub(super) fn new(names: [&'static str; N]) -> Self {
        Self {
            names,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(str::to_owned));
    }

    /// Prints all rows to standard output.
    pub(super) fn print(&self, format: ListFormat) -> Result<()> {
        let display = Display {
            max_rows: None,
            max_width: None,
            ..Display::default()
        };
        output::print(format.into(), &display, &self.batch()?).map(drop)
    }

    /// The rows as a result like any other.
    pub(super) fn batch(&self) -> Result<RecordBatch> {
        let fields: Vec<_> = self
            .names
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, false))
            .collect();
        let columns = (0..N).map(|index| {
            let cells = self.rows.iter().map(|row| row[index].as_str());
            Arc::new(StringArray::from_iter_values(cells)) as ArrayRef
        });
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect())
            .map_err(|e| Error::internal("cannot make a table").with_source(e))
    }

    /// The cells.
    #[cfg(test)]
    pub(super) fn into_rows(self) -> Vec<[String; N]> {
        self.rows
    }
}
