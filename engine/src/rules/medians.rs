//! Medians of decimals with the digit that the mean of two of them may have more.
//!
//! DataFusion gives a median the type of its values: that of 1.50 and 26.75 is 14.12 there instead of 14.125.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use super::walk;

/// Computes medians of decimals with one digit more behind the point.
#[derive(Debug)]
pub(super) struct WholeMedians;

impl AnalyzerRule for WholeMedians {
    fn name(&self) -> &'static str {
        "whole_medians"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, finer, walk::as_it_is)
    }
}

fn finer(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let args = match &mut expr {
        Expr::AggregateFunction(call) if call.func.name() == "median" => &mut call.params.args,
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) if function.name() == "median" => {
                &mut call.params.args
            }
            _ => return Ok(Transformed::no(expr)),
        },
        _ => return Ok(Transformed::no(expr)),
    };
    let Some(value) = args.first_mut() else {
        return Ok(Transformed::no(expr));
    };
    let Some(more) = one_digit_more(&value.get_type(schema)?) else {
        return Ok(Transformed::no(expr));
    };
    // The plan is analysed by the client and by the scheduler.
    if let Expr::Cast(Cast { expr: inner, field }) = &*value
        && one_digit_more(&inner.get_type(schema)?).as_ref() == Some(field.data_type())
    {
        return Ok(Transformed::no(expr));
    }
    *value = cast(std::mem::take(value), more);
    Ok(Transformed::yes(expr))
}

fn one_digit_more(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Decimal128(precision, scale) if *scale >= 0 => Some(DataType::Decimal128(
            (precision + 1).min(DECIMAL128_MAX_PRECISION),
            scale + 1,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::plain::shown;

    /// Once this fails, the rule may go.
    #[tokio::test]
    async fn datafusion_cuts_medians_of_decimals() {
        let query = "SELECT median(x) FROM (VALUES (CAST(1.50 AS DECIMAL(12, 2))), (CAST(26.75 AS DECIMAL(12, 2)))) v(x)";
        assert_eq!(
            shown(query).await.as_deref(),
            Ok("14.12"),
            "right is 14.125"
        );
    }
}
