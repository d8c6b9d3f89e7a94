//! Casts to times that yield other times than they say.
//!
//! A time of a coarser unit is the last one that is not later; Arrow cuts towards 1970, so that times before it become
//! later ones. A number is seconds since 1970 as a `TIMESTAMP`, whatever its type is; DataFusion takes a `BIGINT` for
//! seconds in CAST, and any other number, and all of TRY_CAST, for nanoseconds. A text may end with the minutes.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast, cast, try_cast};
use datafusion::optimizer::AnalyzerRule;

use super::walk;
use crate::functions::{OPAQUE, opaque};
use crate::times::{WITH_SECONDS, coarser, is_coarser, text_with_seconds, to_timestamp};

/// Casts times and numbers to the times that they are.
#[derive(Debug)]
pub(super) struct CastToTimes;

impl AnalyzerRule for CastToTimes {
    fn name(&self) -> &'static str {
        "cast_to_times"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(
            plan,
            |expr, schema| recast(expr, schema, config),
            walk::as_it_is,
        )
    }
}

fn recast(expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> Result<Transformed<Expr>> {
    let (inner, field, is_try) = match &expr {
        Expr::Cast(Cast { expr, field }) => (expr, field, false),
        Expr::TryCast(TryCast { expr, field }) => (expr, field, true),
        Expr::ScalarFunction(call) if is_arrow_cast(call) => return Ok(kept(expr, schema)),
        _ => return Ok(Transformed::no(expr)),
    };
    let DataType::Timestamp(unit, zone) = field.data_type() else {
        return Ok(Transformed::no(expr));
    };
    let Ok(from) = inner.get_type(schema) else {
        return Ok(Transformed::no(expr));
    };
    let value = inner.as_ref().clone();
    if is_coarser(&from, field.data_type()) {
        let time = coarser(*unit).call(vec![value]);
        return Ok(Transformed::yes(match from {
            DataType::Timestamp(_, from) if from == *zone => time,
            _ => cast(time, field.data_type().clone()),
        }));
    }
    if from.is_string() {
        return Ok(match is_whole(inner) {
            true => Transformed::no(expr),
            false => {
                let text = text_with_seconds().call(vec![value]);
                let convert: fn(Expr, DataType) -> Expr = if is_try { try_cast } else { cast };
                Transformed::yes(convert(text, field.data_type().clone()))
            }
        });
    }
    let is_seconds = from == DataType::Int64 && !is_try;
    if *unit != TimeUnit::Nanosecond || !from.is_numeric() || is_seconds || is_opaque(inner) {
        return Ok(Transformed::no(expr));
    }
    if from.is_integer() {
        let convert: fn(Expr, DataType) -> Expr = if is_try { try_cast } else { cast };
        let seconds = DataType::Timestamp(TimeUnit::Second, zone.clone());
        let time = convert(convert(value, DataType::Int64), seconds);
        return Ok(Transformed::yes(convert(time, field.data_type().clone())));
    }
    if is_try {
        return plan_err!(
            "TRY_CAST of a number with digits behind the point to TIMESTAMP is not supported; to_timestamp(x) takes seconds"
        );
    }
    let time = to_timestamp(config).call(vec![value]);
    Ok(Transformed::yes(cast(time, field.data_type().clone())))
}

fn is_arrow_cast(call: &ScalarFunction) -> bool {
    matches!(call.func.name(), "arrow_cast" | "arrow_try_cast")
}

/// `arrow_cast` becomes a cast before the plan is sent, and says the unit of its number.
fn kept(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(call) = &mut expr else {
        return Transformed::no(expr);
    };
    match call.args.first_mut() {
        Some(number)
            if !is_opaque(number) && number.get_type(schema).is_ok_and(|of| of.is_numeric()) =>
        {
            *number = opaque().call(vec![std::mem::take(number)]);
            Transformed::yes(expr)
        }
        _ => Transformed::no(expr),
    }
}

/// Whether a text is one with seconds already, or a constant, which is a time of the text (`statement/moments.rs`).
fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::ScalarFunction(call) => call.func.name() == WITH_SECONDS,
        _ => false,
    }
}

fn is_opaque(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == OPAQUE)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::TimestampNanosecondType;
    use datafusion::prelude::SessionContext;

    /// Once this fails, numbers may be left to DataFusion.
    #[tokio::test]
    async fn an_int_is_nanoseconds() {
        let query = "SELECT CAST(CAST(1 AS BIGINT) AS TIMESTAMP) AS a, CAST(CAST(1 AS INT) AS TIMESTAMP) AS b, \
                     TRY_CAST(CAST(1 AS BIGINT) AS TIMESTAMP) AS c";
        let rows = SessionContext::new().sql(query).await.unwrap();
        let rows = rows.collect().await.unwrap();
        let columns = rows[0].columns().iter();
        let nanos = columns.map(|column| column.as_primitive::<TimestampNanosecondType>().value(0));
        let nanos: Vec<i64> = nanos.collect();
        assert_eq!(nanos, [1_000_000_000, 1, 1], "right is a second each time");
    }
}
