//! The tables as record batches.

use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use emporia_core::Result;

use super::SCALE;
use super::shop::Shop;
use crate::columns::{batch_of, decimal, int32, int64, nulls, optional_text, text, times};
use crate::import::rejects as reject_rows;

/// Rows of `online_retail`.
pub(super) fn lines(shop: &Shop, schema: &SchemaRef, rows: Range<usize>) -> Result<RecordBatch> {
    let source = &shop.source;
    let lines = &source.lines[rows.clone()];
    let description = |number| source.descriptions.name(number);
    let customer = |number| source.customers.name(number);
    batch_of(
        schema,
        vec![
            int64(rows.map(|row| row as i64 + 1)),
            text(
                lines
                    .iter()
                    .map(|line| source.invoice_numbers.name(line.invoice)),
            ),
            text(
                lines
                    .iter()
                    .map(|line| source.stock_codes.name(line.stock_code)),
            ),
            optional_text(lines.iter().map(|line| line.description.map(description))),
            int32(lines.iter().map(|line| line.quantity)),
            times(lines.iter().map(|line| line.second)),
            decimal(lines.iter().map(|line| line.unit_price.into()), 18, SCALE)?,
            optional_text(lines.iter().map(|line| line.customer.map(customer))),
            text(lines.iter().map(|line| source.countries.name(line.country))),
        ],
    )
}

/// Rows of `users`.
pub(super) fn users(shop: &Shop, schema: &SchemaRef, rows: Range<usize>) -> Result<RecordBatch> {
    let users = &shop.users[rows.clone()];
    let n_rows = users.len();
    batch_of(
        schema,
        vec![
            text(rows.map(|row| shop.source.customers.name(row as u32))),
            times(users.iter().map(|user| user.first)),
            times(users.iter().map(|user| user.last)),
            nulls(schema.field(3).data_type(), n_rows),
            nulls(schema.field(4).data_type(), n_rows),
            text(
                users
                    .iter()
                    .map(|user| shop.source.countries.name(user.country)),
            ),
        ],
    )
}

/// Rows of `products`; beyond its name nothing is known of a product.
pub(super) fn products(shop: &Shop, schema: &SchemaRef, rows: Range<usize>) -> Result<RecordBatch> {
    let mut columns = vec![
        text(
            rows.clone()
                .map(|row| shop.source.stock_codes.name(row as u32)),
        ),
        text(&shop.product_names[rows.clone()]),
    ];
    let unknown = schema.fields().iter().skip(columns.len());
    columns.extend(unknown.map(|field| nulls(field.data_type(), rows.len())));
    batch_of(schema, columns)
}

/// Rows of `transactions`.
pub(super) fn transactions(
    shop: &Shop,
    schema: &SchemaRef,
    rows: Range<usize>,
) -> Result<RecordBatch> {
    let invoices = &shop.invoices[rows.clone()];
    let numbers = || {
        rows.clone()
            .map(|row| shop.source.invoice_numbers.name(row as u32))
    };
    let totals = || decimal(invoices.iter().map(|invoice| invoice.total), 18, SCALE);
    let customer = |number| shop.source.customers.name(number);
    let n_rows = invoices.len();
    batch_of(
        schema,
        vec![
            text(numbers()),
            nulls(schema.field(1).data_type(), n_rows),
            optional_text(
                invoices
                    .iter()
                    .map(|invoice| invoice.customer.map(customer)),
            ),
            times(invoices.iter().map(|invoice| invoice.second)),
            totals()?,
            decimal(invoices.iter().map(|_| 0), 18, SCALE)?,
            totals()?,
            nulls(schema.field(7).data_type(), n_rows),
            text(numbers().map(status)),
            text(invoices.iter().map(|_| "GBP")),
        ],
    )
}

/// The status that the number of an invoice stands for.
fn status(invoice_number: &str) -> &'static str {
    match invoice_number.as_bytes().first() {
        Some(b'C' | b'c') => "cancelled",
        Some(b'A' | b'a') => "adjustment",
        _ => "completed",
    }
}

/// Rows of `transaction_items`.
pub(super) fn transaction_items(
    shop: &Shop,
    schema: &SchemaRef,
    rows: Range<usize>,
) -> Result<RecordBatch> {
    let items = &shop.items[rows];
    let source = &shop.source;
    let lines = || items.iter().map(|item| &source.lines[item.2 as usize]);
    batch_of(
        schema,
        vec![
            text(items.iter().map(|item| source.invoice_numbers.name(item.0))),
            int32(items.iter().map(|item| item.1)),
            text(lines().map(|line| source.stock_codes.name(line.stock_code))),
            nulls(schema.field(3).data_type(), items.len()),
            int32(lines().map(|line| line.quantity)),
            decimal(lines().map(|line| line.unit_price.into()), 18, SCALE)?,
            decimal(lines().map(|line| line.subtotal()), 18, SCALE)?,
        ],
    )
}

/// Rows of `rejects`.
pub(super) fn rejects(shop: &Shop, schema: &SchemaRef, rows: Range<usize>) -> Result<RecordBatch> {
    reject_rows::batch(&shop.source.rejects, schema, rows)
}
