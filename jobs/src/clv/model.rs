//! Fits the models to the observed customers, and shows what was fitted.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::{Error, Result};
use emporia_core::text::grouped;
use emporia_models::bg_nbd::{self, BgNbd, Observation};
use emporia_models::fit::{Fit, FitError};
use emporia_models::gamma_gamma::{self, GammaGamma, SpendObservation};

use super::Settings;
use super::history::Observed;

/// The fitted models, or why there are none.
#[derive(Debug)]
pub(super) struct Models {
    pub purchases: Result<Fit<BgNbd>, FitError>,
    pub spend: Result<Fit<GammaGamma>, FitError>,
    /// Correlation of frequency and mean value, which Gamma-Gamma assumes to be none.
    pub correlation: Option<f64>,
    /// Repeat customers whose repeat purchases are worth nothing; the spend model leaves them out.
    pub without_value: u64,
}

impl Models {
    pub(super) fn fit(observed: &Observed, settings: &Settings) -> Self {
        let unit_days = settings.unit.days();
        let mut histories: HashMap<(i64, i64, i64), u64> = HashMap::new();
        let mut spends: HashMap<(i64, i128), u64> = HashMap::new();
        let mut without_value = 0;
        for customer in &observed.customers {
            let x = customer.days - 1;
            let t_x = customer.last_day - customer.first_day;
            *histories
                .entry((x, t_x, observed.last_day - customer.first_day))
                .or_default() += 1;
            if x > 0 && customer.repeat_revenue > 0 {
                *spends.entry((x, customer.repeat_revenue)).or_default() += 1;
            } else if x > 0 {
                without_value += 1;
            }
        }
        // The order of a hash map is random, and the last digits of a sum depend on it.
        let mut histories: Vec<_> = histories.into_iter().collect();
        histories.sort_unstable();
        let mut spends: Vec<_> = spends.into_iter().collect();
        spends.sort_unstable();
        let histories: Vec<Observation> = histories
            .into_iter()
            .map(|((x, t_x, age), count)| Observation {
                frequency: x as f64,
                recency: t_x as f64 / unit_days,
                age: age as f64 / unit_days,
                count,
            })
            .collect();
        let unit_of_money = 10_f64.powi(i32::from(observed.scale));
        let spends: Vec<SpendObservation> = spends
            .into_iter()
            .map(|((x, revenue), count)| SpendObservation {
                frequency: x as f64,
                mean_value: revenue as f64 / unit_of_money / x as f64,
                count,
            })
            .collect();
        Self {
            purchases: bg_nbd::fit(&histories),
            spend: gamma_gamma::fit(&spends),
            correlation: gamma_gamma::correlation(&spends),
            without_value,
        }
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match &self.purchases {
            Ok(fit) => notes.extend(fit.weak.iter().map(|w| format!("weak fit of BG/NBD: {w}"))),
            Err(e) => notes.push(format!("there is no purchase model: {e}")),
        }
        match &self.spend {
            Ok(fit) => notes.extend(
                fit.weak
                    .iter()
                    .map(|w| format!("weak fit of Gamma-Gamma: {w}")),
            ),
            Err(e) => notes.push(format!("there is no spend model: {e}")),
        }
        if self.without_value > 0 {
            notes.push(format!(
                "{} repeat customers are not in the spend model, because their repeat purchases \
                 are worth nothing",
                grouped(self.without_value)
            ));
        }
        notes
    }

    /// The table `clv_model`.
    pub(super) fn to_batch(&self, settings: &Settings) -> Result<RecordBatch> {
        let mut rows = Vec::new();
        let unit = settings.unit_name();
        if let Ok(fit) = &self.purchases {
            let [parameters, errors] = [Some(&fit.parameters), fit.standard_errors.as_ref()]
                .map(|p| p.map(|p| [p.r, p.alpha, p.a, p.b]));
            let names = [("r", "1"), ("alpha", unit), ("a", "1"), ("b", "1")];
            rows.extend(ModelRow::of("bg_nbd", names, parameters, errors, fit));
        }
        if let Ok(fit) = &self.spend {
            let [parameters, errors] = [Some(&fit.parameters), fit.standard_errors.as_ref()]
                .map(|p| p.map(|p| [p.p, p.q, p.v]));
            let names = [("p", "1"), ("q", "1"), ("v", "money")];
            rows.extend(ModelRow::of("gamma_gamma", names, parameters, errors, fit));
            if let Some(correlation) = self.correlation {
                let values = Some([correlation]);
                let names = [("correlation", "1")];
                rows.extend(ModelRow::of("gamma_gamma", names, values, None, fit));
            }
        }
        let text = |of: fn(&ModelRow) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<StringArray>())
        };
        let double = |of: fn(&ModelRow) -> Option<f64>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<Float64Array>())
        };
        let n = rows.iter().map(|row| Some(row.n));
        let weak = rows.iter().map(|row| Some(row.reason.is_some()));
        RecordBatch::try_from_iter_with_nullable([
            ("model", text(|row| Some(row.model.to_owned())), false),
            (
                "parameter",
                text(|row| Some(row.parameter.to_owned())),
                false,
            ),
            ("estimate", double(|row| Some(row.estimate)), false),
            ("standard_error", double(|row| row.standard_error), true),
            ("unit", text(|row| Some(row.unit.clone())), false),
            (
                "log_likelihood",
                double(|row| Some(row.log_likelihood)),
                false,
            ),
            ("n", Arc::new(n.collect::<Int64Array>()) as ArrayRef, false),
            (
                "weak",
                Arc::new(weak.collect::<BooleanArray>()) as ArrayRef,
                false,
            ),
            ("weak_reason", text(|row| row.reason.clone()), true),
        ])
        .map_err(|e| Error::internal("cannot make the table of models").with_source(e))
    }
}

/// A row of `clv_model`.
struct ModelRow {
    model: &'static str,
    parameter: &'static str,
    estimate: f64,
    standard_error: Option<f64>,
    unit: String,
    log_likelihood: f64,
    n: i64,
    reason: Option<String>,
}

impl ModelRow {
    fn of<P, const N: usize>(
        model: &'static str,
        names: [(&'static str, &str); N],
        values: Option<[f64; N]>,
        errors: Option<[f64; N]>,
        fit: &Fit<P>,
    ) -> Vec<Self> {
        let reason = (!fit.weak.is_empty()).then(|| fit.weak.join("; "));
        let errors: Vec<Option<f64>> = match errors {
            Some(errors) => errors
                .into_iter()
                .map(|e| Some(e).filter(|e| e.is_finite()))
                .collect(),
            None => vec![None; N],
        };
        names
            .into_iter()
            .zip(values.into_iter().flatten())
            .zip(errors)
            .map(|(((parameter, unit), estimate), standard_error)| Self {
                model,
                parameter,
                estimate,
                standard_error,
                unit: unit.to_owned(),
                log_likelihood: fit.log_likelihood,
                n: i64::try_from(fit.n_customers).unwrap_or(i64::MAX),
                reason: reason.clone(),
            })
            .collect()
    }
}
