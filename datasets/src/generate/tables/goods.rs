//! Categories, products and prices.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use emporia_core::Result;

use super::{id, subcategory_id};
use crate::columns::{batch, cents, decimal, int32, text, times};
use crate::generate::catalogue::{self, Product, Subcategory};
use crate::generate::world::World;

/// Rows of `categories`.
pub(crate) fn categories(_world: &World, range: Range<u64>) -> Result<RecordBatch> {
    let numbers = || range.clone().map(|number| number as u32);
    batch(
        "categories",
        vec![
            text(numbers().map(id::category)),
            text(numbers().map(catalogue::category_name)),
        ],
    )
}

/// Rows of `subcategories`.
pub(crate) fn subcategories(world: &World, range: Range<u64>) -> Result<RecordBatch> {
    let all: &[Subcategory] =
        &world.catalogue.subcategories[range.start as usize..range.end as usize];
    batch(
        "subcategories",
        vec![
            text(all.iter().map(|s| id::subcategory(s.category, s.position))),
            text(all.iter().map(|s| id::category(s.category))),
            text(all.iter().map(catalogue::subcategory_name)),
            decimal(all.iter().map(|s| s.profit_margin), 5, 4)?,
        ],
    )
}

/// Rows of `products`.
pub(crate) fn products(world: &World, range: Range<u64>) -> Result<RecordBatch> {
    let catalogue = &world.catalogue;
    let products: &[Product] = &catalogue.products[range.start as usize..range.end as usize];
    let numbers = || range.clone().map(|number| number as u32);
    let base_prices = products.iter().map(|product| {
        catalogue
            .prices_of(product)
            .last()
            .map_or(0, |price| price.1)
    });
    let is_active: BooleanArray = products.iter().map(|p| Some(p.is_active)).collect();
    batch(
        "products",
        vec![
            text(numbers().map(id::product)),
            text(numbers().map(|product| catalogue::product_name(catalogue, product))),
            text(numbers().map(|product| id::category(catalogue.category(product)))),
            text(
                products
                    .iter()
                    .map(|p| subcategory_id(catalogue, p.subcategory)),
            ),
            cents(base_prices)?,
            int32(products.iter().map(|p| p.current_stock)),
            Arc::new(is_active) as ArrayRef,
            times(products.iter().map(|p| p.created)),
        ],
    )
}

/// Rows of `price_history`.
pub(crate) fn price_history(world: &World, range: Range<u64>) -> Result<RecordBatch> {
    let rows: Vec<(u32, i64, i64)> = range
        .flat_map(|number| {
            let product = &world.catalogue.products[number as usize];
            let prices = world.catalogue.prices_of(product).into_iter();
            prices.map(move |(second, price)| (number as u32, second, price))
        })
        .collect();
    batch(
        "price_history",
        vec![
            text(rows.iter().map(|row| id::product(row.0))),
            times(rows.iter().map(|row| row.1)),
            cents(rows.iter().map(|row| row.2))?,
        ],
    )
}
