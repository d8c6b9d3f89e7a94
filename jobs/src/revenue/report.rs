//! The table of the job, put together from the counts of the cluster, and its checks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
};
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::session::Session;

use super::Settings;
use super::lines::{ALL, UNKNOWN};
use crate::period::{Period, day_of};
use crate::tables::select_columns;
use crate::{money, orders, rows};

/// Sums over orders, without any join.
#[derive(Debug)]
pub(super) struct OrderTotals {
    orders: i64,
    subtotal: i128,
    discount: i128,
    total: i128,
    largest_subtotal: i64,
    largest_discount: i64,
    pub currency: Option<String>,
}

impl OrderTotals {
    pub(super) fn read(batches: &[RecordBatch]) -> Result<Self> {
        let money = |name: &str| -> Result<i128> {
            Ok(rows::whole_decimals(batches, name)?
                .into_iter()
                .flatten()
                .sum())
        };
        let largest = |name: &str| -> Result<i64> {
            Ok(rows::integers(batches, name)?
                .into_iter()
                .flatten()
                .max()
                .unwrap_or(0))
        };
        Ok(Self {
            orders: rows::integers(batches, "orders")?
                .into_iter()
                .flatten()
                .sum(),
            subtotal: money("subtotal")?,
            discount: money("discount")?,
            total: money("total")?,
            largest_subtotal: largest("largest_subtotal")?,
            largest_discount: largest("largest_discount")?,
            currency: orders::one_currency(orders::currencies(batches)?)?,
        })
    }
}

/// What a category sold in a period; money in units of the scale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sales {
    pub gross: i128,
    pub discount: i128,
    pub units: i64,
    pub lines: i64,
    pub orders: i64,
}

impl Sales {
    pub(super) fn net(&self) -> i128 {
        self.gross - self.discount
    }
}

/// Sales by period number, category and subcategory.
#[derive(Debug, Default)]
pub(super) struct Report(pub BTreeMap<(i64, String, String), Sales>);

impl Report {
    pub(super) fn read(sales: &[RecordBatch], discounts: &[RecordBatch]) -> Result<Self> {
        let mut report = Self::default();
        let gross = rows::whole_decimals(sales, "gross")?;
        let units = rows::integers(sales, "units")?;
        let lines = rows::integers(sales, "lines")?;
        let orders = rows::integers(sales, "orders")?;
        for (row, key) in keys(sales)?.into_iter().enumerate() {
            let integer = |values: &[Option<i64>]| values.get(row).copied().flatten().unwrap_or(0);
            report.0.insert(
                key,
                Sales {
                    gross: gross.get(row).copied().flatten().unwrap_or(0),
                    discount: 0,
                    units: integer(&units),
                    lines: integer(&lines),
                    orders: integer(&orders),
                },
            );
        }
        let amounts = rows::whole_decimals(discounts, "discount")?;
        for (key, amount) in keys(discounts)?.into_iter().zip(amounts) {
            report.0.entry(key).or_default().discount += amount.unwrap_or(0);
        }
        Ok(report)
    }

    /// Verifies that the categories add up to the orders.
    pub(super) fn check(&self, totals: &OrderTotals, scale: i8) -> Result<()> {
        if totals
            .largest_discount
            .checked_mul(totals.largest_subtotal)
            .is_none()
        {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "cannot spread the discount of an order exactly: discount times subtotal exceeds \
                 64 bits",
            )
            .with_hint("look for impossible amounts in `transactions`"));
        }
        let sum = |of: fn(&Sales) -> i128| -> i128 { self.0.values().map(of).sum() };
        let compare = |what: &str, lines: i128, orders: i128, column: &str| {
            if lines == orders {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::Failed,
                format!(
                    "the {what} of all categories is {}, but the {} orders have {} in \
                     `transactions.{column}`",
                    money::text(lines, scale),
                    totals.orders,
                    money::text(orders, scale),
                ),
            )
            .with_hint(
                "orders without lines, repeated lines, repeated products or wrong subtotals do \
                 this; clean the tables first",
            ))
        };
        compare(
            "gross revenue",
            sum(|s| s.gross),
            totals.subtotal,
            "subtotal",
        )?;
        compare("discount", sum(|s| s.discount), totals.discount, "discount")?;
        compare("net revenue", sum(Sales::net), totals.total, "total")
    }

    /// The rows in the order of period, then net revenue; unknown categories are last.
    pub(super) fn to_batch(
        &self,
        names: &Names,
        settings: Settings,
        scale: i8,
    ) -> Result<RecordBatch> {
        let mut period_net: HashMap<i64, i128> = HashMap::new();
        for ((period, _, _), sales) in &self.0 {
            *period_net.entry(*period).or_default() += sales.net();
        }
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by_key(|((period, category, subcategory), sales)| {
            (
                *period,
                category == UNKNOWN,
                Reverse(sales.net()),
                category,
                subcategory,
            )
        });
        let starts = rows
            .iter()
            .map(|((number, _, _), _)| settings.period.and_then(|period| period.start(*number)));
        let starts: Vec<Option<NaiveDate>> = starts.collect();
        let labels = starts
            .iter()
            .map(|start| Some(label(settings.period, *start)));
        let days = starts
            .iter()
            .map(|s| s.and_then(|date| i32::try_from(day_of(date)).ok()));
        let text = |values: Vec<Option<String>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let integer = |of: fn(&Sales) -> i64| -> ArrayRef {
            Arc::new(
                rows.iter()
                    .map(|(_, sales)| Some(of(sales)))
                    .collect::<Int64Array>(),
            )
        };
        let money = |of: fn(&Sales) -> i128| -> Result<ArrayRef> {
            let array: Decimal128Array = rows.iter().map(|(_, sales)| Some(of(sales))).collect();
            let array = array
                .with_precision_and_scale(money::PRECISION, scale)
                .map_err(|e| Error::internal("cannot make a money column").with_source(e))?;
            Ok(Arc::new(array))
        };
        let share = rows.iter().map(|((period, _, _), sales)| {
            let net = period_net.get(period).copied().unwrap_or(0);
            (net != 0).then(|| sales.net() as f64 / net as f64)
        });
        RecordBatch::try_from_iter_with_nullable([
            ("period", text(labels.collect()), false),
            (
                "period_start",
                Arc::new(days.collect::<Date32Array>()) as ArrayRef,
                true,
            ),
            (
                "category_id",
                text(rows.iter().map(|((_, c, _), _)| Some(c.clone())).collect()),
                false,
            ),
            (
                "category_name",
                text(
                    rows.iter()
                        .map(|((_, c, _), _)| names.categories.get(c).cloned())
                        .collect(),
                ),
                true,
            ),
            (
                "subcategory_id",
                text(rows.iter().map(|((_, _, s), _)| Some(s.clone())).collect()),
                false,
            ),
            (
                "subcategory_name",
                text(
                    rows.iter()
                        .map(|((_, _, s), _)| names.subcategories.get(s).cloned())
                        .collect(),
                ),
                true,
            ),
            ("gross", money(|s| s.gross)?, false),
            ("discount", money(|s| s.discount)?, false),
            ("net", money(Sales::net)?, false),
            ("units", integer(|s| s.units), false),
            ("orders", integer(|s| s.orders), false),
            ("lines", integer(|s| s.lines), false),
            (
                "share",
                Arc::new(share.collect::<Float64Array>()) as ArrayRef,
                true,
            ),
        ])
        .map_err(|e| Error::internal("cannot make the table of categories").with_source(e))
    }
}

/// Period, category and subcategory of each row.
fn keys(batches: &[RecordBatch]) -> Result<Vec<(i64, String, String)>> {
    let periods = rows::integers(batches, "period")?;
    let categories = rows::texts(batches, "category")?;
    let subcategories = rows::texts(batches, "subcategory")?;
    let or = |value: Option<String>, other: &str| value.unwrap_or_else(|| other.to_owned());
    Ok(periods
        .into_iter()
        .zip(categories.into_iter().zip(subcategories))
        .map(|(p, (c, s))| (p.unwrap_or(0), or(c, UNKNOWN), or(s, ALL)))
        .collect())
}

/// A text of the period that sorts like time: `2024-05`, `2024-W18`, `2024-05-03`, `total`.
fn label(period: Option<Period>, start: Option<NaiveDate>) -> String {
    match (period, start) {
        (Some(Period::Day), Some(start)) => start.to_string(),
        (Some(Period::Week), Some(start)) => {
            let week = start.iso_week();
            format!("{}-W{:02}", week.year(), week.week())
        }
        (Some(Period::Month), Some(start)) => format!("{}-{:02}", start.year(), start.month()),
        _ => "total".to_owned(),
    }
}

/// Names by id, where the catalog has the tables.
#[derive(Debug, Default)]
pub(super) struct Names {
    categories: HashMap<String, String>,
    subcategories: HashMap<String, String>,
}

impl Names {
    pub(super) async fn collect(session: &Session, with_subcategories: bool) -> Result<Self> {
        let mut names = Self {
            categories: names_of(session, "categories", "category_id").await?,
            subcategories: HashMap::new(),
        };
        if with_subcategories {
            names.subcategories = names_of(session, "subcategories", "subcategory_id").await?;
        }
        Ok(names)
    }
}

async fn names_of(session: &Session, table: &str, key: &str) -> Result<HashMap<String, String>> {
    if !session.has_table(table) {
        return Ok(HashMap::new());
    }
    let frame = select_columns(session.table(table).await?, table, &[key, "name"])?;
    let batches = session.collect(frame).await?;
    let ids = rows::texts(&batches, key)?;
    let names = rows::texts(&batches, "name")?;
    Ok(ids
        .into_iter()
        .zip(names)
        .filter_map(|(id, name)| Some((id?, name?)))
        .collect())
}
