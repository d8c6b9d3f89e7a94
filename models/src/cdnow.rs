//! Test data: the one-in-ten sample of CDNOW customers (Fader and Hardie), in weeks and dollars.
//!
//! The file is not part of the project. Where it is missing, tests that need it say so and pass.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write};

use crate::bg_nbd::Observation;
use crate::gamma_gamma::SpendObservation;

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/data/cdnow/CDNOW_sample.txt"
);
/// 1997-09-30, the end of the calibration period, as a day number.
const LAST_DAY: i64 = 10_134;

/// A customer at the end of the calibration period.
#[derive(Debug, Clone)]
pub(crate) struct SampleCustomer {
    pub(crate) frequency: f64,
    pub(crate) recency: f64,
    pub(crate) age: f64,
    /// Mean over the days of repeat purchases; zero without one.
    pub(crate) mean_value: f64,
}

/// The customers in the order of their number, or `None` if there is no such file here.
///
/// Orders of one day are one purchase. Times and means have two decimals, as in the published
/// summary of this sample, on which the published figures rest.
pub(crate) fn sample_customers() -> Result<Option<Vec<SampleCustomer>>, Box<dyn Error>> {
    let text = match fs::read_to_string(PATH) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            writeln!(
                io::stderr(),
                "skipped: CDNOW_sample.txt is not in ../shared/data/cdnow"
            )?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let mut cents_by_customer: BTreeMap<u32, BTreeMap<i64, i64>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, customer, date, _, dollars] = fields.as_slice() else {
            continue;
        };
        let day = day_number(date)?;
        if day <= LAST_DAY {
            let cents = (dollars.parse::<f64>()? * 100.0).round() as i64;
            let days = cents_by_customer.entry(customer.parse()?).or_default();
            *days.entry(day).or_default() += cents;
        }
    }
    Ok(Some(
        cents_by_customer.values().filter_map(summarise).collect(),
    ))
}

fn summarise(cents_by_day: &BTreeMap<i64, i64>) -> Option<SampleCustomer> {
    let (first, _) = cents_by_day.first_key_value()?;
    let (last, _) = cents_by_day.last_key_value()?;
    let repeats = cents_by_day.len() as i64 - 1;
    let repeat_cents: i64 = cents_by_day.values().skip(1).sum();
    Some(SampleCustomer {
        frequency: repeats as f64,
        recency: rounded_hundredths(100 * (last - first), 7),
        age: rounded_hundredths(100 * (LAST_DAY - first), 7),
        mean_value: rounded_hundredths(repeat_cents, repeats.max(1)),
    })
}

/// A number of hundredths divided, rounded half up to whole hundredths, as a number of units.
fn rounded_hundredths(hundredths: i64, divisor: i64) -> f64 {
    ((2 * hundredths + divisor) / (2 * divisor)) as f64 / 100.0
}

/// Days from 1970-01-01 to a date `yyyymmdd` of this data, which lies in 1997 or 1998.
fn day_number(date: &str) -> Result<i64, Box<dyn Error>> {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let number: i64 = date.parse()?;
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    let before = BEFORE_MONTH
        .get(month as usize - 1)
        .ok_or("no such month")?;
    Ok(9_862 + (year - 1997) * 365 + before + day - 1)
}

/// One observation for each group of customers with equal histories.
pub(crate) fn observations(customers: &[SampleCustomer]) -> Vec<Observation> {
    let mut counts: BTreeMap<[u64; 3], u64> = BTreeMap::new();
    for SampleCustomer {
        frequency,
        recency,
        age,
        ..
    } in customers
    {
        *counts
            .entry([frequency, recency, age].map(|value| value.to_bits()))
            .or_default() += 1;
    }
    let observation = |(key, count): ([u64; 3], u64)| {
        let [frequency, recency, age] = key.map(f64::from_bits);
        Observation {
            frequency,
            recency,
            age,
            count,
        }
    };
    counts.into_iter().map(observation).collect()
}

/// The customers with a repeat purchase of positive value.
pub(crate) fn spend_observations(customers: &[SampleCustomer]) -> Vec<SpendObservation> {
    let repeaters = customers
        .iter()
        .filter(|c| c.frequency > 0.0 && c.mean_value > 0.0);
    repeaters
        .map(|c| SpendObservation {
            frequency: c.frequency,
            mean_value: c.mean_value,
            count: 1,
        })
        .collect()
}
