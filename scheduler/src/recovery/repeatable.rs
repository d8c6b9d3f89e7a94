//! Which stages give the same rows to the same partitions when their tasks run again.

use std::sync::Arc;

use ballista_core::execution_plans::{
    ShuffleWriterExec, SortShuffleWriterExec, UnresolvedShuffleExec,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use emporia_engine::is_fixed_scan;

/// Aggregates whose value does not depend on the order of rows, where it is not a float.
const ORDER_FREE: [&str; 8] = [
    "count", "min", "max", "sum", "avg", "bool_and", "bool_or", "bit_xor",
];

/// Whether the stage, read by itself, is repeatable: it reads what does not change during a query, and each
/// operator is known to give the same rows whatever the order of its input. Whether that holds for the
/// stages that it reads is for [`super::lineage`] to see.
pub(super) fn is_repeatable(stage: &Arc<dyn ExecutionPlan>) -> bool {
    let mut is_repeatable = true;
    let visited = stage.apply(|node| {
        is_repeatable &= is_known(node);
        Ok(if is_repeatable {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    });
    visited.is_ok() && is_repeatable
}

fn is_known(node: &Arc<dyn ExecutionPlan>) -> bool {
    if node.fetch().is_some() || computes_volatile(node) {
        return false;
    }
    if let Some(writer) = node.downcast_ref::<SortShuffleWriterExec>() {
        return is_by_value(writer.shuffle_output_partitioning());
    }
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        return !is_volatile(filter.predicate());
    }
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        return projection.expr().iter().all(|e| !is_volatile(&e.expr));
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let schema = aggregate.input().schema();
        let keys = aggregate.group_expr().expr().iter();
        let mut keys = keys.map(|(key, _)| key.data_type(&schema));
        let mut functions = aggregate.aggr_expr().iter();
        return aggregate.limit_options().is_none()
            // 0.0 and -0.0 are one group, with the value that came first.
            && keys.all(|data_type| data_type.is_ok_and(|data_type| !has_float(&data_type)))
            && functions.all(|function| {
                ORDER_FREE.contains(&function.fun().name())
                    && !has_float(function.field().data_type())
            });
    }
    // It leaves rows in their partitions.
    node.is::<ShuffleWriterExec>()
        || node.is::<SortExec>()
        || node.is::<CoalescePartitionsExec>()
        || node.is::<HashJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<UnionExec>()
        || node.is::<EmptyExec>()
        || node.is::<PlaceholderRowExec>()
        || node.is::<UnresolvedShuffleExec>()
        || is_fixed_scan(node)
}

/// Whether an expression of the node, a join's filter for instance, has another value each time.
fn computes_volatile(node: &Arc<dyn ExecutionPlan>) -> bool {
    let mut is_found = false;
    let visited = node.apply_expressions(&mut |expr| {
        is_found |= is_volatile(expr);
        Ok(TreeNodeRecursion::Continue)
    });
    is_found || visited.is_err()
}

/// Whether a row's partition depends on its values only.
fn is_by_value(partitioning: &Partitioning) -> bool {
    match partitioning {
        Partitioning::Hash(keys, _) => !keys.iter().any(is_volatile),
        _ => false,
    }
}

fn has_float(data_type: &DataType) -> bool {
    data_type.is_floating() || data_type.is_nested()
}
