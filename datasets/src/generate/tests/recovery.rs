//! Models that are fitted to the generated orders find the parameters of the process.

use std::collections::{BTreeMap, HashMap};

use emporia_models::bg_nbd::{self, Observation};
use emporia_models::gamma_gamma::{self, SpendObservation};

use super::options;
use crate::process::{END_DAY, PURCHASES, SPEND};
use crate::stored::{TestResult, generated, table};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Cents by day, of each user.
async fn customer_days(
    scale: f64,
    is_counted: fn(&str) -> bool,
) -> TestResult<HashMap<String, BTreeMap<i64, i64>>> {
    let (store, _) = generated(options(scale, &["transactions"])).await?;
    let orders = table(&store, "transactions").await?;
    let (times, totals) = (orders.numbers("ts")?, orders.numbers("total")?);
    let statuses = orders.text("status");
    let mut users: HashMap<String, BTreeMap<i64, i64>> = HashMap::new();
    for (row, user) in orders.text("user_id").into_iter().enumerate() {
        if is_counted(&statuses[row]) {
            let days = users.entry(user).or_default();
            *days.entry(times[row] / MICROS_PER_DAY).or_default() += totals[row];
        }
    }
    Ok(users)
}

fn histories(users: &HashMap<String, BTreeMap<i64, i64>>) -> Vec<Observation> {
    let ends = users
        .values()
        .filter_map(|days| Some((days, days.keys().next()?, days.keys().last()?)));
    ends.map(|(days, first, last)| Observation {
        frequency: (days.len() - 1) as f64,
        recency: (last - first) as f64,
        age: (END_DAY - first) as f64,
        count: 1,
    })
    .collect()
}

#[tokio::test]
async fn fits_recover_the_parameters_within_three_standard_errors() -> TestResult {
    let users = customer_days(0.15, |status| !["cancelled", "refunded"].contains(&status)).await?;
    assert!(users.len() > 1_000, "{} customers", users.len());
    let fit = bg_nbd::fit(&histories(&users))?;
    let (found, errors) = (
        fit.parameters,
        fit.standard_errors.ok_or("no standard errors")?,
    );
    check("r", found.r, PURCHASES.r, errors.r);
    check("alpha", found.alpha, PURCHASES.alpha, errors.alpha);
    check("a", found.a, PURCHASES.a, errors.a);
    check("b", found.b, PURCHASES.b, errors.b);

    let spending: Vec<SpendObservation> = users
        .values()
        .filter(|days| days.len() > 1)
        .map(|days| {
            let n_repeats = (days.len() - 1) as f64;
            let cents: i64 = days.values().skip(1).sum();
            SpendObservation {
                frequency: n_repeats,
                mean_value: cents as f64 / 100.0 / n_repeats,
                count: 1,
            }
        })
        .collect();
    let fit = gamma_gamma::fit(&spending)?;
    let (found, errors) = (
        fit.parameters,
        fit.standard_errors.ok_or("no standard errors")?,
    );
    check("p", found.p, SPEND.p, errors.p);
    check("q", found.q, SPEND.q, errors.q);
    check("v", found.v, SPEND.v, errors.v);
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

#[tokio::test]
async fn customer_days_are_the_same_with_and_without_cancelled_orders() -> TestResult {
    let all = customer_days(0.01, |_| true).await?;
    let qualifying =
        customer_days(0.01, |status| !["cancelled", "refunded"].contains(&status)).await?;
    assert_eq!(all.len(), qualifying.len());
    for (user, days) in &qualifying {
        assert!(days.keys().eq(all[user].keys()));
    }
    Ok(())
}

#[tokio::test]
async fn retention_falls_but_nobody_is_forced_to_come_back() -> TestResult {
    let users = customer_days(0.05, |_| true).await?;
    // Shares of the customers who buy in the k-th 30 days after the first purchase.
    let share = |period: i64| {
        let (mut n, mut active) = (0, 0);
        for days in users.values() {
            let Some(first) = days.keys().next() else {
                continue;
            };
            let from = first + period * 30;
            if from + 30 <= END_DAY {
                n += 1;
                active += usize::from(days.range(from..from + 30).next().is_some());
            }
        }
        f64::from(active as u32) / f64::from(n.max(1))
    };
    let shares = [share(1), share(6), share(18)];
    assert!(shares[0] < 0.97 && shares[2] > 0.2, "{shares:?}");
    assert!(shares[0] > shares[1] && shares[1] > shares[2], "{shares:?}");
    Ok(())
}
