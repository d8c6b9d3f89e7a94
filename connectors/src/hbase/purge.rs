//! Removes the cells of older runs.

use emporia_core::error::Result;
use emporia_hbase::{Client, KeyRange, RowSink, ScanRequest, filter};

use super::error::store_error;
use super::mapping::Mapping;
use super::pieces::in_pieces;
use super::snapshot::MARKER_FAMILY;

/// Rows of one request.
const PAGE_ROWS: usize = 1000;

/// Removes every cell that is older than `run`, from a table of about `n_rows` rows.
///
/// # Errors
/// `Unavailable` where no gateway answers; some cells may be left then.
pub(super) fn purge(client: &Client, mapping: &Mapping, run: i64, n_rows: u64) -> Result<()> {
    let families = client.families(mapping.table()).map_err(store_error)?;
    let families: Vec<_> = families
        .into_iter()
        .filter(|name| name != MARKER_FAMILY)
        .collect();
    in_pieces(client, mapping, n_rows, |range| {
        purge_range(client, mapping.table(), &families, run, range)
    })?;
    Ok(())
}

fn purge_range(
    client: &Client,
    table: &str,
    families: &[String],
    run: i64,
    range: KeyRange,
) -> Result<()> {
    let request = ScanRequest {
        columns: families.to_vec(),
        filter: Some(filter::and(&[filter::first_key_only(), filter::key_only()])),
        before: Some(run),
        page_rows: Some(PAGE_ROWS),
        ..ScanRequest::new(table, range)
    };
    let mut scanner = client.scan(request);
    let mut keys = Keys::default();
    while scanner.next_page(&mut keys).map_err(store_error)? > 0 {
        client
            .delete_before(table, &keys.0, families, run - 1)
            .map_err(store_error)?;
        keys.0.clear();
    }
    Ok(())
}

#[derive(Default)]
struct Keys(Vec<Vec<u8>>);

impl RowSink for Keys {
    fn row(&mut self, key: &[u8]) {
        self.0.push(key.to_vec());
    }

    fn cell(&mut self, _: &[u8], _: i64, _: &[u8]) {}
}
