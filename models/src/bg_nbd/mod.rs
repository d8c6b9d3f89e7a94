//! BG/NBD: how often a customer buys, and whether the customer still does.
//!
//! Fader, Hardie and Lee, "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD
//! Model", Marketing Science 24(2), 2005, 275-284. A customer buys in a Poisson process of rate
//! λ ~ Gamma(r, rate α) and leaves after each repeat purchase with probability p ~ Beta(a, b).
//!
//! Three numbers say all about a customer, in any one unit of time: the frequency `x`, which is the
//! number of *repeat* purchases (days with a purchase, less the first); the recency `t_x`, from the
//! first purchase to the last one; and the age `T`, from the first purchase to the end of the
//! observation. `t_x` is ignored for `x = 0`.

mod fit;
mod likelihood;
#[cfg(test)]
mod tests;

use crate::fit::{FitError, ParameterError, check_positive};
use crate::special::ln_beta;
use likelihood::Likelihood;

pub use fit::fit;

/// Terms after which the series of the expected purchases is given up.
const MAX_TERMS: u32 = 20_000_000;
/// Size of a partial sum at which it is scaled down, well inside the range of `f64`.
const RESCALE_AT: f64 = 1e250;

/// Parameters of the BG/NBD model; all of them are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BgNbd {
    /// Shape of the distribution of purchase rates over customers.
    pub r: f64,
    /// Rate of that distribution, in units of time: the mean purchase rate is `r / alpha`.
    pub alpha: f64,
    /// First shape of the distribution of dropout probabilities: the mean is `a / (a + b)`.
    pub a: f64,
    /// Second shape of that distribution.
    pub b: f64,
}

/// The history of one customer, or of several whose histories are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Number of repeat purchases `x`; a whole number.
    pub frequency: f64,
    /// Time `t_x` from the first purchase to the last one, at most `age`.
    pub recency: f64,
    /// Time `T` from the first purchase to the end of the observation.
    pub age: f64,
    /// Number of customers with this history.
    pub count: u64,
}

impl Observation {
    fn check(&self) -> Result<(), &'static str> {
        let Self {
            frequency,
            recency,
            age,
            ..
        } = *self;
        if !(frequency >= 0.0 && frequency.is_finite() && frequency.fract() == 0.0) {
            Err("the frequency is not a whole number from zero")
        } else if !(age >= 0.0 && age.is_finite()) {
            Err("the age is not a finite number from zero")
        } else if !(0.0..=age).contains(&recency) {
            Err("the recency is not between zero and the age")
        } else {
            Ok(())
        }
    }
}

impl BgNbd {
    /// The model with these parameters.
    ///
    /// # Errors
    ///
    /// When a parameter is not positive and finite.
    pub fn new(r: f64, alpha: f64, a: f64, b: f64) -> Result<Self, ParameterError> {
        check_positive(fit::NAMES, [r, alpha, a, b])?;
        Ok(Self { r, alpha, a, b })
    }

    /// Natural logarithm of the likelihood of the observations.
    ///
    /// # Errors
    ///
    /// When an observation is invalid.
    pub fn ln_likelihood(&self, observations: &[Observation]) -> Result<f64, FitError> {
        Ok(Likelihood::new(observations)?.at(self))
    }

    /// Expected number of repeat purchases E[X(t)] of a new customer in the first `t` units.
    ///
    /// The relative error is below 1e-12. The value is that of the closed form with ₂F₁ in the
    /// paper, but is computed without its singularity at `a = 1`.
    #[must_use]
    pub fn expected_purchases(&self, t: f64) -> f64 {
        expected_until_dropout(self.r, t / (self.alpha + t), self.a, self.b)
    }

    /// Expected number of purchases E[Y(t) | x, t_x, T] in the next `t` units, of a customer with
    /// this frequency, recency and age.
    ///
    /// Accuracy as in [`BgNbd::expected_purchases`].
    #[must_use]
    pub fn conditional_expected_purchases(&self, t: f64, x: f64, t_x: f64, big_t: f64) -> f64 {
        let z = t / (self.alpha + big_t + t);
        expected_until_dropout(self.r + x, z, self.a, self.b + x)
            * self.probability_alive(x, t_x, big_t)
    }

    /// Probability that a customer with this frequency, recency and age has not left.
    ///
    /// It is one for `x = 0`: a customer of this model leaves only after a repeat purchase.
    #[must_use]
    pub fn probability_alive(&self, x: f64, t_x: f64, big_t: f64) -> f64 {
        if x <= 0.0 {
            return 1.0;
        }
        let silence = ((self.alpha + big_t) / (self.alpha + t_x)).ln();
        let odds_of_dropout = self.a / (self.b + x - 1.0) * ((self.r + x) * silence).exp();
        1.0 / (1.0 + odds_of_dropout)
    }

    /// Probability P(X(t) = n) that a new customer makes `n` repeat purchases in `t` units.
    #[must_use]
    pub fn probability_of(&self, n: u32, t: f64) -> f64 {
        let Self { r, a, b, .. } = *self;
        let z = t / (self.alpha + t);
        // Negative binomial probabilities of n purchases, and of fewer, without dropout.
        let mut exactly = (r * (-z).ln_1p()).exp();
        let mut fewer = 0.0;
        for j in 0..n {
            let j = f64::from(j);
            fewer += exactly;
            exactly *= z * (r + j) / (j + 1.0);
        }
        let n_real = f64::from(n);
        let stayed = (ln_beta(a, b + n_real) - ln_beta(a, b)).exp() * exactly;
        if n == 0 {
            return stayed;
        }
        let left = (ln_beta(a + 1.0, b + n_real - 1.0) - ln_beta(a, b)).exp();
        stayed + left * (1.0 - fewer).max(0.0)
    }
}

/// Expected number of purchases before dropout, when the number without dropout is negative
/// binomial with this `shape` and success probability `z`, and dropout is Beta(a, b).
///
/// This is `c/(a-1) · [1 - (1-z)^shape ₂F₁(shape, b; c; z)]` with `c = a+b-1`. Both terms of the
/// bracket, written as series in `z`, combine to
///
/// ```text
/// Σ_k NB(k; shape, z) · Σ_{j<k} S_j,    S_j = Π_{i<j} (b+i)/(a+b+i),
/// ```
///
/// where `S_j` is the probability to survive `j` purchases. All terms are positive and nothing is
/// singular, so no digit is lost. It takes about `36 / (1-z)` terms; NaN if 20 million are too few.
fn expected_until_dropout(shape: f64, z: f64, a: f64, b: f64) -> f64 {
    if [shape, z, a, b].iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    if z <= 0.0 {
        return 0.0;
    }
    // The weights are relative to the first one; their sum takes the scale out again.
    let (mut weight, mut weights, mut weighted) = (1.0_f64, 1.0_f64, 0.0_f64);
    let (mut purchases, mut survival) = (0.0_f64, 1.0_f64);
    for n in 0..MAX_TERMS {
        let k = f64::from(n);
        let ratio = z * (shape + k) / (k + 1.0);
        weight *= ratio;
        purchases += survival;
        survival *= (b + k) / (a + b + k);
        weights += weight;
        weighted += weight * purchases;
        // The ratio moves monotonically to z and purchases grow by less than one per term.
        let bound = ratio.max(z);
        if bound < 1.0 {
            let rest = weight * bound / (1.0 - bound) * (purchases + 1.0 / (1.0 - bound));
            if rest <= f64::EPSILON / 4.0 * weighted {
                return weighted / weights;
            }
        }
        if weighted > RESCALE_AT {
            weight /= RESCALE_AT;
            weights /= RESCALE_AT;
            weighted /= RESCALE_AT;
        }
    }
    f64::NAN
}
