//! The job `clv`: what every customer was worth, and is expected to be worth.
//!
//! [`history`] reduces orders to one row per customer on the cluster; [`model`] fits BG/NBD and
//! Gamma-Gamma to a narrow copy of these rows in the client; [`rfm`] holds scores and segments;
//! [`scores`] plans the output, with the fitted parameters as constants of scalar functions that run
//! on the cluster.

mod history;
mod holdout;
mod horizon;
mod margin;
mod model;
mod rfm;
mod scores;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use emporia_core::error::{Error, Result};
use emporia_core::job::{JobSpec, ParamKind, Params};
use emporia_engine::job::{Job, JobRun, Output};
use emporia_engine::session::Session;
use emporia_models::clv::TimeUnit;

use crate::literal_table::literal_table;
use crate::orders;
use crate::params::{choice, names, output, param};
use horizon::HorizonUnit;

/// Longest horizon, in its unit.
const MAX_HORIZON: i64 = 1200;

/// Customer lifetime value.
pub struct Clv {
    spec: JobSpec,
}

/// The parameters of a run.
#[derive(Debug)]
struct Settings {
    unit: TimeUnit,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    /// How far to look ahead, in `horizon_unit`.
    horizon: u32,
    horizon_unit: HorizonUnit,
    /// Per month.
    discount_rate: f64,
    with_margin: bool,
    /// Most customers that a model is fitted to.
    fit_customers: usize,
}

impl Default for Clv {
    fn default() -> Self {
        Self::new()
    }
}

impl Clv {
    /// The job.
    pub fn new() -> Self {
        let spec = JobSpec {
            name: "clv".into(),
            summary: "Historic and predicted lifetime value of customers, with RFM segments".into(),
            params: vec![
                choice(
                    "time_unit",
                    &["day", "week", "month"],
                    "week",
                    "unit of the purchase model",
                ),
                param(
                    "calibration_start",
                    ParamKind::Timestamp,
                    "null",
                    "first instant that is observed; null: any",
                ),
                param(
                    "calibration_end",
                    ParamKind::LastInstant,
                    "null",
                    "last instant that is observed, a date with its whole day; null: the day of the \
                     last order",
                ),
                param(
                    "horizon",
                    ParamKind::IntFrom(1),
                    "12",
                    "length of the prediction",
                ),
                choice(
                    "horizon_unit",
                    &["month", "week", "day"],
                    "month",
                    "unit of the horizon",
                ),
                param(
                    "discount_rate",
                    ParamKind::Float,
                    "0.01",
                    "discount per month, as a fraction",
                ),
                orders::statuses_param(),
                orders::currency_param(),
                choice(
                    "margin",
                    &["auto", "off"],
                    "auto",
                    "margin of the past, where the catalog has lines, products and subcategories",
                ),
                param(
                    "fit_customers",
                    ParamKind::IntFrom(1),
                    "2000000",
                    "most customers to fit the models to; beyond it a sample of them is taken",
                ),
            ],
            inputs: names(&[
                "transactions",
                "transaction_items",
                "products",
                "subcategories",
            ]),
            outputs: vec![
                output("clv", &["user_id"]),
                output("clv_model", &["model", "parameter"]),
                output("clv_holdout", &["frequency"]),
            ],
            docs: include_str!("../../docs/clv.md").into(),
        };
        Self { spec }
    }
}

#[async_trait]
impl Job for Clv {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, session: &Session, params: &Params) -> Result<JobRun> {
        run(session, params).await
    }
}

async fn run(session: &Session, params: &Params) -> Result<JobRun> {
    let settings = Settings::of(params)?;
    let history = history::History::new(session, params, &settings).await?;
    let observed = history.collect(session, &settings).await?;
    let models = model::Models::fit(&observed, &settings);
    let cuts = rfm::Cuts::of(&observed);
    let mut notes = observed.notes(&settings);
    let holdout = holdout::Holdout::find(session, &history, &observed).await?;
    notes.extend(holdout.as_ref().and_then(|holdout| holdout.note(&observed)));
    notes.extend(models.notes());
    let with_margin = settings.with_margin && margin::has_tables(session);
    if settings.with_margin && !with_margin {
        notes.push(
            "there is no margin: it needs transaction_items, products and subcategories".into(),
        );
    }
    let margins = if with_margin {
        Some(margin::margins(session, &history).await?)
    } else {
        None
    };
    let scores = scores::Scores {
        settings: &settings,
        observed: &observed,
        models: &models,
        cuts: &cuts,
    };
    let clv = scores.plan(session, &history, margins)?;
    let holdout = holdout::plan(session, &history, &scores, holdout.as_ref())?;
    let model = literal_table(session.context(), &models.to_batch(&settings)?)?;
    Ok(JobRun {
        outputs: vec![
            Output::Table {
                name: "clv".into(),
                frame: clv,
            },
            Output::Table {
                name: "clv_model".into(),
                frame: model,
            },
            Output::Table {
                name: "clv_holdout".into(),
                frame: holdout,
            },
        ],
        notes,
        checks: Vec::new(),
        tally: None,
    })
}

impl Settings {
    fn of(params: &Params) -> Result<Self> {
        let horizon = params
            .int("horizon")
            .filter(|months| (1..=MAX_HORIZON).contains(months));
        let horizon = horizon
            .and_then(|months| u32::try_from(months).ok())
            .ok_or_else(|| {
                Error::invalid(format!("parameter `horizon` must be 1 to {MAX_HORIZON}"))
            })?;
        let discount_rate = params
            .float("discount_rate")
            .filter(|rate| (0.0..1.0).contains(rate));
        let fit_customers = params.int("fit_customers").filter(|n| *n > 0);
        let settings = Self {
            unit: match params.text("time_unit") {
                Some("day") => TimeUnit::Day,
                Some("month") => TimeUnit::Month,
                _ => TimeUnit::Week,
            },
            start: params.timestamp("calibration_start"),
            end: params.timestamp("calibration_end"),
            horizon,
            horizon_unit: HorizonUnit::of_name(params.text("horizon_unit")),
            discount_rate: discount_rate.ok_or_else(|| {
                Error::invalid("parameter `discount_rate` must be from 0 to below 1")
                    .with_hint("one percent per month is 0.01")
            })?,
            with_margin: params.text("margin") != Some("off"),
            fit_customers: fit_customers
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Error::invalid("parameter `fit_customers` must be positive"))?,
        };
        match (settings.start, settings.end) {
            (Some(start), Some(end)) if start >= end => Err(Error::invalid(
                "parameter `calibration_start` must be before parameter `calibration_end`",
            )),
            _ => Ok(settings),
        }
    }

    /// The name of the unit of time, as in the parameter.
    fn unit_name(&self) -> &'static str {
        match self.unit {
            TimeUnit::Day => "day",
            TimeUnit::Week => "week",
            TimeUnit::Month => "month",
        }
    }
}
