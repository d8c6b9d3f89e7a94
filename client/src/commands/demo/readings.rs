//! What the tables of the demonstration say, in one sentence each, computed from their rows.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;

use crate::console::grouped;

/// Rows whose columns are read as numbers or texts. Numbers are for sentences only: they are
/// rounded anyway.
pub(super) struct Rows(RecordBatch);

/// A column of numbers.
struct Numbers(Float64Array);

/// A column of texts.
struct Texts(StringArray);

impl Rows {
    pub(super) fn new(batch: RecordBatch) -> Self {
        Self(batch)
    }

    fn len(&self) -> usize {
        self.0.num_rows()
    }

    fn column_as(&self, name: &str, data_type: &DataType) -> Option<ArrayRef> {
        cast(self.0.column_by_name(name)?, data_type).ok()
    }

    fn numbers(&self, name: &str) -> Option<Numbers> {
        let column = self.column_as(name, &DataType::Float64)?;
        column
            .as_any()
            .downcast_ref::<Float64Array>()
            .cloned()
            .map(Numbers)
    }

    fn texts(&self, name: &str) -> Option<Texts> {
        let column = self.column_as(name, &DataType::Utf8)?;
        column
            .as_any()
            .downcast_ref::<StringArray>()
            .cloned()
            .map(Texts)
    }
}

impl Numbers {
    fn get(&self, row: usize) -> Option<f64> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }

    fn or_zero(&self, row: usize) -> f64 {
        self.get(row).unwrap_or(0.0)
    }

    fn sum(&self) -> f64 {
        self.0.iter().flatten().sum()
    }
}

impl Texts {
    fn get(&self, row: usize) -> Option<&str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// A whole number with commas.
fn whole(number: f64) -> String {
    grouped(number.round().max(0.0) as u64)
}

/// A share as a percentage.
fn percent(part: f64, of: f64) -> Option<String> {
    (of > 0.0).then(|| format!("{:.1} %", 100.0 * part / of))
}

fn position_of_max(values: impl Iterator<Item = (usize, f64)>) -> Option<usize> {
    values
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(row, _)| row)
}

pub(super) fn cleaning(rows: &Rows) -> Option<String> {
    let (rule, action, n) = (
        rows.texts("rule_id")?,
        rows.texts("action")?,
        rows.numbers("rows")?,
    );
    let total = |name: &str| {
        let row = (0..rows.len()).find(|row| rule.get(*row) == Some(name))?;
        n.get(row)
    };
    let (n_in, n_out) = (total("rows_in")?, total("rows_out")?);
    let (quarantined, dropped) = (total("quarantined")?, total("dropped")?);
    let by_rule = (0..rows.len()).filter(|row| action.get(*row) == Some("quarantine"));
    let reason = position_of_max(by_rule.map(|row| (row, n.or_zero(row))));
    let reason = reason.and_then(|row| rule.get(row));
    let reason = reason
        .map(|r| format!(", most often for `{r}`"))
        .unwrap_or_default();
    Some(format!(
        "Of {} raw orders {} can be trusted; {} are set aside{reason}, and {} exact duplicates \
         are dropped. The four numbers balance.",
        whole(n_in),
        percent(n_out, n_in)?,
        whole(quarantined),
        whole(dropped)
    ))
}

pub(super) fn cohort(rows: &Rows) -> Option<String> {
    let (index, size) = (rows.numbers("period_index")?, rows.numbers("cohort_size")?);
    let (users, incomplete) = (rows.numbers("users")?, rows.texts("incomplete")?);
    let is_first = |row: &usize| {
        index.get(*row) == Some(1.0)
            && incomplete.get(*row) == Some("false")
            && size.or_zero(*row) > 0.0
    };
    let cohorts: Vec<usize> = (0..rows.len()).filter(is_first).collect();
    let back: f64 = cohorts.iter().map(|row| users.or_zero(*row)).sum();
    let all: f64 = cohorts.iter().map(|row| size.or_zero(*row)).sum();
    Some(format!(
        "One month after registration {} of the customers buy, over {} complete cohorts; shares \
         count all customers, also those who never bought.",
        percent(back, all)?,
        cohorts.len()
    ))
}

pub(super) fn clv(rows: &Rows) -> Option<String> {
    let (value, alive) = (rows.numbers("clv")?, rows.numbers("p_alive")?);
    let mut values: Vec<f64> = (0..rows.len()).filter_map(|row| value.get(row)).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = values.iter().sum();
    let best: f64 = values.iter().take(values.len().div_ceil(10)).sum();
    let active = (0..rows.len())
        .filter(|row| alive.get(*row).is_some_and(|p| p > 0.5))
        .count();
    Some(format!(
        "{} customers are expected to be worth {} together; the best tenth makes {} of it, and {} \
         of all are probably still active.",
        whole(values.len() as f64),
        whole(total),
        percent(best, total)?,
        percent(active as f64, rows.len() as f64)?
    ))
}

pub(super) fn revenue_by_category(rows: &Rows) -> Option<String> {
    let (category, net) = (rows.texts("category_name")?, rows.numbers("net")?);
    let (gross, discount) = (rows.numbers("gross")?, rows.numbers("discount")?);
    let mut by_category: BTreeMap<&str, f64> = BTreeMap::new();
    for row in 0..rows.len() {
        *by_category
            .entry(category.get(row).unwrap_or("unknown"))
            .or_default() += net.or_zero(row);
    }
    let (best, sold) = by_category.iter().max_by(|a, b| a.1.total_cmp(b.1))?;
    Some(format!(
        "{best} sells most, {} of the net revenue of all months; discounts take {} off the gross.",
        percent(*sold, net.sum())?,
        percent(discount.sum(), gross.sum())?
    ))
}

pub(super) fn sales_by_month(rows: &Rows) -> Option<String> {
    let (month, change) = (rows.texts("month")?, rows.numbers("revenue_change")?);
    let changes: Vec<(usize, f64)> = (0..rows.len())
        .filter_map(|row| Some((row, change.get(row)?)))
        .collect();
    let mean = changes.iter().map(|(_, change)| change).sum::<f64>() / changes.len() as f64;
    let best = position_of_max(changes.iter().copied())?;
    Some(format!(
        "Revenue changed by {:+.1} % a month on average over {} whole months; the best one was {} \
         with {:+.1} %.",
        100.0 * mean,
        changes.len(),
        month.get(best)?.get(..7)?,
        100.0 * change.get(best)?
    ))
}

pub(super) fn funnel(rows: &Rows) -> Option<String> {
    let (stage, step) = (rows.texts("stage")?, rows.numbers("step_rate")?);
    let overall = rows.numbers("overall_rate")?;
    let last = rows.len().checked_sub(1)?;
    let steps = (1..rows.len()).filter_map(|row| Some((row, -step.get(row)?)));
    let narrow = position_of_max(steps)?;
    Some(format!(
        "{} of the sessions at `{}` come to `{}`; the narrowest step is from `{}` to `{}` with {}.",
        percent(overall.get(last)?, 1.0)?,
        stage.get(0)?,
        stage.get(last)?,
        stage.get(narrow - 1)?,
        stage.get(narrow)?,
        percent(step.get(narrow)?, 1.0)?
    ))
}

pub(super) fn top_products(rows: &Rows) -> Option<String> {
    let (name, units) = (rows.texts("product_name")?, rows.numbers("units")?);
    let best = name.get(0).unwrap_or("a product without name");
    Some(format!(
        "{best} leads with {} units; the {} products of the list sold {} together.",
        whole(units.get(0)?),
        rows.len(),
        whole(units.sum())
    ))
}

pub(super) fn affinity(rows: &Rows) -> Option<String> {
    let (a, b) = (rows.texts("product_name_a")?, rows.texts("product_name_b")?);
    let (lift, orders) = (rows.numbers("lift")?, rows.numbers("orders")?);
    Some(format!(
        "{} and {} are in {} orders together, {:.1} times as many as by chance.",
        a.get(0)?,
        b.get(0)?,
        whole(orders.get(0)?),
        lift.get(0)?
    ))
}

pub(super) fn delivery(rows: &Rows) -> Option<String> {
    let (category, days) = (rows.texts("category")?, rows.numbers("avg_days")?);
    let (orders, in_time) = (rows.numbers("orders")?, rows.numbers("in_time_share")?);
    let slowest = position_of_max((0..rows.len()).filter_map(|row| Some((row, days.get(row)?))))?;
    let arrived: f64 = (0..rows.len())
        .map(|row| orders.or_zero(row) * in_time.or_zero(row))
        .sum();
    Some(format!(
        "{} of the orders arrive in time; {} takes longest with {:.1} days on average.",
        percent(arrived, orders.sum())?,
        category.get(slowest)?,
        days.get(slowest)?
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{BooleanArray, Decimal128Array, Int64Array};

    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>) -> Rows {
        let columns = columns
            .into_iter()
            .map(|(name, column)| (name, column, true));
        Rows::new(RecordBatch::try_from_iter_with_nullable(columns).unwrap())
    }

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn numbers(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn floats(values: &[Option<f64>]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    #[test]
    fn only_complete_cohorts_count() {
        let rows = rows(vec![
            (
                "period_index",
                numbers(&[Some(0), Some(1), Some(1), Some(1)]),
            ),
            (
                "cohort_size",
                numbers(&[Some(10), Some(10), Some(30), Some(50)]),
            ),
            ("users", numbers(&[Some(10), Some(5), Some(5), Some(50)])),
            (
                "incomplete",
                Arc::new(BooleanArray::from(vec![false, false, false, true])),
            ),
        ]);
        let reading = cohort(&rows).unwrap();
        assert!(
            reading.contains("25.0 % of the customers buy, over 2 complete"),
            "{reading}"
        );
    }

    #[test]
    fn cleaning_names_totals_and_the_main_reason() {
        let rows = rows(vec![
            (
                "rule_id",
                texts(&[
                    "price_missing",
                    "x",
                    "rows_in",
                    "rows_out",
                    "quarantined",
                    "dropped",
                ]),
            ),
            (
                "action",
                texts(&[
                    "quarantine",
                    "quarantine",
                    "total",
                    "total",
                    "total",
                    "total",
                ]),
            ),
            (
                "rows",
                numbers(&[Some(7), Some(1), Some(2_000), Some(1_990), Some(8), Some(2)]),
            ),
        ]);
        let expected = "Of 2,000 raw orders 99.5 % can be trusted; 8 are set aside, most often for \
                        `price_missing`, and 2 exact duplicates are dropped. The four numbers balance.";
        assert_eq!(cleaning(&rows).as_deref(), Some(expected));
    }

    #[test]
    fn money_is_read_at_its_scale() {
        let value = Decimal128Array::from(vec![Some(90_000), Some(10_000), None]);
        let rows = rows(vec![
            (
                "clv",
                Arc::new(value.with_precision_and_scale(18, 2).unwrap()),
            ),
            ("p_alive", floats(&[Some(0.9), Some(0.1), None])),
        ]);
        let expected = "2 customers are expected to be worth 1,000 together; the best tenth makes \
                        90.0 % of it, and 33.3 % of all are probably still active.";
        assert_eq!(clv(&rows).as_deref(), Some(expected));
    }

    #[test]
    fn the_narrowest_step_is_found() {
        let rows = rows(vec![
            ("stage", texts(&["view", "cart", "order"])),
            ("step_rate", floats(&[None, Some(0.2), Some(0.5)])),
            ("overall_rate", floats(&[Some(1.0), Some(0.2), Some(0.1)])),
        ]);
        let expected = "10.0 % of the sessions at `view` come to `order`; the narrowest step is \
                        from `view` to `cart` with 20.0 %.";
        assert_eq!(funnel(&rows).as_deref(), Some(expected));
    }

    #[test]
    fn missing_data_makes_no_sentence() {
        let empty = rows(vec![("month", texts(&[])), ("revenue_change", floats(&[]))]);
        assert_eq!(sales_by_month(&empty), None);
        assert_eq!(clv(&empty), None);
    }
}
