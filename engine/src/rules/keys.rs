//! Keys that are none.
//!
//! DataFusion notes that the columns of a GROUP BY determine all other columns, and leaves out sort
//! keys, groups and joins for it. Joined, such a key determines the columns of its own side only. Yet
//! DataFusion takes it for a key of the next GROUP BY over more columns, and of rows that UNNEST has
//! multiplied. Here the planner is kept from knowing the key at these places.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, Dependency, FunctionalDependence, Result};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, LogicalPlan, Projection, RecursiveQuery, Unnest,
};
use datafusion::optimizer::analyzer::AnalyzerRule;

use crate::functions::opaque;

/// Hides keys where DataFusion would misuse them.
#[derive(Debug)]
pub(super) struct HideKeys;

impl AnalyzerRule for HideKeys {
    fn name(&self) -> &'static str {
        "hide_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            // What is below may have other keys by now.
            let plan = plan.recompute_schema()?;
            Ok(match plan {
                // It becomes one anyway, later than the keys are looked at here.
                LogicalPlan::Distinct(Distinct::All(input))
                    if !input.schema().fields().is_empty() =>
                {
                    let columns = input.schema().columns().into_iter().map(Expr::Column);
                    let plan = Aggregate::try_new(Arc::clone(&input), columns.collect(), vec![])?;
                    Transformed::yes(LogicalPlan::Aggregate(plan))
                }
                LogicalPlan::Aggregate(aggregate) => {
                    let hidden = misused(&aggregate);
                    if hidden.is_empty() {
                        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
                    }
                    let input = without_keys(aggregate.input, &hidden)?;
                    let plan =
                        Aggregate::try_new(input, aggregate.group_expr, aggregate.aggr_expr)?;
                    Transformed::yes(LogicalPlan::Aggregate(plan))
                }
                LogicalPlan::Unnest(unnest) => {
                    let hidden = all_keys(&unnest.input);
                    let input = without_keys(unnest.input, &hidden)?;
                    let plan = LogicalPlan::Unnest(Unnest { input, ..unnest });
                    Transformed::yes(plan.recompute_schema()?)
                }
                LogicalPlan::RecursiveQuery(query) => {
                    let hidden = all_keys(&query.static_term);
                    let static_term = without_keys(query.static_term, &hidden)?;
                    Transformed::yes(LogicalPlan::RecursiveQuery(RecursiveQuery {
                        static_term,
                        ..query
                    }))
                }
                other => Transformed::yes(other),
            })
        })
        .data()
    }
}

/// Columns without which no key is left of those that do not determine all groups of the aggregate,
/// although their columns are all among them.
fn misused(aggregate: &Aggregate) -> Vec<usize> {
    let schema = aggregate.input.schema();
    // The names by which keys are found; a group without a place is an expression.
    let groups: Vec<Option<usize>> = aggregate
        .group_expr
        .iter()
        .map(|group| match group {
            Expr::Column(column) => schema.maybe_index_of_column(column),
            _ => None,
        })
        .collect();
    let is_misused = |key: &FunctionalDependence| {
        let is_grouped = |source| groups.contains(&Some(source));
        let is_determined =
            |group: &Option<usize>| group.is_some_and(|at| key.target_indices.contains(&at));
        key.mode == Dependency::Multi
            && key.source_indices.iter().copied().all(is_grouped)
            && !groups.iter().all(is_determined)
    };
    let keys = schema.functional_dependencies().iter();
    let keys = keys.filter(|key| is_misused(key));
    keys.filter_map(|key| key.source_indices.first().copied())
        .collect()
}

fn all_keys(plan: &LogicalPlan) -> Vec<usize> {
    let keys = plan.schema().functional_dependencies().iter();
    keys.filter_map(|key| key.source_indices.first().copied())
        .collect()
}

/// The plan with these columns hidden.
fn without_keys(plan: Arc<LogicalPlan>, hidden: &[usize]) -> Result<Arc<LogicalPlan>> {
    if hidden.is_empty() {
        return Ok(plan);
    }
    let columns = plan.schema().iter().enumerate().map(|(at, (of, field))| {
        let column = Expr::Column(Column::new(of.cloned(), field.name()));
        if hidden.contains(&at) {
            opaque()
                .call(vec![column])
                .alias_qualified(of.cloned(), field.name())
        } else {
            column
        }
    });
    let columns = columns.collect();
    let plan = Projection::try_new(columns, plan)?;
    Ok(Arc::new(LogicalPlan::Projection(plan)))
}
