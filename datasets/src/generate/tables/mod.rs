//! The tables of the shop as record batches.

mod events;
mod goods;
mod orders;
mod sessions;
mod users;

use std::ops::Range;

use arrow::array::RecordBatch;
use emporia_core::Result;

pub(super) use events::{BLOCK_EVENTS, events};
pub(super) use goods::{categories, price_history, products, subcategories};
pub(super) use orders::{transaction_items, transactions};
pub(super) use sessions::{page_views, sessions};
pub(super) use users::users;

use super::basket::{self, Line};
use super::catalogue::Catalogue;
use super::customer::Order;
use super::world::World;
use crate::rng::{Rng, Stream};

/// Makes the batch of a range of keys: users, products, rows, whatever the table is made from.
pub(super) type MakeBatch = fn(&World, Range<u64>) -> Result<RecordBatch>;

/// The lines of order `number`.
fn basket_of(world: &World, number: u64, order: &Order) -> Vec<Line> {
    let mut rng = Rng::at(world.seed, Stream::Basket, number);
    let list = world.catalogue.price_list(order.second);
    basket::draw(&world.catalogue, list, order.basket_cents(), &mut rng)
}

/// Identifiers of the shop, one function per kind of object.
mod id {
    pub(super) fn user(user: u64) -> String {
        format!("user_{:06}", user + 1)
    }

    pub(super) fn category(category: u32) -> String {
        format!("cat_{:03}", category + 1)
    }

    pub(super) fn subcategory(category: u32, position: u32) -> String {
        format!("sub_{:03}_{:02}", category + 1, position + 1)
    }

    pub(super) fn product(product: u32) -> String {
        format!("prod_{:05}", product + 1)
    }

    pub(super) fn session(session: u64) -> String {
        format!("sess_{:010x}", session + 1)
    }

    pub(super) fn transaction(order: u64) -> String {
        format!("txn_{:012x}", order + 1)
    }
}

fn subcategory_id(catalogue: &Catalogue, subcategory: u32) -> String {
    let entry = &catalogue.subcategories[subcategory as usize];
    id::subcategory(entry.category, entry.position)
}
