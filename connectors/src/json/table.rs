//! The table provider over JSON files.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use super::reader::{JsonFile, JsonSource, Range};
use super::schema::Columns;
use crate::files::pruning::{self, is_on_partitions};
use crate::location::store_of;
use crate::split::{SplitScanExec, deal};

/// Smallest range worth a separate split.
pub(super) const MIN_SPLIT: u64 = 8 * 1024 * 1024;
/// Ranges per partition: enough that partitions of a few uneven files end together.
const SPLITS_PER_PARTITION: u64 = 4;
/// Guess for row counts when nothing is known: bytes of a plain and of a compressed line.
const BYTES_PER_ROW: u64 = 150;
const PACKED_BYTES_PER_ROW: u64 = 20;

/// JSON files with known columns.
#[derive(Debug, Clone)]
pub struct JsonTable {
    store: ObjectStoreUrl,
    files: Vec<JsonFile>,
    columns: Columns,
    /// Rows of all files, where they were counted.
    n_rows: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    store: String,
    files: Vec<JsonFile>,
    columns: Columns,
    n_rows: Option<u64>,
}

impl JsonTable {
    /// A table over `files`, which are paths in the store with the root `store`.
    pub fn new(
        store: ObjectStoreUrl,
        files: Vec<JsonFile>,
        columns: Columns,
        n_rows: Option<u64>,
    ) -> Self {
        Self {
            store,
            files,
            columns,
            n_rows,
        }
    }

    /// The table as bytes, for a plan that crosses the wire.
    ///
    /// # Errors
    /// When the recipe cannot be serialised.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let recipe = Recipe {
            store: self.store.as_str().to_owned(),
            files: self.files.clone(),
            columns: self.columns.clone(),
            n_rows: self.n_rows,
        };
        serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// Rebuilds the table from [`JsonTable::encode`]; does no I/O.
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let recipe: Recipe =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(Self::new(
            store_of(&recipe.store)?,
            recipe.files,
            recipe.columns,
            recipe.n_rows,
        ))
    }

    /// The files whose folders pass the filters.
    fn kept(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<JsonFile>> {
        let folders = self.columns.folders();
        let value = |file: &JsonFile, index: usize| file.file.folders.value(index, &folders[index]);
        pruning::kept(state, filters, folders, &self.files, value)
    }

    fn estimated_rows(&self, files: &[JsonFile]) -> usize {
        let bytes = |files: &[JsonFile]| files.iter().map(|file| file.file.size()).sum::<u64>();
        let rows = match self.n_rows {
            // The share of the rows that the share of the bytes has.
            Some(n) => {
                let share = u128::from(bytes(files)) * u128::from(n);
                let share = share / u128::from(bytes(&self.files).max(1));
                u64::try_from(share).unwrap_or(n)
            }
            None => files
                .iter()
                .map(|JsonFile { file, .. }| {
                    match file.path.ends_with('z') || file.path.ends_with("zst") {
                        true => file.size() / PACKED_BYTES_PER_ROW,
                        false => file.size() / BYTES_PER_ROW,
                    }
                })
                .sum(),
        };
        usize::try_from(rows).unwrap_or(usize::MAX)
    }
}

/// The byte ranges that `files` are read in by `n_partitions`.
pub(super) fn ranges(files: &[JsonFile], n_partitions: usize) -> Vec<Range> {
    let total: u64 = files.iter().map(|f| f.file.size()).sum();
    let target = (total / (n_partitions as u64 * SPLITS_PER_PARTITION).max(1)).max(MIN_SPLIT);
    let mut ranges = Vec::new();
    for file in files {
        let size = file.file.size();
        let n_ranges = match file.is_one_piece {
            true => 1,
            false => size.div_ceil(target).max(1),
        };
        ranges.extend((0..n_ranges).map(|n| Range {
            file: file.clone(),
            start: size * n / n_ranges,
            end: size * (n + 1) / n_ranges,
        }));
    }
    ranges
}

#[async_trait]
impl TableProvider for JsonTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match is_on_partitions(filter, self.columns.folders()) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let n_partitions = state.config().target_partitions();
        let files = self.kept(state, filters)?;
        let source = JsonSource {
            store: self.store.clone(),
            columns: self.columns.clone(),
            projection: projection
                .cloned()
                .unwrap_or_else(|| (0..self.columns.schema().fields().len()).collect()),
            estimated_rows: Some(self.estimated_rows(&files)),
        };
        let splits = ranges(&files, n_partitions)
            .iter()
            .map(|range| {
                serde_json::to_string(range).map_err(|e| DataFusionError::External(Box::new(e)))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(SplitScanExec::try_new(
            Arc::new(source),
            &deal(splits, n_partitions),
            limit,
        )?))
    }
}
