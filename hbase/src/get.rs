//! Single rows by their keys.

use std::ops::Range;

use crate::action::Action;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::fault::{self, Fault};
use crate::gateways::Lease;
use crate::page_size::PageSize;
use crate::sink::RowSink;
use crate::wire::rows::Rows;

/// Bytes of keys in one request; a framed gateway refuses requests above 2 MiB.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

impl Client {
    /// Hands those of the rows that exist to the sink, in the order of `rows`, and returns their
    /// number. `rows` are sorted and without repeats; `columns` and `before` are as in
    /// [`crate::ScanRequest`].
    ///
    /// # Errors
    /// [`Error::NoSuchTable`]; other faults as for a scan. Whole portions of rows may have been
    /// handed out before.
    pub fn get(
        &self,
        table: &str,
        rows: &[Vec<u8>],
        columns: &[String],
        before: Option<i64>,
        sink: &mut dyn RowSink,
    ) -> Result<usize> {
        let action = Action::on("get rows of", table);
        if rows.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::InvalidRequest {
                action: action.to_string(),
                message: "the keys are not sorted, or one is repeated".to_owned(),
            });
        }
        let mut found = Rows::default();
        let mut pages = PageSize::new(None);
        let mut n_found = 0;
        let mut start = 0;
        while start < rows.len() {
            let portion = portion(rows, start, pages.rows());
            let keys = &rows[portion.clone()];
            let fetched = self.run(action, |lease| {
                fetch(lease, action, keys, columns, before, &mut found)?;
                found.emit(lease.reply_bytes(), sink);
                Ok(lease.reply_size())
            });
            match fetched {
                Ok(n_bytes) => {
                    pages.learn(keys.len(), n_bytes);
                    n_found += found.len();
                    start = portion.end;
                }
                Err(Error::TooLarge { .. }) if pages.shrink() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(n_found)
    }
}

/// The next keys for one request.
fn portion(rows: &[Vec<u8>], start: usize, max_rows: usize) -> Range<usize> {
    let mut n_bytes = 0;
    let n_rows = rows[start..]
        .iter()
        .take(max_rows)
        .take_while(|row| {
            n_bytes += row.len();
            n_bytes <= MAX_REQUEST_BYTES
        })
        .count();
    start..start + n_rows.max(1)
}

fn fetch(
    lease: &mut Lease,
    action: Action<'_>,
    keys: &[Vec<u8>],
    columns: &[String],
    before: Option<i64>,
    found: &mut Rows,
) -> Result<()> {
    let table = action.table().as_bytes();
    lease.call(action, |connection| {
        let fetched = match before {
            Some(timestamp) => connection.fetch(
                "getRowsWithColumnsTs",
                |arguments| {
                    arguments.bytes(1, table)?;
                    arguments.list(2, keys)?;
                    arguments.list(3, columns)?;
                    arguments.i64(4, timestamp)?;
                    arguments.no_attributes(5)
                },
                found,
            ),
            None => connection.fetch(
                "getRowsWithColumns",
                |arguments| {
                    arguments.bytes(1, table)?;
                    arguments.list(2, keys)?;
                    arguments.list(3, columns)?;
                    arguments.no_attributes(4)
                },
                found,
            ),
        };
        fetched.map_err(Fault::or_passing)?;
        check_wanted(found, connection.reply_bytes(), keys)
    })
}

/// Makes sure that each row was asked for and comes once. Those that do not exist are left out.
fn check_wanted(found: &Rows, bytes: &[u8], keys: &[Vec<u8>]) -> fault::Result<()> {
    let mut wanted = keys.iter();
    for key in found.keys(bytes) {
        if !wanted.any(|wanted| wanted == key) {
            return Err(Fault::malformed("a row was not asked for, or comes twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_bounded_by_rows_and_bytes() {
        let small = vec![vec![0; 10]; 25];
        assert_eq!(portion(&small, 0, 10), 0..10);
        assert_eq!(portion(&small, 20, 10), 20..25);
        let large = vec![vec![0; MAX_REQUEST_BYTES / 2]; 5];
        assert_eq!(portion(&large, 1, 10), 1..3);
        let huge = vec![vec![0; MAX_REQUEST_BYTES * 2]; 2];
        assert_eq!(portion(&huge, 0, 10), 0..1);
    }
}
