//! Which orders count: statuses, time, currency.

use chrono::{DateTime, Utc};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::ident;
use emporia_core::error::{Error, Result};
use emporia_core::job::{ParamKind, ParamSpec, Params};

use crate::params::param;
use crate::period::in_utc;
use crate::rows;

/// The statuses that count when the user names none: everything that was not called off.
pub(crate) const QUALIFYING: &str = "completed,processing,shipped,delivered";

/// The parameter `statuses`.
pub(crate) fn statuses_param() -> ParamSpec {
    param(
        "statuses",
        ParamKind::List,
        QUALIFYING,
        "statuses of the orders that count, exactly as in the data; `all` counts every order",
    )
}

/// The parameter `currency`.
pub(crate) fn currency_param() -> ParamSpec {
    param(
        "currency",
        ParamKind::Text,
        "null",
        "currency of the orders that count; null: the only one in the data",
    )
}

/// The conditions on status and currency.
pub(crate) fn qualifying(params: &Params) -> Option<Expr> {
    let statuses = params.list("statuses");
    let status = (!statuses.is_empty() && !statuses.iter().any(|s| s == "all"))
        .then(|| ident("status").in_list(statuses.iter().map(lit).collect(), false));
    let currency = params
        .text("currency")
        .map(|c| ident("currency").eq(lit(c)));
    all_of([status, currency])
}

/// The conjunction of the conditions that there are.
pub(crate) fn all_of(conditions: impl IntoIterator<Item = Option<Expr>>) -> Option<Expr> {
    conditions.into_iter().flatten().reduce(Expr::and)
}

/// An instant as a literal of the type of time columns.
pub(crate) fn instant(time: DateTime<Utc>) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(
        Some(time.timestamp_micros()),
        Some("UTC".into()),
    ))
}

/// The condition that `column` is not after the instant.
pub(crate) fn until(column: &str, time: Option<DateTime<Utc>>) -> Option<Expr> {
    time.map(|time| in_utc(ident(column)).lt_eq(instant(time)))
}

/// The condition that `column` is after the instant.
pub(crate) fn after(column: &str, time: Option<DateTime<Utc>>) -> Option<Expr> {
    time.map(|time| in_utc(ident(column)).gt(instant(time)))
}

/// The condition that `column` is not before the instant.
pub(crate) fn from(column: &str, time: Option<DateTime<Utc>>) -> Option<Expr> {
    time.map(|time| in_utc(ident(column)).gt_eq(instant(time)))
}

/// The smallest and largest names of currencies, of columns `min_currency` and `max_currency`.
pub(crate) fn currencies(
    batches: &[RecordBatch],
) -> Result<impl Iterator<Item = Option<String>> + use<>> {
    let smallest = rows::texts(batches, "min_currency")?;
    Ok(smallest
        .into_iter()
        .chain(rows::texts(batches, "max_currency")?))
}

/// The one currency among the smallest and largest names of groups of orders; `None` where there
/// are no orders.
///
/// # Errors
/// `InvalidInput` where there are several: amounts of different currencies have no sum.
pub(crate) fn one_currency(
    names: impl IntoIterator<Item = Option<String>>,
) -> Result<Option<String>> {
    let mut one: Option<String> = None;
    for name in names.into_iter().flatten() {
        match &one {
            Some(first) if *first != name => {
                return Err(Error::invalid(format!(
                    "the orders are in several currencies, among them {first} and {name}, whose \
                     amounts cannot be added"
                ))
                .with_hint(format!(
                    "run the job per currency, for example with -p currency={first}"
                )));
            }
            Some(_) => {}
            None => one = Some(name),
        }
    }
    Ok(one)
}
