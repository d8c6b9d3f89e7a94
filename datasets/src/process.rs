//! The known truth of the generated data: when customers buy, what they spend, how they browse.
//!
//! The unit of time is the day and the unit of money the dollar. Whoever fits BG/NBD and
//! Gamma-Gamma to the generated orders must find these parameters again:
//!
//! * Purchases follow [`PURCHASES`]; the first one comes after the registration. Purchases keep
//!   their number, and a customer has at most one qualifying order per UTC day: an order that would
//!   be the second of its day moves to the next day.
//! * The total of an order, after its discount, follows [`SPEND`]; the last line of the basket is
//!   chosen so that prices of the price list add up to the drawn value within about half a percent.
//! * Cancelled and refunded orders come on top: each is on the day of a qualifying order, so that
//!   customer-days are the same with and without them.

use emporia_models::bg_nbd::BgNbd;
use emporia_models::gamma_gamma::GammaGamma;
use emporia_models::simulate::Process;

/// Purchases per day and dropout: a mean of 57 orders over 21 months, and 44 % of the customers
/// gone at the end.
pub const PURCHASES: BgNbd = BgNbd {
    r: 1.8,
    alpha: 12.0,
    a: 0.6,
    b: 40.0,
};

/// Value of an order in dollars, 250 on average.
pub const SPEND: GammaGamma = GammaGamma {
    p: 2.5,
    q: 5.0,
    v: 400.0,
};

/// Share of the sessions that view any product, have a cart, convert, and reach the checkout or
/// the confirmation.
pub const SESSION_MIX: SessionMix = SessionMix {
    viewed: 0.988,
    cart: 0.652,
    converted: 0.203,
    checkout: 0.439,
};

/// Share of the rows of `orders_raw` that carry a fault.
pub const RAW_FAULTS: f64 = 0.02;

/// Share of the values of each field of the shop feeds that are damaged.
pub const SHOP_DIRT: f64 = 0.1;

/// The day on which the data begins, 2023-01-01, in days since 1970.
pub const FIRST_DAY: i64 = 19_358;

/// The day before which the data ends, 2025-12-31, in days since 1970; the "now" of the data.
pub const END_DAY: i64 = 20_453;

/// Users register in this many days from the first one.
pub(crate) const REGISTRATION_DAYS: i64 = 915;
/// Mean days from the day after the registration to the first purchase.
pub(crate) const FIRST_PURCHASE_MEAN_DAYS: f64 = 5.0;
/// The longest wait for the first purchase in days.
pub(crate) const FIRST_PURCHASE_MAX_DAYS: f64 = 60.0;
/// Cancelled or refunded orders per qualifying order.
pub(crate) const EXTRA_ORDERS: f64 = 0.025;
/// Share of the extra orders that are cancelled; the others are refunded.
pub(crate) const EXTRA_CANCELLED: f64 = 0.6;
/// Share of the orders with a discount of 5, 10, 15 or 20 percent.
pub(crate) const DISCOUNTED: f64 = 0.2;

/// See [`SESSION_MIX`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionMix {
    /// Sessions with a viewed product.
    pub viewed: f64,
    /// Sessions with a cart, converted or abandoned.
    pub cart: f64,
    /// Sessions that end in an order.
    pub converted: f64,
    /// Sessions with a checkout or confirmation page.
    pub checkout: f64,
}

impl SessionMix {
    /// Probability of a cart, given that the session does not convert.
    pub(crate) fn abandoned_of_unconverted(&self) -> f64 {
        (self.cart - self.converted) / (1.0 - self.converted)
    }

    /// Probability of the checkout, given an abandoned cart.
    pub(crate) fn checkout_of_abandoned(&self) -> f64 {
        (self.checkout - self.converted) / (self.cart - self.converted)
    }

    /// Probability of no viewed product, given no cart.
    pub(crate) fn blind_of_browsed(&self) -> f64 {
        (1.0 - self.viewed) / (1.0 - self.cart)
    }
}

/// Both models as the simulator wants them.
pub(crate) const PROCESS: Process = Process {
    purchases: PURCHASES,
    spend: SPEND,
};
