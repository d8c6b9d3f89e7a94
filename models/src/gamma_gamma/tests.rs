//! Published figures for the 946 repeat customers of the CDNOW sample, in dollars.

use std::error::Error;

use super::*;
use crate::cdnow;

/// The estimate as printed in the note.
const NOTE: GammaGamma = GammaGamma {
    p: 6.25,
    q: 3.74,
    v: 15.44,
};

fn check(name: &str, actual: f64, expected: f64, tolerance: f64) {
    assert!(
        (actual - expected).abs() <= tolerance,
        "{name}: {actual} for {expected}"
    );
}

#[test]
fn fit_of_the_cdnow_sample_matches_the_note() -> Result<(), Box<dyn Error>> {
    let Some(customers) = cdnow::sample_customers()? else {
        return Ok(());
    };
    let observations = cdnow::spend_observations(&customers);
    assert_eq!(observations.len(), 946);
    let fit = fit(&observations)?;
    check("log-likelihood", fit.log_likelihood, -4_055.923, 1e-3);
    check("p", fit.parameters.p, 6.2488, 2e-3);
    check("q", fit.parameters.q, 3.7446, 1e-3);
    check("v", fit.parameters.v, 15.4477, 1e-2);
    assert!(fit.standard_errors.is_some());
    assert!(fit.weak.is_empty(), "{:?}", fit.weak);

    let n = observations.len() as f64;
    let mean = observations.iter().map(|o| o.mean_value).sum::<f64>() / n;
    check("mean value", mean, 35.078_552, 1e-6);
    // The published mean is over all 2,357 customers, with or without a repeat purchase.
    let expected: f64 = customers
        .iter()
        .map(|c| {
            fit.parameters
                .expected_average_value(c.frequency, c.mean_value)
        })
        .sum();
    check(
        "mean conditional value",
        expected / customers.len() as f64,
        35.252_96,
        1e-3,
    );
    Ok(())
}

#[test]
fn correlation_of_the_cdnow_sample() -> Result<(), Box<dyn Error>> {
    let Some(customers) = cdnow::sample_customers()? else {
        return Ok(());
    };
    let observations = cdnow::spend_observations(&customers);
    check(
        "correlation",
        correlation(&observations).unwrap_or(f64::NAN),
        0.113_884,
        1e-6,
    );
    Ok(())
}

#[test]
fn correlation_weighs_and_needs_variation() {
    let at = |frequency: f64, mean_value: f64, count: u64| SpendObservation {
        frequency,
        mean_value,
        count,
    };
    let weighted = correlation(&[at(1.0, 2.0, 3), at(2.0, 5.0, 1), at(4.0, 1.0, 2)]);
    let repeated = correlation(&[
        at(1.0, 2.0, 1),
        at(1.0, 2.0, 2),
        at(2.0, 5.0, 1),
        at(4.0, 1.0, 1),
        at(4.0, 1.0, 1),
    ]);
    assert!(
        weighted
            .zip(repeated)
            .is_some_and(|(a, b)| (a - b).abs() < 1e-14)
    );
    assert_eq!(correlation(&[at(1.0, 2.0, 1), at(1.0, 3.0, 1)]), None);
    assert_eq!(correlation(&[]), None);
}

#[test]
fn expected_value_shrinks_the_mean_towards_the_population() {
    let population = 15.44 * 6.25 / 2.74;
    check(
        "without purchases",
        NOTE.expected_average_value(0.0, 0.0),
        population,
        1e-12,
    );
    // A weighted mean: w = p x / (p x + q - 1).
    let w = 6.25 * 3.0 / (6.25 * 3.0 + 2.74);
    let expected = (1.0 - w) * population + w * 80.0;
    check(
        "with purchases",
        NOTE.expected_average_value(3.0, 80.0),
        expected,
        1e-12,
    );
    let heavy = GammaGamma { q: 0.9, ..NOTE };
    assert_eq!(heavy.expected_average_value(0.0, 0.0), f64::INFINITY);
    assert!(heavy.expected_average_value(2.0, 30.0).is_finite());
}

#[test]
fn weak_fits_say_why() -> Result<(), Box<dyn Error>> {
    // Pareto quantiles with an exponent of one half, the dearest of which buy twice.
    let observations: Vec<SpendObservation> = (1..=40)
        .map(|i| {
            let frequency = if i <= 2 { 2.0 } else { 1.0 };
            SpendObservation {
                frequency,
                mean_value: (41.0 / f64::from(i)).powi(2),
                count: 1,
            }
        })
        .collect();
    let fit = fit(&observations)?;
    let has = |text: &str| fit.weak.iter().any(|reason| reason.contains(text));
    assert!(has("only 40 customers"), "{:?}", fit.weak);
    assert!(has("correlate by"), "{:?}", fit.weak);
    assert!(has("not above 1"), "{:?} {:?}", fit.parameters, fit.weak);
    Ok(())
}

#[test]
fn observations_are_checked() {
    let sound = SpendObservation {
        frequency: 1.0,
        mean_value: 2.0,
        count: 1,
    };
    assert!(matches!(fit(&[]), Err(FitError::NoObservations)));
    let check = |observation: SpendObservation, expected: &str| {
        let message = fit(&[sound, observation])
            .err()
            .map(|error| error.to_string());
        assert_eq!(message.as_deref(), Some(expected));
    };
    let frequency = "observation 1 is invalid: the frequency is not positive and finite";
    check(
        SpendObservation {
            frequency: 0.0,
            ..sound
        },
        frequency,
    );
    let value = "observation 1 is invalid: the mean value is not positive and finite";
    check(
        SpendObservation {
            mean_value: 0.0,
            ..sound
        },
        value,
    );
    check(
        SpendObservation {
            mean_value: f64::NAN,
            ..sound
        },
        value,
    );
}
