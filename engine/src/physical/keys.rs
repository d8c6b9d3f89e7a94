//! Columns that the planner wrongly takes for unique or constant.
//!
//! The groups of an aggregate are unique, and a sort by a unique column needs no further keys. Where a
//! projection, a filter or a second aggregate moves columns, DataFusion 55 looks the unique ones up by their
//! new places instead of their old ones: `SELECT rk, u`, made of groups by `u` at place 0, takes the rank
//! for unique, and `ORDER BY rk, u` is not sorted by `u`. Where that happens, nothing is taken for unique.
//!
//! A constant in `GROUP BY CUBE (8, day)` is null in some of the sets. DataFusion takes the column for constant: it
//! leaves out sorts, and yields groups before all of their rows came. So nothing is known of columns of several sets.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::{Constraint, Constraints};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use emporia_connectors::marked::{Mark, MarkedExec};

use super::by_node::Replacement;

/// Marks what has wrong keys or constants.
pub(super) fn without_wrong_keys(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let has_sets = |aggregate: &AggregateExec| !aggregate.group_expr().is_single();
    if node.downcast_ref().is_some_and(has_sets) {
        let unrelated = MarkedExec::new(Arc::clone(node), Mark::Unrelated);
        return Ok(Some(Arc::new(unrelated)));
    }
    Ok(match has_wrong_keys(node) {
        true => Some(Arc::new(MarkedExec::new(Arc::clone(node), Mark::Keyless))),
        false => None,
    })
}

fn has_wrong_keys(node: &Arc<dyn ExecutionPlan>) -> bool {
    let claimed = node.equivalence_properties().constraints();
    if claimed.is_empty() {
        return false;
    }
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let sources = projection.expr().iter().map(|e| column(&e.expr)).collect();
        return !follow(claimed, projection.input(), sources);
    }
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let Some(kept) = filter.projection() else {
            return false;
        };
        let sources = kept.iter().copied().map(Some).collect();
        return !follow(claimed, filter.input(), sources);
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr();
        // The groups together are unique; whatever else is claimed comes from the input.
        let all: Vec<usize> = (0..groups.expr().len()).collect();
        let of_input = claimed.iter().filter(|key| *columns(key) != all);
        let of_input = Constraints::new_unverified(of_input.cloned().collect());
        let sources = groups.expr().iter().map(|(e, _)| column(e)).collect();
        return !follow(&of_input, aggregate.input(), sources);
    }
    false
}

fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

fn columns(key: &Constraint) -> &Vec<usize> {
    match key {
        Constraint::PrimaryKey(columns) | Constraint::Unique(columns) => columns,
    }
}

/// Whether the keys that are `claimed` of an output follow from the keys of the input; `sources` are the
/// places in the input of the columns of the output.
fn follow(
    claimed: &Constraints,
    input: &Arc<dyn ExecutionPlan>,
    sources: Vec<Option<usize>>,
) -> bool {
    let given = input.equivalence_properties().constraints();
    claimed.iter().all(|key| {
        let places: Vec<usize> = columns(key)
            .iter()
            .filter_map(|place| sources.get(*place).copied().flatten())
            .collect();
        let is_unique = |key: &Constraint| columns(key).iter().all(|c| places.contains(c));
        given.iter().any(is_unique)
    })
}
