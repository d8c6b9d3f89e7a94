//! A small table as part of a plan.
//!
//! Memory tables cannot be sent to the cluster, but literals can: each column becomes one list
//! literal (which travels as an Arrow buffer, not value by value), and the plan unnests them.

use std::sync::Arc;

use datafusion::arrow::array::ListArray;
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Column, ScalarValue, ToDFSchema, UnnestOptions};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use emporia_core::error::Result;

use crate::tables::planning;

/// A frame with the rows of `batch`.
///
/// Meant for results of up to some hundred thousand rows that a job assembled in the client.
pub(crate) fn literal_table(context: &SessionContext, batch: &RecordBatch) -> Result<DataFrame> {
    let plan = plan(batch).map_err(planning("a table of literals"))?;
    Ok(DataFrame::new(context.state(), plan))
}

fn plan(batch: &RecordBatch) -> PlanResult<LogicalPlan> {
    let schema = batch.schema();
    if batch.num_rows() == 0 {
        return Ok(LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: schema.to_dfschema_ref()?,
        }));
    }
    let lists = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(values, field)| {
            let item = Arc::new(Field::new_list_field(field.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths([values.len()]);
            let list = ListArray::try_new(item, offsets, Arc::clone(values), None)?;
            Ok(lit(ScalarValue::List(Arc::new(list))).alias(field.name()))
        });
    let lists = lists.collect::<PlanResult<Vec<_>>>()?;
    let columns = schema
        .fields()
        .iter()
        .map(|f| Column::from_name(f.name()))
        .collect();
    let options = UnnestOptions::new().with_preserve_nulls(false);
    LogicalPlanBuilder::empty(true)
        .project(lists)?
        .unnest_columns_with_options(columns, options)?
        .build()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};

    use super::*;

    fn batch(ids: Vec<Option<i64>>, names: Vec<Option<&str>>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("Id", Arc::new(Int64Array::from(ids)) as _, true),
            ("name", Arc::new(StringArray::from(names)) as _, true),
        ])
        .expect("a batch")
    }

    #[tokio::test]
    async fn rows_come_back_with_nulls_and_names() {
        let rows = batch(
            vec![Some(1), None, Some(3)],
            vec![None, Some("b"), Some("c")],
        );
        let context = SessionContext::new();
        let frame = literal_table(&context, &rows).expect("a frame");
        let result = frame.collect().await.expect("rows");
        assert_eq!(result.len(), 1);
        assert_eq!(result[0].columns(), rows.columns());
        assert_eq!(result[0].schema().field(0).name(), "Id");
    }

    #[tokio::test]
    async fn an_empty_table_keeps_its_columns() {
        let rows = batch(vec![], vec![]);
        let context = SessionContext::new();
        let frame = literal_table(&context, &rows).expect("a frame");
        assert_eq!(frame.schema().fields().len(), 2);
        assert_eq!(frame.count().await.expect("a count"), 0);
    }
}
