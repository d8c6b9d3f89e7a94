//! Compare-and-set of one cell.

use crate::action::Action;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::gateways::Lease;
use crate::put::mutation;
use crate::sink::RowSink;
use crate::wire::reply;
use crate::wire::rows::Rows;

impl Client {
    /// Writes `value` into the cell if its newest value is `expected`, and returns whether it is
    /// there now through this call. An empty `expected` stands for a cell that does not exist or
    /// is empty.
    ///
    /// `value` must be unique to the caller: after a reply was lost, it is how the caller tells
    /// its own success from that of another.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::NoSuchFamily`]. After [`Error::Exhausted`] the value may
    /// have been written.
    pub fn compare_and_put(
        &self,
        table: &str,
        row: &[u8],
        column: &str,
        expected: &[u8],
        value: &[u8],
    ) -> Result<bool> {
        let action = Action::on("compare and set a cell of", table);
        if row.is_empty() || !column.contains(':') || value == expected {
            return Err(Error::InvalidRequest {
                action: action.to_string(),
                message: "it needs a key, a column `family:qualifier` and a value that differs \
                          from the expected one"
                    .to_owned(),
            });
        }
        let mut is_in_doubt = false;
        self.run(action, |lease| {
            // A request in doubt may still be under way, and be applied after this look; then the
            // attempt that follows fails, and the look after it decides.
            if is_in_doubt && current(lease, action, row, column)?.as_deref() == Some(value) {
                return Ok(true);
            }
            let answer = compare(lease, action, row, column, expected, value);
            match answer {
                Ok(false) if is_in_doubt => {
                    Ok(current(lease, action, row, column)?.as_deref() == Some(value))
                }
                Ok(is_set) => Ok(is_set),
                Err(error) => {
                    is_in_doubt |= error.is_outcome_unknown();
                    Err(error)
                }
            }
        })
    }
}

fn compare(
    lease: &mut Lease,
    action: Action<'_>,
    row: &[u8],
    column: &str,
    expected: &[u8],
    value: &[u8],
) -> Result<bool> {
    lease.call(action, |connection| {
        connection.ask(
            "checkAndPut",
            |arguments| {
                arguments.bytes(1, action.table().as_bytes())?;
                arguments.bytes(2, row)?;
                arguments.bytes(3, column.as_bytes())?;
                // Without this field the cell must not exist.
                if !expected.is_empty() {
                    arguments.bytes(5, expected)?;
                }
                arguments.nested(6, |fields| mutation(fields, column, Some(value)))?;
                arguments.no_attributes(7)
            },
            reply::bool,
        )
    })
}

/// The newest value of the cell.
fn current(
    lease: &mut Lease,
    action: Action<'_>,
    row: &[u8],
    column: &str,
) -> Result<Option<Vec<u8>>> {
    let mut rows = Rows::default();
    lease.call(action, |connection| {
        connection.fetch(
            "getRowsWithColumns",
            |arguments| {
                arguments.bytes(1, action.table().as_bytes())?;
                arguments.list(2, &[row])?;
                arguments.list(3, &[column])?;
                arguments.no_attributes(4)
            },
            &mut rows,
        )
    })?;
    let mut value = LastValue(None);
    rows.emit(lease.reply_bytes(), &mut value);
    Ok(value.0)
}

struct LastValue(Option<Vec<u8>>);

impl RowSink for LastValue {
    fn row(&mut self, _: &[u8]) {}

    fn cell(&mut self, _: &[u8], _: i64, value: &[u8]) {
        self.0 = Some(value.to_vec());
    }
}
