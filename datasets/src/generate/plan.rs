//! Which tables there are, what they are made from and how they are cut into files.

use std::ops::Range;

use arrow::datatypes::SchemaRef;
use emporia_core::{Error, Result, contract};

use super::tables::{self, MakeBatch};
use super::world::World;
use super::{catalogue, raw_orders, shop};
use crate::output::{FileSink, Format};

/// Tables of the generator, in the order in which they are written.
pub(super) const TABLES: [&str; 15] = [
    "users",
    "categories",
    "subcategories",
    "products",
    "price_history",
    "transactions",
    "transaction_items",
    "sessions",
    "page_views",
    "orders_raw",
    "orders_labels",
    "events",
    "shop_customers",
    "shop_products",
    "shop_orders",
];

/// Rows of a file; a table has as many files as its expected rows fill.
const ROWS_PER_FILE: u64 = 500_000;
/// Rows of a file of the raw order feed, about 125 MB.
const RAW_ROWS_PER_FILE: u64 = 1_250_000;
/// Rows that a batch should have about.
const ROWS_PER_BATCH: u64 = 16_384;
/// Rows of the raw feed that are looked through for labels at a time.
const LABEL_ROWS_PER_BATCH: u64 = 1 << 19;

/// Where the rows of a file come from.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Batches {
        make: MakeBatch,
        keys_per_batch: u64,
    },
    Text(fn(&World, Range<u64>, &mut FileSink) -> Result<()>),
}

/// How one table is made.
#[derive(Clone)]
pub(super) struct TablePlan {
    pub(super) name: &'static str,
    pub(super) expected_rows: Option<u64>,
    pub(super) parts: u64,
    pub(super) content: Content,
    /// Number of the keys: users, products or rows.
    keys: u64,
    /// A cut between files is at a multiple of so many keys.
    key_unit: u64,
}

impl TablePlan {
    /// The format of the table when `wanted` is asked for.
    pub(super) fn format(&self, wanted: Format) -> Format {
        match self.content {
            Content::Batches { .. } => wanted,
            Content::Text(_) => Format::Csv,
        }
    }

    /// The keys of a file.
    pub(super) fn keys_of(&self, part: u64) -> Range<u64> {
        let units = self.keys.div_ceil(self.key_unit);
        let cut = |part: u64| (units * part / self.parts * self.key_unit).min(self.keys);
        cut(part)..cut(part + 1)
    }

    /// The schema of the table.
    pub(super) fn schema(&self) -> Result<SchemaRef> {
        contract::schema(self.name)
            .ok_or_else(|| Error::internal(format!("table `{}` is not in the contract", self.name)))
    }
}

/// Whether a raw CSV feed has a header; `None` for the tables in the chosen format.
pub(super) fn raw_header(table: &str) -> Option<bool> {
    match table {
        "orders_raw" => Some(true),
        "shop_customers" | "shop_products" | "shop_orders" => Some(false),
        _ => None,
    }
}

/// The plan of a table, `None` for an unknown one.
pub(super) fn table(name: &str, world: &World) -> Option<TablePlan> {
    let sizes = &world.sizes;
    let name = *TABLES.iter().find(|table| **table == name)?;
    // The rows of a table that is made from users or products.
    let made_from = |keys: u64, rows: u64, is_exact: bool, make: MakeBatch| {
        let rows_per_key = (rows / keys).max(1);
        TablePlan {
            name,
            expected_rows: is_exact.then_some(rows),
            parts: rows.div_ceil(ROWS_PER_FILE).clamp(1, keys),
            content: Content::Batches {
                make,
                keys_per_batch: (ROWS_PER_BATCH / rows_per_key).max(1),
            },
            keys,
            key_unit: 1,
        }
    };
    let text = |rows: u64, rows_per_file: u64, write| TablePlan {
        name,
        expected_rows: Some(rows),
        parts: rows.div_ceil(rows_per_file),
        content: Content::Text(write),
        keys: rows,
        key_unit: 1,
    };
    let by_user = |rows, is_exact, make| made_from(sizes.users, rows, is_exact, make);
    let by_row = |rows, make| made_from(rows, rows, true, make);
    let products = sizes.products;
    Some(match name {
        "users" => by_user(sizes.users, true, tables::users),
        "categories" => by_row(catalogue::n_categories() as u64, tables::categories),
        "subcategories" => by_row(
            world.catalogue.subcategories.len() as u64,
            tables::subcategories,
        ),
        "products" => by_row(products, tables::products),
        "price_history" => made_from(products, 2 * products, false, tables::price_history),
        "transactions" => by_user(world.n_orders(), true, tables::transactions),
        "transaction_items" => by_user(3 * world.n_orders(), false, tables::transaction_items),
        "sessions" => by_user(sizes.sessions, true, tables::sessions),
        "page_views" => by_user(10 * sizes.sessions, false, tables::page_views),
        "orders_raw" => text(sizes.raw_orders, RAW_ROWS_PER_FILE, raw_orders::write_rows),
        "orders_labels" => TablePlan {
            name,
            expected_rows: None,
            parts: 1,
            content: Content::Batches {
                make: raw_orders::labels,
                keys_per_batch: LABEL_ROWS_PER_BATCH,
            },
            keys: sizes.raw_orders,
            key_unit: 1,
        },
        "events" => TablePlan {
            name,
            expected_rows: Some(sizes.events),
            parts: sizes.events.div_ceil(ROWS_PER_FILE),
            content: Content::Batches {
                make: tables::events,
                keys_per_batch: 16 * tables::BLOCK_EVENTS,
            },
            keys: sizes.events,
            key_unit: tables::BLOCK_EVENTS,
        },
        "shop_customers" => text(sizes.shop_customers, ROWS_PER_FILE, shop::write_customers),
        "shop_products" => text(shop::N_PRODUCTS, ROWS_PER_FILE, shop::write_products),
        "shop_orders" => text(sizes.shop_orders, ROWS_PER_FILE, shop::write_orders),
        _ => return None,
    })
}
