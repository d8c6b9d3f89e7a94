//! Maximum likelihood for BG/NBD.

use super::{BgNbd, Observation};
use crate::bg_nbd::likelihood::Likelihood;
use crate::curvature::standard_errors;
use crate::fit::{Evidence, Fit, FitError};
use crate::optimise::minimise;

pub(super) const NAMES: [&str; 4] = ["r", "alpha", "a", "b"];

/// Where the search starts, as logarithms of r, alpha over its typical size, a and b: equal
/// customers who hardly differ, and the strong differences that retail data usually shows.
const STARTS: [[f64; 4]; 3] = [
    [0.0, 0.0, 0.0, 0.0],
    [-1.2, -1.2, -0.3, 0.9],
    [0.7, 0.7, 0.7, 2.0],
];

/// Estimates the parameters from the observations, in their unit of time.
///
/// The likelihood is maximised over the logarithms of the parameters by Nelder-Mead with several
/// starts and restarts. A few seconds suffice for 100,000 distinct observations; group equal ones.
///
/// # Errors
///
/// When an observation is invalid, when there is none, and when nobody bought more than once.
pub fn fit(observations: &[Observation]) -> Result<Fit<BgNbd>, FitError> {
    let likelihood = Likelihood::new(observations)?;
    let n_customers: u64 = observations.iter().map(|o| o.count).sum();
    let n_repeaters = observations
        .iter()
        .filter(|o| o.frequency > 0.0)
        .map(|o| o.count)
        .sum();
    if n_customers == 0 {
        return Err(FitError::NoObservations);
    }
    if n_repeaters == 0 {
        return Err(FitError::NoRepeaters);
    }

    let typical = [1.0, 1.0 / mean_rate(observations), 1.0, 1.0];
    let centre = typical.map(f64::ln);
    let ln_likelihood = |logs: &[f64; 4]| likelihood.at(&from_logs(logs));
    let cost = |logs: &[f64; 4]| -ln_likelihood(logs) / n_customers as f64;
    let minimum = minimise(cost, centre, &STARTS)?;

    let values = minimum.point.map(f64::exp);
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
        n_repeaters,
    };
    Ok(Fit {
        parameters: from_array(values),
        standard_errors: errors.map(from_array),
        log_likelihood: ln_likelihood(&minimum.point),
        n_customers,
        iterations: minimum.iterations,
        converged: minimum.is_converged,
        weak: evidence.weaknesses(),
    })
}

fn from_logs(logs: &[f64; 4]) -> BgNbd {
    from_array(logs.map(f64::exp))
}

fn from_array([r, alpha, a, b]: [f64; 4]) -> BgNbd {
    BgNbd { r, alpha, a, b }
}

/// Repeat purchases per unit of time over all customers: the scale that makes the search
/// independent of the unit. There is at least one repeat purchase.
fn mean_rate(observations: &[Observation]) -> f64 {
    let (mut purchases, mut time) = (0.0, 0.0);
    for observation in observations {
        let weight = observation.count as f64;
        purchases += weight * observation.frequency;
        time += weight * observation.age;
    }
    // Everybody may have age zero; the unit is then as good as any.
    if time > 0.0 { purchases / time } else { 1.0 }
}
