//! Expressions that may fail stay above filters.
//!
//! DataFusion moves a projection below a filter where it leaves out columns. There it meets rows that the
//! filter leaves out: `SELECT b, a / b / c … WHERE b <> 0` divides by zero.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use emporia_connectors::marked::{Mark, MarkedExec};

use super::over;
use crate::rules::{Risk, of_cast, of_function};

/// Keeps projections that may fail above what leaves out rows.
#[derive(Debug)]
pub(super) struct KeepAboveFilters;

impl PhysicalOptimizerRule for KeepAboveFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else {
                return Ok(Transformed::no(node));
            };
            let input = projection.input();
            let leaves_out = input.is::<FilterExec>() || input.fetch().is_some();
            if !leaves_out || !may_fail(projection)? {
                return Ok(Transformed::no(node));
            }
            let input = Arc::new(MarkedExec::new(Arc::clone(input), Mark::Apart));
            over(node, vec![input]).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "keep_above_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn may_fail(projection: &ProjectionExec) -> Result<bool> {
    let schema = projection.input().schema();
    let mut found = false;
    for expr in projection.expr() {
        expr.expr.apply(|expr| {
            found |= own_risk(expr, &schema)? > Risk::Never;
            Ok(match found {
                true => TreeNodeRecursion::Stop,
                false => TreeNodeRecursion::Continue,
            })
        })?;
    }
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
