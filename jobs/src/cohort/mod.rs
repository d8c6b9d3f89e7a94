//! The job `cohort`: retention and revenue of groups of customers that began together.
//!
//! [`cells`] aggregates on the cluster, [`grid`] assembles the small result in the client.

mod cells;
mod grid;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use emporia_core::error::{Error, Result};
use emporia_core::job::{JobSpec, ParamKind, Params};
use emporia_core::text::grouped;
use emporia_engine::job::{Job, JobRun, Output};
use emporia_engine::session::Session;

use crate::literal_table::literal_table;
use crate::params::{choice, names, output, param};
use crate::period::Period;
use crate::{money, orders};

/// Retention of cohorts.
pub struct Cohort {
    spec: JobSpec,
}

/// When a customer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Registration,
    FirstPurchase,
}

/// The parameters of a run.
#[derive(Debug)]
struct Settings {
    anchor: Anchor,
    period: Period,
    is_rolling: bool,
    as_of: Option<DateTime<Utc>>,
    /// Names of the tables of users and of transactions.
    users: String,
    transactions: String,
}

impl Default for Cohort {
    fn default() -> Self {
        Self::new()
    }
}

impl Cohort {
    /// The job.
    pub fn new() -> Self {
        let spec = JobSpec {
            name: "cohort".into(),
            summary: "Retention and revenue of customers by when they began".into(),
            params: vec![
                choice(
                    "anchor",
                    &["registration", "first_purchase"],
                    "registration",
                    "when a customer begins: registration needs the table of users",
                ),
                choice(
                    "period",
                    &["month", "week", "day"],
                    "month",
                    "length of cohorts and periods",
                ),
                param(
                    "rolling",
                    ParamKind::Bool,
                    "false",
                    "count periods of 1, 7 or 30 times 24 hours from the customer's own beginning \
                     instead of calendar periods",
                ),
                orders::statuses_param(),
                orders::currency_param(),
                param(
                    "as_of",
                    ParamKind::LastInstant,
                    "null",
                    "last instant that is observed, a date with its whole day; null: that of the last \
                     order, or the end of its day",
                ),
                param("users", ParamKind::Text, "users", "table of users"),
                param(
                    "transactions",
                    ParamKind::Text,
                    "transactions",
                    "table of transactions",
                ),
            ],
            inputs: names(&["users", "transactions"]),
            outputs: vec![output("cohort", &["cohort", "period_index"])],
            docs: include_str!("../../docs/cohort.md").into(),
        };
        Self { spec }
    }
}

#[async_trait]
impl Job for Cohort {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, session: &Session, params: &Params) -> Result<JobRun> {
        run(session, params).await
    }
}

async fn run(session: &Session, params: &Params) -> Result<JobRun> {
    let settings = Settings::of(params)?;
    if settings.anchor == Anchor::Registration && !session.has_table(&settings.users) {
        return Err(Error::not_found(format!(
            "cohorts by registration need the table `{}`, which the catalog does not have",
            settings.users
        ))
        .with_hint("use -p anchor=first_purchase"));
    }
    let cells = cells::collect(session, params, &settings).await?;
    let grid = grid::Grid::new(&cells, &settings)?;
    grid.check(&cells, &settings)?;
    let frame = literal_table(session.context(), &grid.to_batch(cells.scale)?)?;
    Ok(JobRun {
        outputs: vec![Output::Table {
            name: "cohort".into(),
            frame,
        }],
        notes: notes(&cells, &grid),
        checks: Vec::new(),
        tally: None,
    })
}

fn notes(cells: &cells::Cells, grid: &grid::Grid) -> Vec<String> {
    let mut notes = Vec::new();
    let mut left_out = |of: cells::Activity, what: &str| {
        if of.orders > 0 {
            notes.push(format!(
                "{} orders worth {} {what}, and are left out",
                grouped(of.orders.unsigned_abs()),
                money::text(of.revenue, cells.scale)
            ));
        }
    };
    left_out(
        cells.before_anchor,
        "are from before the registration of their user",
    );
    left_out(
        cells.without_anchor,
        "have no user, or one who is not in the table of users",
    );
    if let Some(as_of) = grid.as_of {
        notes.push(format!(
            "observed until {}",
            as_of.format("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    notes
}

impl Settings {
    fn of(params: &Params) -> Result<Self> {
        let missing = |name: &str| Error::invalid(format!("parameter `{name}` must not be null"));
        let text = |name: &str| params.text(name).ok_or_else(|| missing(name));
        let anchor = match text("anchor")? {
            "first_purchase" => Anchor::FirstPurchase,
            _ => Anchor::Registration,
        };
        Ok(Self {
            anchor,
            period: Period::of_name(text("period")?).ok_or_else(|| missing("period"))?,
            is_rolling: params.bool("rolling"),
            as_of: params.timestamp("as_of"),
            users: text("users")?.to_owned(),
            transactions: text("transactions")?.to_owned(),
        })
    }
}
