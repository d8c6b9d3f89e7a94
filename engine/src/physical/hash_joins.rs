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
use datafusion::common::{JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use emporia_connectors::estimated::{Estimate, EstimatedExec};

use super::by_node::{Replacement, replaced};

/// Largest build side of all tasks together. A hash table does not spill, so it must fit well into
/// the memory of one task even where the estimate is wrong by some factor.
const MAX_BUILD_BYTES: usize = 128 * 1024 * 1024;
/// What a value without a fixed width is counted as.
const TEXT_BYTES: usize = 32;

/// Turns sort-merge joins with a small side into partitioned hash joins, and says of each hash join how it
/// is to run.
#[derive(Debug)]
pub(super) struct SmallHashJoins;

impl PhysicalOptimizerRule for SmallHashJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let most_sent = config.optimizer.hash_join_single_partition_threshold;
        replaced(plan, |node| {
            if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
                small_hash_join(join, most_sent)
            } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
                settled(join, most_sent)
            } else {
                Ok(None)
            }
        })
    }

    fn name(&self) -> &'static str {
        "small_hash_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The hash join in place of `join`; `None` where neither side is known to be small.
fn small_hash_join(join: &SortMergeJoinExec, most_sent: usize) -> Result<Replacement> {
    if !is_small(join.left()) && !is_small(join.right()) {
        return Ok(None);
    }
    match partitioned_hash_join(join)? {
        Some(join) => hash_join(&join, most_sent).map(Some),
        None => Ok(None),
    }
}

/// The hash join that gives the same rows as `join`, partition by partition, and hashes the left side; `None`
/// for a join of another type.
///
/// # Errors
/// Where the join cannot be built.
pub fn partitioned_hash_join(join: &SortMergeJoinExec) -> Result<Option<HashJoinExec>> {
    let may_be_hashed = matches!(
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
    if !may_be_hashed {
        return Ok(None);
    }
    let hashed = HashJoinExec::try_new(
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
    Ok(Some(hashed))
}

/// A hash join of DataFusion, which plans them where there is one partition, in a mode that Ballista keeps.
/// A side that decides about the result must not go to every task, and what Ballista changes later the
/// operators above do not know of.
fn settled(join: &HashJoinExec, most_sent: usize) -> Result<Replacement> {
    if join.null_aware || *join.partition_mode() == PartitionMode::Partitioned {
        return Ok(None);
    }
    hash_join(join, most_sent).map(Some)
}

/// The join with its smaller side hashed. A build side of up to `most_sent` bytes goes to every task.
/// Ballista decides about that again, by its own estimate, and the operators above rely on the plan: so
/// a side is measured as Ballista does, too, and what is known better is stated in the plan.
fn hash_join(join: &HashJoinExec, most_sent: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let (left, right) = (size_of(join.left()), size_of(join.right()));
    let (build, swaps) = match (small(left), small(right)) {
        (Some(left), Some(right)) if right < left => (Some(right), true),
        (Some(left), _) => (Some(left), false),
        (None, Some(right)) => (Some(right), true),
        (None, None) => (None, false),
    };
    // The left side is the one that is built.
    let join_type = match swaps {
        true => join.join_type().swap(),
        false => *join.join_type(),
    };
    // Ballista knows no size of no rows.
    let is_sent = build.is_some_and(|bytes| bytes > 0 && bytes <= most_sent);
    let mode = match is_sent && comes_from_the_right(join_type) {
        true => PartitionMode::CollectLeft,
        false => PartitionMode::Partitioned,
    };
    let sides = vec![
        stated(join.left(), left, most_sent),
        stated(join.right(), right, most_sent),
    ];
    let join = join.builder().with_new_children(sides)?;
    if swaps {
        return join.build()?.swap_inputs(mode);
    }
    join.with_partition_mode(mode).build_exec()
}

/// The bytes of a size that a task can keep.
fn small(size: Option<Estimate>) -> Option<usize> {
    let bytes = size?.bytes;
    (bytes <= MAX_BUILD_BYTES).then_some(bytes)
}

/// Whether a task can keep all rows of `plan`, as far as it is known.
pub(super) fn is_small(plan: &Arc<dyn ExecutionPlan>) -> bool {
    small(size_of(plan)).is_some()
}

/// Whether every row of such a join comes from a row of its right side, so that tasks which have
/// the whole left side and a part of the right one make parts of the result.
fn comes_from_the_right(join_type: JoinType) -> bool {
    matches!(
        join_type,
        JoinType::Inner
            | JoinType::Right
            | JoinType::RightSemi
            | JoinType::RightAnti
            | JoinType::RightMark
    )
}

/// Rows of `plan` and their bytes by the widths of the columns, where that is known.
fn size_of(plan: &Arc<dyn ExecutionPlan>) -> Option<Estimate> {
    let rows = rows_of(plan)?;
    let bytes = rows.saturating_mul(row_bytes(&plan.schema()));
    Some(Estimate { rows, bytes })
}

/// The rows of `plan`, as far as it is known.
///
/// DataFusion takes a join of many lines with few products, whose values it knows nothing of, for as
/// few rows as there are products, and a filter for one that keeps a fifth. Here a join is taken for as
/// many rows as its larger side has, and what is above it (groups, filters) for no fewer.
fn rows_of(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let counted = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let counted = match counted.ok()?.num_rows {
        Precision::Exact(rows) => return Some(rows),
        Precision::Inexact(rows) => rows,
        Precision::Absent => return None,
    };
    let of_inputs = match plan.children()[..] {
        [left, right] if is_join(plan) => Some(rows_of(left)?.max(rows_of(right)?)),
        [input] if guesses(plan) && plan.fetch().is_none() => rows_of(input),
        _ => None,
    };
    Some(of_inputs.map_or(counted, |rows| rows.max(counted)))
}

fn is_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>() || plan.is::<SortMergeJoinExec>()
}

/// Whether the number of rows rests on a guess about a join or a filter.
fn guesses(plan: &Arc<dyn ExecutionPlan>) -> bool {
    is_join(plan) || plan.is::<FilterExec>() || plan.children().into_iter().any(guesses)
}

/// The side of a join, with its size stated where Ballista would else decide otherwise whether to send
/// it to every task.
fn stated(
    side: &Arc<dyn ExecutionPlan>,
    size: Option<Estimate>,
    most_sent: usize,
) -> Arc<dyn ExecutionPlan> {
    let is_small = |bytes| bytes <= most_sent;
    match (size, ballistas_bytes_of(side)) {
        (Some(size), Some(counted)) if is_small(counted) != is_small(size.bytes) => {
            Arc::new(EstimatedExec::new(Arc::clone(side), size))
        }
        _ => Arc::clone(side),
    }
}

/// The size of `plan` as Ballista's planner of stages takes it.
fn ballistas_bytes_of(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let statistics = statistics.ok()?;
    let stored = statistics.total_byte_size.get_value();
    if let Some(bytes) = stored.filter(|bytes| **bytes > 0) {
        return Some(*bytes);
    }
    let rows = statistics.num_rows.get_value().filter(|rows| **rows > 0)?;
    Some(rows.saturating_mul(row_bytes(&plan.schema())))
}

fn row_bytes(schema: &Schema) -> usize {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(TEXT_BYTES);
    schema.fields().iter().map(|f| width(f.data_type())).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::physical_plan::displayable;
    use datafusion::prelude::SessionContext;
    use datafusion_proto::bytes::{
        physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
    };
    use emporia_connectors::stores::Stores;

    use crate::options::EngineOptions;
    use crate::state::{physical_codec, planning_state, runtime, session_config};

    /// What the scheduler plans of a query over 9,000 lines, 3,000 orders and 10 products, when sides of
    /// up to 64 KiB go to every task.
    async fn plan(sql: &str) -> datafusion::common::Result<String> {
        let options = EngineOptions {
            broadcast_threshold_bytes: 64 * 1024,
            ..EngineOptions::default()
        };
        let stores = Arc::new(Stores::default());
        let config = session_config(&options, &stores);
        let context =
            SessionContext::new_with_state(planning_state(config, runtime(None, &stores)?)?);
        for (table, columns) in [
            (
                "lines",
                "value / 3 AS order_id, value % 10 AS product_id, value AS amount FROM numbers",
            ),
            (
                "orders",
                "value AS order_id, value AS total FROM numbers WHERE value < 3000",
            ),
            (
                "products",
                "value AS product_id, value AS margin FROM numbers WHERE value < 10",
            ),
        ] {
            let numbers = "(SELECT unnest(range(9000)) AS value) AS numbers";
            let query = format!("SELECT {columns}").replace("numbers", numbers);
            let made = format!("CREATE TABLE {table} AS {query}");
            context.sql(&made).await?.collect().await?;
        }
        let plan = context.sql(sql).await?.create_physical_plan().await?;
        let codec = physical_codec();
        let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&plan), codec.as_ref())?;
        let task = context.task_ctx();
        let sent = physical_plan_from_bytes_with_extension_codec(&bytes, &task, codec.as_ref())?;
        let [plan, sent] = [plan, sent].map(|p| displayable(p.as_ref()).indent(false).to_string());
        assert_eq!(plan, sent);
        Ok(plan)
    }

    #[tokio::test]
    async fn a_small_side_goes_to_every_task() -> datafusion::common::Result<()> {
        let plan = plan("SELECT * FROM lines JOIN products USING (product_id)").await?;
        assert!(plan.contains("mode=CollectLeft"), "{plan}");
        Ok(())
    }

    #[tokio::test]
    async fn groups_of_joined_lines_are_not_taken_for_few() -> datafusion::common::Result<()> {
        let plan = plan(
            "SELECT total, margin FROM orders LEFT JOIN (SELECT order_id, sum(amount * margin) AS margin \
             FROM lines JOIN products USING (product_id) GROUP BY order_id) USING (order_id)",
        )
        .await?;
        assert_eq!(plan.matches("mode=CollectLeft").count(), 1, "{plan}");
        assert_eq!(plan.matches("mode=Partitioned").count(), 1, "{plan}");
        assert!(plan.contains("EstimatedExec: rows=9000"), "{plan}");
        Ok(())
    }

    #[tokio::test]
    async fn a_filter_is_not_taken_for_a_small_side() -> datafusion::common::Result<()> {
        let plan = plan(
            "SELECT * FROM lines JOIN (SELECT * FROM lines WHERE amount % 7 <> 1) AS other \
             USING (order_id)",
        )
        .await?;
        assert!(!plan.contains("mode=CollectLeft"), "{plan}");
        Ok(())
    }
}
