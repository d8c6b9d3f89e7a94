//! Where rows go.
//!
//! Rows are handed over as slices of the reply's buffer. A sink copies what it keeps, straight
//! into its own columns, and nothing is allocated on the way.

/// Receives rows: one [`RowSink::row`], then one [`RowSink::cell`] for each of its cells.
pub trait RowSink {
    /// A row begins.
    fn row(&mut self, key: &[u8]);

    /// A cell of the row that began last; `column` is `family:qualifier`.
    fn cell(&mut self, column: &[u8], timestamp: i64, value: &[u8]);
}
