//! Joins whose smaller side turns out to be small hash it instead of sorting both sides.

use std::sync::Arc;

use ballista_core::execution_plans::{ShuffleWriterExec, SortShuffleWriterExec};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use emporia_engine::nodes::with_inputs;
use emporia_engine::{is_estimate_or_mark, partitioned_hash_join};

use super::Change;
use super::sizes::{Size, largest};

/// What the hash tables of a stage may need for a partition, all joins together. They do not spill, and an
/// executor has those of one partition for each of its slots at a time.
const MAX_BUILD_BYTES: u64 = 128 * 1024 * 1024;
/// What a table needs for a row besides its values.
const BYTES_OF_AN_ENTRY: u64 = 24;

/// Whether something above an operator relies on the order of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The rows go to a hash join in place of a sort-merge join, for which they were sorted.
    Unused,
    /// Nothing does that does not say so.
    Free,
    /// It may.
    Kept,
}

/// The plan of a stage, with hash joins for those sort-merge joins that have a small side, and without the
/// sorts of these sides.
pub(super) fn hashed(
    plan: Arc<dyn ExecutionPlan>,
    changes: &mut Vec<Change>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut visit = Visit {
        changes: Vec::new(),
        bytes_left: MAX_BUILD_BYTES,
    };
    let changed = visit.node(Arc::clone(&plan), Order::Kept)?;
    if visit.changes.is_empty() {
        return Ok(plan);
    }
    // Whatever an operator needs of its inputs has to hold still.
    let check = SanityCheckPlan::new();
    if let Err(error) = check.optimize(Arc::clone(&changed), &ConfigOptions::new()) {
        tracing::debug!(%error, "a plan is left as it is: with hash joins it does not hold");
        return Ok(plan);
    }
    changes.append(&mut visit.changes);
    Ok(changed)
}

/// A way through a plan, from its end to its inputs.
struct Visit {
    changes: Vec<Change>,
    bytes_left: u64,
}

impl Visit {
    fn node(
        &mut self,
        node: Arc<dyn ExecutionPlan>,
        order: Order,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if order == Order::Unused
            && let Some(sort) = node.downcast_ref::<SortExec>()
            && sort.fetch().is_none()
            && sort.preserve_partitioning()
        {
            return self.node(Arc::clone(sort.input()), Order::Unused);
        }
        if order != Order::Kept
            && let Some(join) = node.downcast_ref::<SortMergeJoinExec>()
            && let Some(side) = self.small_side(join)
            && let Some(join) = partitioned_hash_join(join)?
        {
            return self.hash_join(&join, side);
        }
        let of_inputs = order_of_inputs(&node, order);
        let inputs = node.children().into_iter();
        let inputs = inputs.map(|input| self.node(Arc::clone(input), of_inputs));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        with_inputs(node, inputs)
    }

    /// The side to hash, where one is small and a hash table finds the same keys equal as a sort does.
    fn small_side(&self, join: &SortMergeJoinExec) -> Option<Build> {
        let schema = join.left().schema();
        // Of equal floats there are two kinds, of zeros and of what is no number.
        let is_plain = join.on().iter().all(|(left, _)| {
            let data_type = left.data_type(&schema);
            data_type.is_ok_and(|t| !t.is_floating() && !t.is_nested())
        });
        if !is_plain {
            return None;
        }
        let small = |side, swaps| {
            let size = largest(side)?;
            let entries = size.rows.saturating_mul(BYTES_OF_AN_ENTRY);
            let table_bytes = size.bytes.saturating_add(entries);
            (table_bytes <= self.bytes_left).then_some(Build {
                swaps,
                size,
                table_bytes,
            })
        };
        let sides = [small(join.left(), false), small(join.right(), true)];
        let sides = sides.into_iter().flatten();
        sides.min_by_key(|side| side.table_bytes)
    }

    fn hash_join(&mut self, join: &HashJoinExec, build: Build) -> Result<Arc<dyn ExecutionPlan>> {
        self.bytes_left = self.bytes_left.saturating_sub(build.table_bytes);
        let on = join.on().iter().map(|(l, r)| format!("{l} = {r}"));
        let on = on.collect::<Vec<_>>().join(", ");
        self.changes.push(Change::Hashed {
            join: format!("{} on {on}", join.join_type()),
            build: build.size,
        });
        let sides = vec![
            self.node(Arc::clone(join.left()), Order::Unused)?,
            self.node(Arc::clone(join.right()), Order::Unused)?,
        ];
        let hashed = join.builder().with_new_children(sides)?.build()?;
        if build.swaps {
            return hashed.swap_inputs(PartitionMode::Partitioned);
        }
        Ok(Arc::new(hashed))
    }
}

/// The side of a join that is hashed.
struct Build {
    /// Whether it is the right one.
    swaps: bool,
    size: Size,
    table_bytes: u64,
}

/// Whether the order of the rows of `node`'s inputs matters, where that of its own rows matters as `order`
/// says. What `node` itself needs of an order it says, and [`SanityCheckPlan`] looks at that.
fn order_of_inputs(node: &Arc<dyn ExecutionPlan>, order: Order) -> Order {
    if node.is::<SortExec>() || node.is::<SortShuffleWriterExec>() {
        return Order::Free;
    }
    if node.is::<ShuffleWriterExec>() {
        let input = node.children().into_iter().next();
        return match input.and_then(|input| input.output_ordering()) {
            None => Order::Free,
            Some(_) => Order::Kept,
        };
    }
    if node.is::<CoalescePartitionsExec>() && node.fetch().is_none() {
        return Order::Free;
    }
    if let Some(groups) = node.downcast_ref::<AggregateExec>() {
        let needs = groups.required_input_ordering();
        let has_none = groups.limit_options().is_none() && needs.iter().all(Option::is_none);
        return match order {
            Order::Unused | Order::Free if has_none => Order::Free,
            _ => Order::Kept,
        };
    }
    let passes_on = node.is::<ProjectionExec>()
        || (node.is::<FilterExec>() && node.fetch().is_none())
        || (node.is::<HashJoinExec>() && node.fetch().is_none())
        || node.is::<CrossJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<UnionExec>()
        || is_estimate_or_mark(node);
    if passes_on { order } else { Order::Kept }
}
