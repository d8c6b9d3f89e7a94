//! The columns of invoice lines, by all their names.

use csv::ByteRecord;
use emporia_core::{Error, Result};

/// The names that Online Retail and Online Retail II have. Case, blanks and underscores do not count.
const COLUMNS: [&[&str]; N_COLUMNS] = [
    &["InvoiceNo", "Invoice"],
    &["StockCode"],
    &["Description"],
    &["Quantity"],
    &["InvoiceDate"],
    &["UnitPrice", "Price"],
    &["CustomerID"],
    &["Country"],
];

/// How many columns a line has.
pub(super) const N_COLUMNS: usize = 8;

// Positions in `COLUMNS`, of columns that are not read as any other.
pub(super) const INVOICE: usize = 0;
pub(super) const STOCK_CODE: usize = 1;
pub(super) const DATE: usize = 4;
pub(super) const PRICE: usize = 5;

/// Where the columns are under a header; `place` names the file, or the sheet of a file.
///
/// # Errors
/// `InvalidInput` where a column is missing or stands there several times.
pub(super) fn columns_of(header: &ByteRecord, place: &str) -> Result<[usize; N_COLUMNS]> {
    let found = found(header);
    let mut columns = [0; N_COLUMNS];
    for ((column, names), found) in columns.iter_mut().zip(COLUMNS).zip(found) {
        let all = || names.join("` or `");
        *column = match found[..] {
            [position] => position,
            [] => {
                let layout = COLUMNS.map(|names| names.join(" or ")).join(", ");
                return Err(Error::invalid(format!("{place} has no column `{}`", all()))
                    .with_hint(format!("the columns are {layout}")));
            }
            _ => {
                return Err(
                    Error::invalid(format!("{place} has several columns `{}`", all()))
                        .with_hint("remove or rename all but one of them"),
                );
            }
        };
    }
    Ok(columns)
}

/// How many of the columns stand under a header.
pub(super) fn n_known(header: &ByteRecord) -> usize {
    let found = found(header);
    found
        .iter()
        .filter(|positions| !positions.is_empty())
        .count()
}

/// The positions of each of [`COLUMNS`].
fn found(header: &ByteRecord) -> [Vec<usize>; N_COLUMNS] {
    let plain = |name: &[u8]| -> Vec<u8> {
        let kept = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
        kept.map(u8::to_ascii_lowercase).collect()
    };
    let in_file: Vec<Vec<u8>> = header.iter().map(plain).collect();
    COLUMNS.map(|names| {
        let names: Vec<Vec<u8>> = names.iter().map(|name| plain(name.as_bytes())).collect();
        let positions = 0..in_file.len();
        positions.filter(|i| names.contains(&in_file[*i])).collect()
    })
}
