//! Expressions over the columns of a table, as expressions over those of a file.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};

use super::exact_cast::ExactCast;

/// Makes adapters that take columns by name and values as they are.
#[derive(Debug)]
pub(super) struct ExactAdapters;

impl PhysicalExprAdapterFactory for ExactAdapters {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        Ok(Arc::new(ExactAdapter {
            table: logical_file_schema,
            file: physical_file_schema,
        }))
    }
}

#[derive(Debug)]
struct ExactAdapter {
    table: SchemaRef,
    file: SchemaRef,
}

impl PhysicalExprAdapter for ExactAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform(|expr| match expr.downcast_ref::<Column>() {
            Some(column) => {
                let column = in_file(column, &self.table, &self.file)?;
                // What is inside was made for the file.
                Ok(Transformed::new(
                    column,
                    true,
                    datafusion::common::tree_node::TreeNodeRecursion::Jump,
                ))
            }
            None => Ok(Transformed::no(expr)),
        })
        .data()
    }
}

/// The column of the table as the file has it: in the type of the table, and null where it is missing.
fn in_file(column: &Column, table: &Schema, file: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let name = column.name();
    let Ok(index) = file.index_of(name) else {
        let data_type = table.field_with_name(name)?.data_type();
        let null = ScalarValue::try_from(data_type)?;
        return Ok(Arc::new(Literal::new(null)));
    };
    let found = Arc::new(Column::new(name, index));
    // A column that is not in the table was made by the reader.
    let Ok(field) = table.field_with_name(name) else {
        return Ok(found);
    };
    let is_same = |a: &DataType, b: &DataType| a == b;
    match is_same(file.field(index).data_type(), field.data_type()) {
        true => Ok(found),
        false => Ok(Arc::new(ExactCast::new(found, Arc::new(field.clone())))),
    }
}
