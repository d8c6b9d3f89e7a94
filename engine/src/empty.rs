//! Relations without rows, in a form that keeps its columns on the wire.
//!
//! The optimizer makes an empty relation of what cannot have rows, such as `WHERE false`. The form
//! of it that is sent to the scheduler has no columns, and whatever stands above misses them.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::scalar::ScalarValue;

/// The plan with every empty relation that has columns as nulls of which none are taken.
///
/// # Errors
/// For a type that has no null.
pub(crate) fn with_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::EmptyRelation(empty)
            if !empty.produce_one_row && !empty.schema.fields().is_empty() =>
        {
            no_nulls(&empty).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn no_nulls(empty: &EmptyRelation) -> Result<LogicalPlan> {
    let columns = empty.schema.iter().map(|(qualifier, field)| {
        let null = lit(ScalarValue::try_new_null(field.data_type())?);
        Ok(null.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::empty(true)
        .project(columns)?
        .limit(0, Some(0))?
        .build()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn columns_of_an_empty_relation_are_kept() -> Result<()> {
        let context = SessionContext::new();
        let text = "SELECT sum(a) AS s FROM (SELECT 1 AS a, 'x' AS b) WHERE false";
        let plan = context.sql(text).await?.into_optimized_plan()?;
        let kept = with_columns(plan.clone())?;
        assert_eq!(plan.schema().fields(), kept.schema().fields());
        let shown = kept.display_indent().to_string();
        assert!(!shown.contains("EmptyRelation: rows=0"), "{shown}");
        assert!(shown.contains("Limit: skip=0, fetch=0"), "{shown}");
        Ok(())
    }
}
