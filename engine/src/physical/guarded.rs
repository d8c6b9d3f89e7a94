//! Expressions that may fail stay above filters and joins.
//!
//! DataFusion moves a projection below a filter where it leaves out columns. There it meets rows that the
//! filter leaves out: `SELECT b, a / b / c … WHERE b <> 0` divides by zero. It also moves the condition of
//! a filter below joins and other filters, as it does with those of a logical plan
//! (`rules/risky_filters.rs`).

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

use super::by_node::Replacement;
use crate::rules::{Risk, of_cast, of_function};

/// Keeps what may fail above what leaves out rows.
pub(super) fn kept_above_filters(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let Some(input) = may_fail(node)? else {
        return Ok(None);
    };
    let input = Arc::new(MarkedExec::new(input, Mark::Apart));
    with_inputs(Arc::clone(node), vec![input]).map(Some)
}

/// The input of an operator that may fail for rows that its input leaves out; `None` for any other.
fn may_fail(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let input = projection.input();
        let leaves_out = input.is::<FilterExec>() || input.fetch().is_some();
        let mut exprs = projection.expr().iter().map(|expr| &expr.expr);
        let is_risky = exprs.try_fold(false, |found, expr| {
            Ok::<_, DataFusionError>(found || risk(expr, input)? > Risk::Never)
        })?;
        return Ok((leaves_out && is_risky).then(|| Arc::clone(input)));
    }
    let Some(filter) = node.downcast_ref::<FilterExec>() else {
        return Ok(None);
    };
    let input = filter.input();
    let is_risky = risk(filter.predicate(), input)? == Risk::Value;
    Ok((is_risky && !input.children().is_empty()).then(|| Arc::clone(input)))
}

fn risk(expr: &Arc<dyn PhysicalExpr>, input: &Arc<dyn ExecutionPlan>) -> Result<Risk> {
    let schema = input.schema();
    let mut found = Risk::Never;
    expr.apply(|expr| {
        found = found.max(own_risk(expr, &schema)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn own_risk(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Risk> {
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let is_division = matches!(binary.op(), Operator::Divide | Operator::Modulo);
        return Ok(
            match is_division && !expr.data_type(schema)?.is_floating() {
                true => Risk::Value,
                false => Risk::Never,
            },
        );
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let (from, to) = (cast.expr().data_type(schema)?, expr.data_type(schema)?);
        return Ok(of_cast(&from, &to));
    }
    Ok(match expr.downcast_ref::<ScalarFunctionExpr>() {
        Some(call) => of_function(call.fun().name()),
        None => Risk::Never,
    })
}
