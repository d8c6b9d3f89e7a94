//! What the cluster counts: customers per cohort, and activity per cohort and period.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result};
use emporia_core::job::Params;
use emporia_engine::session::Session;

use super::{Anchor, Settings};
use crate::period::{covered_until, in_utc, micros};
use crate::tables::{planning, select_columns};
use crate::{money, orders, rows};

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Activity of the customers of a cohort in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// Customers with at least one order.
    pub users: i64,
    pub orders: i64,
    /// In units of the scale of the money column.
    pub revenue: i128,
}

impl Activity {
    pub(super) fn add(&mut self, other: Self) {
        self.users += other.users;
        self.orders += other.orders;
        self.revenue += other.revenue;
    }
}

/// The counts of all cohorts.
#[derive(Debug)]
pub(super) struct Cells {
    /// Customers per cohort (number of its period), also those who never bought.
    pub sizes: BTreeMap<i64, i64>,
    /// Activity by cohort and period index; the index is not negative.
    pub activity: BTreeMap<(i64, i64), Activity>,
    /// Orders from before the anchor of their user.
    pub before_anchor: Activity,
    /// Orders whose user has no anchor.
    pub without_anchor: Activity,
    /// Last instant that the orders cover, see [`covered_until`]; `None` without any order.
    pub covered_until: Option<DateTime<Utc>>,
    /// Scale of the money column.
    pub scale: i8,
}

/// Runs the counts.
pub(super) async fn collect(
    session: &Session,
    params: &Params,
    settings: &Settings,
) -> Result<Cells> {
    let (orders, scale) = qualifying_orders(session, params, settings).await?;
    let anchors = anchors(session, &orders, settings).await?;
    let sizes = cohort_sizes(anchors.clone(), settings).map_err(planning("the cohort sizes"))?;
    let sizes = session.collect(sizes).await?;
    let cohorts = rows::integers(&sizes, "cohort")?;
    let customers = rows::integers(&sizes, "customers")?;
    let mut cells = Cells {
        sizes: cohorts
            .into_iter()
            .flatten()
            .zip(customers.into_iter().flatten())
            .collect(),
        activity: BTreeMap::new(),
        before_anchor: Activity::default(),
        without_anchor: Activity::default(),
        covered_until: None,
        scale,
    };
    let activity = activity(orders, anchors, settings).map_err(planning("the cohort cells"))?;
    cells.read_activity(&session.collect(activity).await?)?;
    Ok(cells)
}

/// The orders that count, as `order_user, ts, revenue, currency`, and the scale of the revenue.
async fn qualifying_orders(
    session: &Session,
    params: &Params,
    settings: &Settings,
) -> Result<(DataFrame, i8)> {
    let name = &settings.transactions;
    let table = session.table(name).await?;
    let scale = money::scale_of(&table, name, "total")?;
    let columns = ["user_id", "ts", "total", "status", "currency"];
    let table = select_columns(table, name, &columns)?;
    let conditions = [
        orders::qualifying(params),
        orders::until("ts", settings.as_of),
    ];
    let filtered = match orders::all_of(conditions) {
        Some(condition) => table.filter(condition),
        None => Ok(table),
    };
    let orders = filtered.and_then(|table| {
        table.select(vec![
            ident("user_id").alias("order_user"),
            in_utc(ident("ts")).alias("ts"),
            money::wide_units(money::units(ident("total"), scale)).alias("revenue"),
            ident("currency"),
        ])
    });
    Ok((orders.map_err(planning("the orders of cohorts"))?, scale))
}

/// The beginning of every customer, as `user_id, anchor_ts`.
async fn anchors(session: &Session, orders: &DataFrame, settings: &Settings) -> Result<DataFrame> {
    let what = planning("the beginnings of customers");
    if settings.anchor == Anchor::FirstPurchase {
        return orders
            .clone()
            .filter(ident("order_user").is_not_null())
            .and_then(|orders| {
                orders.aggregate(
                    vec![ident("order_user").alias("user_id")],
                    vec![min(ident("ts")).alias("anchor_ts")],
                )
            })
            .map_err(what);
    }
    let users = session.table(&settings.users).await?;
    let users = select_columns(users, &settings.users, &["user_id", "registration_ts"])?;
    let users = match orders::until("registration_ts", settings.as_of) {
        Some(condition) => users.filter(condition).map_err(&what)?,
        None => users,
    };
    users
        .select(vec![
            ident("user_id"),
            in_utc(ident("registration_ts")).alias("anchor_ts"),
        ])
        .map_err(what)
}

fn cohort_sizes(anchors: DataFrame, settings: &Settings) -> datafusion::error::Result<DataFrame> {
    anchors
        .select(vec![
            settings.period.number(ident("anchor_ts")).alias("cohort"),
        ])?
        .aggregate(
            vec![ident("cohort")],
            vec![count(lit(1)).alias("customers")],
        )
}

/// Activity by cohort and period index. Both are null for an order whose user has no anchor.
fn activity(
    orders: DataFrame,
    anchors: DataFrame,
    settings: &Settings,
) -> datafusion::error::Result<DataFrame> {
    let period = settings.period;
    let index = if settings.is_rolling {
        let length = period.rolling_days() * DAY_MICROS;
        let elapsed = micros(ident("ts")) - micros(ident("anchor_ts"));
        // Division truncates towards zero, so the time before the anchor is set apart first.
        let before = elapsed.clone().lt(lit(0_i64));
        datafusion::logical_expr::when(before, lit(-1_i64)).otherwise(elapsed / lit(length))?
    } else {
        period.number(ident("ts")) - period.number(ident("anchor_ts"))
    };
    orders
        .join(anchors, JoinType::Left, &["order_user"], &["user_id"], None)?
        .select(vec![
            ident("user_id"),
            period.number(ident("anchor_ts")).alias("cohort"),
            index.alias("period_index"),
            ident("ts"),
            ident("revenue"),
            ident("currency"),
        ])?
        .aggregate(
            vec![ident("user_id"), ident("cohort"), ident("period_index")],
            vec![
                count(lit(1)).alias("user_orders"),
                sum(ident("revenue")).alias("user_revenue"),
                max(ident("ts")).alias("user_last"),
                max(has_time_of_day(ident("ts"))).alias("user_timed"),
                min(ident("currency")).alias("user_min_currency"),
                max(ident("currency")).alias("user_max_currency"),
            ],
        )?
        .aggregate(
            vec![ident("cohort"), ident("period_index")],
            vec![
                count(ident("user_id")).alias("users"),
                sum(ident("user_orders")).alias("orders"),
                sum(ident("user_revenue")).alias("revenue"),
                max(ident("user_last")).alias("last_order"),
                max(ident("user_timed")).alias("timed"),
                min(ident("user_min_currency")).alias("min_currency"),
                max(ident("user_max_currency")).alias("max_currency"),
            ],
        )?
        .select(vec![
            ident("cohort"),
            ident("period_index"),
            ident("users"),
            ident("orders"),
            ident("revenue"),
            cast(ident("last_order"), DataType::Int64).alias("last_order"),
            ident("timed"),
            ident("min_currency"),
            ident("max_currency"),
        ])
}

impl Cells {
    fn read_activity(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let cohorts = rows::integers(batches, "cohort")?;
        let indexes = rows::integers(batches, "period_index")?;
        let users = rows::integers(batches, "users")?;
        let orders = rows::integers(batches, "orders")?;
        let revenue = rows::whole_decimals(batches, "revenue")?;
        let last = rows::integers(batches, "last_order")?;
        let timed = rows::integers(batches, "timed")?;
        orders::one_currency(orders::currencies(batches)?)?;
        let measures = users.into_iter().zip(orders).zip(revenue);
        for ((cohort, index), ((users, orders), revenue)) in
            cohorts.into_iter().zip(indexes).zip(measures)
        {
            let activity = Activity {
                users: users.unwrap_or(0),
                orders: orders.unwrap_or(0),
                revenue: revenue.unwrap_or(0),
            };
            match (cohort, index) {
                (Some(cohort), Some(index)) if index >= 0 => {
                    self.activity.insert((cohort, index), activity);
                }
                (Some(_), Some(_)) => self.before_anchor.add(activity),
                _ => self.without_anchor.add(activity),
            }
        }
        if let Some(last) = last.into_iter().flatten().max() {
            let last = DateTime::from_timestamp_micros(last).ok_or_else(|| {
                Error::invalid(format!(
                    "the time {last} µs of an order is beyond the calendar"
                ))
            })?;
            let has_times = timed.into_iter().flatten().any(|timed| timed != 0);
            self.covered_until = Some(covered_until(last, has_times));
        }
        Ok(())
    }
}

/// 1 for a time that is not midnight, 0 for one that is.
fn has_time_of_day(time: Expr) -> Expr {
    let of_day = micros(time) % lit(DAY_MICROS);
    cast(of_day.not_eq(lit(0_i64)), DataType::Int64)
}
