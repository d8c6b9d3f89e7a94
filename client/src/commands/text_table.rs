//! Small lists of texts, printed in any form.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use emporia_core::error::{Error, Result};

use crate::args::ListFormat;
use crate::output::{self, Display};

/// Rows of `N` texts.
pub(super) struct TextTable<const N: usize> {
    names: [&'static str; N],
    /// Columns whose texts are whole numbers, or empty for null.
    numbers: &'static [&'static str],
    rows: Vec<[String; N]>,
}

impl<const N: usize> TextTable<N> {
    /// A table without rows.
    pub(super) fn new(names: [&'static str; N]) -> Self {
        Self {
            names,
            numbers: &[],
            rows: Vec::new(),
        }
    }

    /// Makes columns of numbers of those that hold numbers only.
    pub(super) fn with_numbers(mut self, names: &'static [&'static str]) -> Self {
        self.numbers = names;
        self
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
            .map(|name| match self.numbers.contains(name) {
                true => Field::new(*name, DataType::Int64, true),
                false => Field::new(*name, DataType::Utf8, false),
            })
            .collect();
        let columns = self.names.iter().enumerate().map(|(index, name)| {
            let cells = self.rows.iter().map(|row| row[index].as_str());
            match self.numbers.contains(name) {
                true => Arc::new(Int64Array::from_iter(cells.map(|n| n.parse::<i64>().ok())))
                    as ArrayRef,
                false => Arc::new(StringArray::from_iter_values(cells)) as ArrayRef,
            }
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn numbers_are_numbers() -> Result<()> {
        let mut table = TextTable::new(["process", "slots"]).with_numbers(&["slots"]);
        table.row(["scheduler", ""]);
        table.row(["executor", "4"]);
        let batch = table.batch()?;
        let slots = batch.column(1).as_primitive::<Int64Type>();
        assert!(slots.is_null(0));
        assert_eq!(slots.value(1), 4);
        assert_eq!(batch.column(0).as_string::<i32>().value(0), "scheduler");
        Ok(())
    }
}
