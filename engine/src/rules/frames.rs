//! Frames of windows that mean something else than they say.
//!
//! DataFusion takes offsets of RANGE that are negative, and rounds them to the type of the key. It passes over those
//! beside a text. It knows no frame, and so no rank, over differences of times, times of day and structs. And it moves the
//! ends of a frame forward only, although 2023-03-31 05:00 less a month is before 2023-03-28 10:00 less a month.

use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, not_impl_err, plan_err};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, WindowFrameBound, WindowFrameUnits,
};
use datafusion::optimizer::AnalyzerRule;

use super::walk;
use crate::functions::{interval_length, shown};

const SECONDS: &str = "order by its seconds, date_part('epoch', …)";
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Refuses such frames, and orders windows by the length of intervals. It has to come before offsets get the type of
/// the key.
#[derive(Debug)]
pub(super) struct PlainFrames;

impl AnalyzerRule for PlainFrames {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, plain, walk::as_it_is)
    }

    fn name(&self) -> &str {
        "plain_frames"
    }
}

fn plain(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut call) = expr else {
        return Ok(Transformed::no(expr));
    };
    check_place(&call)?;
    let frame = &call.params.window_frame;
    if frame.units == WindowFrameUnits::Range
        && let Some(key) = call.params.order_by.first()
        && let Ok(key) = key.expr.get_type(schema)
    {
        check_key(&key)?;
        for bound in [&frame.start_bound, &frame.end_bound] {
            check_offset(bound, &key)?;
        }
    }
    let mut is_changed = false;
    for key in &mut call.params.order_by {
        if matches!(key.expr.get_type(schema), Ok(DataType::Interval(_))) {
            key.expr = interval_length().call(vec![std::mem::take(&mut key.expr)]);
            is_changed = true;
        }
    }
    Ok(Transformed::new_transformed(
        Expr::WindowFunction(call),
        is_changed,
    ))
}

/// `nth_value(x, 0)` is no row.
fn check_place(call: &WindowFunction) -> Result<()> {
    if call.fun.name() == "nth_value"
        && let Some(Expr::Literal(place, _)) = call.params.args.get(1)
        && let Ok(ScalarValue::Int64(Some(0))) = place.cast_to(&DataType::Int64)
    {
        return plan_err!("nth_value counts rows from 1; there is no row 0");
    }
    Ok(())
}

fn check_key(key: &DataType) -> Result<()> {
    let (what, instead) = match key {
        DataType::Duration(_) => ("a difference of two times", SECONDS),
        DataType::Time32(_) | DataType::Time64(_) => ("a time of day", SECONDS),
        DataType::Struct(_) => ("a struct", "order by its fields"),
        DataType::Map(..) => ("a map", "order by one of its values"),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => ("bytes", "order by encode(…, 'hex')"),
        _ => return Ok(()),
    };
    not_impl_err!("a window with ORDER BY of {what} is not supported; {instead}")
}

fn check_offset(bound: &WindowFrameBound, key: &DataType) -> Result<()> {
    let (WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset)) = bound else {
        return Ok(());
    };
    if offset.is_null() {
        return Ok(());
    }
    let key = match key {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    match key {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            check_interval(offset, key)
        }
        key if key.is_numeric() => check_number(offset, key),
        key => not_impl_err!(
            "RANGE with an offset over ORDER BY of a {} is not supported; order by a number, a date or a time, or write \
             ROWS",
            shown(key)
        ),
    }
}

fn check_interval(offset: &ScalarValue, key: &DataType) -> Result<()> {
    let unit = DataType::Interval(IntervalUnit::MonthDayNano);
    let interval = match offset.try_as_str().flatten() {
        Some(text) if text.trim().parse::<f64>().is_ok() => {
            return plan_err!(
                "the offset {text} of RANGE over dates or times has no unit; write INTERVAL '{text} days'"
            );
        }
        Some(text) => ScalarValue::try_from_string(text.to_owned(), &unit)?,
        None => offset.clone(),
    };
    let ScalarValue::IntervalMonthDayNano(Some(interval)) = interval else {
        return Ok(());
    };
    if interval.months < 0 || interval.days < 0 || interval.nanoseconds < 0 {
        return negative(offset);
    }
    let is_date = matches!(key, DataType::Date32 | DataType::Date64);
    if !is_date && interval.months != 0 {
        return not_impl_err!(
            "the offset {offset} of RANGE over times has months, whose lengths differ: a later time less a month may be \
             an earlier one; cast the key to a date, or write days"
        );
    }
    if is_date && interval.nanoseconds % NANOS_PER_DAY != 0 {
        return not_impl_err!(
            "the offset {offset} of RANGE over dates is not one of whole days; cast the key to a timestamp"
        );
    }
    Ok(())
}

fn check_number(offset: &ScalarValue, key: &DataType) -> Result<()> {
    let Some(text) = offset.try_as_str().flatten() else {
        return Ok(());
    };
    let digits = text.trim();
    if digits.starts_with('-') {
        return negative(offset);
    }
    let (DataType::Decimal32(_, scale)
    | DataType::Decimal64(_, scale)
    | DataType::Decimal128(_, scale)
    | DataType::Decimal256(_, scale)) = key
    else {
        return Ok(());
    };
    let fraction = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    let n_places = fraction.trim_end_matches('0').len();
    let fits = usize::try_from(*scale).is_ok_and(|scale| n_places <= scale);
    if fits && digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Ok(());
    }
    not_impl_err!(
        "the offset {digits} of RANGE has more places than the key, which is a {}; cast the key to a decimal of as many",
        shown(key)
    )
}

fn negative(offset: &ScalarValue) -> Result<()> {
    plan_err!(
        "the offset {offset} of a frame is negative; write FOLLOWING for PRECEDING, or the other way round"
    )
}
