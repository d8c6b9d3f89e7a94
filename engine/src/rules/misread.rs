//! Expressions that mean something else than they say: intervals that are compared, dates beside numbers,
//! patterns of `to_char`, parts of durations, lists of bytes as text, and decimals of more digits than their type has.
//!
//! DataFusion compares months, days and nanoseconds of intervals one after the other, so that 9 days as a
//! difference of two times are less than `interval '2 days'`. It takes a number beside a date for days
//! since 1970, and a difference of two dates for an interval where it looks for the bounds of a condition. The rest is what other systems mean by the same words.

use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, FieldRef,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::walk;
use crate::functions::{WITHIN_PRECISION, days_between, interval_length, within_precision};

/// Compares intervals by their length, and refuses what has another meaning.
#[derive(Debug)]
pub(super) struct SaysWhatItMeans;

impl AnalyzerRule for SaysWhatItMeans {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, reread, |plan, schema| match plan {
            // The keys of an order are expressions of their own.
            LogicalPlan::Sort(mut sort) => {
                let intervals = sort.expr.iter_mut().map(|key| &mut key.expr);
                let mut is_changed = false;
                for key in intervals.filter(|key| is_interval(key, schema)) {
                    *key = length(std::mem::take(key));
                    is_changed = true;
                }
                Ok(Transformed::new_transformed(
                    LogicalPlan::Sort(sort),
                    is_changed,
                ))
            }
            LogicalPlan::Filter(filter) => {
                refuse_windows(&filter.predicate)?;
                Ok(Transformed::no(LogicalPlan::Filter(filter)))
            }
            other => Ok(Transformed::no(other)),
        })
    }

    fn name(&self) -> &str {
        "says_what_it_means"
    }
}

fn reread(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
            refuse_numbers_as_dates([&binary.left, &binary.right])?;
            if !is_interval(&binary.left, schema) || !is_interval(&binary.right, schema) {
                return Ok(Transformed::no(Expr::BinaryExpr(binary)));
            }
            let (left, right) = (length(*binary.left), length(*binary.right));
            let by_length = BinaryExpr::new(Box::new(left), binary.op, Box::new(right));
            Ok(Transformed::yes(Expr::BinaryExpr(by_length)))
        }
        Expr::BinaryExpr(binary)
            if binary.op == Operator::Minus
                && is_date(&binary.left, schema)
                && is_date(&binary.right, schema) =>
        {
            let days = days_between().call(vec![*binary.left, *binary.right]);
            Ok(Transformed::yes(days))
        }
        Expr::BinaryExpr(binary) => {
            let expr = Expr::BinaryExpr(binary);
            Ok(match is_of_most_digits(&expr, schema) {
                true => Transformed::yes(within_precision().call(vec![expr])),
                false => Transformed::no(expr),
            })
        }
        Expr::Between(between) => {
            refuse_numbers_as_dates([&between.expr, &between.low, &between.high])?;
            if !is_interval(&between.expr, schema) {
                return Ok(Transformed::no(Expr::Between(between)));
            }
            let by_length = |expr: Box<Expr>| Box::new(length(*expr));
            Ok(Transformed::yes(Expr::Between(Between {
                expr: by_length(between.expr),
                negated: between.negated,
                low: by_length(between.low),
                high: by_length(between.high),
            })))
        }
        // The plan is analysed by the client and by the scheduler.
        Expr::ScalarFunction(mut call) if is_twice_within(&call) => {
            Ok(Transformed::yes(call.args.remove(0)))
        }
        Expr::ScalarFunction(mut call) => {
            let takes = |at: usize| {
                let argument = call.args.get(at);
                argument.and_then(|a| a.get_type(schema).ok())
            };
            if call.func.name() == "array_to_string"
                && let Some(texts) = takes(0).as_ref().and_then(list_of_texts)
            {
                let bytes = std::mem::take(&mut call.args[0]);
                call.args[0] = cast(bytes, texts);
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            match (call.func.name(), call.args.as_slice()) {
                ("to_char", [_, Expr::Literal(pattern, _)])
                    if pattern
                        .try_as_str()
                        .flatten()
                        .is_some_and(|p| !p.contains('%')) =>
                {
                    return plan_err!(
                        "{pattern} is not a pattern of to_char, which takes those of strftime, such as '%Y-%m-%d'"
                    );
                }
                ("date_part", [Expr::Literal(part, _), _])
                    if matches!(takes(1), Some(DataType::Duration(_)))
                        && part
                            .try_as_str()
                            .flatten()
                            .is_some_and(|p| !p.eq_ignore_ascii_case("epoch")) =>
                {
                    return plan_err!(
                        "{part} of a difference of two times is not supported; take its epoch, which is in seconds"
                    );
                }
                ("greatest" | "least", [_, ..])
                    if matches!(takes(0), Some(DataType::Interval(_))) =>
                {
                    return plan_err!("{} of intervals is not supported", call.func.name());
                }
                _ => {}
            }
            Ok(Transformed::no(Expr::ScalarFunction(call)))
        }
        Expr::AggregateFunction(call) => {
            let is_extreme = matches!(call.func.name(), "min" | "max");
            let mut arguments = call.params.args.iter();
            if is_extreme && arguments.any(|argument| is_interval(argument, schema)) {
                return plan_err!("{} of intervals is not supported", call.func.name());
            }
            Ok(Transformed::no(Expr::AggregateFunction(call)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Whether the operator compares two values.
pub(super) fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Whether it is a sum, difference or product of decimals whose type has no more digits to give: Arrow does
/// not look whether the value has more.
fn is_of_most_digits(expr: &Expr, schema: &DFSchema) -> bool {
    let Expr::BinaryExpr(binary) = expr else {
        return false;
    };
    matches!(
        binary.op,
        Operator::Plus | Operator::Minus | Operator::Multiply
    ) && matches!(
        expr.get_type(schema),
        Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, _)
            | DataType::Decimal256(DECIMAL256_MAX_PRECISION, _))
    )
}

fn is_twice_within(call: &ScalarFunction) -> bool {
    let is_within = |call: &ScalarFunction| call.func.name() == WITHIN_PRECISION;
    is_within(call)
        && matches!(call.args.as_slice(), [Expr::ScalarFunction(inner)] if is_within(inner))
}

fn is_date(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(
        expr.get_type(schema),
        Ok(DataType::Date32 | DataType::Date64)
    )
}

fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

fn length(interval: Expr) -> Expr {
    interval_length().call(vec![interval])
}

/// The type of a list of bytes, with texts in their place: the function that writes lists leaves out bytes that are no text.
fn list_of_texts(list: &DataType) -> Option<DataType> {
    let with_texts = |item: &FieldRef| {
        let texts = match item.data_type() {
            bytes if bytes.is_binary() => DataType::Utf8,
            other => list_of_texts(other)?,
        };
        Some(Arc::new(item.as_ref().clone().with_data_type(texts)))
    };
    Some(match list {
        DataType::List(item) => DataType::List(with_texts(item)?),
        DataType::LargeList(item) => DataType::LargeList(with_texts(item)?),
        DataType::FixedSizeList(item, n) => DataType::FixedSizeList(with_texts(item)?, *n),
        _ => return None,
    })
}

/// A window function in a condition about the rows that it is computed from.
fn refuse_windows(condition: &Expr) -> Result<()> {
    let is_window = |expr: &Expr| Ok(matches!(expr, Expr::WindowFunction(_)));
    match condition.exists(is_window)? {
        true => plan_err!(
            "window functions are not allowed in WHERE; write QUALIFY, or filter a subquery that has them"
        ),
        false => Ok(()),
    }
}

/// A number that was made a date to be compared with one.
fn refuse_numbers_as_dates<'a>(sides: impl IntoIterator<Item = &'a Box<Expr>>) -> Result<()> {
    for side in sides {
        let Expr::Cast(cast) = side.as_ref() else {
            continue;
        };
        let is_date = matches!(cast.field.data_type(), DataType::Date32 | DataType::Date64);
        if is_date
            && let Expr::Literal(value, _) = cast.expr.as_ref()
            && value.data_type().is_integer()
        {
            return plan_err!(
                "the number {value} cannot be compared with a date; write a date such as date '2024-01-31'"
            );
        }
    }
    Ok(())
}
