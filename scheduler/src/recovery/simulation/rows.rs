//! The rows of a query, in a form that can be compared.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Each row as one line: in order where the query has one, else sorted. Floats have nine digits, because their sums
/// depend on the order of rows in their last ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows(Vec<String>);

impl Rows {
    pub(super) fn of(batches: &[RecordBatch], is_ordered: bool) -> Self {
        let options = FormatOptions::new().with_null("NULL");
        let mut lines = Vec::new();
        for batch in batches {
            let columns = batch.columns().iter();
            let formatters: Vec<_> = columns
                .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter().zip(&formatters);
                let values = values.map(|(column, formatter)| match column.data_type() {
                    DataType::Float64 if column.is_valid(row) => {
                        format!("{:.8e}", column.as_primitive::<Float64Type>().value(row))
                    }
                    _ => formatter.value(row).to_string(),
                });
                lines.push(values.collect::<Vec<_>>().join("|"));
            }
        }
        if !is_ordered {
            lines.sort_unstable();
        }
        Self(lines)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with these rows, where `expected` are right.
    pub(super) fn difference(&self, expected: &Self) -> Option<String> {
        if self == expected {
            return None;
        }
        let n = self.0.iter().zip(&expected.0).take_while(|(a, b)| a == b);
        let n = n.count();
        Some(format!(
            "{} rows, not {}; the first that differs is {:?}, not {:?}",
            self.0.len(),
            expected.0.len(),
            self.0.get(n),
            expected.0.get(n)
        ))
    }
}
