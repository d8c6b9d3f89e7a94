//! Writes that can be repeated.
//!
//! All cells of a call carry the timestamp that the caller gives. Writing a cell again with the
//! same timestamp and value changes nothing, so a request whose outcome is unknown is simply sent
//! again. With the server's own time, each repetition would be a further version, and could bury
//! what others wrote in the meantime.
//!
//! A request of several rows is not atomic: it may have been applied in part when it fails.

use std::collections::HashSet;

use crate::action::Action;
use crate::catalog;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::wire::request::Arguments;

/// Bounds of one request. A framed gateway refuses requests above 2 MiB.
const MAX_ROWS: usize = 5000;
const MAX_BYTES: usize = 1024 * 1024;

/// Longest key of a row.
const MAX_KEY_BYTES: usize = i16::MAX as usize;

/// Bytes that a cell takes on the wire beside its column and value, and a row beside its key.
const CELL_OVERHEAD: usize = 24;
const ROW_OVERHEAD: usize = 16;

/// What to write into one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowMutation {
    /// Key of the row.
    pub key: Vec<u8>,
    /// `family:qualifier` with the new value, or `None` to delete the column. A column occurs once.
    pub cells: Vec<(String, Option<Vec<u8>>)>,
}

impl Client {
    /// Writes the rows. Cells get the timestamp; a deletion covers cells up to and including it.
    ///
    /// Rows have different keys. The call succeeds when HBase has logged all of them; when it
    /// fails, some may be written, and it can be repeated with the same timestamp.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::NoSuchFamily`], [`Error::InvalidRequest`].
    pub fn put(&self, table: &str, timestamp: i64, rows: &[RowMutation]) -> Result<()> {
        let action = Action::on("write to", table);
        check_rows(rows).map_err(|message| Error::InvalidRequest {
            action: action.to_string(),
            message,
        })?;
        let mut rest = rows;
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_len(rest));
            self.mutate(action, timestamp, |arguments, id| {
                arguments.structs(id, batch, |fields, row| {
                    fields.bytes(1, &row.key)?;
                    fields.structs(2, &row.cells, |fields, (column, value)| {
                        mutation(fields, column, value.as_deref())
                    })
                })
            })?;
            rest = others;
        }
        Ok(())
    }

    /// Deletes all cells of these rows, in these families, whose timestamp is not above the given
    /// one. Without families, in all of them.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::NoSuchFamily`], [`Error::InvalidRequest`].
    pub fn delete_before(
        &self,
        table: &str,
        rows: &[Vec<u8>],
        families: &[String],
        timestamp: i64,
    ) -> Result<()> {
        let action = Action::on("delete rows of", table);
        let invalid = |message: &str| Error::InvalidRequest {
            action: action.to_string(),
            message: message.to_owned(),
        };
        if rows.iter().any(Vec::is_empty) {
            return Err(invalid("a row has an empty key"));
        }
        if families.iter().any(|family| family.contains(':')) {
            return Err(invalid("a family is given with a colon"));
        }
        let looked_up;
        let families = match families {
            [] => {
                looked_up = self.families(table)?;
                looked_up.as_slice()
            }
            given => given,
        };
        for batch in rows.chunks(MAX_ROWS) {
            self.mutate(action, timestamp, |arguments, id| {
                arguments.structs(id, batch, |fields, key| {
                    fields.bytes(1, key)?;
                    // A column without qualifier stands for its family.
                    fields.structs(2, families, |fields, family| mutation(fields, family, None))
                })
            })?;
        }
        Ok(())
    }

    /// Sends one request until it succeeds; `rows` writes its `list<BatchMutation>`.
    fn mutate(
        &self,
        action: Action<'_>,
        timestamp: i64,
        rows: impl Fn(&mut Arguments<'_>, i16) -> thrift::Result<()>,
    ) -> Result<()> {
        self.run(action, |lease| {
            let written = lease.call(action, |connection| {
                connection
                    .order("mutateRowsTs", |arguments| {
                        arguments.bytes(1, action.table().as_bytes())?;
                        rows(arguments, 2)?;
                        arguments.i64(3, timestamp)?;
                        arguments.no_attributes(4)
                    })
                    .map_err(Fault::or_passing)
            });
            // Of a missing table, HBase only says that an action failed.
            if let Err(Error::Unavailable { .. }) = written {
                catalog::read_regions(lease, action)?;
            }
            written
        })
    }
}

/// The fields of a `Mutation`. All are written: the default of the flag for the log differs from
/// one library to the next, and without the log a crash loses the row.
pub(crate) fn mutation(
    fields: &mut Arguments<'_>,
    column: &str,
    value: Option<&[u8]>,
) -> thrift::Result<()> {
    fields.bool(1, value.is_none())?;
    fields.bytes(2, column.as_bytes())?;
    if let Some(value) = value {
        fields.bytes(3, value)?;
    }
    fields.bool(4, true)
}

/// Finds what HBase would refuse or, worse, do in an undefined order.
fn check_rows(rows: &[RowMutation]) -> Result<(), String> {
    for row in rows {
        let key = || String::from_utf8_lossy(&row.key);
        if row.key.is_empty() {
            return Err("a row has an empty key".to_owned());
        }
        if row.key.len() > MAX_KEY_BYTES {
            return Err(format!("a key has {} bytes", row.key.len()));
        }
        if row.cells.is_empty() {
            return Err(format!("row `{}` has no cells", key()));
        }
        if let Some((column, _)) = row
            .cells
            .iter()
            .find(|(column, _)| !column.contains(':') || column.starts_with(':'))
        {
            return Err(format!(
                "column `{column}` of row `{}` is not of the form `family:qualifier`",
                key()
            ));
        }
    }
    // Sorted rows, the usual case, need no set.
    if rows.windows(2).all(|pair| pair[0].key < pair[1].key) {
        return Ok(());
    }
    let mut keys = HashSet::with_capacity(rows.len());
    match rows.iter().find(|row| !keys.insert(&row.key)) {
        Some(row) => Err(format!(
            "row `{}` occurs twice in one write; which one wins would be undefined",
            String::from_utf8_lossy(&row.key)
        )),
        None => Ok(()),
    }
}

/// How many of the rows go into the next request, at least one.
fn batch_len(rows: &[RowMutation]) -> usize {
    let mut n_bytes = 0;
    rows.iter()
        .take(MAX_ROWS)
        .take_while(|row| {
            n_bytes += ROW_OVERHEAD + row.key.len();
            for (column, value) in &row.cells {
                n_bytes += CELL_OVERHEAD + column.len() + value.as_ref().map_or(0, Vec::len);
            }
            n_bytes <= MAX_BYTES
        })
        .count()
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, column: &str, value_len: usize) -> RowMutation {
        RowMutation {
            key: key.into(),
            cells: vec![(column.to_owned(), Some(vec![0; value_len]))],
        }
    }

    #[test]
    fn requests_are_bounded_by_rows_and_bytes() {
        assert_eq!(batch_len(&vec![row("k", "f:q", 1); 2 * MAX_ROWS]), MAX_ROWS);
        assert_eq!(batch_len(&vec![row("k", "f:q", MAX_BYTES / 4); 9]), 3);
        assert_eq!(batch_len(&[row("k", "f:q", 2 * MAX_BYTES)]), 1);
    }

    #[test]
    fn rows_that_cannot_be_written_are_refused() {
        let check = |rows: &[RowMutation], text: &str| {
            let error = check_rows(rows).unwrap_err();
            assert!(error.contains(text), "{error}");
        };
        check(&[row("", "f:q", 1)], "empty key");
        check(&[row(&"k".repeat(40_000), "f:q", 1)], "40000 bytes");
        check(&[row("k", "f", 1)], "family:qualifier");
        check(&[row("k", ":q", 1)], "family:qualifier");
        check(
            &[row("a", "f:q", 1), row("b", "f:q", 1), row("a", "f:r", 1)],
            "twice",
        );
        let bare = RowMutation {
            key: b"k".to_vec(),
            cells: Vec::new(),
        };
        check(&[bare], "no cells");
        check_rows(&[row("b", "f:q", 1), row("a", "f:", 1)]).unwrap();
    }
}
