//! The shared base of all connectors that bring their own scan.
//!
//! Ballista cuts a stage into tasks by keeping, for each task, only its slice of the leaf's
//! partitions. It can do so for its shuffle readers and for file and memory sources; a custom leaf
//! is left whole, so that every task would read all of it and rows would be doubled. A connector
//! therefore is no leaf: [`SplitScanExec`] is a unary node over a memory source whose rows describe
//! the splits. Ballista restricts the memory source, and the node reads whatever descriptors it
//! gets.
//!
//! ```text
//!   SplitScanExec: source=…          executes a SplitSource for each descriptor of a partition
//!     DataSourceExec: memory         N partitions × descriptor rows; restricted per task
//! ```

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics, plan_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt};

use crate::estimated::EstimatedExec;
use crate::nodes::{only_input, usual_methods};

/// What a connector implements to be read in parallel: how one split becomes rows.
///
/// A source is a recipe. It crosses the wire inside a plan, so it holds no connection and no
/// secret; [`SplitSource::open`] connects on the executor.
pub trait SplitSource: fmt::Debug + Send + Sync + Any {
    /// The tag under which the codec finds the decoder of this source.
    fn kind(&self) -> &'static str;

    /// The recipe as bytes.
    ///
    /// # Errors
    /// When the recipe cannot be serialised.
    fn encode(&self) -> Result<Vec<u8>>;

    /// Schema of the rows, after projection.
    fn schema(&self) -> SchemaRef;

    /// One line for `EXPLAIN`.
    fn describe(&self) -> String;

    /// Estimated number of rows of all splits together.
    fn estimated_rows(&self) -> Option<usize> {
        None
    }

    /// Reads the split that `descriptor` describes; `limit` is an upper bound of the rows that will
    /// be taken. Rows that are left out because they are malformed are counted in `n_skipped`.
    ///
    /// # Errors
    /// `IoError` for transient faults (Ballista retries the task), any other for permanent ones.
    fn open(
        &self,
        descriptor: &str,
        limit: Option<usize>,
        context: Arc<TaskContext>,
        n_skipped: &Count,
    ) -> Result<SendableRecordBatchStream>;
}

/// Sources whose splits have the same rows each time that they are read during a query: files that are
/// checked against the list of the query, and series.
const FIXED: [&str; 3] = [
    crate::delimited::SOURCE_KIND,
    crate::json::SOURCE_KIND,
    crate::series::SOURCE_KIND,
];

/// Whether `node` reads rows that cannot change during a query, or is a part of such a scan.
pub fn is_fixed_scan(node: &Arc<dyn ExecutionPlan>) -> bool {
    match node.downcast_ref::<SplitScanExec>() {
        Some(scan) => scan.limit.is_none() && FIXED.contains(&scan.source.kind()),
        None => node.is::<EstimatedExec>() || is_whole_source(node),
    }
}

/// Whether it is a scan of files or of rows in the plan, and has no limit.
fn is_whole_source(node: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(scan) = node.downcast_ref::<DataSourceExec>() else {
        return false;
    };
    let source: &dyn Any = scan.data_source().as_ref();
    match source.downcast_ref::<FileScanConfig>() {
        Some(files) => files.limit.is_none(),
        None => source.is::<MemorySourceConfig>(),
    }
}

/// Name of the only column of the descriptor table.
const DESCRIPTOR: &str = "split";

/// Reads a [`SplitSource`], partition by partition.
#[derive(Debug)]
pub struct SplitScanExec {
    source: Arc<dyn SplitSource>,
    splits: Arc<dyn ExecutionPlan>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SplitScanExec {
    /// A scan with one partition for each element of `partitions`; an element holds the descriptors
    /// of the splits that the partition reads one after another.
    ///
    /// # Errors
    /// When the descriptor table cannot be built.
    pub fn try_new(
        source: Arc<dyn SplitSource>,
        partitions: &[Vec<String>],
        limit: Option<usize>,
    ) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![Field::new(
            DESCRIPTOR,
            DataType::Utf8,
            false,
        )]));
        let batches = partitions
            .iter()
            .map(|descriptors| {
                let column: ArrayRef = Arc::new(StringArray::from_iter_values(descriptors));
                Ok(vec![RecordBatch::try_new(
                    Arc::clone(&schema),
                    vec![column],
                )?])
            })
            .collect::<Result<Vec<_>>>()?;
        let splits = MemorySourceConfig::try_new(&batches, schema, None)?;
        Ok(Self::over(
            source,
            DataSourceExec::from_data_source(splits),
            limit,
        ))
    }

    /// A scan over an existing descriptor plan, as the codec rebuilds it.
    pub fn over(
        source: Arc<dyn SplitSource>,
        splits: Arc<dyn ExecutionPlan>,
        limit: Option<usize>,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(source.schema()),
            Partitioning::UnknownPartitioning(splits.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self {
            source,
            splits,
            limit,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The recipe.
    pub fn source(&self) -> &Arc<dyn SplitSource> {
        &self.source
    }

    /// Upper bound of the rows that each partition needs to yield.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }
}

impl DisplayAs for SplitScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SplitScanExec: {}", self.source.describe())?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for SplitScanExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "SplitScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.splits]
    }

    // A repartition between the descriptors and the scan would only cost a stage.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // The partition count is that of the new child: this is what makes the restriction
        // of a task's slice reach the scan.
        let splits = only_input(self.name(), children)?;
        let source = Arc::clone(&self.source);
        Ok(Arc::new(Self::over(source, splits, self.limit)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let descriptors = self.splits.execute(partition, Arc::clone(&context))?;
        let source = Arc::clone(&self.source);
        let limit = self.limit;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let n_skipped = MetricBuilder::new(&self.metrics).counter("rows_skipped", partition);
        let rows = descriptors
            .map(|batch| descriptors_of(&batch?))
            .map_ok(|descriptors| futures::stream::iter(descriptors.into_iter().map(Ok)))
            .try_flatten()
            .map(move |descriptor: Result<String>| {
                source.open(&descriptor?, limit, Arc::clone(&context), &n_skipped)
            })
            .try_flatten()
            .inspect_ok(move |batch| metrics.output_rows().add(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.source.schema(),
            rows,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.source.schema());
        if let (Some(rows), None) = (self.source.estimated_rows(), args.partition()) {
            statistics.num_rows = Precision::Inexact(rows);
        }
        Ok(Arc::new(statistics))
    }
}

fn descriptors_of(batch: &RecordBatch) -> Result<Vec<String>> {
    let column = batch
        .column_by_name(DESCRIPTOR)
        .and_then(|column| column.as_any().downcast_ref::<StringArray>())
        .ok_or_else(|| {
            DataFusionError::Internal("split descriptors are not a text column".to_owned())
        })?;
    Ok(column.iter().flatten().map(str::to_owned).collect())
}

/// Checks that a projection from a message is one of the columns.
///
/// # Errors
/// Where it has a column that is not there.
pub(crate) fn check_projection(projection: &[usize], columns: &Schema) -> Result<()> {
    let n_columns = columns.fields().len();
    match projection.iter().find(|index| **index >= n_columns) {
        None => Ok(()),
        Some(index) => plan_err!("a scan takes the column {index} of a table of {n_columns}"),
    }
}

/// Deals `splits` out to at most `n_partitions` partitions, in order and evenly by count.
pub fn deal(splits: Vec<String>, n_partitions: usize) -> Vec<Vec<String>> {
    let n_partitions = n_partitions.clamp(1, splits.len().max(1));
    let mut partitions = vec![Vec::new(); n_partitions];
    for (index, split) in splits.into_iter().enumerate() {
        partitions[index % n_partitions].push(split);
    }
    partitions
}
