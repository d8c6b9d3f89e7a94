//! Reads of other stages' output, checked against what their tasks reported.
//!
//! Ballista reads a file whose index is gone as one without rows, or whole, and a file that is cut off
//! as one that ends there.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ballista_core::error::BallistaError;
use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf;
use ballista_core::serde::scheduler::PartitionLocation;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use emporia_engine::EVERY_EXECUTOR;
use emporia_engine::nodes::{only_input, usual_methods};
use futures::Stream;

/// The plan of a task, with its reads checked.
pub(crate) fn checked(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() else {
            return Ok(Transformed::no(node));
        };
        let stage = reader.stage_id;
        let n_rows = match (reader.broadcast, reader.partition.first()) {
            // Each partition of such a reader reads all.
            (true, Some(all)) => Expected::Whole(n_rows(all)?),
            _ => {
                let partitions = reader.partition.iter().map(|places| n_rows(places));
                Expected::Partitions(partitions.collect::<Result<_>>()?)
            }
        };
        let checked: Arc<dyn ExecutionPlan> = Arc::new(CheckedReadExec {
            reader: node,
            stage,
            n_rows,
        });
        Ok(Transformed::yes(checked))
    })
    .data()
}

/// The rows at these places.
///
/// # Errors
/// Where the scheduler does not say how many they are.
fn n_rows(places: &[PartitionLocation]) -> Result<u64> {
    let of = |place: &PartitionLocation| {
        let stats: protobuf::PartitionStats = place.partition_stats.into();
        u64::try_from(stats.num_rows).map_err(|_| {
            let part = &place.partition_id;
            let (stage, partition) = (part.stage_id, part.partition_id);
            internal_datafusion_err!(
                "rows of partition {partition} of stage {stage} are not counted"
            )
        })
    };
    places.iter().map(of).sum()
}

/// How many rows a reader has to find.
#[derive(Debug, Clone)]
enum Expected {
    /// In each partition alike.
    Whole(u64),
    Partitions(Vec<u64>),
}

/// Yields what `reader` reads, and fails at its end where rows are missing or too many.
#[derive(Debug)]
struct CheckedReadExec {
    reader: Arc<dyn ExecutionPlan>,
    stage: usize,
    n_rows: Expected,
}

impl DisplayAs for CheckedReadExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckedReadExec: stage={}", self.stage)
    }
}

impl ExecutionPlan for CheckedReadExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "CheckedReadExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.reader.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.reader]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            reader: only_input(self.name(), children)?,
            stage: self.stage,
            n_rows: self.n_rows.clone(),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let n_expected = match &self.n_rows {
            Expected::Whole(n_rows) => Some(n_rows),
            Expected::Partitions(n_rows) => n_rows.get(partition),
        };
        let Some(&n_expected) = n_expected else {
            return internal_err!("stage {} has no partition {partition} to read", self.stage);
        };
        Ok(Box::pin(CountedRows {
            rows: self.reader.execute(partition, context)?,
            n_expected,
            n_read: 0,
            stage: self.stage,
            partition,
        }))
    }
}

struct CountedRows {
    rows: SendableRecordBatchStream,
    n_expected: u64,
    n_read: u64,
    stage: usize,
    partition: usize,
}

impl CountedRows {
    fn fetch_failed(&self, text: String) -> DataFusionError {
        let executor = EVERY_EXECUTOR.to_owned();
        BallistaError::FetchFailed(executor, self.stage, self.partition, text).into_datafusion()
    }

    /// A file that cannot be fetched or decoded is as good as lost.
    fn lost(&self, error: DataFusionError) -> DataFusionError {
        if is_of_reading(&error) {
            self.fetch_failed(error.to_string())
        } else {
            error
        }
    }
}

/// Whether a file or a connection failed.
fn is_of_reading(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(..) | DataFusionError::IoError(_) => true,
        DataFusionError::External(inner) => inner.downcast_ref().is_some_and(is_of_fetching),
        _ => false,
    }
}

/// Ballista reports only some of the failures of a connection as lost output: not one within the first
/// message, which it takes for a schema that cannot be read.
fn is_of_fetching(error: &BallistaError) -> bool {
    match error {
        BallistaError::ArrowError(_)
        | BallistaError::IoError(_)
        | BallistaError::TonicError(_)
        | BallistaError::GrpcError(_)
        | BallistaError::GrpcConnectionError(_)
        | BallistaError::GrpcActionError(_) => true,
        BallistaError::DataFusionError(inner) => is_of_reading(inner),
        _ => false,
    }
}

impl Stream for CountedRows {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.rows.as_mut().poll_next(cx));
        match &next {
            Some(Ok(batch)) => self.n_read += batch.num_rows() as u64,
            None if self.n_read != self.n_expected => {
                let text = format!(
                    "{} rows were read that stage {} had written, not {}: its files were changed or removed",
                    self.n_read, self.stage, self.n_expected
                );
                // Not again, should the stream be asked once more.
                self.n_expected = self.n_read;
                return Poll::Ready(Some(Err(self.fetch_failed(text))));
            }
            Some(Err(_)) | None => {}
        }
        let lost = |error| self.lost(error);
        Poll::Ready(next.map(|rows| rows.map_err(lost)))
    }
}

impl RecordBatchStream for CountedRows {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int32Array};
    use datafusion::arrow::error::ArrowError;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::TryStreamExt;

    use super::*;

    /// Reads two batches of two rows, and `end`, where `n_expected` rows were written.
    async fn read(n_expected: u64, end: Option<DataFusionError>) -> Result<Vec<RecordBatch>> {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("a", numbers)]).unwrap();
        let schema = batch.schema();
        let rows = [Ok(batch.clone()), Ok(batch)].into_iter();
        let rows = futures::stream::iter(rows.chain(end.map(Err)));
        let counted = CountedRows {
            rows: Box::pin(RecordBatchStreamAdapter::new(schema, rows)),
            n_expected,
            n_read: 0,
            stage: 3,
            partition: 1,
        };
        counted.try_collect().await
    }

    /// Who lost the output, as the scheduler is told.
    fn lost_by(error: &DataFusionError) -> Option<&str> {
        let DataFusionError::External(error) = error else {
            return None;
        };
        match error.downcast_ref::<BallistaError>() {
            Some(BallistaError::FetchFailed(executor, 3, 1, _)) => Some(executor),
            _ => None,
        }
    }

    #[tokio::test]
    async fn all_rows_or_a_lost_output() {
        assert_eq!(read(4, None).await.unwrap().len(), 2);
        for n_expected in [0, 3, 5] {
            let error = read(n_expected, None).await.unwrap_err();
            assert_eq!(lost_by(&error), Some(EVERY_EXECUTOR), "{error}");
        }
        let cut = || ArrowError::IpcError("cut off".to_owned());
        let refused = BallistaError::GrpcConnectionError("refused".to_owned());
        let ends = [
            cut().into(),
            // How Ballista tells that the connection broke within the first message.
            BallistaError::from(DataFusionError::from(cut())).into_datafusion(),
            BallistaError::DataFusionError(Box::new(cut().into())).into_datafusion(),
            refused.into_datafusion(),
        ];
        for end in ends {
            let error = read(4, Some(end)).await.unwrap_err();
            assert_eq!(lost_by(&error), Some(EVERY_EXECUTOR), "{error}");
        }
    }

    #[tokio::test]
    async fn other_errors_keep_their_kind() {
        let full = DataFusionError::ResourcesExhausted("no memory".to_owned());
        let error = read(4, Some(full)).await.unwrap_err();
        assert!(
            matches!(error, DataFusionError::ResourcesExhausted(_)),
            "{error}"
        );
    }
}
