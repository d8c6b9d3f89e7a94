//! Casts that change values, which DataFusion takes off in comparisons.
//!
//! `CAST(total AS DECIMAL(10, 0)) = 20` becomes `total = 20`, which 19.99 is not, and row groups of Parquet are left out
//! by `CAST(min AS TIME)`, although the time of day does not grow with the instant. Milliseconds that are compared with
//! `timestamp '… 00:00:00.0001'` are compared with 0. Such casts are hidden here from what looks for them.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;

use super::walk;
use crate::functions::{OPAQUE, opaque};

/// Keeps casts where they are that are not one to one or do not keep the order of values.
#[derive(Debug)]
pub(super) struct KeepCasts;

impl AnalyzerRule for KeepCasts {
    fn name(&self) -> &'static str {
        "keep_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, |expr, schema| Ok(kept(expr, schema)), walk::as_it_is)
    }
}

fn kept(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let (Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field })) =
        &expr
    else {
        return once(expr);
    };
    let from = inner.get_type(schema);
    if from.is_ok_and(|from| is_lossy(&from, field.data_type())) {
        Transformed::yes(opaque().call(vec![expr]))
    } else {
        Transformed::no(expr)
    }
}

/// A scheduler analyzes what a client has analyzed: what is hidden already is not hidden once more.
fn once(expr: Expr) -> Transformed<Expr> {
    let Expr::ScalarFunction(function) = &expr else {
        return Transformed::no(expr);
    };
    match function.args.first() {
        Some(Expr::ScalarFunction(inner))
            if function.name() == OPAQUE && inner.name() == OPAQUE =>
        {
            Transformed::yes(Expr::ScalarFunction(inner.clone()))
        }
        _ => Transformed::no(expr),
    }
}

/// Whether a cast may change a number or make several values one, where comparisons would look through it, or does
/// not keep the order of values, which statistics rely on.
fn is_lossy(from: &DataType, to: &DataType) -> bool {
    let (from, to) = (of_values(from), of_values(to));
    match to {
        DataType::Boolean => from.is_numeric(),
        DataType::Time32(_) | DataType::Time64(_) => from.is_temporal() && !is_time(from),
        // A constant between two values of the coarser unit is cut to it.
        DataType::Timestamp(unit, _) => {
            matches!(from, DataType::Timestamp(other, _) if other != unit)
        }
        _ => is_exact(from) && is_exact(to) && !holds_all(from, to),
    }
}

/// The type of the values of a dictionary.
fn of_values(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

fn is_exact(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_decimal()
}

/// Whether each number of one type is one of the other.
fn holds_all(from: &DataType, to: &DataType) -> bool {
    if from.is_integer() && to.is_integer() {
        let (bits, other_bits) = (from.primitive_width(), to.primitive_width());
        return match (from.is_signed_integer(), to.is_signed_integer()) {
            (false, true) => bits < other_bits,
            (true, false) => false,
            _ => bits <= other_bits,
        };
    }
    match (digits(from), digits(to)) {
        (Some((whole, fraction)), Some((other_whole, other_fraction))) => {
            to.is_decimal() && whole <= other_whole && fraction <= other_fraction
        }
        _ => false,
    }
}

/// The most digits before and behind the point.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let scale = i16::from(*scale);
            Some((i16::from(*precision) - scale, scale))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn casts_that_hold_all_values_may_be_looked_through() {
        let decimal = DataType::Decimal128;
        for (from, to, expected) in [
            (DataType::Int32, DataType::Int64, false),
            (DataType::UInt32, DataType::Int64, false),
            (DataType::UInt32, DataType::Int32, true),
            (DataType::Int32, DataType::UInt64, true),
            (DataType::Int64, DataType::Int16, true),
            (DataType::Int32, decimal(10, 0), false),
            (DataType::Int32, decimal(11, 2), true),
            (decimal(10, 2), decimal(12, 2), false),
            (decimal(10, 2), decimal(12, 4), false),
            (decimal(10, 2), decimal(11, 4), true),
            (decimal(10, 2), decimal(10, 0), true),
            (decimal(10, 0), DataType::Int64, true),
            (DataType::Int32, DataType::Boolean, true),
            (DataType::Float64, DataType::Boolean, true),
            (DataType::Utf8, DataType::Boolean, false),
            (
                DataType::Date32,
                DataType::Timestamp(TimeUnit::Second, None),
                false,
            ),
            (
                DataType::Timestamp(TimeUnit::Second, None),
                DataType::Date32,
                false,
            ),
            (
                DataType::Timestamp(TimeUnit::Second, None),
                DataType::Time64(TimeUnit::Nanosecond),
                true,
            ),
            (
                DataType::Time32(TimeUnit::Second),
                DataType::Time64(TimeUnit::Nanosecond),
                false,
            ),
            (DataType::Float64, DataType::Int32, false),
            (
                DataType::Timestamp(TimeUnit::Millisecond, None),
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                true,
            ),
            (
                DataType::Timestamp(TimeUnit::Second, None),
                DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
                false,
            ),
        ] {
            assert_eq!(is_lossy(&from, &to), expected, "{from} to {to}");
        }
    }
}
