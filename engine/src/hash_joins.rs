//! Joins whose smaller side is known to be small build a hash table instead of sorting both sides.
//!
//! Ballista plans every join as a sort-merge join, because it mends hash joins of one partition in a
//! way that changes results (docs/decisions.md). A hash join that is partitioned from the start on
//! both sides is not mended, needs no sort, and gives the same rows.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
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
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let join = node.downcast_ref::<SortMergeJoinExec>();
            Ok(match join.map(hash_join).transpose()?.flatten() {
                Some(join) => Transformed::yes(join),
                None => Transformed::no(node),
            })
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

/// The hash join in place of `join`; `None` where neither side is known to be small.
fn hash_join(join: &SortMergeJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
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
    let left = estimated_bytes(join.left());
    let right = estimated_bytes(join.right());
    let is_small = |bytes: Option<usize>| bytes.is_some_and(|bytes| bytes <= MAX_BUILD_BYTES);
    let swaps = match (is_small(left), is_small(right)) {
        (true, true) => right < left,
        (true, false) => false,
        (false, true) => true,
        (false, false) => return Ok(None),
    };
    let hash_join = HashJoinExec::try_new(
        Arc::clone(join.left()),
        Arc::clone(join.right()),
        join.on().to_vec(),
        join.filter().clone(),
        &join.join_type(),
        None,
        PartitionMode::Partitioned,
        join.null_equality(),
        false,
    )?;
    // The left side is the one that is built.
    if swaps {
        return hash_join.swap_inputs(PartitionMode::Partitioned).map(Some);
    }
    Ok(Some(Arc::new(hash_join)))
}

/// Size of the rows of `plan`, where the statistics tell their number.
fn estimated_bytes(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let rows = *statistics.ok()?.num_rows.get_value()?;
    Some(rows.saturating_mul(row_bytes(&plan.schema())))
}

fn row_bytes(schema: &Schema) -> usize {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(TEXT_BYTES);
    schema.fields().iter().map(|f| width(f.data_type())).sum()
}
