//! CDNOW: the purchases of the customers whom a record shop won in the first quarter of 1997.
//!
//! | table | rows |
//! |---|---|
//! | `users` | one per customer; registered with the first purchase |
//! | `transactions` | one per row, also for rows of zero dollars and for exact duplicates, which are real orders of one day; numbered as in the file |
//! | `transaction_items` | one per transaction, of the product `cd` |
//! | `rejects` | rows that could not be read |
//!
//! The dollars of a row are those of all its CDs. The subtotal of the item is that sum, exactly;
//! the unit price is the sum divided by the number of CDs, rounded half up to the cent, so that
//! quantity times unit price can differ from the subtotal by half a cent per CD.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use emporia_core::{Error, Result, contract};
use object_store::ObjectStore;
use object_store::path::Path;

use super::rejects::{self, Place, Reject};
use super::{ImportOptions, Table, parse, text, write_tables};
use crate::columns::{batch_of, cents, int32, nulls, text as texts, times};
use crate::progress::{Progress, Summary};

/// Fields of a row of the full file: customer, day, CDs, dollars. The sample of a tenth has the
/// number of the customer within the sample as a second field.
const MASTER_FIELDS: usize = 4;
const SAMPLE_FIELDS: usize = 5;

/// Imports a file of CDNOW, the full one or the sample of a tenth; customers have their numbers in
/// the full file. Writes below `base` of `store`; see the module for the tables.
///
/// # Errors
/// `NotFound` when there is no such file, `InvalidInput` when it is not of this layout, `Failed` when
/// no row or too few of them can be read, `AlreadyExists` when a table is there already and may not be overwritten, and the errors of the
/// store.
pub async fn import_cdnow(
    file: impl Into<PathBuf>,
    options: ImportOptions,
    store: Arc<dyn ObjectStore>,
    base: Path,
    progress: &dyn Progress,
) -> Result<Summary> {
    let file = file.into();
    let limit = options.max_rejects;
    let read = move || {
        let orders = read(&file)?;
        limit.check(&orders.rejects, orders.rows.len(), &file)?;
        Ok(orders)
    };
    let orders = tokio::task::spawn_blocking(read)
        .await
        .map_err(|e| Error::internal("the reader of CDNOW died").with_source(e))
        .flatten()?;
    let scale = contract::MONEY_SCALE;
    let tables = vec![
        Table::of_contract("users", scale, orders.users.len(), users)?,
        Table::of_contract("transactions", scale, orders.rows.len(), transactions)?,
        Table::of_contract(
            "transaction_items",
            scale,
            orders.rows.len(),
            transaction_items,
        )?,
        Table::of_contract(
            "rejects",
            scale,
            orders.rejects.len(),
            |orders: &Orders, schema, rows| rejects::batch(&orders.rejects, schema, rows),
        )?,
    ];
    let notes = rejects::note(&orders.rejects).into_iter().collect();
    let summary = write_tables(orders, tables, options, store, base, progress).await?;
    Ok(Summary { notes, ..summary })
}

#[derive(Debug, Default)]
struct Orders {
    rows: Vec<Row>,
    /// First and last day by customer.
    users: Vec<(String, (i64, i64))>,
    rejects: Vec<Reject>,
}

#[derive(Debug)]
struct Row {
    /// Number of the data row in the file, from one.
    number: u64,
    customer: String,
    /// Seconds since 1970.
    second: i64,
    quantity: i32,
    cents: i64,
}

impl Row {
    fn id(&self) -> String {
        format!("cdnow_{:06}", self.number)
    }

    fn unit_price(&self) -> i64 {
        match i64::from(self.quantity) {
            0 => self.cents,
            quantity => (2 * self.cents + quantity).div_euclid(2 * quantity),
        }
    }
}

fn read(file: &FilePath) -> Result<Orders> {
    let source = text::read(file, "CDNOW file")?;
    let text = String::from_utf8_lossy(&source.bytes);
    let name = source.name;
    // The fields of a header are names; a row whose customer is damaged still has numbers.
    let is_header = |line: &str| {
        let mut fields = fields(line);
        fields.all(|field| field.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .enumerate()
        .filter(|(n, (_, line))| !(*n == 0 && is_header(line)))
        .map(|(_, line)| line)
        .peekable();
    let width = match lines.peek().map(|(_, line)| fields(line).count()) {
        Some(width @ (MASTER_FIELDS | SAMPLE_FIELDS)) => width,
        None => 0,
        Some(width) => {
            return Err(Error::invalid(format!(
                "`{}` is not a CDNOW file: its first row has {width} fields",
                file.display()
            ))
            .with_hint("rows have customer, [number in the sample,] yyyymmdd, CDs and dollars"));
        }
    };

    let mut orders = Orders::default();
    let mut users: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (number, (line_no, line)) in (1..).zip(lines) {
        match typed(line, width, number) {
            Ok(row) => {
                let (first, last) = users
                    .entry(row.customer.clone())
                    .or_insert((row.second, row.second));
                *first = row.second.min(*first);
                *last = row.second.max(*last);
                orders.rows.push(row);
            }
            Err(rule) => orders.rejects.push(Reject {
                table: "transactions",
                rule,
                raw: line.to_owned(),
                place: Place::line(&name, line_no),
            }),
        }
    }
    orders.users = users.into_iter().collect();
    Ok(orders)
}

/// The fields of a line: the original files separate them by blanks, copies by commas or tabs.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    let parts = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    parts
        .map(|field| field.trim_matches('"'))
        .filter(|field| !field.is_empty())
}

/// The row of a line, or the rule that it breaks.
fn typed(line: &str, width: usize, number: u64) -> Result<Row, &'static str> {
    let fields: Vec<&str> = fields(line).collect();
    if fields.len() != width {
        return Err("field_count");
    }
    let [.., day, quantity, dollars] = fields[..] else {
        return Err("field_count");
    };
    let customer = parse::integer_id(fields[0]).ok_or("customer_id_unparsable")?;
    let quantity = quantity.parse().map_err(|_| "quantity_unparsable")?;
    if quantity < 0 {
        return Err("quantity_negative");
    }
    Ok(Row {
        number,
        customer: customer.to_owned(),
        second: parse::day(day).ok_or("date_unparsable")?,
        quantity,
        cents: parse::decimal(dollars, 2).ok_or("dollars_unparsable")?,
    })
}

fn users(orders: &Orders, schema: &SchemaRef, rows: Range<usize>) -> Result<RecordBatch> {
    let users = &orders.users[rows];
    let unknown = || nulls(schema.field(3).data_type(), users.len());
    batch_of(
        schema,
        vec![
            texts(users.iter().map(|user| &user.0)),
            times(users.iter().map(|user| user.1.0)),
            times(users.iter().map(|user| user.1.1)),
            unknown(),
            unknown(),
            unknown(),
        ],
    )
}

fn transactions(orders: &Orders, schema: &SchemaRef, rows: Range<usize>) -> Result<RecordBatch> {
    let rows = &orders.rows[rows];
    let unknown = || nulls(schema.field(1).data_type(), rows.len());
    let totals = || cents(rows.iter().map(|row| row.cents));
    batch_of(
        schema,
        vec![
            texts(rows.iter().map(Row::id)),
            unknown(),
            texts(rows.iter().map(|row| &row.customer)),
            times(rows.iter().map(|row| row.second)),
            totals()?,
            cents(rows.iter().map(|_| 0))?,
            totals()?,
            unknown(),
            texts(rows.iter().map(|_| "completed")),
            texts(rows.iter().map(|_| "USD")),
        ],
    )
}

fn transaction_items(
    orders: &Orders,
    schema: &SchemaRef,
    rows: Range<usize>,
) -> Result<RecordBatch> {
    let rows = &orders.rows[rows];
    batch_of(
        schema,
        vec![
            texts(rows.iter().map(Row::id)),
            int32(rows.iter().map(|_| 1)),
            texts(rows.iter().map(|_| "cd")),
            nulls(schema.field(3).data_type(), rows.len()),
            int32(rows.iter().map(|row| row.quantity)),
            cents(rows.iter().map(Row::unit_price))?,
            cents(rows.iter().map(|row| row.cents))?,
        ],
    )
}
