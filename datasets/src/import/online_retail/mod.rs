//! UCI Online Retail: the lines of the invoices of a gift shop, in workbooks or files of text.
//!
//! | table | rows |
//! |---|---|
//! | `online_retail` | the lines with types, otherwise as they are, numbered in the order of the files |
//! | `transactions` | one per invoice; a number with `C` is cancelled, one with `A` an adjustment |
//! | `transaction_items` | the lines of the invoices, numbered per invoice |
//! | `products` | one per stock code, with its most frequent description |
//! | `users` | one per customer |
//! | `rejects` | lines that could not be read |
//!
//! Money has three places here, since some prices are a tenth of a penny; all sums are exact. An
//! invoice whose lines differ in time has the time of its earliest line; one whose lines name
//! several customers belongs to the first of them, and the others are users all the same. How many
//! of them there are is among the notes of the summary.

mod columns;
mod delimited;
mod files;
mod read;
mod rows;
mod serial;
mod shop;
mod workbook;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use emporia_core::{Error, Result, contract};
use object_store::ObjectStore;
use object_store::path::Path;

use super::{ImportOptions, Table, rejects, write_tables};
use crate::progress::{Progress, Summary};
use shop::Shop;

/// Places of money.
const SCALE: i8 = 3;

/// Imports a local file of invoice lines, or all files of a folder in the order of their names.
///
/// Writes below `base` of `store`; see the module for the tables.
///
/// # Errors
/// `NotFound` when there is no such file, `InvalidInput` when a file lacks a column or the dates
/// contradict each other, `Corrupt` when a file cannot be unpacked, `Failed` when no line or too few
/// of them can be read, `AlreadyExists` when a table is there already and may not be overwritten,
/// and the errors of the store. Nothing is written then.
pub async fn import_online_retail(
    dir: impl Into<PathBuf>,
    options: ImportOptions,
    store: Arc<dyn ObjectStore>,
    base: Path,
    progress: &dyn Progress,
) -> Result<Summary> {
    let dir = dir.into();
    let (order, limit) = (options.dates, options.max_rejects);
    let read = move || {
        let source = read::lines(&dir, order)?;
        limit.check(&source.rejects, source.lines.len(), &dir)?;
        Ok(Shop::new(source))
    };
    let shop = tokio::task::spawn_blocking(read)
        .await
        .map_err(|e| Error::internal("the reader of online retail died").with_source(e))
        .flatten()?;
    let mut notes = shop.source.notes.clone();
    notes.extend(shop.notes());
    notes.extend(rejects::note(&shop.source.rejects));
    let tables = tables(&shop)?;
    let summary = write_tables(shop, tables, options, store, base, progress).await?;
    Ok(Summary { notes, ..summary })
}

fn tables(shop: &Shop) -> Result<Vec<Table<Shop>>> {
    let line_schema = Schema::new(vec![
        Field::new("line_no", DataType::Int64, false),
        Field::new("invoice_no", DataType::Utf8, false),
        Field::new("stock_code", DataType::Utf8, false),
        Field::new("description", DataType::Utf8, true),
        Field::new("quantity", DataType::Int32, false),
        Field::new("invoice_ts", contract::timestamp(), false),
        Field::new("unit_price", DataType::Decimal128(18, SCALE), false),
        Field::new("customer_id", DataType::Utf8, true),
        Field::new("country", DataType::Utf8, false),
    ]);
    let lines = Table {
        name: "online_retail",
        schema: Arc::new(line_schema),
        rows: shop.source.lines.len(),
        make: rows::lines,
    };
    let n_items = shop.items.len();
    Ok(vec![
        lines,
        Table::of_contract("users", SCALE, shop.users.len(), rows::users)?,
        Table::of_contract("products", SCALE, shop.product_names.len(), rows::products)?,
        Table::of_contract(
            "transactions",
            SCALE,
            shop.invoices.len(),
            rows::transactions,
        )?,
        Table::of_contract("transaction_items", SCALE, n_items, rows::transaction_items)?,
        Table::of_contract("rejects", SCALE, shop.source.rejects.len(), rows::rejects)?,
    ])
}
