//! The job `revenue_by_category`: what each category sold, gross and net of discounts.
//!
//! [`lines`] makes the rows of order lines, [`allocation`] spreads the discount of an order over its
//! lines, [`report`] assembles and verifies the small result in the client.

mod allocation;
mod lines;
mod report;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use emporia_core::error::{Error, Result};
use emporia_core::job::{JobSpec, ParamKind, Params};
use emporia_engine::job::{Job, JobRun, Output};
use emporia_engine::session::Session;

use crate::literal_table::literal_table;
use crate::orders;
use crate::params::{choice, names, output, param};
use crate::period::Period;

/// Revenue by category and time.
pub struct RevenueByCategory {
    spec: JobSpec,
}

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
struct Settings {
    /// `None`: one period over all.
    period: Option<Period>,
    has_subcategories: bool,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

impl Default for RevenueByCategory {
    fn default() -> Self {
        Self::new()
    }
}

impl RevenueByCategory {
    /// The job.
    pub fn new() -> Self {
        let spec = JobSpec {
            name: "revenue_by_category".into(),
            summary: "Gross and net revenue, units and orders by category and period".into(),
            params: vec![
                choice(
                    "granularity",
                    &["total", "month", "week", "day"],
                    "month",
                    "length of periods",
                ),
                choice(
                    "level",
                    &["category", "subcategory"],
                    "category",
                    "what rows are by",
                ),
                orders::statuses_param(),
                orders::currency_param(),
                param(
                    "from",
                    ParamKind::Timestamp,
                    "null",
                    "first instant of the orders; null: any (inclusive)",
                ),
                param(
                    "to",
                    ParamKind::Timestamp,
                    "null",
                    "instant before which orders were made; null: any (exclusive)",
                ),
            ],
            inputs: names(&[
                "transactions",
                "transaction_items",
                "products",
                "categories",
                "subcategories",
            ]),
            outputs: vec![output(
                "revenue_by_category",
                &["period", "category_id", "subcategory_id"],
            )],
            docs: include_str!("../../docs/revenue_by_category.md").into(),
        };
        Self { spec }
    }
}

#[async_trait]
impl Job for RevenueByCategory {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, session: &Session, params: &Params) -> Result<JobRun> {
        let mut run = run(session, params).await?;
        run.notes.extend(params.notes(&self.spec));
        Ok(run)
    }
}

async fn run(session: &Session, params: &Params) -> Result<JobRun> {
    let granularity = params.text("granularity");
    let settings = Settings {
        period: granularity.and_then(Period::of_name),
        has_subcategories: params.text("level") == Some("subcategory"),
        from: params.timestamp("from"),
        to: params.timestamp("to"),
    };
    if let (Some(from), Some(to)) = (settings.from, settings.to)
        && from >= to
    {
        return Err(Error::invalid(
            "parameter `from` must be before parameter `to`",
        ));
    }
    let lines = lines::Lines::new(session, params, settings).await?;
    // The three queries are independent: whatever the cluster has free runs the next one.
    let (totals, sales, discounts) = futures::try_join!(
        session.collect(lines.order_totals()?),
        session.collect(lines.sales()?),
        session.collect(allocation::discounts(&lines)?),
    )?;
    let totals = report::OrderTotals::read(&totals)?;
    let report = report::Report::read(&sales, &discounts)?;
    report.check(&totals, lines.scale)?;
    let names = report::Names::collect(session, settings.has_subcategories).await?;
    let batch = report.to_batch(&names, settings, lines.scale)?;
    let frame = literal_table(session.context(), &batch)?;
    let mut run = JobRun {
        outputs: vec![Output::Table {
            name: "revenue_by_category".into(),
            frame,
        }],
        notes: Vec::new(),
        checks: Vec::new(),
        tally: None,
    };
    if let Some(currency) = &totals.currency {
        run.notes.push(format!("amounts are in {currency}"));
    }
    Ok(run)
}
