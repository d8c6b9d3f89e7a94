//! The table of cohorts: every observed period of every cohort, also those without orders.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
};
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::{Error, Result};

use super::cells::{Activity, Cells};
use super::{Anchor, Settings};
use crate::money;
use crate::period::{day_of, next_instant};

/// Most rows of a result. Daily cohorts of five years have 1.7 million cells; a chart of them
/// tells nothing, and neither does a table.
const MAX_ROWS: usize = 1_000_000;

/// The rows of the output.
#[derive(Debug)]
pub(super) struct Grid {
    pub rows: Vec<Row>,
    /// Last instant that was observed; `None` without any order.
    pub as_of: Option<DateTime<Utc>>,
}

/// A period of a cohort.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    /// First day of the cohort's own period.
    pub cohort: NaiveDate,
    /// Distance of the period from the beginning, in periods.
    pub period_index: i64,
    /// First day of the period; for rolling periods, of the cohort's earliest customer.
    pub period_start: NaiveDate,
    /// Customers of the cohort.
    pub cohort_size: i64,
    pub activity: Activity,
    /// Revenue of this and all earlier periods, in units of the scale.
    pub cumulative_revenue: i128,
    /// The period had not ended for the whole cohort.
    pub is_incomplete: bool,
}

impl Grid {
    pub(super) fn new(cells: &Cells, settings: &Settings) -> Result<Self> {
        let as_of = settings.as_of.or(cells.covered_until);
        let mut grid = Self {
            rows: Vec::new(),
            as_of,
        };
        let Some(as_of) = as_of else {
            return Ok(grid);
        };
        for (&cohort, &size) in &cells.sizes {
            let last_complete = last_complete_index(cohort, as_of, settings)?;
            let last_active = cells
                .activity
                .range((cohort, 0)..=(cohort, i64::MAX))
                .next_back()
                .map(|((_, index), _)| *index);
            let mut cumulative = 0;
            for index in 0..=last_complete.max(last_active.unwrap_or(-1)) {
                let activity = cells.activity.get(&(cohort, index)).copied();
                let is_incomplete = index > last_complete;
                // Nothing yet is not the same as nothing.
                if is_incomplete && activity.is_none() {
                    continue;
                }
                let activity = activity.unwrap_or_default();
                cumulative += activity.revenue;
                grid.rows.push(Row {
                    cohort: start(cohort, settings)?,
                    period_index: index,
                    period_start: period_start(cohort, index, settings)?,
                    cohort_size: size,
                    activity,
                    cumulative_revenue: cumulative,
                    is_incomplete,
                });
            }
            if grid.rows.len() > MAX_ROWS {
                return Err(
                    Error::invalid(format!("the cohorts have more than {MAX_ROWS} cells"))
                        .with_hint("use a longer period: -p period=month"),
                );
            }
        }
        Ok(grid)
    }

    /// Verifies that no order was lost or counted twice between the cells and the rows.
    pub(super) fn check(&self, cells: &Cells, settings: &Settings) -> Result<()> {
        let counted: Activity = total(cells.activity.values());
        let shown: Activity = total(self.rows.iter().map(|row| &row.activity));
        if (counted.orders, counted.revenue) != (shown.orders, shown.revenue) {
            return Err(Error::internal(format!(
                "the cohorts hold {} orders worth {}, but {} worth {} were counted",
                shown.orders,
                money::text(shown.revenue, cells.scale),
                counted.orders,
                money::text(counted.revenue, cells.scale),
            )));
        }
        for row in &self.rows {
            let all_buy_first = settings.anchor == Anchor::FirstPurchase && row.period_index == 0;
            let users = row.activity.users;
            if users > row.cohort_size || (all_buy_first && users != row.cohort_size) {
                return Err(Error::new(
                    emporia_core::ErrorKind::Failed,
                    format!(
                        "cohort {} has {} customers, but {users} of them bought in period {}",
                        row.cohort, row.cohort_size, row.period_index
                    ),
                )
                .with_hint("the column `user_id` of the table of users must be unique"));
            }
        }
        Ok(())
    }

    /// The rows as a batch, with money of the scale.
    pub(super) fn to_batch(&self, scale: i8) -> Result<RecordBatch> {
        let rows = &self.rows;
        let date = |of: fn(&Row) -> NaiveDate| -> ArrayRef {
            let days = rows.iter().map(|row| i32::try_from(day_of(of(row))).ok());
            Arc::new(days.collect::<Date32Array>())
        };
        let integer = |of: fn(&Row) -> i64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(of(row))).collect::<Int64Array>())
        };
        let money = |of: fn(&Row) -> Option<i128>| -> Result<ArrayRef> {
            let array: Decimal128Array = rows.iter().map(of).collect();
            let array = array
                .with_precision_and_scale(money::PRECISION, scale)
                .map_err(|e| Error::internal("cannot make a money column").with_source(e))?;
            Ok(Arc::new(array))
        };
        let index = rows.iter().map(|row| i32::try_from(row.period_index).ok());
        let retention = rows.iter().map(|row| {
            (row.cohort_size > 0).then(|| row.activity.users as f64 / row.cohort_size as f64)
        });
        let incomplete = rows.iter().map(|row| Some(row.is_incomplete));
        RecordBatch::try_from_iter_with_nullable([
            ("cohort", date(|row| row.cohort), false),
            (
                "period_index",
                Arc::new(index.collect::<Int32Array>()) as ArrayRef,
                false,
            ),
            ("period_start", date(|row| row.period_start), false),
            ("cohort_size", integer(|row| row.cohort_size), false),
            ("users", integer(|row| row.activity.users), false),
            ("orders", integer(|row| row.activity.orders), false),
            ("revenue", money(|row| Some(row.activity.revenue))?, false),
            (
                "retention",
                Arc::new(retention.collect::<Float64Array>()) as ArrayRef,
                true,
            ),
            (
                "cumulative_revenue",
                money(|row| Some(row.cumulative_revenue))?,
                false,
            ),
            (
                "revenue_per_user",
                money(|row| money::divide(row.cumulative_revenue, row.cohort_size.into()))?,
                true,
            ),
            (
                "incomplete",
                Arc::new(incomplete.collect::<BooleanArray>()) as ArrayRef,
                false,
            ),
        ])
        .map_err(|e| Error::internal("cannot make the table of cohorts").with_source(e))
    }
}

fn total<'a>(activities: impl Iterator<Item = &'a Activity>) -> Activity {
    let mut total = Activity::default();
    for activity in activities {
        total.add(*activity);
    }
    total
}

fn start(number: i64, settings: &Settings) -> Result<NaiveDate> {
    settings.period.start(number).ok_or_else(|| beyond(number))
}

fn beyond(number: i64) -> Error {
    Error::invalid(format!("the cohort number {number} is beyond the calendar"))
        .with_hint("look for impossible times in the tables")
}

fn period_start(cohort: i64, index: i64, settings: &Settings) -> Result<NaiveDate> {
    if !settings.is_rolling {
        return start(cohort + index, settings);
    }
    let days = u64::try_from(index * settings.period.rolling_days()).map_err(|_| beyond(cohort))?;
    start(cohort, settings)?
        .checked_add_days(Days::new(days))
        .ok_or_else(|| beyond(cohort))
}

/// The last period index that the whole cohort had behind it; negative where there is none.
fn last_complete_index(cohort: i64, as_of: DateTime<Utc>, settings: &Settings) -> Result<i64> {
    if !settings.is_rolling {
        return Ok(settings.period.last_complete(as_of) - cohort);
    }
    // The last customer of the cohort may have begun at the end of the cohort's period.
    let end = start(cohort + 1, settings)?;
    let days = day_of(next_instant(as_of).date_naive()) - day_of(end);
    Ok(days.div_euclid(settings.period.rolling_days()) - 1)
}
