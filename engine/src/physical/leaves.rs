//! Leaves that a stage of several tasks can be cut at.
//!
//! A task of a union gets the partitions that it owns of each branch, and Ballista 55 makes an
//! unowned branch empty: it puts an empty memory table in the place of a leaf without input, such as
//! the one row below `SELECT 1`. But a memory table has metrics and that leaf has none, so the
//! report of the task does not fit its stage, the scheduler drops it, and the query hangs or lacks
//! rows. So such leaves are memory tables from the start.
//!
//! Joins that keep their left side in memory must not change sides any more: Ballista does that when it
//! knows how many rows there are, and then each task of the union runs the branch again.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::datatypes::Field;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use emporia_connectors::marked::{Mark, MarkedExec};
use emporia_connectors::nodes::with_inputs;

/// The plan with memory tables for the leaves without input below its unions.
pub(crate) fn with_leaves_of_unions(
    plan: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let replaced = plan.transform_down(|node| {
        if !node.is::<UnionExec>() {
            return Ok(Transformed::no(node));
        }
        node.transform_up(|node| {
            if node.is::<NestedLoopJoinExec>() || node.is::<CrossJoinExec>() {
                return pinned(node).map(Transformed::yes);
            }
            let n_rows = if node.is::<PlaceholderRowExec>() {
                1
            } else if node.is::<EmptyExec>() {
                0
            } else {
                return Ok(Transformed::no(node));
            };
            memory_table(&node, n_rows).map(Transformed::yes)
        })
    });
    Ok(replaced?.data)
}

/// The join with a left side of which nothing is known that would be a reason to change sides.
fn pinned(join: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let mut sides: Vec<_> = join.children().into_iter().map(Arc::clone).collect();
    if let Some(left) = sides.first_mut()
        && !left
            .downcast_ref::<MarkedExec>()
            .is_some_and(|marked| marked.mark() == Mark::Unsized)
    {
        *left = Arc::new(MarkedExec::new(Arc::clone(left), Mark::Unsized));
    }
    with_inputs(join, sides)
}

/// A table with so many rows in each partition of `leaf`. Nothing reads their values, but they have
/// to be of its schema, which may have no room for nulls.
fn memory_table(leaf: &Arc<dyn ExecutionPlan>, n_rows: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = leaf.schema();
    let column = |field: &Field| match field.is_nullable() {
        true => Ok(new_null_array(field.data_type(), n_rows)),
        false => ScalarValue::new_default(field.data_type())?.to_array_of_size(n_rows),
    };
    let columns = schema.fields().iter().map(|field| column(field));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    let rows = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
    let partitions = vec![vec![rows]; leaf.output_partitioning().partition_count()];
    let table = MemorySourceConfig::try_new(&partitions, schema, None)?;
    Ok(DataSourceExec::from_data_source(table))
}
