//! Sizes and the numbering of everything, known before the first row is written.

use super::catalogue::Catalogue;
use super::customer::{self, Order, Visit};
use crate::process::SESSION_MIX;
use crate::rng::{Rng, Stream};

/// Rows of the tables at scale 1.
const USERS: f64 = 10_000.0;
const PRODUCTS: f64 = 5_000.0;
const TRANSACTIONS: f64 = 500_000.0;
const SESSIONS: f64 = 2_000_000.0;
const RAW_ORDERS: f64 = 10_000_000.0;
const EVENTS: f64 = 1_000_000.0;
const SHOP_CUSTOMERS: f64 = 100_000.0;
const SHOP_ORDERS: f64 = 500_000.0;
/// The smallest number of products, so that baskets of most values can be made.
const MIN_PRODUCTS: u64 = 100;

/// How many rows the tables have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) users: u64,
    pub(crate) products: u64,
    /// Met within half of the orders of one user.
    pub(crate) transactions: u64,
    pub(crate) sessions: u64,
    pub(crate) raw_orders: u64,
    pub(crate) events: u64,
    pub(crate) shop_customers: u64,
    pub(crate) shop_orders: u64,
}

impl Sizes {
    pub(crate) fn new(scale: f64) -> Self {
        let rows = |at_one: f64| ((at_one * scale).round() as u64).max(1);
        Self {
            users: rows(USERS),
            products: rows(PRODUCTS).max(MIN_PRODUCTS),
            transactions: rows(TRANSACTIONS),
            sessions: rows(SESSIONS),
            raw_orders: rows(RAW_ORDERS),
            events: rows(EVENTS),
            shop_customers: rows(SHOP_CUSTOMERS),
            shop_orders: rows(SHOP_ORDERS),
        }
    }
}

/// All that tables have to agree on.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) sizes: Sizes,
    pub(crate) catalogue: Catalogue,
    /// Probability that a qualifying order belongs to a session.
    link_share: f64,
    is_buyer: Vec<bool>,
    /// Number of the first order of each user, and the number of all orders.
    first_order: Vec<u64>,
    /// Number of the first session of each user, and the number of all sessions.
    first_session: Vec<u64>,
}

impl World {
    /// Simulates the orders of all users once, to count them.
    pub(crate) fn new(seed: u64, scale: f64) -> Self {
        let sizes = Sizes::new(scale);
        let counts: Vec<(u64, u64)> = (0..sizes.users)
            .map(|user| {
                let orders = customer::orders(seed, user, 1.0);
                let linked = orders.iter().filter(|order| order.is_linked).count();
                (orders.len() as u64, linked as u64)
            })
            .collect();
        let is_buyer = choose_buyers(seed, &counts, sizes.transactions);

        let buyers = || {
            counts
                .iter()
                .zip(&is_buyer)
                .filter(|(_, is_buyer)| **is_buyer)
        };
        let qualifying: u64 = buyers().map(|((_, qualifying), _)| qualifying).sum();
        let linked = SESSION_MIX.converted * sizes.sessions as f64;
        let mut world = Self {
            seed,
            sizes,
            catalogue: Catalogue::new(seed, sizes.products),
            link_share: (linked / qualifying.max(1) as f64).min(1.0),
            is_buyer,
            first_order: vec![0],
            first_session: vec![0],
        };
        world.number_orders(&counts);
        world.number_sessions(&counts);
        world
    }

    /// The number of orders.
    pub(crate) fn n_orders(&self) -> u64 {
        self.first_order.last().copied().unwrap_or(0)
    }

    /// The orders of a user, and the number of the first one.
    pub(crate) fn orders(&self, user: u64) -> (u64, Vec<Order>) {
        let orders = if self.is_buyer[user as usize] {
            customer::orders(self.seed, user, self.link_share)
        } else {
            Vec::new()
        };
        (self.first_order[user as usize], orders)
    }

    /// The visits of a user, and the number of the first one as a session.
    pub(crate) fn visits(&self, user: u64, orders: &[Order]) -> (u64, Vec<Visit>) {
        let first = self.first_session[user as usize];
        let n_visits = self.first_session[user as usize + 1] - first;
        let n_linked = orders.iter().filter(|order| order.is_linked).count() as u64;
        let visits = customer::visits(self.seed, user, orders, n_visits - n_linked);
        (first, visits)
    }

    fn number_orders(&mut self, counts: &[(u64, u64)]) {
        let mut next = 0;
        for ((n_orders, _), is_buyer) in counts.iter().zip(&self.is_buyer) {
            next += if *is_buyer { *n_orders } else { 0 };
            self.first_order.push(next);
        }
    }

    /// Shares the sessions that end in no order out among the users by weight, so that their
    /// number is exact.
    fn number_sessions(&mut self, counts: &[(u64, u64)]) {
        let linked: Vec<u64> = (0..self.sizes.users)
            .map(|user| {
                let (_, orders) = self.orders(user);
                orders.iter().filter(|order| order.is_linked).count() as u64
            })
            .collect();
        let n_linked: u64 = linked.iter().sum();
        let n_others = self.sizes.sessions.saturating_sub(n_linked);

        let weights: Vec<f64> = counts
            .iter()
            .zip(&self.is_buyer)
            .zip(0..)
            .map(|(((_, qualifying), is_buyer), user)| {
                let orders = if *is_buyer { *qualifying as f64 } else { 0.0 };
                let mut rng = Rng::at(self.seed, Stream::VisitCount, user);
                (12.0 + 3.0 * orders) * (0.4 + 1.2 * rng.uniform())
            })
            .collect();
        let total: f64 = weights.iter().sum();
        let (mut passed, mut given, mut next) = (0.0, 0, 0);
        for (position, (weight, linked)) in weights.iter().zip(linked).enumerate() {
            passed += weight;
            let is_last = position + 1 == weights.len();
            let due = if is_last {
                n_others
            } else {
                (passed / total * n_others as f64) as u64
            };
            next += linked + due.saturating_sub(given);
            given = due.max(given);
            self.first_session.push(next);
        }
    }
}

/// Users become buyers in random order until there are about as many orders as wanted; the others
/// never buy: about 15 % of the users, and not less than 5 %.
fn choose_buyers(seed: u64, counts: &[(u64, u64)], n_transactions: u64) -> Vec<bool> {
    let mut users: Vec<usize> = (0..counts.len()).collect();
    users.sort_by_key(|&user| (Rng::at(seed, Stream::BuyerOrder, user as u64).bits(), user));
    users.truncate(counts.len() - counts.len() / 20);
    let mut is_buyer = vec![false; counts.len()];
    let mut n_orders = 0;
    for user in users {
        let with_user = n_orders + counts[user].0;
        if with_user.abs_diff(n_transactions) >= n_transactions.abs_diff(n_orders) {
            break;
        }
        is_buyer[user] = true;
        n_orders = with_user;
    }
    is_buyer
}
