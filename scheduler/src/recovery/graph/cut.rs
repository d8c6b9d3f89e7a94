//! A check that the tasks of a stage yield what the stage does, once.

use std::sync::Arc;

use ballista_core::error::{BallistaError, Result};
use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Makes sure that a task of one partition has one: where a branch of a union cannot be left out of a task, all tasks
/// yield its rows.
///
/// # Errors
/// Where the first or the last task would have more or less.
pub(super) fn check_tasks(stage: usize, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let children = plan.children();
    let [rows] = children.as_slice() else {
        return Ok(());
    };
    let n_partitions = rows.output_partitioning().partition_count();
    if n_partitions < 2 {
        return Ok(());
    }
    for partition in [0, n_partitions - 1] {
        let task = restrict_plan_to_partitions(Arc::clone(rows), &[partition])?;
        let found = task.output_partitioning().partition_count();
        if found != 1 {
            return Err(BallistaError::Internal(format!(
                "a task of stage {stage} would have {found} partitions instead of one"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
    use datafusion::physical_plan::coop::CooperativeExec;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::sorts::sort::SortExec;
    use datafusion::physical_plan::union::UnionExec;

    use super::*;

    /// A writer has one input, and so has this.
    fn written(rows: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(CooperativeExec::new(rows))
    }

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
            let plan = written(UnionExec::try_new(branches).unwrap());
            assert_eq!(check_tasks(1, &plan).is_ok(), is_right, "{plan:?}");
        }
        assert!(check_tasks(1, &written(sorted(false, 1))).is_ok());
    }
}
