//! Rows of whole numbers, such as `generate_series(1, 20000000)`: made where they are read, so that a plan
//! holds where they begin and end instead of all of them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use serde::{Deserialize, Serialize};

use crate::split::{SplitScanExec, SplitSource};

/// The tag of the messages.
pub const SOURCE_KIND: &str = "series";
/// Fewest numbers that are worth a partition.
const MIN_SPLIT: u64 = 65_536;

/// `n_values` numbers from `first` on, `step` apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The first number.
    pub first: i64,
    /// From one to the next.
    pub step: i64,
    /// How many there are.
    pub n_values: u64,
}

impl Series {
    /// The numbers from `first` to `last`, or to the one before it.
    pub fn new(first: i64, last: i64, step: i64, end: End) -> Self {
        let distance = match step > 0 {
            true => i128::from(last) - i128::from(first),
            false => i128::from(first) - i128::from(last),
        };
        let distance = match end {
            End::Included => distance,
            End::Excluded => distance - 1,
        };
        let steps = distance.checked_div(i128::from(step).abs());
        let n_values = match (distance >= 0, steps) {
            (true, Some(steps)) => u64::try_from(steps + 1).unwrap_or(u64::MAX),
            _ => 0,
        };
        Self {
            first,
            step,
            n_values,
        }
    }

    fn at(&self, index: u64) -> Option<i64> {
        let value = i128::from(self.first) + i128::from(self.step) * i128::from(index);
        value.try_into().ok()
    }
}

/// Whether the last number belongs to a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It does.
    Included,
    /// It does not.
    Excluded,
}

/// A table of one column, `value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesTable {
    series: Series,
    schema: SchemaRef,
}

impl SeriesTable {
    /// The table of a series.
    pub fn new(series: Series) -> Self {
        let field = Field::new("value", DataType::Int64, false);
        let schema = Arc::new(Schema::new(vec![field]));
        Self { series, schema }
    }

    /// The recipe.
    ///
    /// # Errors
    /// When it cannot be serialised.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.series).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// Rebuilds the table.
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let series =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(Self::new(series))
    }
}

#[async_trait]
impl TableProvider for SeriesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let n_values = self.series.n_values;
        let n_partitions = u64::try_from(state.config().target_partitions()).unwrap_or(1);
        let size = n_values.div_ceil(n_partitions.max(1)).max(MIN_SPLIT);
        let mut partitions = Vec::new();
        let mut at = 0;
        while at < n_values {
            let end = at.saturating_add(size).min(n_values);
            partitions.push(vec![format!("{at}-{end}")]);
            at = end;
        }
        if partitions.is_empty() {
            partitions.push(Vec::new());
        }
        let source = Arc::new(SeriesSource {
            series: self.series.clone(),
            schema,
        });
        Ok(Arc::new(SplitScanExec::try_new(
            source,
            &partitions,
            limit,
        )?))
    }
}

/// Makes the numbers.
#[derive(Debug)]
pub struct SeriesSource {
    series: Series,
    /// The column, or none where only rows are counted.
    schema: SchemaRef,
}

impl SeriesSource {
    /// Rebuilds the source of a recipe.
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (series, has_column): (Series, bool) =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let table = SeriesTable::new(series);
        let schema = match has_column {
            true => table.schema,
            false => Arc::new(Schema::empty()),
        };
        Ok(Self {
            series: table.series,
            schema,
        })
    }
}

impl SplitSource for SeriesSource {
    fn kind(&self) -> &'static str {
        SOURCE_KIND
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let recipe = (&self.series, !self.schema.fields().is_empty());
        serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        let Series {
            first,
            step,
            n_values,
        } = self.series;
        format!("series of {n_values} from {first} by {step}")
    }

    fn estimated_rows(&self) -> Option<usize> {
        self.series.n_values.try_into().ok()
    }

    fn open(
        &self,
        descriptor: &str,
        limit: Option<usize>,
        context: Arc<TaskContext>,
        _: &Count,
    ) -> Result<SendableRecordBatchStream> {
        let range = descriptor.split_once('-');
        let range = range.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        let (from, to): (u64, u64) =
            range.ok_or_else(|| exec_datafusion_err!("`{descriptor}` is no part of a series"))?;
        let most = limit.and_then(|limit| u64::try_from(limit).ok());
        let to = most.map_or(to, |most| to.min(from.saturating_add(most)));
        let n_rows = context.session_config().batch_size();
        let (series, schema) = (self.series.clone(), Arc::clone(&self.schema));
        let step = u64::try_from(n_rows.max(1)).unwrap_or(u64::MAX);
        let mut at = from;
        let batches = std::iter::from_fn(move || {
            let range = at..at.saturating_add(step).min(to);
            at = range.end;
            (!range.is_empty()).then(|| batch(&series, &schema, range))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            futures::stream::iter(batches),
        )))
    }
}

fn batch(series: &Series, schema: &SchemaRef, range: std::ops::Range<u64>) -> Result<RecordBatch> {
    let n_rows = usize::try_from(range.end - range.start).ok();
    let options = RecordBatchOptions::new().with_row_count(n_rows);
    let columns: Vec<ArrayRef> = match schema.fields().is_empty() {
        true => Vec::new(),
        false => {
            let values = range.map(|index| series.at(index));
            vec![Arc::new(values.collect::<Int64Array>())]
        }
    };
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(first: i64, last: i64, step: i64, end: End) -> Vec<i64> {
        let series = Series::new(first, last, step, end);
        (0..series.n_values).filter_map(|i| series.at(i)).collect()
    }

    #[test]
    fn a_series_ends_where_it_should() {
        assert_eq!(values(1, 4, 1, End::Included), [1, 2, 3, 4]);
        assert_eq!(values(1, 4, 1, End::Excluded), [1, 2, 3]);
        assert_eq!(values(1, 6, 2, End::Included), [1, 3, 5]);
        assert_eq!(values(1, 5, 2, End::Excluded), [1, 3]);
        assert_eq!(values(5, 1, -2, End::Included), [5, 3, 1]);
        assert_eq!(values(5, 1, -2, End::Excluded), [5, 3]);
        assert_eq!(values(5, 1, 1, End::Included), [] as [i64; 0]);
        assert_eq!(values(3, 3, 1, End::Excluded), [] as [i64; 0]);
        assert_eq!(values(3, 3, -1, End::Included), [3]);
        let all = Series::new(i64::MIN, i64::MAX, 1 << 62, End::Included);
        assert_eq!((all.n_values, all.at(3)), (4, Some(1 << 62)));
    }
}
