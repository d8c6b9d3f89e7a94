//! `GROUP BY GROUPING SETS (())`: one group of all rows, which is there without any row, too; `((), ())` has it
//! twice. On the wire sets are lost if none has a column, and with them their groups.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::rules::fresh;

/// Makes an aggregate without groups of it, joined to as many rows as there are sets.
#[derive(Debug)]
pub(crate) struct OneGroup;

impl AnalyzerRule for OneGroup {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) => match n_empty_sets(&aggregate) {
                0 => Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))),
                n_sets => without_sets(aggregate, n_sets).map(Transformed::yes),
            },
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "one_group"
    }
}

/// The number of sets of the aggregate if none has columns; zero for any other aggregate.
fn n_empty_sets(aggregate: &Aggregate) -> usize {
    match &aggregate.group_expr[..] {
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] if sets.iter().all(Vec::is_empty) => {
            sets.len()
        }
        _ => 0,
    }
}

fn without_sets(aggregate: Aggregate, n_sets: usize) -> Result<LogicalPlan> {
    let schema = aggregate.schema;
    let mut values = aggregate.aggr_expr;
    if values.is_empty() {
        // The group is there even if nothing is asked of it.
        values.push(count(lit(1_i64)).alias(fresh("rows")));
    }
    let whole = Aggregate::try_new(aggregate.input, Vec::new(), values)?;
    let whole = LogicalPlanBuilder::from(LogicalPlan::Aggregate(whole));
    let rows = match n_sets {
        1 => whole,
        n_sets => whole.cross_join(numbers(n_sets)?)?,
    };
    let columns = schema.iter().map(|(qualifier, field)| {
        if field.name() == Aggregate::INTERNAL_GROUPING_ID {
            let id = lit(ScalarValue::new_zero(field.data_type())?);
            return Ok(id.alias_qualified(qualifier.cloned(), field.name()));
        }
        Ok(Expr::Column(Column::from((qualifier, field))))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    rows.project(columns)?.build()
}

/// So many rows, under a name that no other column has.
fn numbers(n_rows: usize) -> Result<LogicalPlan> {
    let rows = (0_i64..).take(n_rows).map(|number| vec![lit(number)]);
    let values = LogicalPlanBuilder::values(rows.collect())?.build()?;
    let number = Expr::from(values.schema().qualified_field(0)).alias(fresh("set"));
    let named = Projection::try_new(vec![number], Arc::new(values))?;
    Ok(LogicalPlan::Projection(named))
}

#[cfg(test)]
mod tests {
    use datafusion::common::tree_node::TreeNode;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// The plan of groups of two rows, before and behind the rule.
    async fn analyzed(groups: &str) -> Result<(LogicalPlan, LogicalPlan)> {
        let query =
            format!("SELECT count(*) AS n FROM (VALUES (1), (2)) AS t(x) GROUP BY {groups}");
        let plan = SessionContext::new().sql(&query).await?;
        let plan = plan.into_unoptimized_plan();
        let after = OneGroup.analyze(plan.clone(), &ConfigOptions::default())?;
        Ok((plan, after))
    }

    #[tokio::test]
    async fn sets_without_columns_are_rows_beside_one_group() -> Result<()> {
        let is_set = |plan: &LogicalPlan| match plan {
            LogicalPlan::Aggregate(aggregate) => !aggregate.group_expr.is_empty(),
            _ => false,
        };
        for groups in ["GROUPING SETS (())", "GROUPING SETS ((), (), ())"] {
            let (before, after) = analyzed(groups).await?;
            assert!(before.exists(|plan| Ok(is_set(plan)))?, "{before}");
            assert!(!after.exists(|plan| Ok(is_set(plan)))?, "{after}");
            assert_eq!(before.schema(), after.schema(), "{groups}");
            let again = OneGroup.analyze(after.clone(), &ConfigOptions::default())?;
            assert_eq!(again, after, "{groups}");
        }
        let (before, after) = analyzed("GROUPING SETS ((), (x))").await?;
        assert_eq!(before, after);
        Ok(())
    }
}
