//! Customers made up from known parameters: BG/NBD purchases of Gamma-Gamma value.
//!
//! The simulator owns no random numbers. It takes them from a closure that returns independent
//! uniform numbers in `[0, 1)`, so that a caller with a generator keyed by customer gets the same
//! customer wherever and whenever it is drawn. How many numbers a customer takes depends on the
//! numbers, and the order in which they are taken is part of the result.

use std::f64::consts::TAU;

use crate::bg_nbd::BgNbd;
use crate::gamma_gamma::GammaGamma;

/// How customers come about: parameters of purchases and of their values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// When customers buy and leave; gives the unit of time.
    pub purchases: BgNbd,
    /// What they spend; gives the unit of money.
    pub spend: GammaGamma,
}

/// What makes one customer differ from another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Customer {
    /// Purchases per unit of time λ while the customer is active.
    pub lambda: f64,
    /// Probability p to leave after a repeat purchase.
    pub dropout: f64,
    /// Scale 1/ν of the value of a purchase, whose mean is `spend_scale` times the `p` of the
    /// spend model.
    pub spend_scale: f64,
}

/// A purchase of a simulated customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purchase {
    /// Time since the first purchase of the customer.
    pub time: f64,
    /// Value of the purchase, positive.
    pub value: f64,
}

impl Customer {
    /// Draws a customer.
    pub fn draw(process: &Process, uniform: &mut impl FnMut() -> f64) -> Self {
        let Process { purchases, spend } = process;
        let lambda = ln_gamma_variate(purchases.r, uniform).exp() / purchases.alpha;
        let ln_leave = ln_gamma_variate(purchases.a, uniform);
        let ln_stay = ln_gamma_variate(purchases.b, uniform);
        Self {
            lambda,
            dropout: 1.0 / (1.0 + (ln_stay - ln_leave).exp()),
            spend_scale: spend.v / ln_gamma_variate(spend.q, uniform).exp(),
        }
    }

    /// The purchases of the customer from the first one, at time zero, to time `age`.
    ///
    /// The process must be the one that the customer was drawn from.
    pub fn purchases<'a, U: FnMut() -> f64>(
        &self,
        process: &Process,
        age: f64,
        uniform: &'a mut U,
    ) -> Purchases<'a, U> {
        Purchases {
            customer: *self,
            spend_shape: process.spend.p,
            age,
            next_time: 0.0,
            uniform,
        }
    }
}

/// Iterator over the purchases of one customer, in the order of time.
#[derive(Debug)]
pub struct Purchases<'a, U> {
    customer: Customer,
    spend_shape: f64,
    age: f64,
    /// Time of the purchase to come; infinite once the customer has left.
    next_time: f64,
    uniform: &'a mut U,
}

impl<U: FnMut() -> f64> Iterator for Purchases<'_, U> {
    type Item = Purchase;

    fn next(&mut self) -> Option<Purchase> {
        let time = self.next_time;
        // A rate that underflowed to zero can give a NaN.
        if time > self.age || time.is_nan() {
            return None;
        }
        let value = ln_gamma_variate(self.spend_shape, self.uniform).exp();
        let is_repeat = time > 0.0;
        self.next_time = if is_repeat && (self.uniform)() < self.customer.dropout {
            f64::INFINITY
        } else {
            time - ln_positive(self.uniform) / self.customer.lambda
        };
        Some(Purchase {
            time,
            value: value * self.customer.spend_scale,
        })
    }
}

/// Logarithm of a Gamma(shape, 1) variate; of a small shape the variate itself may underflow.
///
/// Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", ACM Transactions on
/// Mathematical Software 26(3), 2000, 363-372; it rejects less than one proposal in twenty.
fn ln_gamma_variate(shape: f64, uniform: &mut impl FnMut() -> f64) -> f64 {
    if shape < 1.0 {
        return ln_gamma_variate_from_one(shape + 1.0, uniform) + ln_positive(uniform) / shape;
    }
    ln_gamma_variate_from_one(shape, uniform)
}

/// As [`ln_gamma_variate`], for a shape of one or more.
fn ln_gamma_variate_from_one(shape: f64, uniform: &mut impl FnMut() -> f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let normal = standard_normal(uniform);
        let cube_root = 1.0 + c * normal;
        if cube_root <= 0.0 {
            continue;
        }
        let (cube, ln_cube) = (cube_root.powi(3), 3.0 * cube_root.ln());
        if ln_positive(uniform) < 0.5 * normal * normal + d * (1.0 - cube + ln_cube) {
            return d.ln() + ln_cube;
        }
    }
}

/// Box-Muller; the second normal of the pair is dropped, to keep no state.
fn standard_normal(uniform: &mut impl FnMut() -> f64) -> f64 {
    let radius = (-2.0 * ln_positive(uniform)).sqrt();
    radius * (TAU * uniform()).cos()
}

/// Logarithm of a uniform number in `(0, 1]`.
fn ln_positive(uniform: &mut impl FnMut() -> f64) -> f64 {
    (-uniform()).ln_1p()
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::bg_nbd::{self, Observation};
    use crate::gamma_gamma::{self, SpendObservation};

    const PROCESS: Process = Process {
        purchases: BgNbd {
            r: 0.6,
            alpha: 6.0,
            a: 0.8,
            b: 2.5,
        },
        spend: GammaGamma {
            p: 6.25,
            q: 3.74,
            v: 15.44,
        },
    };

    /// SplitMix64.
    fn uniform_from(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn variates_have_the_moments_of_the_gamma_distribution() {
        let mut uniform = uniform_from(1);
        for shape in [0.05, 0.24, 0.9, 1.0, 3.7, 60.0] {
            let n = 200_000;
            let draws = (0..n).map(|_| ln_gamma_variate(shape, &mut uniform).exp());
            let (mut sum, mut squares) = (0.0, 0.0);
            for draw in draws {
                sum += draw;
                squares += (draw - shape).powi(2);
            }
            // Variance of the sample mean, and of the sample variance (kurtosis 3 + 6/shape).
            let (mean, variance) = (sum / f64::from(n), squares / f64::from(n));
            let mean_error = (shape / f64::from(n)).sqrt();
            let variance_error = shape * ((2.0 + 6.0 / shape) / f64::from(n)).sqrt();
            assert!((mean - shape).abs() < 4.0 * mean_error, "{shape}: {mean}");
            assert!(
                (variance - shape).abs() < 4.0 * variance_error,
                "{shape}: {variance}"
            );
        }
    }

    #[test]
    fn purchases_start_at_zero_and_end_with_the_age() {
        let mut uniform = uniform_from(2);
        for _ in 0..1_000 {
            let customer = Customer::draw(&PROCESS, &mut uniform);
            let purchases: Vec<Purchase> =
                customer.purchases(&PROCESS, 50.0, &mut uniform).collect();
            assert_eq!(purchases[0].time, 0.0);
            assert!(purchases.windows(2).all(|pair| pair[0].time < pair[1].time));
            assert!(purchases.iter().all(|p| p.time <= 50.0 && p.value > 0.0));
        }
    }

    #[test]
    fn equal_numbers_give_equal_customers() {
        let draw = || {
            let mut uniform = uniform_from(3);
            let customer = Customer::draw(&PROCESS, &mut uniform);
            customer
                .purchases(&PROCESS, 500.0, &mut uniform)
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn purchases_average_to_the_expectation_of_the_model() {
        let mut uniform = uniform_from(4);
        let (n, age) = (100_000, 40.0);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let customer = Customer::draw(&PROCESS, &mut uniform);
            let repeats = customer.purchases(&PROCESS, age, &mut uniform).count() as f64 - 1.0;
            sum += repeats;
            squares += repeats * repeats;
        }
        let mean = sum / f64::from(n);
        let error = ((squares / f64::from(n) - mean * mean) / f64::from(n)).sqrt();
        let expected = PROCESS.purchases.expected_purchases(age);
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{mean} for {expected}, error {error}"
        );
    }

    #[test]
    fn fits_recover_the_parameters_within_three_standard_errors() -> Result<(), Box<dyn Error>> {
        let mut uniform = uniform_from(5);
        let (mut histories, mut spending) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let age = 26.0 + 52.0 * uniform();
            let customer = Customer::draw(&PROCESS, &mut uniform);
            let purchases = customer.purchases(&PROCESS, age, &mut uniform);
            let (mut frequency, mut recency, mut spent) = (0.0, 0.0, 0.0);
            for purchase in purchases.skip(1) {
                frequency += 1.0;
                recency = purchase.time;
                spent += purchase.value;
            }
            histories.push(Observation {
                frequency,
                recency,
                age,
                count: 1,
            });
            if frequency > 0.0 {
                let mean_value = spent / frequency;
                spending.push(SpendObservation {
                    frequency,
                    mean_value,
                    count: 1,
                });
            }
        }

        let fit = bg_nbd::fit(&histories)?;
        assert!(fit.weak.is_empty(), "{:?}", fit.weak);
        let (found, truth) = (fit.parameters, PROCESS.purchases);
        let errors = fit.standard_errors.ok_or("no standard errors")?;
        check("r", found.r, truth.r, errors.r);
        check("alpha", found.alpha, truth.alpha, errors.alpha);
        check("a", found.a, truth.a, errors.a);
        check("b", found.b, truth.b, errors.b);

        let fit = gamma_gamma::fit(&spending)?;
        assert!(fit.weak.is_empty(), "{:?}", fit.weak);
        let (found, truth) = (fit.parameters, PROCESS.spend);
        let errors = fit.standard_errors.ok_or("no standard errors")?;
        check("p", found.p, truth.p, errors.p);
        check("q", found.q, truth.q, errors.q);
        check("v", found.v, truth.v, errors.v);
        Ok(())
    }

    fn check(name: &str, found: f64, truth: f64, error: f64) {
        assert!(
            error < 0.3 * truth,
            "{name}: standard error {error} says nothing about {truth}"
        );
        assert!(
            (found - truth).abs() < 3.0 * error,
            "{name}: {found} for {truth} ± {error}"
        );
    }
}
