//! Counts the rows that a run has written, in pieces that are read at the same time.

use std::sync::{Mutex, PoisonError};
use std::thread;

use emporia_core::error::{Error, Result};
use emporia_hbase::{Client, KeyRange, RowSink, ScanRequest, filter};

use super::cuts::{cuts, first_key};
use super::error::store_error;
use super::mapping::Mapping;
use super::snapshot::behind_marker;

/// Scans at the same time: what one gateway sends, another region server can look up meanwhile.
const SCANS: usize = 4;
/// Rows that are worth a piece of their own. To find where pieces end takes a few dozen requests.
const ROWS_PER_PIECE: u64 = 50_000;

/// How many rows of `run` the table holds, where `expected` are likely.
///
/// # Errors
/// `Unavailable` where no gateway answers.
pub(super) fn count_rows(
    client: &Client,
    table: &str,
    mapping: &Mapping,
    run: i64,
    expected: u64,
) -> Result<u64> {
    let regions = client.regions(table).map_err(store_error)?;
    let n_pieces = usize::try_from(expected / ROWS_PER_PIECE).unwrap_or(usize::MAX);
    let per_region = (n_pieces / regions.len().max(1)).clamp(1, SCANS * SCANS);
    let cuts = cuts(&regions, &mapping.key, Some(per_region), |range| {
        first_key(client, table, range)
    });
    let ends = cuts.iter().skip(1).map(|cut| cut.start.clone());
    let ranges = cuts
        .iter()
        .zip(ends.chain([Vec::new()]))
        .filter_map(|(cut, end)| KeyRange::new(cut.start.clone(), end).intersect(&behind_marker()));
    let ranges = Mutex::new(ranges.collect::<Vec<_>>());
    let next = || ranges.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let scan = || {
        let mut n_rows = 0;
        while let Some(range) = next() {
            n_rows += count_range(client, table, mapping, run, range)?;
        }
        Ok(n_rows)
    };
    thread::scope(|scope| {
        let scans: Vec<_> = (0..SCANS).map(|_| scope.spawn(scan)).collect();
        let broken = |_| Err(Error::internal("a scan broke off"));
        let counts = scans.into_iter().map(|s| s.join().unwrap_or_else(broken));
        counts.sum()
    })
}

fn count_range(
    client: &Client,
    table: &str,
    mapping: &Mapping,
    run: i64,
    range: KeyRange,
) -> Result<u64> {
    let request = ScanRequest {
        columns: mapping.presence().map(str::to_owned).into_iter().collect(),
        filter: Some(filter::key_only()),
        before: Some(run + 1),
        ..ScanRequest::new(table, range)
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
