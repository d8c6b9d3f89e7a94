//! Customer lifetime value: the expected purchases of each coming step, times the expected value of
//! a purchase, discounted to today.
//!
//! `CLV = Σ_{i=1..n} E[M] · (E[Y(iδ)] - E[Y((i-1)δ)]) / (1+d)^i` with the step δ in the unit of
//! time of the model. That unit is the trap: a model in weeks with a step of 30 looks 30 weeks
//! ahead, not a month. A [`Horizon`] is therefore made from a [`TimeUnit`].

use crate::bg_nbd::BgNbd;

/// Unit of time in which purchases were observed and a model was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Days.
    Day,
    /// Weeks of seven days.
    Week,
    /// Months of thirty days.
    Month,
}

impl TimeUnit {
    /// Length of the unit, in days.
    #[must_use]
    pub fn days(self) -> f64 {
        match self {
            Self::Day => 1.0,
            Self::Week => 7.0,
            Self::Month => 30.0,
        }
    }

    /// How many of the unit make a month of the lifetime value: 30 days, 4.345 weeks, one month.
    ///
    /// These are the conventions of the field; 4.345 weeks are 30.4 days.
    #[must_use]
    pub fn per_month(self) -> f64 {
        match self {
            Self::Day => 30.0,
            Self::Week => 4.345,
            Self::Month => 1.0,
        }
    }
}

/// How far a lifetime value looks ahead, and how it discounts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Horizon {
    /// Number of steps.
    pub steps: u32,
    /// Length of a step, in the unit of time of the model.
    pub step_length: f64,
    /// Discount rate per step, as a fraction: 0.01 for one percent.
    pub discount_rate: f64,
}

impl Horizon {
    /// A horizon of months for a model in the given unit, with a monthly discount rate.
    #[must_use]
    pub fn months(months: u32, unit: TimeUnit, monthly_discount_rate: f64) -> Self {
        Self {
            steps: months,
            step_length: unit.per_month(),
            discount_rate: monthly_discount_rate,
        }
    }
}

/// Discounted value of the purchases of a customer over the horizon, in units of money.
///
/// `expected_value` is that of one purchase; `x`, `t_x` and `big_t` are frequency, recency and age
/// of the customer in the unit of time of the model.
#[must_use]
pub fn discounted_clv(
    model: &BgNbd,
    expected_value: f64,
    x: f64,
    t_x: f64,
    big_t: f64,
    horizon: &Horizon,
) -> f64 {
    let (mut value, mut discount, mut before) = (0.0, 1.0, 0.0);
    for step in 1..=horizon.steps {
        let t = f64::from(step) * horizon.step_length;
        let until = model.conditional_expected_purchases(t, x, t_x, big_t);
        discount /= 1.0 + horizon.discount_rate;
        value += expected_value * (until - before) * discount;
        before = until;
    }
    value
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::{bg_nbd, cdnow, gamma_gamma};

    const MODEL: BgNbd = BgNbd {
        r: 0.2426,
        alpha: 4.4135,
        a: 0.7929,
        b: 2.4258,
    };

    #[test]
    fn without_discount_it_is_purchases_times_value() {
        let horizon = Horizon::months(6, TimeUnit::Week, 0.0);
        let purchases = MODEL.conditional_expected_purchases(6.0 * 4.345, 2.0, 30.0, 38.0);
        let clv = discounted_clv(&MODEL, 20.0, 2.0, 30.0, 38.0, &horizon);
        assert!((clv - 20.0 * purchases).abs() < 1e-12);
    }

    #[test]
    fn the_unit_of_time_does_not_matter() {
        let in_days = BgNbd {
            alpha: MODEL.alpha * 7.0,
            ..MODEL
        };
        let weeks = Horizon {
            steps: 12,
            step_length: 4.0,
            discount_rate: 0.01,
        };
        let days = Horizon {
            step_length: 28.0,
            ..weeks
        };
        let by_week = discounted_clv(&MODEL, 20.0, 2.0, 30.0, 38.0, &weeks);
        let by_day = discounted_clv(&in_days, 20.0, 2.0, 210.0, 266.0, &days);
        assert!((by_week - by_day).abs() < 1e-10);
    }

    /// The figures in the documentation of the Python package `lifetimes` come from a model in
    /// weeks and steps of 30, as if it were in days: they look 360 weeks ahead and not a year.
    #[test]
    fn published_values_are_reproduced_with_their_factor_of_thirty() -> Result<(), Box<dyn Error>> {
        let Some(customers) = cdnow::sample_customers()? else {
            return Ok(());
        };
        let model = bg_nbd::fit(&cdnow::observations(&customers))?.parameters;
        let spend = gamma_gamma::fit(&cdnow::spend_observations(&customers))?.parameters;
        let published = [
            (1, 140.096),
            (2, 18.943),
            (3, 38.181),
            (6, 1003.868),
            (7, 28.110),
            (9, 167.418),
        ];
        let trap = Horizon {
            steps: 12,
            step_length: 30.0,
            discount_rate: 0.01,
        };
        let year = Horizon::months(12, TimeUnit::Week, 0.01);
        for (id, expected) in published {
            let customer = customers.get(id - 1).ok_or("the sample is too short")?;
            let (x, t_x, age) = (customer.frequency, customer.recency, customer.age);
            let value = spend.expected_average_value(x, customer.mean_value);
            let clv = discounted_clv(&model, value, x, t_x, age, &trap);
            assert!(
                (clv / expected - 1.0).abs() < 1e-4,
                "customer {id}: {clv} for {expected}"
            );
            let honest = discounted_clv(&model, value, x, t_x, age, &year);
            assert!(
                honest < 0.5 * clv,
                "customer {id}: {honest} in a year, {clv} in seven"
            );
        }
        Ok(())
    }
}
