//! The purchase history of every customer, as a few numbers.
//!
//! A purchase of the models is a customer-day: orders of one day are one purchase of their sum.

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{count, first_value, max, min, sum};
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::Result;
use emporia_core::job::Params;
use emporia_core::text::grouped;
use emporia_engine::session::Session;

use super::Settings;
use crate::period::{date_of, day_number, day_of, next_instant};
use crate::tables::{function, has_column, planning, select_columns};
use crate::{money, orders, rows};

/// Largest sample factor: one customer in 2^20.
const MAX_HALVINGS: u32 = 20;

/// The orders that count, and the plan that reduces them.
pub(super) struct History {
    /// `transaction_id, user_id, day, subtotal, discount, amount, currency`; money in units.
    pub orders: DataFrame,
    /// The orders that would count if they were not after the calibration, in the same columns.
    pub later: Option<DataFrame>,
    pub scale: i8,
}

/// What the client needs of all customers (or of a sample), one entry per customer.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub customers: Vec<CustomerHistory>,
    /// Last observed day, days since 1970-01-01.
    pub last_day: i64,
    pub currency: Option<String>,
    /// One customer in `2^halvings` was taken.
    pub halvings: u32,
    pub scale: i8,
}

/// The history of one customer; money in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CustomerHistory {
    pub orders: i64,
    /// Days with an order.
    pub days: i64,
    /// Days since 1970-01-01.
    pub first_day: i64,
    pub last_day: i64,
    pub revenue: i128,
    /// Revenue of all days but the first.
    pub repeat_revenue: i128,
}

impl History {
    pub(super) async fn new(
        session: &Session,
        params: &Params,
        settings: &Settings,
    ) -> Result<Self> {
        let name = "transactions";
        let table = session.table(name).await?;
        let scale = money::scale_of(&table, name, "total")?;
        let columns = [
            "transaction_id",
            "user_id",
            "ts",
            "subtotal",
            "discount",
            "total",
            "status",
            "currency",
        ];
        let table = select_columns(table, name, &columns)?;
        let counted = |bounds: [Option<Expr>; 2]| {
            let conditions = [
                Some(ident("user_id").is_not_null()),
                orders::qualifying(params),
            ];
            let conditions = conditions.into_iter().chain(bounds);
            let table = table.clone();
            let table = match orders::all_of(conditions) {
                Some(condition) => table.filter(condition),
                None => Ok(table),
            };
            table.and_then(|table| {
                table.select(vec![
                    ident("transaction_id"),
                    ident("user_id"),
                    day_number(ident("ts")).alias("day"),
                    ident("subtotal"),
                    ident("discount"),
                    money::wide_units(money::units(ident("total"), scale)).alias("amount"),
                    ident("currency"),
                ])
            })
        };
        let orders = counted([
            orders::from("ts", settings.start),
            orders::until("ts", settings.end),
        ]);
        let later = orders::after("ts", settings.end).map(|later| counted([Some(later), None]));
        Ok(Self {
            orders: orders.map_err(planning("the orders of customers"))?,
            later: later
                .transpose()
                .map_err(planning("the orders after the calibration"))?,
            scale,
        })
    }

    /// One row per customer: `user_id, orders, days, first_day, last_day, revenue, repeat_revenue,
    /// min_currency, max_currency`, and `margin` where the orders have it.
    pub(super) fn per_customer(&self, orders: DataFrame) -> Result<DataFrame> {
        let has_margin = has_column(&orders, "margin");
        let plan = || -> datafusion::error::Result<DataFrame> {
            let mut of_day = vec![
                count(lit(1)).alias("day_orders"),
                sum(ident("amount")).alias("day_amount"),
                min(ident("currency")).alias("day_min_currency"),
                max(ident("currency")).alias("day_max_currency"),
            ];
            let mut of_customer = vec![
                sum(ident("day_orders")).alias("orders"),
                count(lit(1)).alias("days"),
                min(ident("day")).alias("first_day"),
                max(ident("day")).alias("last_day"),
                sum(ident("day_amount")).alias("revenue"),
                first_value(ident("day_amount"), vec![ident("day").sort(true, false)])
                    .alias("first_amount"),
                min(ident("day_min_currency")).alias("min_currency"),
                max(ident("day_max_currency")).alias("max_currency"),
            ];
            if has_margin {
                of_day.push(sum(ident("margin")).alias("day_margin"));
                of_customer.push(sum(ident("day_margin")).alias("margin"));
            }
            let margin = if has_margin {
                ident("margin")
            } else {
                cast(lit(ScalarValue::Null), DataType::Decimal128(38, 0))
            };
            orders
                .aggregate(vec![ident("user_id"), ident("day")], of_day)?
                .aggregate(vec![ident("user_id")], of_customer)?
                .select(vec![
                    ident("user_id"),
                    ident("orders"),
                    ident("days"),
                    ident("first_day"),
                    ident("last_day"),
                    ident("revenue"),
                    (ident("revenue") - ident("first_amount")).alias("repeat_revenue"),
                    ident("min_currency"),
                    ident("max_currency"),
                    margin.alias("margin"),
                ])
        };
        plan().map_err(planning("the history of customers"))
    }

    /// Fetches what the models and scores are made from, of a sample of the customers where there
    /// are more than the settings allow.
    pub(super) async fn collect(&self, session: &Session, settings: &Settings) -> Result<Observed> {
        let mut halvings = 0;
        loop {
            let orders = if halvings == 0 {
                self.orders.clone()
            } else {
                let hash = function(session, "key_hash")?.call(vec![ident("user_id")]);
                let in_sample = (hash % lit(1_u64 << halvings)).eq(lit(0_u64));
                self.orders
                    .clone()
                    .filter(in_sample)
                    .map_err(planning("a sample of customers"))?
            };
            let names = [
                "orders",
                "days",
                "first_day",
                "last_day",
                "revenue",
                "repeat_revenue",
                "min_currency",
                "max_currency",
            ];
            let frame = select_columns(self.per_customer(orders)?, "customers", &names)?
                .limit(0, Some(settings.fit_customers + 1))
                .map_err(planning("the history of customers"))?;
            let observed = self.read(&session.collect(frame).await?, settings, halvings)?;
            if observed.customers.len() <= settings.fit_customers || halvings >= MAX_HALVINGS {
                if halvings > 0 {
                    self.check_currency(session).await?;
                }
                return Ok(observed);
            }
            halvings += 2;
        }
    }

    /// Checks that all orders are in one currency; a sample has some of them only.
    async fn check_currency(&self, session: &Session) -> Result<()> {
        let currencies = vec![
            min(ident("currency")).alias("min_currency"),
            max(ident("currency")).alias("max_currency"),
        ];
        let frame = self.orders.clone().aggregate(Vec::new(), currencies);
        let frame = frame.map_err(planning("the currency of orders"))?;
        let batches = session.collect(frame).await?;
        orders::one_currency(orders::currencies(&batches)?).map(drop)
    }

    fn read(
        &self,
        batches: &[RecordBatch],
        settings: &Settings,
        halvings: u32,
    ) -> Result<Observed> {
        let orders = rows::integers(batches, "orders")?;
        let days = rows::integers(batches, "days")?;
        let first = rows::integers(batches, "first_day")?;
        let last = rows::integers(batches, "last_day")?;
        let revenue = rows::whole_decimals(batches, "revenue")?;
        let repeat = rows::whole_decimals(batches, "repeat_revenue")?;
        let counts = orders.into_iter().zip(days);
        let spans = first.into_iter().zip(last);
        let amounts = revenue.into_iter().zip(repeat);
        let customers = counts
            .zip(spans)
            .zip(amounts)
            .filter_map(|(((orders, days), (first, last)), (revenue, repeat))| {
                Some(CustomerHistory {
                    orders: orders?,
                    days: days?,
                    first_day: first?,
                    last_day: last?,
                    revenue: revenue?,
                    repeat_revenue: repeat?,
                })
            })
            .collect::<Vec<_>>();
        let currencies = orders::currencies(batches)?;
        let last_order = customers.iter().map(|c| c.last_day).max().unwrap_or(0);
        Ok(Observed {
            last_day: settings
                .end
                .map_or(last_order, |end| day_of(end.date_naive())),
            customers,
            currency: orders::one_currency(currencies)?,
            halvings,
            scale: self.scale,
        })
    }
}

impl Observed {
    pub(super) fn notes(&self, settings: &Settings) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(end) = settings.end
            && next_instant(end).date_naive() == end.date_naive()
        {
            notes.push(format!(
                "the last day is observed until {} only, and is a whole day of age and recency all \
                 the same",
                end.format("%H:%M:%S UTC")
            ));
        }
        if let Some(last) = date_of(self.last_day).filter(|_| !self.customers.is_empty()) {
            notes.push(format!(
                "{} customers observed until {last}, time in units of a {}",
                grouped(self.customers.len() as u64),
                settings.unit_name()
            ));
        }
        if self.halvings > 0 {
            notes.push(format!(
                "models and score limits are from a sample: one customer in {}",
                grouped(1 << self.halvings)
            ));
        }
        notes
    }
}
