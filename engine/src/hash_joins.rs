//! Joins whose smaller side is known to be small build a hash table instead of sorting both sides.
//!
//! Ballista plans every join as a sort-merge join, because it mends hash joins of one partition in a
//! way that changes results (docs/decisions.md). A hash join that is partitioned from the start on
//! both sides is not mended, needs no sort, and gives the same rows. Neither is one whose small side
//! goes to every task and whose rows all come from the other side, which then needs no exchange.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// Largest build side of all tasks together. A hash table does not spill, so it must fit well into
/// the memory of one task even where the estimate is wrong by some factor.
const MAX_BUILD_BYTES: usize = 128 * 1024 * 1024;
/// What a value without a fixed width is counted as.
const TEXT_BYTES: usize = 32;
/// The rule of DataFusion after which joins are chosen and before which inputs are exchanged.
const AFTER: &str = "join_selection";

/// DataFusion's optimizer rules with [`SmallHashJoins`] among them.
pub(crate) fn optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let at = rules.iter().position(|rule| rule.name() == AFTER);
    rules.insert(at.map_or(0, |at| at + 1), Arc::new(SmallHashJoins));
    rules
}

/// Turns sort-merge joins with a small side into partitioned hash joins.
#[derive(Debug)]
struct SmallHashJoins;

impl PhysicalOptimizerRule for SmallHashJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let most_sent = config.optimizer.hash_join_single_partition_threshold;
        plan.transform_up(|node| {
            let join = node.downcast_ref::<SortMergeJoinExec>();
            Ok(
                match join
                    .map(|join| hash_join(join, most_sent))
                    .transpose()?
                    .flatten()
                {
                    Some(join) => Transformed::yes(join),
                    None => Transformed::no(node),
                },
            )
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "small_hash_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The hash join in place of `join`; `None` where neither side is known to be small. A build side of
/// up to `most_sent` bytes goes to every task. Ballista makes a partitioned join of it again where
/// its own estimate is larger, which must not happen, because the operators above rely on the plan:
/// so it is measured as Ballista does, too.
fn hash_join(join: &SortMergeJoinExec, most_sent: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let is_known = matches!(
        join.join_type(),
        JoinType::Inner
            | JoinType::Left
            | JoinType::Right
            | JoinType::Full
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::RightSemi
            | JoinType::RightAnti
    );
    if !is_known {
        return Ok(None);
    }
    let small = |side| size_of(side).filter(|size| size.rows <= MAX_BUILD_BYTES);
    let (build, swaps) = match (small(join.left()), small(join.right())) {
        (Some(left), Some(right)) if right.rows < left.rows => (right, true),
        (Some(left), _) => (left, false),
        (None, Some(right)) => (right, true),
        (None, None) => return Ok(None),
    };
    // The left side is the one that is built.
    let join_type = match swaps {
        true => join.join_type().swap(),
        false => join.join_type(),
    };
    // Ballista knows no size of no rows.
    let is_sent = build.rows > 0 && build.largest <= most_sent;
    let mode = match is_sent && comes_from_the_right(join_type) {
        true => PartitionMode::CollectLeft,
        false => PartitionMode::Partitioned,
    };
    let hash_join = HashJoinExec::try_new(
        Arc::clone(join.left()),
        Arc::clone(join.right()),
        join.on().to_vec(),
        join.filter().clone(),
        &join.join_type(),
        None,
        mode,
        join.null_equality(),
        false,
    )?;
    if swaps {
        return hash_join.swap_inputs(mode).map(Some);
    }
    Ok(Some(Arc::new(hash_join)))
}

/// Whether every row of such a join comes from a row of its right side, so that tasks which have
/// the whole left side and a part of the right one make parts of the result.
fn comes_from_the_right(join_type: JoinType) -> bool {
    matches!(
        join_type,
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
    )
}

/// Size of a side of a join in bytes.
#[derive(Clone, Copy)]
struct Size {
    /// Of its rows, by the widths of their columns.
    rows: usize,
    /// The larger one of this and of what the files say of themselves, as Ballista counts.
    largest: usize,
}

/// The size of the rows of `plan`, where the statistics tell their number.
fn size_of(plan: &Arc<dyn ExecutionPlan>) -> Option<Size> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let statistics = statistics.ok()?;
    let n_rows = rows_of(plan)?;
    let rows = n_rows.saturating_mul(row_bytes(&plan.schema()));
    let stored = statistics.total_byte_size.get_value().copied();
    Some(Size {
        rows,
        largest: rows.max(stored.unwrap_or(0)),
    })
}

/// The rows of `plan`, as far as it is known.
///
/// DataFusion takes a join of many lines with few products, whose values it knows nothing of, for as
/// few rows as there are products. Here a join is taken for as many rows as its larger side has, and
/// what is above it (groups, filters) for no fewer.
fn rows_of(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let counted = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let counted = match counted.ok()?.num_rows {
        Precision::Exact(rows) => return Some(rows),
        Precision::Inexact(rows) => rows,
        Precision::Absent => return None,
    };
    let is_join = plan.is::<HashJoinExec>() || plan.is::<SortMergeJoinExec>();
    let of_inputs = match plan.children()[..] {
        [left, right] if is_join => Some(rows_of(left)?.max(rows_of(right)?)),
        [input] if has_join(input) && plan.fetch().is_none() => rows_of(input),
        _ => None,
    };
    Some(of_inputs.map_or(counted, |rows| rows.max(counted)))
}

fn has_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let is_join = plan.is::<HashJoinExec>() || plan.is::<SortMergeJoinExec>();
    is_join || plan.children().into_iter().any(has_join)
}

fn row_bytes(schema: &Schema) -> usize {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(TEXT_BYTES);
    schema.fields().iter().map(|f| width(f.data_type())).sum()
}
