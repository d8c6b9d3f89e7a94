//! Filters that leave out columns.
//!
//! DataFusion moves a projection below such a filter as if the projection were over all columns of the filter's input. So it
//! takes one column for another of the same name, or fails: "Input field name id does not match with the projection
//! expression n". Here a filter has all columns of its input while projections move.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::by_node::Replacement;

/// A filter and the projection that it holds, as two steps.
pub(super) fn apart(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else {
        return Ok(None);
    };
    let Some(columns) = filter.projection() else {
        return Ok(None);
    };
    let schema = filter.input().schema();
    let exprs = columns.iter().map(|index| {
        let name = schema.field(*index).name();
        ProjectionExpr::new(Arc::new(Column::new(name, *index)), name.clone())
    });
    let exprs: Vec<ProjectionExpr> = exprs.collect();
    let whole = FilterExecBuilder::from(filter)
        .apply_projection(None)?
        .build()?;
    Ok(Some(Arc::new(ProjectionExec::try_new(
        exprs,
        Arc::new(whole),
    )?)))
}
