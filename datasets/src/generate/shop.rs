//! The feeds of a small shop: CSV without a header, a tenth of the values of each field damaged.
//!
//! A damaged value is empty, `-1` or, for an e-mail address, the text `invalid_email`; keys are
//! never damaged.

use std::ops::Range;

use emporia_core::Result;

use super::text::{push_date, push_int};
use super::world::World;
use crate::output::FileSink;
use crate::process::SHOP_DIRT;
use crate::rng::{Rng, Stream};

/// Number of products, whatever the scale is.
pub(super) const N_PRODUCTS: u64 = 10;

/// 2015-01-01 and 2023-12-31 in days since 1970.
const ORDER_DAYS: (i64, i64) = (16_436, 19_722);
const PHONES: (i64, i64) = (1_000_000_000, 9_999_999_999);
const REPORT_ROWS: u64 = 16_384;
const GIVEN_NAMES: [&str; 16] = [
    "Ada", "Ben", "Clara", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Keza",
    "Liam", "Mina", "Noor", "Olga", "Pavel",
];
const FAMILY_NAMES: [&str; 16] = [
    "Abel", "Brandt", "Costa", "Diallo", "Evans", "Fischer", "Garcia", "Haas", "Ito", "Jansen",
    "Kim", "Lopez", "Moreau", "Novak", "Okafor", "Popov",
];
const CITIES: [&str; 10] = [
    "New York",
    "Los Angeles",
    "Chicago",
    "Houston",
    "Phoenix",
    "Philadelphia",
    "San Antonio",
    "San Diego",
    "Dallas",
    "San Jose",
];
const PRODUCTS: [(&str, &str); N_PRODUCTS as usize] = [
    ("Running Shoes", "Shoes"),
    ("Leather Boots", "Shoes"),
    ("Canvas Sneakers", "Shoes"),
    ("Denim Jacket", "Clothing"),
    ("Cotton Shirt", "Clothing"),
    ("Wool Sweater", "Clothing"),
    ("Rain Coat", "Clothing"),
    ("Leather Belt", "Accessories"),
    ("Sun Glasses", "Accessories"),
    ("Travel Bag", "Accessories"),
];
const PAYMENT_METHODS: [&str; 4] = ["Credit Card", "Debit Card", "PayPal", "Cash"];

/// Appends one row without the end of the line.
type PushRow = fn(&mut Vec<u8>, &World, u64);

/// Writes rows of `shop_customers`.
pub(super) fn write_customers(world: &World, rows: Range<u64>, sink: &mut FileSink) -> Result<()> {
    write(world, rows, sink, push_customer)
}

/// Writes rows of `shop_products`.
pub(super) fn write_products(world: &World, rows: Range<u64>, sink: &mut FileSink) -> Result<()> {
    write(world, rows, sink, push_product)
}

/// Writes rows of `shop_orders`.
pub(super) fn write_orders(world: &World, rows: Range<u64>, sink: &mut FileSink) -> Result<()> {
    write(world, rows, sink, push_order)
}

fn write(world: &World, rows: Range<u64>, sink: &mut FileSink, push_row: PushRow) -> Result<()> {
    let mut next = rows.start;
    while next < rows.end {
        let end = rows.end.min(next + REPORT_ROWS);
        sink.append(|out| {
            for row in next..end {
                push_row(out, world, row);
                out.push(b'\n');
            }
        })?;
        sink.add_rows(end - next)?;
        next = end;
    }
    Ok(())
}

fn push_customer(out: &mut Vec<u8>, world: &World, row: u64) {
    let mut rng = Rng::at(world.seed, Stream::ShopCustomer, row);
    let (given, family) = (rng.pick(&GIVEN_NAMES), rng.pick(&FAMILY_NAMES));
    push_int(out, row as i64 + 1);
    push_text(out, &mut rng, "", |out| {
        out.extend_from_slice(format!("{given} {family}").as_bytes());
    });
    push_text(out, &mut rng, "invalid_email", |out| {
        let name = format!("{given}.{family}{}@example.com", row + 1).to_lowercase();
        out.extend_from_slice(name.as_bytes());
    });
    let phone = rng.between(PHONES.0, PHONES.1);
    push_text(out, &mut rng, "", |out| push_int(out, phone));
    let age = rng.between(18, 80);
    push_text(out, &mut rng, "-1", |out| push_int(out, age));
    let gender = rng.pick(&["M", "F", "O"]);
    push_text(out, &mut rng, "", |out| {
        out.extend_from_slice(gender.as_bytes())
    });
    let city = rng.pick(&CITIES);
    push_text(out, &mut rng, "", |out| {
        out.extend_from_slice(city.as_bytes())
    });
}

fn push_product(out: &mut Vec<u8>, world: &World, row: u64) {
    let mut rng = Rng::at(world.seed, Stream::ShopProduct, row);
    let (name, category) = PRODUCTS[row as usize];
    push_int(out, row as i64 + 1);
    out.extend_from_slice(format!(",{name},{category}").as_bytes());
    let price = rng.between(50, 300);
    push_text(out, &mut rng, "-1", |out| push_int(out, price));
    let stock = rng.between(0, 1_000);
    push_text(out, &mut rng, "-1", |out| push_int(out, stock));
}

fn push_order(out: &mut Vec<u8>, world: &World, row: u64) {
    let mut rng = Rng::at(world.seed, Stream::ShopOrder, row);
    push_int(out, row as i64 + 1);
    out.push(b',');
    push_int(out, 1 + rng.below(world.sizes.shop_customers) as i64);
    out.push(b',');
    push_int(out, 1 + rng.below(N_PRODUCTS) as i64);
    let quantity = rng.between(1, 10);
    push_text(out, &mut rng, "-1", |out| push_int(out, quantity));
    let total = rng.between(50, 3_000);
    push_text(out, &mut rng, "-1", |out| push_int(out, total));
    out.push(b',');
    push_date(out, rng.between(ORDER_DAYS.0, ORDER_DAYS.1));
    let method = rng.pick(&PAYMENT_METHODS);
    push_text(out, &mut rng, "", |out| {
        out.extend_from_slice(method.as_bytes())
    });
}

/// Appends a comma and a value, or what stands for a damaged one.
fn push_text(out: &mut Vec<u8>, rng: &mut Rng, damaged: &str, push: impl FnOnce(&mut Vec<u8>)) {
    out.push(b',');
    if rng.chance(SHOP_DIRT) {
        out.extend_from_slice(damaged.as_bytes());
    } else {
        push(out);
    }
}
