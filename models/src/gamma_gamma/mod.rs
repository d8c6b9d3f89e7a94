//! Gamma-Gamma: what an average purchase of a customer is worth.
//!
//! Fader and Hardie, "The Gamma-Gamma Model of Monetary Value", note 025, 2013. The values of a
//! customer's purchases are Gamma(p, rate ν) with ν ~ Gamma(q, rate v) over customers, and do not
//! depend on how often the customer buys; check that with [`correlation`].
//!
//! A customer counts with `x` repeat purchases of the mean value `m`; the first purchase is left
//! out of both, as it is in the frequency of BG/NBD.

mod fit;
#[cfg(test)]
mod tests;

use crate::fit::{FitError, ParameterError, check_positive};
use fit::Likelihood;

pub use fit::fit;

/// Parameters of the Gamma-Gamma model; all of them are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaGamma {
    /// Shape of the values of one customer's purchases.
    pub p: f64,
    /// Shape of the differences between customers; the mean value is infinite for `q <= 1`.
    pub q: f64,
    /// Scale of the differences between customers, in units of money.
    pub v: f64,
}

/// The repeat purchases of one customer, or of several whose frequency and mean are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpendObservation {
    /// Number of repeat purchases; positive.
    pub frequency: f64,
    /// Mean value of the repeat purchases; positive.
    pub mean_value: f64,
    /// Number of customers with this frequency and mean.
    pub count: u64,
}

impl SpendObservation {
    fn check(&self) -> Result<(), &'static str> {
        if !(self.frequency > 0.0 && self.frequency.is_finite()) {
            Err("the frequency is not positive and finite")
        } else if !(self.mean_value > 0.0 && self.mean_value.is_finite()) {
            Err("the mean value is not positive and finite")
        } else {
            Ok(())
        }
    }
}

impl GammaGamma {
    /// The model with these parameters.
    ///
    /// # Errors
    ///
    /// When a parameter is not positive and finite.
    pub fn new(p: f64, q: f64, v: f64) -> Result<Self, ParameterError> {
        check_positive(fit::NAMES, [p, q, v])?;
        Ok(Self { p, q, v })
    }

    /// Natural logarithm of the likelihood of the observations.
    ///
    /// # Errors
    ///
    /// When an observation is invalid.
    pub fn ln_likelihood(&self, observations: &[SpendObservation]) -> Result<f64, FitError> {
        Ok(Likelihood::new(observations)?.at(self))
    }

    /// Expected average value E[M | x, m] of the purchases of a customer with `x` repeat purchases
    /// of the mean value `mean`, in units of money.
    ///
    /// For `x = 0` this is the mean over all customers, `v p / (q - 1)`, whatever `mean` is. It is
    /// infinite where the distribution has no mean, `p x + q <= 1`.
    #[must_use]
    pub fn expected_average_value(&self, x: f64, mean: f64) -> f64 {
        let Self { p, q, v } = *self;
        // The weighted mean of population and customer, multiplied out: regular at q = 1.
        let weight = p * x + q - 1.0;
        let spent = if x > 0.0 { x * mean } else { 0.0 };
        if weight > 0.0 {
            p * (v + spent) / weight
        } else {
            f64::INFINITY
        }
    }
}

/// Pearson correlation of frequency and mean value over customers; `None` where either is constant.
///
/// The model assumes none. Values beyond ±0.3 are called weak by `fit`.
#[must_use]
pub fn correlation(observations: &[SpendObservation]) -> Option<f64> {
    let weighted_mean = |value: &dyn Fn(&SpendObservation) -> f64| {
        let total: f64 = observations.iter().map(|o| o.count as f64).sum();
        observations
            .iter()
            .map(|o| o.count as f64 * value(o))
            .sum::<f64>()
            / total
    };
    let mean_x = weighted_mean(&|o| o.frequency);
    let mean_m = weighted_mean(&|o| o.mean_value);
    let covariance = weighted_mean(&|o| (o.frequency - mean_x) * (o.mean_value - mean_m));
    let variance_x = weighted_mean(&|o| (o.frequency - mean_x).powi(2));
    let variance_m = weighted_mean(&|o| (o.mean_value - mean_m).powi(2));
    let correlation = covariance / (variance_x * variance_m).sqrt();
    correlation.is_finite().then_some(correlation)
}
