//! The raw order feed: a large, flat, dirty CSV file, and the labels of its dirt.

mod fault;
mod row;

use std::ops::Range;

use arrow::array::RecordBatch;
use emporia_core::Result;

use super::world::World;
use crate::columns::{batch, int64, text};
use crate::output::FileSink;
use fault::{Fault, fault_of};
use row::Row;

/// Columns in the order of the file.
const HEADER: &str = "order_id,customer_id,product_id,category,price,quantity,timestamp,location,\
payment_method,status,discount,delivery_time,user_rating,is_prime,currency,seller_id\n";

/// Rows that are made before the progress hears of them.
const REPORT_ROWS: u64 = 16_384;

/// Writes one file of the feed.
pub(super) fn write_rows(world: &World, rows: Range<u64>, sink: &mut FileSink) -> Result<()> {
    sink.append(|out| out.extend_from_slice(HEADER.as_bytes()))?;
    let mut next = rows.start;
    while next < rows.end {
        let end = rows.end.min(next + REPORT_ROWS);
        sink.append(|out| {
            for row in next..end {
                push_row(out, world.seed, row);
            }
        })?;
        sink.add_rows(end - next)?;
        next = end;
    }
    Ok(())
}

fn push_row(out: &mut Vec<u8>, seed: u64, row: u64) {
    match fault_of(seed, row) {
        None => Row::clean(seed, row).push(out),
        Some(fault) => fault.push(out, seed, row),
    }
    out.push(b'\n');
}

/// Rows of `orders_labels` for a range of rows of the feed.
pub(super) fn labels(world: &World, rows: Range<u64>) -> Result<RecordBatch> {
    let faults: Vec<(u64, Fault)> = rows
        .filter_map(|row| Some((row, fault_of(world.seed, row)?)))
        .collect();
    let numbers = faults.iter().map(|(row, _)| *row as i64);
    let ids = faults.iter().map(|(row, fault)| {
        let original = fault.original_row(world.seed, *row);
        format!("ORD{:08}", original + 1)
    });
    let names = faults.iter().map(|(_, fault)| fault.as_str());
    batch(
        "orders_labels",
        vec![int64(numbers), text(ids), text(names)],
    )
}
