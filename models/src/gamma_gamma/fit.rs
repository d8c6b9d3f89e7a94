//! Maximum likelihood for Gamma-Gamma.

use std::collections::HashMap;

use super::{GammaGamma, SpendObservation, correlation};
use crate::curvature::standard_errors;
use crate::fit::{Evidence, Fit, FitError};
use crate::optimise::minimise;
use crate::special::ln_gamma;

pub(super) const NAMES: [&str; 3] = ["p", "q", "v"];

/// Correlation of frequency and value from which the model does not suit the data.
const STRONG_CORRELATION: f64 = 0.3;

/// Where the search starts, as logarithms of p, q and v over the mean value.
const STARTS: [[f64; 3]; 3] = [[0.0, 0.0, 0.0], [1.8, 1.3, -0.8], [0.5, 2.5, 1.0]];

/// Estimates the parameters from repeat customers, in the unit of their values.
///
/// Only customers with a repeat purchase of positive value say anything about the model; leave the
/// others out.
///
/// # Errors
///
/// When an observation is invalid, and when there is none.
pub fn fit(observations: &[SpendObservation]) -> Result<Fit<GammaGamma>, FitError> {
    let likelihood = Likelihood::new(observations)?;
    let n_customers: u64 = observations.iter().map(|o| o.count).sum();
    if n_customers == 0 {
        return Err(FitError::NoObservations);
    }

    let sum: f64 = observations
        .iter()
        .map(|o| o.count as f64 * o.mean_value)
        .sum();
    let typical = [1.0, 1.0, sum / n_customers as f64];
    let ln_likelihood = |logs: &[f64; 3]| likelihood.at(&from_array(logs.map(f64::exp)));
    let cost = |logs: &[f64; 3]| -ln_likelihood(logs) / n_customers as f64;
    let minimum = minimise(cost, typical.map(f64::ln), &STARTS)?;

    let values = minimum.point.map(f64::exp);
    let parameters = from_array(values);
    // Delta method: the error of a parameter is its value times the error of its logarithm.
    let errors = standard_errors(ln_likelihood, &minimum.point)
        .map(|errors| std::array::from_fn(|i| errors[i] * values[i]));
    let evidence = Evidence {
        names: NAMES,
        values,
        typical,
        standard_errors: errors,
        is_converged: minimum.is_converged,
        n_customers,
        n_repeaters: n_customers,
    };
    let mut weak = evidence.weaknesses();
    weak.extend(misfits(&parameters, observations));
    Ok(Fit {
        parameters,
        standard_errors: errors.map(from_array),
        log_likelihood: ln_likelihood(&minimum.point),
        n_customers,
        iterations: minimum.iterations,
        converged: minimum.is_converged,
        weak,
    })
}

/// Reasons for distrust that only this model has.
fn misfits(parameters: &GammaGamma, observations: &[SpendObservation]) -> Vec<String> {
    let mut reasons = Vec::new();
    if parameters.q <= 1.0 {
        reasons.push(format!(
            "q = {:.3} is not above 1: no mean value exists",
            parameters.q
        ));
    }
    if let Some(value) = correlation(observations).filter(|c| c.abs() > STRONG_CORRELATION) {
        reasons.push(format!(
            "frequency and value correlate by {value:.3}, beyond {STRONG_CORRELATION}"
        ));
    }
    reasons
}

fn from_array([p, q, v]: [f64; 3]) -> GammaGamma {
    GammaGamma { p, q, v }
}

/// The likelihood, with everything precomputed that does not depend on the parameters, and gamma
/// functions once per distinct frequency.
pub(super) struct Likelihood {
    /// One group for each distinct frequency.
    groups: Vec<Group>,
    /// Σ weight · ln m, the part without a parameter.
    sum_ln_mean: f64,
}

/// The customers of one frequency.
struct Group {
    frequency: f64,
    /// Number of customers.
    weight: f64,
    /// Σ weight · ln(x m).
    sum_ln_spent: f64,
    /// Total spent `x m` and weight of each observation.
    customers: Vec<(f64, f64)>,
}

impl Likelihood {
    pub(super) fn new(observations: &[SpendObservation]) -> Result<Self, FitError> {
        let mut groups: Vec<Group> = Vec::new();
        let mut index_of: HashMap<u64, usize> = HashMap::new();
        let mut sum_ln_mean = 0.0;
        for (index, observation) in observations.iter().enumerate() {
            observation
                .check()
                .map_err(|reason| FitError::InvalidObservation { index, reason })?;
            let SpendObservation {
                frequency,
                mean_value,
                count,
            } = *observation;
            let (spent, weight) = (frequency * mean_value, count as f64);
            let slot = *index_of.entry(frequency.to_bits()).or_insert(groups.len());
            if slot == groups.len() {
                let customers = Vec::new();
                groups.push(Group {
                    frequency,
                    weight: 0.0,
                    sum_ln_spent: 0.0,
                    customers,
                });
            }
            let group = &mut groups[slot];
            group.weight += weight;
            group.sum_ln_spent += weight * spent.ln();
            group.customers.push((spent, weight));
            sum_ln_mean += weight * mean_value.ln();
        }
        Ok(Self {
            groups,
            sum_ln_mean,
        })
    }

    /// Natural logarithm of the likelihood at these parameters.
    pub(super) fn at(&self, model: &GammaGamma) -> f64 {
        let GammaGamma { p, q, v } = *model;
        let of_nobody = q * v.ln() - ln_gamma(q);
        let mut total = -self.sum_ln_mean;
        for group in &self.groups {
            let shape = p * group.frequency;
            total += group.weight * (of_nobody + ln_gamma(shape + q) - ln_gamma(shape));
            total += shape * group.sum_ln_spent;
            let sum_ln: f64 = group
                .customers
                .iter()
                .map(|(spent, weight)| weight * (spent + v).ln())
                .sum();
            total -= (shape + q) * sum_ln;
        }
        total
    }
}
