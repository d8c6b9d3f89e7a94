//! Counts the rows that a run has written.

use emporia_core::error::Result;
use emporia_hbase::{Client, KeyRange, RowSink, ScanRequest, filter};

use super::error::store_error;
use super::mapping::Mapping;
use super::pieces::in_pieces;

/// How many rows of `run` the table holds, where `expected` are likely.
///
/// # Errors
/// `Unavailable` where no gateway answers.
pub(super) fn count_rows(
    client: &Client,
    mapping: &Mapping,
    run: i64,
    expected: u64,
) -> Result<u64> {
    let counts = in_pieces(client, mapping, expected, |range| {
        count_range(client, mapping, run, range)
    })?;
    Ok(counts.iter().sum())
}

fn count_range(client: &Client, mapping: &Mapping, run: i64, range: KeyRange) -> Result<u64> {
    let request = ScanRequest {
        columns: mapping.presence().map(str::to_owned).into_iter().collect(),
        filter: Some(filter::key_only()),
        before: Some(run + 1),
        ..ScanRequest::new(mapping.table(), range)
    };
    let mut rows = RowsOfRun {
        run,
        n: 0,
        is_counted: false,
    };
    let mut scanner = client.scan(request);
    while scanner.next_page(&mut rows).map_err(store_error)? > 0 {}
    Ok(rows.n)
}

struct RowsOfRun {
    run: i64,
    n: u64,
    is_counted: bool,
}

impl RowSink for RowsOfRun {
    fn row(&mut self, _: &[u8]) {
        self.is_counted = false;
    }

    fn cell(&mut self, _: &[u8], timestamp: i64, _: &[u8]) {
        if timestamp == self.run && !self.is_counted {
            self.is_counted = true;
            self.n += 1;
        }
    }
}
