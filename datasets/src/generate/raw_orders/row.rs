//! A clean row of the raw order feed; all columns are independent of each other.

use crate::generate::text::{push_cents, push_int, push_padded, push_timestamp};
use crate::process::END_DAY;
use crate::rng::{Rng, Stream};

const MICROS_PER_DAY: i64 = 86_400_000_000;
const CATEGORIES: [&str; 5] = ["Electronics", "Clothing", "Books", "Home & Kitchen", "Toys"];
const PAYMENT_METHODS: [&str; 4] = ["Credit Card", "Debit Card", "PayPal", "Cash on Delivery"];
pub(super) const STATUSES: [&str; 4] = ["Shipped", "Delivered", "Pending", "Canceled"];
const CURRENCIES: [&str; 4] = ["USD", "EUR", "GBP", "INR"];

/// The values of a row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) order: u64,
    customer: i64,
    product: i64,
    category: &'static str,
    pub(super) price: i64,
    pub(super) quantity: i64,
    pub(super) micros: i64,
    pub(super) location: i64,
    pub(super) payment_method: &'static str,
    pub(super) status: &'static str,
    discount: i64,
    delivery_time: i64,
    rating: i64,
    is_prime: bool,
    currency: &'static str,
    seller: i64,
}

impl Row {
    /// Draws row `row`, counted from zero.
    pub(super) fn clean(seed: u64, row: u64) -> Self {
        let mut rng = Rng::at(seed, Stream::RawOrder, row);
        // A full day before the end is kept free for later versions of the row.
        let micros = (END_DAY - rng.between(1, 365)) * MICROS_PER_DAY
            - rng.below(MICROS_PER_DAY as u64) as i64;
        Self {
            order: row + 1,
            customer: rng.between(1, 100_000),
            product: rng.between(1, 10_000),
            category: rng.pick(&CATEGORIES),
            price: rng.between(500, 50_000),
            quantity: rng.between(1, 5),
            micros,
            location: rng.between(1, 50),
            payment_method: rng.pick(&PAYMENT_METHODS),
            status: rng.pick(&STATUSES),
            discount: rng.between(0, 5_000),
            delivery_time: rng.between(1, 10),
            rating: rng.between(1, 5),
            is_prime: rng.bits() & 1 == 1,
            currency: rng.pick(&CURRENCIES),
            seller: rng.between(1, 1_000),
        }
    }

    /// Appends the row without the end of the line.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"ORD");
        push_padded(out, self.order, 8);
        out.push(b',');
        push_int(out, self.customer);
        out.push(b',');
        push_int(out, self.product);
        out.push(b',');
        out.extend_from_slice(self.category.as_bytes());
        out.push(b',');
        push_cents(out, self.price);
        out.push(b',');
        push_int(out, self.quantity);
        out.push(b',');
        push_timestamp(out, self.micros);
        out.extend_from_slice(b",Location_");
        push_int(out, self.location);
        out.push(b',');
        out.extend_from_slice(self.payment_method.as_bytes());
        out.push(b',');
        out.extend_from_slice(self.status.as_bytes());
        out.push(b',');
        push_cents(out, self.discount);
        out.push(b',');
        push_int(out, self.delivery_time);
        out.push(b',');
        push_int(out, self.rating);
        out.extend_from_slice(if self.is_prime { b",True," } else { b",False," });
        out.extend_from_slice(self.currency.as_bytes());
        out.push(b',');
        push_int(out, self.seller);
    }
}
