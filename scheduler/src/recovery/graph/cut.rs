//! A check that the tasks of a stage yield what the stage does, once.

use std::sync::Arc;

use ballista_core::error::{BallistaError, Result};
use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Makes sure that each branch of a union can be left out of a task, for all tasks would yield its rows, and that rows
/// which are exchanged within the stage are all in one task.
///
/// # Errors
/// Where that is not so.
pub(super) fn check_tasks(stage: usize, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let mut fault = None;
    plan.apply(|node| {
        if node.is::<UnionExec>() {
            for branch in node.children() {
                if !can_be_left_out(branch)? {
                    fault = Some("yield all rows of a branch of a union");
                }
            }
        }
        if let Some(exchange) = node.downcast_ref::<RepartitionExec>() {
            let input = exchange.input();
            let is_one = input.output_partitioning().partition_count() == 1 || has_exchange(input)?;
            if !is_one || !can_be_left_out(input)? {
                fault = Some("exchange rows for itself");
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match fault {
        None => Ok(()),
        Some(fault) => Err(BallistaError::Internal(format!(
            "each task of stage {stage} would {fault}"
        ))),
    }
}

fn can_be_left_out(branch: &Arc<dyn ExecutionPlan>) -> datafusion::error::Result<bool> {
    let left = restrict_plan_to_partitions(Arc::clone(branch), &[])?;
    // An exchange within the stage deals out no rows then, to as many partitions as ever.
    Ok(has_exchange(branch)? || left.output_partitioning().partition_count() == 0)
}

fn has_exchange(plan: &Arc<dyn ExecutionPlan>) -> datafusion::error::Result<bool> {
    plan.exists(|node| Ok(node.is::<RepartitionExec>()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
    use datafusion::physical_plan::Partitioning;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::sorts::sort::SortExec;

    use super::*;

    #[test]
    fn a_branch_that_each_task_would_run_is_found() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let table = |n| -> Arc<dyn ExecutionPlan> {
            Arc::new(EmptyExec::new(Arc::clone(&schema)).with_partitions(n))
        };
        let sorted = |keep, n| -> Arc<dyn ExecutionPlan> {
            let key = PhysicalSortExpr::new_default(col("a", &schema).unwrap());
            let order = LexOrdering::new([key]).unwrap();
            Arc::new(SortExec::new(order, table(n)).with_preserve_partitioning(keep))
        };
        for (branches, is_right) in [
            (vec![table(2), table(1)], true),
            (vec![sorted(true, 2), sorted(true, 1)], true),
            (vec![sorted(true, 2), sorted(false, 1)], false),
            (vec![sorted(false, 1), table(2)], false),
            (vec![table(1), sorted(false, 1), table(1)], false),
        ] {
            let plan = UnionExec::try_new(branches).unwrap();
            assert_eq!(check_tasks(1, &plan).is_ok(), is_right, "{plan:?}");
        }
        assert!(check_tasks(1, &sorted(false, 1)).is_ok());
        for (input, is_right) in [
            (table(1), true),
            (table(2), false),
            (sorted(true, 1), true),
            (sorted(false, 1), false),
        ] {
            let exchange = |plan| -> Arc<dyn ExecutionPlan> {
                let by = Partitioning::Hash(vec![col("a", &schema).unwrap()], 3);
                Arc::new(RepartitionExec::try_new(plan, by).unwrap())
            };
            let plan = exchange(input);
            assert_eq!(check_tasks(1, &plan).is_ok(), is_right, "{plan:?}");
            let twice = exchange(plan);
            assert_eq!(check_tasks(1, &twice).is_ok(), is_right, "{twice:?}");
        }
    }
}
