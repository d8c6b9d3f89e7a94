//! Works on all rows of a table, several pieces at a time.

use std::sync::{Mutex, PoisonError};
use std::thread;

use emporia_core::error::{Error, Result};
use emporia_hbase::{Client, KeyRange};

use super::cuts::{cuts, first_key};
use super::error::store_error;
use super::mapping::Mapping;
use super::snapshot::behind_marker;

/// Pieces at the same time: what one gateway sends, another region server can look up meanwhile.
const AT_A_TIME: usize = 4;
/// Most pieces of a region.
const MAX_PIECES: usize = 16;
/// Rows that are worth a piece of their own. To find where pieces end takes a few dozen requests.
const ROWS_PER_PIECE: u64 = 50_000;

/// What `work` returns for the pieces of a table of about `n_rows` rows, in no order. The marker row is
/// in none of them.
///
/// # Errors
/// The first of `work`, or `Unavailable` where no gateway answers.
pub(super) fn in_pieces<T: Send>(
    client: &Client,
    mapping: &Mapping,
    n_rows: u64,
    work: impl Fn(KeyRange) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let table = mapping.table();
    let regions = client.regions(table).map_err(store_error)?;
    let n_pieces = usize::try_from(n_rows / ROWS_PER_PIECE).unwrap_or(usize::MAX);
    let per_region = (n_pieces / regions.len().max(1)).clamp(1, MAX_PIECES);
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
    let worker = || {
        std::iter::from_fn(next)
            .map(&work)
            .collect::<Result<Vec<T>>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(worker)).collect();
        let broken = |_| Err(Error::internal("the work on a piece of a table broke off"));
        let results = workers.into_iter().map(|w| w.join().unwrap_or_else(broken));
        results
            .collect::<Result<Vec<_>>>()
            .map(|done| done.into_iter().flatten().collect())
    })
}
