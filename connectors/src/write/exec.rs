//! The plan node of a staged write.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements,
};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties,
};
use futures::TryStreamExt;

use super::branch::BranchWriter;
use super::{SinkSpec, StagedWrite, WrittenPart};
use crate::nodes::{only_input, usual_methods};

/// Writes each partition of its input to files or tables.
#[derive(Debug)]
pub struct StagedWriteExec {
    write: StagedWrite,
    input: Arc<dyn ExecutionPlan>,
    /// The order that the query asked for; the rows then go to one file in this order.
    order: Option<LexOrdering>,
    properties: Arc<PlanProperties>,
}

impl StagedWriteExec {
    /// A write that keeps the order of a sorted `input`: planned for `ORDER BY` at the top of a
    /// query, which the optimizer would else take out.
    pub fn keeping_order(write: StagedWrite, input: Arc<dyn ExecutionPlan>) -> Self {
        let order = input.output_ordering().cloned();
        Self {
            order,
            ..Self::new(write, input)
        }
    }

    /// A write of `input` in any order.
    pub fn new(write: StagedWrite, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(WrittenPart::schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self {
            write,
            input,
            order: None,
            properties,
        }
    }

    /// The recipe.
    pub fn write(&self) -> &StagedWrite {
        &self.write
    }
}

/// Whether `node` writes rows to a place that two attempts of a task share: to a table of HBase or a
/// collection of MongoDB. Attempts that write files have files of their own.
pub fn writes_to_store(node: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(staged) = node.downcast_ref::<StagedWriteExec>() else {
        return false;
    };
    let mut sinks = staged.write.branches.iter().map(|branch| &branch.sink);
    sinks.any(|sink| !matches!(sink, SinkSpec::Files(_)))
}

impl DisplayAs for StagedWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StagedWriteExec: {}", self.write.describe())
    }
}

impl ExecutionPlan for StagedWriteExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "StagedWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let distribution = match self.order {
            Some(_) => Distribution::SinglePartition,
            None => Distribution::UnspecifiedDistribution,
        };
        InputDistributionRequirements::new(vec![distribution])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.order.clone().map(OrderingRequirements::from)]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only_input(self.name(), children)?;
        Ok(Arc::new(Self {
            order: self.order.clone(),
            ..Self::new(self.write.clone(), input)
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let report = write_partition(self.write.clone(), context, input);
        let batches = futures::stream::once(report);
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            WrittenPart::schema(),
            batches,
        )))
    }
}

async fn write_partition(
    write: StagedWrite,
    context: Arc<TaskContext>,
    mut input: SendableRecordBatchStream,
) -> Result<RecordBatch> {
    let mut writers = Vec::with_capacity(write.branches.len());
    for branch in &write.branches {
        let writer = BranchWriter::open(&write.run_id, branch, &input.schema(), &context).await?;
        writers.push(writer);
    }
    let mut n_read = 0;
    let mut tally = Tally::default();
    while let Some(batch) = input.try_next().await? {
        n_read += batch.num_rows() as u64;
        tally.count(&batch, &write.tally)?;
        let Some(route) = &write.route else {
            if let Some(writer) = writers.first_mut() {
                writer.write(&batch, None).await?;
            }
            continue;
        };
        let route = batch
            .column_by_name(route)
            .and_then(|c| c.as_any().downcast_ref::<Int32Array>())
            .ok_or_else(|| DataFusionError::Internal(format!("`{route}` is not an int32 column")))?
            .clone();
        for (index, writer) in writers.iter_mut().enumerate() {
            let mask = rows_of(&route, index);
            match mask.true_count() {
                0 => {}
                n if n == mask.len() => writer.write(&batch, None).await?,
                _ => writer.write(&batch, Some(&mask)).await?,
            }
        }
    }
    let mut parts = Vec::new();
    for (index, writer) in writers.into_iter().enumerate() {
        if let Some(part) = writer.finish(index).await? {
            parts.push(part);
        }
    }
    let n_written: u64 = parts.iter().map(|p| p.rows).sum();
    if n_written < n_read {
        let rows = n_read - n_written;
        parts.push(WrittenPart {
            branch: None,
            path: String::new(),
            rows,
            bytes: 0,
        });
    }
    parts.extend(tally.rows.into_iter().map(|(values, rows)| {
        let values: Vec<_> = values.iter().map(i64::to_string).collect();
        WrittenPart {
            branch: None,
            path: values.join(","),
            rows,
            bytes: 0,
        }
    }));
    WrittenPart::to_batch(&parts)
}

/// Rows by the values of the tally columns.
#[derive(Default)]
struct Tally {
    rows: HashMap<Vec<i64>, u64>,
}

impl Tally {
    fn count(&mut self, batch: &RecordBatch, columns: &[String]) -> Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        let columns = columns
            .iter()
            .map(|name| {
                let index = batch.schema().index_of(name)?;
                Ok(cast(batch.column(index), &DataType::Int64)?)
            })
            .collect::<Result<Vec<_>>>()?;
        let columns: Vec<_> = columns
            .iter()
            .map(|c| c.as_primitive::<Int64Type>())
            .collect();
        let value = |column: &Int64Array, row: usize| {
            if column.is_null(row) {
                0
            } else {
                column.value(row)
            }
        };
        // Most rows are like the row before: runs are counted, not rows.
        let mut start = 0;
        for row in 1..=batch.num_rows() {
            let ends =
                row == batch.num_rows() || columns.iter().any(|c| value(c, row) != value(c, start));
            if ends {
                let values = columns.iter().map(|c| value(c, start)).collect();
                *self.rows.entry(values).or_default() += (row - start) as u64;
                start = row;
            }
        }
        Ok(())
    }
}

/// Which rows have the route `branch`.
fn rows_of(route: &Int32Array, branch: usize) -> BooleanArray {
    let branch = i32::try_from(branch).ok();
    let is_of = |row: Option<i32>| Some(row.is_some() && row == branch);
    route.iter().map(is_of).collect()
}
