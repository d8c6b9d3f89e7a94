//! The rows behind the fake gateway, and a sink that keeps what it is given.

use std::collections::BTreeMap;

use emporia_hbase::RowSink;

/// A row: its key, and its cells with column, timestamp and value.
pub(crate) type Row = (Vec<u8>, Vec<(Vec<u8>, i64, Vec<u8>)>);

/// Cells by row and column.
pub(crate) type Table = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, (i64, Vec<u8>)>>;

/// A table of so many rows with one to three cells each.
pub(crate) fn table(n_rows: usize) -> Table {
    (0..n_rows)
        .map(|number| {
            let cells = (0..=number % 3)
                .map(|column| {
                    let value = vec![b'v'; (number * 7 + column) % 40];
                    (format!("f:{column}").into_bytes(), (number as i64, value))
                })
                .collect();
            (key(number), cells)
        })
        .collect()
}

/// The key of a row of [`table`].
pub(crate) fn key(number: usize) -> Vec<u8> {
    format!("row-{number:06}").into_bytes()
}

/// Rows as they were handed out.
#[derive(Debug, Default)]
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl RowSink for Rows {
    fn row(&mut self, key: &[u8]) {
        self.0.push((key.to_vec(), Vec::new()));
    }

    fn cell(&mut self, column: &[u8], timestamp: i64, value: &[u8]) {
        let (_, cells) = self.0.last_mut().expect("a cell follows its row");
        cells.push((column.to_vec(), timestamp, value.to_vec()));
    }
}

/// The rows of the table that a scan must return.
pub(crate) fn expected(
    table: &Table,
    wanted: impl Fn(&[u8]) -> bool,
    limit: Option<usize>,
) -> Vec<Row> {
    table
        .iter()
        .filter(|(key, _)| wanted(key))
        .take(limit.unwrap_or(usize::MAX))
        .map(|(key, cells)| {
            let cells = cells.iter();
            let cells = cells.map(|(column, (ts, value))| (column.clone(), *ts, value.clone()));
            (key.clone(), cells.collect())
        })
        .collect()
}
