//! The life of one user: registration, orders and visits.

use emporia_models::simulate::Customer;

use super::catalogue::SECONDS_PER_DAY;
use crate::process::{
    DISCOUNTED, END_DAY, EXTRA_CANCELLED, EXTRA_ORDERS, FIRST_DAY, FIRST_PURCHASE_MAX_DAYS,
    FIRST_PURCHASE_MEAN_DAYS, PROCESS, REGISTRATION_DAYS, SESSION_MIX,
};
use crate::rng::{Rng, Stream};

/// Days after the last order in which a customer still visits the shop.
const VISITS_AFTER_ORDER_DAYS: i64 = 45;
/// Days after the registration in which a user who never buys visits the shop.
const VISITS_WITHOUT_ORDER_DAYS: i64 = 120;
/// Shortest and longest visit in seconds. Everything of a visit is on the day of its end.
const VISIT_SECONDS: (i64, i64) = (30, 3_600);
/// Discounts in percent.
const DISCOUNTS: [i64; 4] = [5, 10, 15, 20];

/// Status of an order; the words of the contract are in [`OrderStatus::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderStatus {
    Completed,
    Processing,
    Shipped,
    Delivered,
    Cancelled,
    Refunded,
}

impl OrderStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Processing => "processing",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }
}

/// An order before its basket is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Seconds since 1970.
    pub(crate) second: i64,
    /// What it is to cost after the discount, in cents.
    pub(crate) target: i64,
    pub(crate) discount_percent: i64,
    pub(crate) payment_method: &'static str,
    pub(crate) status: OrderStatus,
    /// Whether a session ends in this order.
    pub(crate) is_linked: bool,
}

impl Order {
    /// What the lines are to cost before the discount, in cents.
    pub(crate) fn basket_cents(&self) -> i64 {
        self.target * 100 / (100 - self.discount_percent)
    }
}

/// What a visit leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Browsed,
    Abandoned {
        reached_checkout: bool,
    },
    /// The position of the order among those of the user.
    Converted {
        order: usize,
    },
}

/// A session before its details are drawn; times in seconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) outcome: Outcome,
}

/// The second since 1970 at which a user registers.
pub(crate) fn registration(seed: u64, user: u64) -> i64 {
    let mut rng = Rng::at(seed, Stream::User, user);
    FIRST_DAY * SECONDS_PER_DAY + rng.between(0, REGISTRATION_DAYS * SECONDS_PER_DAY - 1)
}

/// The orders of a user who buys, in the order of time. A qualifying order is linked to a session
/// with probability `link_share`.
pub(crate) fn orders(seed: u64, user: u64, link_share: f64) -> Vec<Order> {
    let mut rng = Rng::at(seed, Stream::Purchases, user);
    let wait = rng.exponential(FIRST_PURCHASE_MEAN_DAYS);
    let registered = registration(seed, user).div_euclid(SECONDS_PER_DAY);
    let first = (registered + 1) as f64 + wait.min(FIRST_PURCHASE_MAX_DAYS);

    let mut uniform = || rng.uniform();
    let customer = Customer::draw(&PROCESS, &mut uniform);
    let age = END_DAY as f64 - first;
    let mut details = Rng::at(seed, Stream::Orders, user);
    let mut orders = Vec::new();
    let mut last_day = i64::MIN;
    for purchase in customer.purchases(&PROCESS, age, &mut uniform) {
        // One order per customer and day: the later one waits.
        let day = ((first + purchase.time).floor() as i64).max(last_day.saturating_add(1));
        if day >= END_DAY {
            break;
        }
        last_day = day;
        let target = ((purchase.value * 100.0).round() as i64).max(100);
        let second = day * SECONDS_PER_DAY + time_of_day(&mut details);
        if details.chance(EXTRA_ORDERS) {
            orders.push(extra_order(second, target, &mut details));
        }
        orders.push(qualifying_order(second, target, link_share, &mut details));
    }
    orders
}

/// The visits of a user in the order of time: one per linked order and `n_others` others.
pub(crate) fn visits(seed: u64, user: u64, orders: &[Order], n_others: u64) -> Vec<Visit> {
    let mut rng = Rng::at(seed, Stream::Visits, user);
    let linked = orders.iter().enumerate().filter(|(_, o)| o.is_linked);
    let mut visits: Vec<Visit> = linked
        .map(|(order, o)| visit(o.second, Outcome::Converted { order }, &mut rng))
        .collect();

    let first_day = registration(seed, user).div_euclid(SECONDS_PER_DAY) + 1;
    let last_day = match orders.last() {
        Some(order) => order.second.div_euclid(SECONDS_PER_DAY) + VISITS_AFTER_ORDER_DAYS,
        None => first_day + VISITS_WITHOUT_ORDER_DAYS,
    };
    let last_day = last_day.min(END_DAY - 1);
    for _ in 0..n_others {
        let day = rng.between(first_day, last_day);
        let end = day * SECONDS_PER_DAY + time_of_day(&mut rng);
        let outcome = if rng.chance(SESSION_MIX.abandoned_of_unconverted()) {
            Outcome::Abandoned {
                reached_checkout: rng.chance(SESSION_MIX.checkout_of_abandoned()),
            }
        } else {
            Outcome::Browsed
        };
        visits.push(visit(end, outcome, &mut rng));
    }
    // The sort is stable, so that equal times have one order.
    visits.sort_by_key(|visit| (visit.start, visit.end));
    visits
}

fn visit(end: i64, outcome: Outcome, rng: &mut Rng) -> Visit {
    let (shortest, longest) = VISIT_SECONDS;
    Visit {
        start: end - rng.between(shortest, longest),
        end,
        outcome,
    }
}

/// Seconds of the day at which a visit ends: late enough for its start, most often around noon.
fn time_of_day(rng: &mut Rng) -> i64 {
    let peaked = (rng.uniform() + rng.uniform()) / 2.0;
    let (_, longest) = VISIT_SECONDS;
    longest + (peaked * (SECONDS_PER_DAY - longest) as f64) as i64
}

fn discount(rng: &mut Rng) -> i64 {
    if rng.chance(DISCOUNTED) {
        rng.pick(&DISCOUNTS)
    } else {
        0
    }
}

fn qualifying_order(second: i64, target: i64, link_share: f64, rng: &mut Rng) -> Order {
    // All numbers are drawn whatever the share is, so that it changes nothing else.
    let is_linked = rng.chance(link_share);
    let online = rng.pick(&["credit_card", "paypal", "apple_pay", "crypto"]);
    let offline = rng.pick(&["credit_card", "paypal", "bank_transfer", "gift_card"]);
    let status = match rng.weighted(&[0.45, 0.08, 0.12, 0.35]) {
        0 => OrderStatus::Completed,
        1 => OrderStatus::Processing,
        2 => OrderStatus::Shipped,
        _ => OrderStatus::Delivered,
    };
    Order {
        second,
        target,
        discount_percent: discount(rng),
        payment_method: if is_linked { online } else { offline },
        status: if is_linked {
            OrderStatus::Completed
        } else {
            status
        },
        is_linked,
    }
}

/// A cancelled or refunded order shortly before a qualifying one, on the same day.
fn extra_order(second: i64, target: i64, rng: &mut Rng) -> Order {
    let scale = 0.5 + rng.uniform();
    Order {
        second: second - rng.between(300, 3_000),
        target: ((target as f64 * scale) as i64).max(100),
        discount_percent: discount(rng),
        payment_method: rng.pick(&["credit_card", "paypal", "bank_transfer", "gift_card"]),
        status: if rng.chance(EXTRA_CANCELLED) {
            OrderStatus::Cancelled
        } else {
            OrderStatus::Refunded
        },
        is_linked: false,
    }
}
