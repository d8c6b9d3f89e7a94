//! Joins and windows whose rows are exchanged from the start.
//!
//! A join by keys of two sides of one partition, which are known to be small, needs no exchange, and neither does a window over
//! parts of such rows. But Ballista plans the stage once more where another exchange follows. It knows no sizes then, and puts
//! exchanges into the stage itself: each of its tasks reads all rows, and they come once for each task. So sizes are hidden while
//! exchanges are placed.
//!
//! With one target partition, a window over parts asks for all rows in one task, and Ballista's planner for an exchange by its keys.
//! A mark keeps the first.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::Distribution;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

use super::by_node::Replacement;
use super::window_exprs;

/// Hides the sizes of the inputs of such a node, so that the planner exchanges all of them.
pub(super) fn from_the_start(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    if !is_by_keys(node) {
        return Ok(None);
    }
    let needs_one = |needed: &Distribution| matches!(needed, Distribution::SinglePartition);
    let needs = node.input_distribution_requirements();
    let mark = match needs.per_child_distributions().all(needs_one) {
        true => Mark::Whole,
        false => Mark::Unsized,
    };
    let inputs = node
        .children()
        .into_iter()
        .map(|input| -> Arc<dyn ExecutionPlan> {
            Arc::new(MarkedExec::new(Arc::clone(input), mark))
        });
    with_inputs(Arc::clone(node), inputs.collect()).map(Some)
}

fn is_by_keys(node: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return *join.partition_mode() == PartitionMode::Partitioned;
    }
    let mut windows = window_exprs(node).into_iter().flatten();
    windows.any(|expr| !expr.partition_by().is_empty()) || node.is::<SortMergeJoinExec>()
}

/// Shows the sizes again, by which Ballista decides about the joins above. The join of a `NOT IN` hides its own.
pub(super) fn with_sizes(node: &Arc<dyn ExecutionPlan>) -> Result<Replacement> {
    let is_not_in = node
        .downcast_ref::<HashJoinExec>()
        .is_some_and(|join| join.null_aware);
    let inputs = node.children();
    if is_not_in || !inputs.iter().any(|input| hidden(input).is_some()) {
        return Ok(None);
    }
    let shown = inputs
        .into_iter()
        .map(|input| Arc::clone(hidden(input).unwrap_or(input)));
    with_inputs(Arc::clone(node), shown.collect()).map(Some)
}

/// What is below a mark that hides its size.
fn hidden(node: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    let marked = node.downcast_ref::<MarkedExec>()?;
    (marked.mark() == Mark::Unsized).then(|| marked.input())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::physical_plan::displayable;
    use datafusion::prelude::SessionContext;
    use emporia_connectors::stores::Stores;

    use crate::options::EngineOptions;
    use crate::state::{planning_state, runtime, session_config};

    async fn plan(sql: &str, target_partitions: usize) -> String {
        let options = EngineOptions {
            target_partitions,
            ..EngineOptions::default()
        };
        let stores = Arc::new(Stores::default());
        let config = session_config(&options, &stores);
        let state = planning_state(config, runtime(None, &stores).unwrap()).unwrap();
        let context = SessionContext::new_with_state(state);
        let frame = context.sql(sql).await.unwrap();
        let plan = frame.create_physical_plan().await.unwrap();
        displayable(plan.as_ref()).indent(false).to_string()
    }

    #[tokio::test]
    async fn a_window_of_one_partition_stays_in_one_task() {
        let numbers = "(SELECT unnest(range(9)) AS k UNION ALL SELECT unnest(range(7))) AS numbers";
        let sql =
            format!("SELECT k, row_number() OVER (PARTITION BY k ORDER BY k + 1) FROM {numbers}");
        let of_one = plan(&sql, 1).await;
        assert!(of_one.contains("MarkedExec: Whole"), "{of_one}");
        let of_four = plan(&sql, 4).await;
        assert!(!of_four.contains("MarkedExec: Whole"), "{of_four}");
        assert!(of_four.contains("Hash([k@0], 4)"), "{of_four}");
    }
}
