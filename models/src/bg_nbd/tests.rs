//! Published figures for the CDNOW sample (2,357 customers, in weeks), and identities of the model.

use std::error::Error;

use super::*;
use crate::cdnow;
use crate::fit::Fit;
use crate::special::hyp2f1;

/// The estimate as printed in the paper.
const PAPER: BgNbd = BgNbd {
    r: 0.243,
    alpha: 4.414,
    a: 0.793,
    b: 2.426,
};
const LN_LIKELIHOOD: f64 = -9_582.425_56;

fn check(name: &str, actual: f64, expected: f64, tolerance: f64) {
    assert!(
        (actual - expected).abs() <= tolerance,
        "{name}: {actual} for {expected}"
    );
}

fn sample_fit() -> Result<Option<Fit<BgNbd>>, Box<dyn Error>> {
    let Some(customers) = cdnow::sample_customers()? else {
        return Ok(None);
    };
    Ok(Some(fit(&cdnow::observations(&customers))?))
}

#[test]
fn fit_of_the_cdnow_sample_matches_the_paper() -> Result<(), Box<dyn Error>> {
    let Some(fit) = sample_fit()? else {
        return Ok(());
    };
    check("log-likelihood", fit.log_likelihood, LN_LIKELIHOOD, 1e-4);
    check("r", fit.parameters.r, 0.242_593, 2e-5);
    check("alpha", fit.parameters.alpha, 4.413_532, 5e-4);
    check("a", fit.parameters.a, 0.792_886, 5e-4);
    check("b", fit.parameters.b, 2.425_752, 2e-3);
    let errors = fit.standard_errors.ok_or("no standard errors")?;
    check("error of r", errors.r, 0.0126, 1e-4);
    check("error of alpha", errors.alpha, 0.3782, 1e-3);
    check("error of a", errors.a, 0.1857, 1e-3);
    check("error of b", errors.b, 0.7053, 2e-3);
    assert_eq!(fit.n_customers, 2_357);
    assert!(fit.converged);
    assert!(fit.weak.is_empty(), "{:?}", fit.weak);
    Ok(())
}

#[test]
fn likelihood_at_the_printed_parameters() -> Result<(), Box<dyn Error>> {
    let Some(customers) = cdnow::sample_customers()? else {
        return Ok(());
    };
    let grouped = cdnow::observations(&customers);
    check(
        "log-likelihood",
        PAPER.ln_likelihood(&grouped)?,
        -9_582.426_831,
        1e-6,
    );

    let single: Vec<Observation> = grouped
        .iter()
        .flat_map(|o| (0..o.count).map(|_| Observation { count: 1, ..*o }))
        .collect();
    assert_eq!(single.len(), 2_357);
    check(
        "ungrouped",
        PAPER.ln_likelihood(&single)?,
        PAPER.ln_likelihood(&grouped)?,
        1e-8,
    );
    Ok(())
}

#[test]
fn expectations_match_the_paper() -> Result<(), Box<dyn Error>> {
    let Some(fit) = sample_fit()? else {
        return Ok(());
    };
    let model = fit.parameters;
    let published = [
        (0.1429, 0.0078),
        (1.0, 0.0532),
        (3.0, 0.1506),
        (31.8571, 1.0405),
        (32.0, 1.0437),
        (78.0, 1.8576),
    ];
    for (t, expected) in published {
        check("E[X(t)]", model.expected_purchases(t), expected, 1e-3);
    }
    check("E[X(78)]", model.expected_purchases(78.0), 1.857_97, 1e-5);
    check(
        "E[Y(39)]",
        model.conditional_expected_purchases(39.0, 2.0, 30.43, 38.86),
        1.226,
        5e-4,
    );
    check(
        "P(alive)",
        model.probability_alive(2.0, 30.43, 38.86),
        0.7266,
        5e-5,
    );
    Ok(())
}

#[test]
fn the_unit_of_time_scales_alpha_only() -> Result<(), Box<dyn Error>> {
    let Some(customers) = cdnow::sample_customers()? else {
        return Ok(());
    };
    let weeks = cdnow::observations(&customers);
    let days: Vec<Observation> = weeks
        .iter()
        .map(|o| Observation {
            recency: o.recency * 7.0,
            age: o.age * 7.0,
            ..*o
        })
        .collect();
    let (by_week, by_day) = (fit(&weeks)?.parameters, fit(&days)?.parameters);
    check("r", by_day.r, by_week.r, 1e-4);
    check("alpha", by_day.alpha / 7.0, by_week.alpha, 1e-3);
    check("b", by_day.b, by_week.b, 5e-3);
    Ok(())
}

/// The closed forms of the paper, with ₂F₁ and a singularity at a = 1.
#[test]
fn expectations_equal_the_closed_forms() {
    for a in [0.3, 0.8, 1.5, 4.0] {
        for (r, x) in [(0.24, 0.0), (0.24, 3.0), (8.0, 0.0), (8.0, 40.0)] {
            let model = BgNbd {
                r,
                alpha: 4.4,
                a,
                b: 2.4,
            };
            let (b, t, t_x, age) = (model.b, 39.0, 30.0, 38.0);
            let form = |shape: f64, b: f64, z: f64| {
                let c = a + b - 1.0;
                c / (a - 1.0) * (1.0 - (1.0 - z).powf(shape) * hyp2f1(shape, b, c, z))
            };
            let expected = form(r, b, t / (model.alpha + t));
            check(
                "E[X(t)]",
                model.expected_purchases(t),
                expected,
                1e-10 * expected,
            );
            let expected = form(r + x, b + x, t / (model.alpha + age + t))
                * model.probability_alive(x, t_x, age);
            let actual = model.conditional_expected_purchases(t, x, t_x, age);
            check("E[Y(t)]", actual, expected, 1e-10 * expected);
        }
    }
}

#[test]
fn expectations_are_regular_everywhere() {
    let at = |a: f64| BgNbd { a, ..PAPER }.expected_purchases(50.0);
    check(
        "at a = 1",
        at(1.0),
        0.5 * (at(1.0 - 1e-4) + at(1.0 + 1e-4)),
        1e-8,
    );
    // a + b = 1 is the other pole of the closed form.
    let edge = |b: f64| BgNbd { a: 0.4, b, ..PAPER }.expected_purchases(50.0);
    check(
        "at a + b = 1",
        edge(0.6),
        0.5 * (edge(0.6 - 1e-4) + edge(0.6 + 1e-4)),
        1e-8,
    );
    // Without dropout all that counts is the mean rate, also where the terms overflow.
    let loyal = BgNbd {
        r: 4_000.0,
        alpha: 100.0,
        a: 1e-9,
        b: 1e3,
    };
    check(
        "many purchases",
        loyal.expected_purchases(80.0),
        3_200.0,
        0.1,
    );
    assert_eq!(PAPER.expected_purchases(0.0), 0.0);
    assert!(PAPER.expected_purchases(f64::NAN).is_nan());
    assert_eq!(
        PAPER.conditional_expected_purchases(0.0, 2.0, 30.0, 38.0),
        0.0
    );
}

#[test]
fn probabilities_of_counts_are_a_distribution_with_the_expected_mean() {
    let t = 20.0;
    let (mut total, mut mean) = (0.0, 0.0);
    for n in 0..2_000 {
        let probability = PAPER.probability_of(n, t);
        assert!((0.0..=1.0).contains(&probability));
        total += probability;
        mean += f64::from(n) * probability;
    }
    check("total", total, 1.0, 1e-10);
    check("mean", mean, PAPER.expected_purchases(t), 1e-8);
    assert_eq!(PAPER.probability_of(0, 0.0), 1.0);
    assert_eq!(PAPER.probability_of(3, 0.0), 0.0);
}

#[test]
fn silence_lowers_the_probability_of_being_alive() {
    assert_eq!(PAPER.probability_alive(0.0, 0.0, 38.0), 1.0);
    let after = |silence: f64| PAPER.probability_alive(5.0, 20.0, 20.0 + silence);
    assert!(after(0.0) > after(5.0) && after(5.0) > after(50.0));
    assert_eq!(PAPER.probability_alive(1e4, 1.0, 1e4), 0.0);
}

#[test]
fn observations_are_checked() {
    let sound = Observation {
        frequency: 1.0,
        recency: 2.0,
        age: 3.0,
        count: 1,
    };
    let check = |observation: Observation, expected: &str| {
        let message = fit(&[sound, observation])
            .err()
            .map(|error| error.to_string());
        assert_eq!(message.as_deref(), Some(expected));
    };
    let frequency = "observation 1 is invalid: the frequency is not a whole number from zero";
    check(
        Observation {
            frequency: -1.0,
            ..sound
        },
        frequency,
    );
    check(
        Observation {
            frequency: 0.5,
            ..sound
        },
        frequency,
    );
    check(
        Observation {
            frequency: f64::NAN,
            ..sound
        },
        frequency,
    );
    let recency = "observation 1 is invalid: the recency is not between zero and the age";
    check(
        Observation {
            recency: 3.5,
            ..sound
        },
        recency,
    );
    let age = "observation 1 is invalid: the age is not a finite number from zero";
    check(
        Observation {
            age: f64::INFINITY,
            ..sound
        },
        age,
    );
}

#[test]
fn fits_without_evidence_are_refused_or_weak() -> Result<(), Box<dyn Error>> {
    assert!(matches!(fit(&[]), Err(FitError::NoObservations)));
    let once = Observation {
        frequency: 0.0,
        recency: 0.0,
        age: 10.0,
        count: 50,
    };
    assert!(matches!(fit(&[once]), Err(FitError::NoRepeaters)));

    let few = fit(&[
        once,
        Observation {
            frequency: 3.0,
            recency: 9.0,
            age: 10.0,
            count: 5,
        },
    ])?;
    let has = |text: &str| few.weak.iter().any(|reason| reason.contains(text));
    assert!(has("only 55 customers"), "{:?}", few.weak);
    assert!(has("only 5 repeat customers"), "{:?}", few.weak);
    Ok(())
}

#[test]
fn parameters_are_checked() {
    let message = BgNbd::new(0.2, 4.0, -1.0, 2.0)
        .err()
        .map(|error| error.to_string());
    let expected = "parameter a must be positive and finite, but is -1";
    assert_eq!(message.as_deref(), Some(expected));
    assert_eq!(BgNbd::new(0.243, 4.414, 0.793, 2.426), Ok(PAPER));
}
