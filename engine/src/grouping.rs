//! `GROUP BY GROUPING SETS (())`: one group of all rows, which is there without any row, too. On the wire the
//! set without columns is lost, and with it the group.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::AnalyzerRule;

/// Makes an aggregate without groups of it.
#[derive(Debug)]
pub(crate) struct OneGroup;

impl AnalyzerRule for OneGroup {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) if is_one_empty_set(&aggregate) => {
                without_set(aggregate).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "one_group"
    }
}

fn is_one_empty_set(aggregate: &Aggregate) -> bool {
    match &aggregate.group_expr[..] {
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => {
            matches!(&sets[..], [set] if set.is_empty()) && !aggregate.aggr_expr.is_empty()
        }
        _ => false,
    }
}

fn without_set(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = aggregate.schema;
    let whole = Aggregate::try_new(aggregate.input, Vec::new(), aggregate.aggr_expr)?;
    let columns = schema.iter().map(|(qualifier, field)| {
        if field.name() == Aggregate::INTERNAL_GROUPING_ID {
            let id = lit(ScalarValue::new_zero(field.data_type())?);
            return Ok(id.alias_qualified(qualifier.cloned(), field.name()));
        }
        Ok(Expr::Column(Column::from((qualifier, field))))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(whole))
        .project(columns)?
        .build()
}
