//! The likelihood of BG/NBD, arranged for many evaluations over the same observations.
//!
//! Gamma functions depend on the frequency alone and logarithms on a time alone, and data in days
//! has few distinct values of either. Both are computed once per distinct value and evaluation,
//! which leaves one exponential and one logarithm per observation.

use std::collections::HashMap;

use super::{BgNbd, Observation};
use crate::fit::FitError;
use crate::special::{ln_beta, ln_gamma};

/// Observations by distinct frequency and time.
pub(super) struct Likelihood {
    /// Distinct frequencies, each with the number of customers that have it.
    frequencies: Vec<(f64, f64)>,
    /// Distinct ages, and distinct recencies of customers with a repeat purchase.
    times: Vec<f64>,
    /// Customers without a repeat purchase.
    single: Vec<Single>,
    /// Customers with repeat purchases.
    repeated: Vec<Repeated>,
}

struct Single {
    age: u32,
    weight: f64,
}

struct Repeated {
    frequency: u32,
    recency: u32,
    age: u32,
    weight: f64,
}

impl Likelihood {
    pub(super) fn new(observations: &[Observation]) -> Result<Self, FitError> {
        let mut frequencies = Distinct::default();
        let mut times = Distinct::default();
        let (mut single, mut repeated) = (Vec::new(), Vec::new());
        let mut weights = Vec::new();
        for (index, observation) in observations.iter().enumerate() {
            observation
                .check()
                .map_err(|reason| FitError::InvalidObservation { index, reason })?;
            let weight = observation.count as f64;
            let frequency = frequencies.index_of(observation.frequency);
            weights.resize(frequencies.values.len(), 0.0);
            weights[frequency as usize] += weight;
            let age = times.index_of(observation.age);
            if observation.frequency > 0.0 {
                let recency = times.index_of(observation.recency);
                repeated.push(Repeated {
                    frequency,
                    recency,
                    age,
                    weight,
                });
            } else {
                single.push(Single { age, weight });
            }
        }
        let frequencies = frequencies.values.into_iter().zip(weights).collect();
        Ok(Self {
            frequencies,
            times: times.values,
            single,
            repeated,
        })
    }

    /// Natural logarithm of the likelihood at these parameters.
    pub(super) fn at(&self, model: &BgNbd) -> f64 {
        let BgNbd { r, alpha, a, b } = *model;
        let of_nobody = r * alpha.ln() - ln_gamma(r) - ln_beta(a, b);
        let mut total = 0.0;
        // By frequency: the shape r + x, and the logarithm of the weight of having left.
        let mut by_frequency = Vec::with_capacity(self.frequencies.len());
        for (x, weight) in &self.frequencies {
            total += weight * (of_nobody + ln_gamma(r + x) + ln_beta(a, b + x));
            by_frequency.push((r + x, (a / (b + x - 1.0)).ln()));
        }
        let ln_times: Vec<f64> = self.times.iter().map(|t| (alpha + t).ln()).collect();

        for Single { age, weight } in &self.single {
            total -= weight * r * ln_times[*age as usize];
        }
        for Repeated {
            frequency,
            recency,
            age,
            weight,
        } in &self.repeated
        {
            let (shape, ln_odds) = by_frequency[*frequency as usize];
            let stayed = -shape * ln_times[*age as usize];
            let left = ln_odds - shape * ln_times[*recency as usize];
            total += weight * ln_sum_exp(stayed, left);
        }
        total
    }
}

fn ln_sum_exp(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

/// The distinct values of a column in order of appearance.
#[derive(Default)]
struct Distinct {
    values: Vec<f64>,
    index: HashMap<u64, u32>,
}

impl Distinct {
    fn index_of(&mut self, value: f64) -> u32 {
        let next = self.values.len() as u32;
        let index = *self.index.entry(value.to_bits()).or_insert(next);
        if index == next {
            self.values.push(value);
        }
        index
    }
}
