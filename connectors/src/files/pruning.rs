//! Which files a query needs, by the values in the names of their folders.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Fields, Schema};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;

/// Whether the names of folders decide about the filter.
pub(crate) fn is_on_partitions(filter: &Expr, partitions: &Fields) -> bool {
    !filter.column_refs().is_empty() && needs_no_row(filter, partitions)
}

/// Whether the filter is on partitions, or a constant: `y NOT IN (2024, NULL)` is split into one of each.
fn needs_no_row(filter: &Expr, partitions: &Fields) -> bool {
    let columns = filter.column_refs();
    let is_partition = |column: &Column| partitions.iter().any(|p| *p.name() == column.name);
    columns.iter().all(|column| is_partition(column))
        && !filter.is_volatile()
        && !has_subquery(filter)
}

/// The files that pass those of the filters that are on partitions, or constant. `value` gives the value that a file
/// has of the partition at an index.
pub(crate) fn kept<F: Clone>(
    state: &dyn Session,
    filters: &[Expr],
    partitions: &Fields,
    files: &[F],
    value: impl Fn(&F, usize) -> Result<ScalarValue>,
) -> Result<Vec<F>> {
    let filters = filters.iter().filter(|f| needs_no_row(f, partitions));
    let (Some(filter), false) = (conjunction(filters.cloned()), files.is_empty()) else {
        return Ok(files.to_vec());
    };
    let schema = Arc::new(Schema::new(partitions.clone()));
    let filter = state.create_physical_expr(
        unqualified(filter)?,
        &DFSchema::try_from(Arc::clone(&schema))?,
    )?;
    let columns = (0..partitions.len()).map(|index| {
        let values = files.iter().map(|file| value(file, index));
        ScalarValue::iter_to_array(values.collect::<Result<Vec<_>>>()?)
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
    let folders = RecordBatch::try_new_with_options(schema, columns, &options)?;
    let passed = filter.evaluate(&folders)?.into_array(files.len())?;
    // A constant NULL has a type of its own.
    let passed = cast(&passed, &DataType::Boolean)?;
    let passed = passed.as_boolean();
    let passes = |index: usize| passed.is_valid(index) && passed.value(index);
    let files = files.iter().enumerate();
    let files = files.filter(|(index, _)| passes(*index));
    Ok(files.map(|(_, file)| file.clone()).collect())
}

/// The filter with the plain names of its columns: it is asked of folders, not of the table.
fn unqualified(filter: Expr) -> Result<Expr> {
    filter
        .transform(|expr| {
            Ok(match expr {
                Expr::Column(column) => {
                    Transformed::yes(Expr::Column(Column::from_name(column.name)))
                }
                other => Transformed::no(other),
            })
        })
        .data()
}

fn has_subquery(filter: &Expr) -> bool {
    let is_one = |expr: &Expr| {
        matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
        )
    };
    filter.exists(|expr| Ok(is_one(expr))).unwrap_or(true)
}
