//! Predicted against actual: what the models said at the end of the calibration about the purchases
//! that the data has after it.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::functions::core::expr_fn::{coalesce, least};
use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::Result;
use emporia_core::text::grouped;
use emporia_engine::session::Session;

use super::history::{History, Observed};
use super::scores::Scores;
use crate::literal_table::literal_table;
use crate::money;
use crate::orders;
use crate::period::date_of;
use crate::tables::planning;

/// Customers with more repeat purchases are one row.
const MOST_FREQUENT: i64 = 7;
/// Scale of predictions in sums, which are exact and so the same in any order of the rows.
const SUM_SCALE: i8 = 9;

/// The orders after the calibration.
pub(super) struct Holdout {
    /// Days after the last observed one, up to the day of the last order.
    days: i64,
    orders: u64,
}

impl Holdout {
    /// Counts the orders after the calibration; `None` if it has no end, or nothing comes later.
    ///
    /// # Errors
    /// `InvalidInput` where they are in another currency than the orders before.
    pub(super) async fn find(
        session: &Session,
        history: &History,
        observed: &Observed,
    ) -> Result<Option<Self>> {
        let Some(later) = &history.later else {
            return Ok(None);
        };
        let counted = later
            .clone()
            .aggregate(
                Vec::new(),
                vec![
                    count(lit(1)).alias("orders"),
                    max(ident("day")).alias("last_day"),
                    min(ident("currency")).alias("min_currency"),
                    max(ident("currency")).alias("max_currency"),
                ],
            )
            .map_err(planning("the orders after the calibration"))?;
        let batches = session.collect(counted).await?;
        let later = orders::currencies(&batches)?;
        orders::one_currency(later.chain([observed.currency.clone()]))?;
        let value = |column: usize| {
            let values = batches.first()?.column(column);
            let values = values.as_primitive_opt::<Int64Type>()?;
            (values.len() == 1 && values.is_valid(0)).then(|| values.value(0))
        };
        let orders = value(0).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Ok(value(1).map(|last_day| Self {
            days: last_day - observed.last_day,
            orders,
        }))
    }

    /// What was left out of the history, for the user.
    pub(super) fn note(&self, observed: &Observed) -> Option<String> {
        let (from, to) = (
            date_of(observed.last_day)?,
            date_of(observed.last_day + self.days)?,
        );
        Some(format!(
            "{} orders after {from}, up to {to}, are left out; `clv_holdout` compares them with the \
             prediction",
            grouped(self.orders)
        ))
    }
}

/// The output `clv_holdout`; without orders to compare with, it has no rows.
pub(super) fn plan(
    session: &Session,
    history: &History,
    scores: &Scores<'_>,
    holdout: Option<&Holdout>,
) -> Result<DataFrame> {
    let (Some(holdout), Some(later)) = (holdout, &history.later) else {
        return literal_table(
            session.context(),
            &RecordBatch::new_empty(schema(scores).into()),
        );
    };
    // A calibration that ends within a day has orders of that day on both sides.
    let days = holdout.days.max(0);
    let length = days as f64 / scores.settings.unit.days();
    let purchases = scores.purchases_within(session, length)?;
    let value = scores.value(session)?;
    let customers = scores.customers(history)?;
    compare(customers, later.clone(), [purchases, value], days, scores)
        .map_err(planning("the holdout"))
}

fn compare(
    customers: DataFrame,
    later: DataFrame,
    [purchases, value]: [Expr; 2],
    days: i64,
    scores: &Scores<'_>,
) -> datafusion::error::Result<DataFrame> {
    let exact = |number: Expr| cast(number, DataType::Decimal128(38, SUM_SCALE));
    let actual = later
        .aggregate(
            vec![ident("user_id").alias("later_user"), ident("day")],
            vec![sum(ident("amount")).alias("day_amount")],
        )?
        .aggregate(
            vec![ident("later_user")],
            vec![
                count(lit(1)).alias("later_purchases"),
                sum(ident("day_amount")).alias("later_amount"),
            ],
        )?;
    let summed = customers
        .select(vec![
            ident("user_id"),
            least(vec![ident("frequency"), lit(MOST_FREQUENT)]).alias("frequency"),
            exact(purchases.clone()).alias("expected"),
            exact(purchases * value).alias("expected_amount"),
        ])?
        .join(actual, JoinType::Left, &["user_id"], &["later_user"], None)?
        .aggregate(
            vec![ident("frequency")],
            vec![
                count(lit(1)).alias("customers"),
                sum(ident("later_purchases")).alias("purchases"),
                sum(ident("expected")).alias("expected"),
                sum(ident("later_amount")).alias("amount"),
                sum(ident("expected_amount")).alias("expected_amount"),
            ],
        )?;
    let scale = scores.observed.scale;
    let none = lit(ScalarValue::Decimal128(Some(0), 38, 0));
    summed
        .select(vec![
            ident("frequency"),
            ident("customers"),
            lit(days).alias("holdout_days"),
            coalesce(vec![ident("purchases"), lit(0_i64)]).alias("actual_purchases"),
            cast(ident("expected"), DataType::Float64).alias("predicted_purchases"),
            money::from_units(coalesce(vec![ident("amount"), none]), scale).alias("actual_revenue"),
            cast(ident("expected_amount"), money::money_type(scale)).alias("predicted_revenue"),
            lit(ScalarValue::Utf8(scores.observed.currency.clone())).alias("currency"),
        ])?
        .sort(vec![ident("frequency").sort(true, false)])
}

fn schema(scores: &Scores<'_>) -> Schema {
    let money = || money::money_type(scores.observed.scale);
    Schema::new(vec![
        Field::new("frequency", DataType::Int64, true),
        Field::new("customers", DataType::Int64, true),
        Field::new("holdout_days", DataType::Int64, true),
        Field::new("actual_purchases", DataType::Int64, true),
        Field::new("predicted_purchases", DataType::Float64, true),
        Field::new("actual_revenue", money(), true),
        Field::new("predicted_revenue", money(), true),
        Field::new("currency", DataType::Utf8, true),
    ])
}
