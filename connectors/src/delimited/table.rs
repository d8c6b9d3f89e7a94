//! The table provider over delimited files.

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
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::key_filter::KeyFilter;
use super::lines::is_gzip;
use super::options::DelimitedOptions;
use super::reader::{DelimitedSource, Range, map_header, read_header};
use crate::split::{SplitScanExec, deal};

/// Smallest range worth a split of its own.
const MIN_SPLIT: u64 = 8 * 1024 * 1024;
/// Ranges per partition: enough that partitions of a few uneven files end together.
const SPLITS_PER_PARTITION: u64 = 4;
/// Guess for row counts when nothing is known: bytes of a plain and of a gzip line.
const BYTES_PER_ROW: u64 = 80;
const GZIP_BYTES_PER_ROW: u64 = 12;

/// A file of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFile {
    /// Path in its store.
    pub path: String,
    /// Size in bytes, as stored.
    pub size: u64,
}

/// Delimited files with a declared schema.
#[derive(Debug, Clone)]
pub struct DelimitedTable {
    store: ObjectStoreUrl,
    files: Vec<TextFile>,
    options: DelimitedOptions,
    declared: SchemaRef,
    schema: SchemaRef,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    store: String,
    files: Vec<TextFile>,
    options: DelimitedOptions,
    declared: Vec<(String, String)>,
}

impl DelimitedTable {
    /// A table over `files`, which are paths in the store with the root `store`.
    pub fn new(
        store: ObjectStoreUrl,
        files: Vec<TextFile>,
        options: DelimitedOptions,
        declared: SchemaRef,
    ) -> Self {
        let schema = options.table_schema(&declared);
        Self {
            store,
            files,
            options,
            declared,
            schema,
        }
    }

    /// Checks that every declared column stands in the header of the first file.
    ///
    /// # Errors
    /// Names the file, the column and what the header has.
    pub async fn check_header(&self, store: &dyn ObjectStore) -> Result<()> {
        let (true, Some(file)) = (self.options.header, self.files.first()) else {
            return Ok(());
        };
        let path = Path::parse(&file.path).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let header = read_header(store, &path, file.size).await?;
        map_header(&header, &self.declared, self.options.delimiter, &file.path).map(|_| ())
    }

    /// The table as bytes, for a plan that crosses the wire.
    ///
    /// # Errors
    /// When the recipe cannot be serialised.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let recipe = Recipe {
            store: self.store.as_str().to_owned(),
            files: self.files.clone(),
            options: self.options.clone(),
            declared: crate::codec::schema_to_names(&self.declared),
        };
        serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// Rebuilds the table from [`DelimitedTable::encode`]; does no I/O.
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let recipe: Recipe =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(Self::new(
            ObjectStoreUrl::parse(&recipe.store)?,
            recipe.files,
            recipe.options,
            crate::codec::schema_from_names(&recipe.declared)?,
        ))
    }

    fn splits(&self, n_partitions: usize) -> Result<Vec<String>> {
        let total: u64 = self.files.iter().map(|f| f.size).sum();
        let target = (total / (n_partitions as u64 * SPLITS_PER_PARTITION).max(1)).max(MIN_SPLIT);
        let mut splits = Vec::new();
        for file in &self.files {
            let whole = Path::parse(&file.path).is_ok_and(|p| is_gzip(&p));
            let n_ranges = if whole {
                1
            } else {
                file.size.div_ceil(target).max(1)
            };
            for n in 0..n_ranges {
                let range = Range {
                    path: file.path.clone(),
                    size: file.size,
                    start: file.size * n / n_ranges,
                    end: file.size * (n + 1) / n_ranges,
                };
                let text = serde_json::to_string(&range)
                    .map_err(|e| DataFusionError::External(Box::new(e)))?;
                splits.push(text);
            }
        }
        Ok(splits)
    }

    fn estimated_rows(&self) -> usize {
        let rows = self.files.iter().map(|file| {
            let gzip = Path::parse(&file.path).is_ok_and(|p| is_gzip(&p));
            file.size
                / if gzip {
                    GZIP_BYTES_PER_ROW
                } else {
                    BYTES_PER_ROW
                }
        });
        usize::try_from(rows.sum::<u64>()).unwrap_or(usize::MAX)
    }
}

#[async_trait]
impl TableProvider for DelimitedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // One filter is taken, and every row is judged by it: the plan need not ask again.
        let first = filters
            .iter()
            .position(|f| KeyFilter::of(f, &self.declared).is_some());
        let support = |index| match first {
            Some(first) if first == index => TableProviderFilterPushDown::Exact,
            _ => TableProviderFilterPushDown::Unsupported,
        };
        Ok((0..filters.len()).map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let n_partitions = state.config().target_partitions();
        let source = DelimitedSource {
            store: self.store.clone(),
            options: self.options.clone(),
            declared: Arc::clone(&self.declared),
            projection: projection
                .cloned()
                .unwrap_or_else(|| (0..self.schema.fields().len()).collect()),
            estimated_rows: Some(self.estimated_rows()),
            key_filter: filters
                .iter()
                .find_map(|f| KeyFilter::of(f, &self.declared)),
        };
        let partitions = deal(self.splits(n_partitions)?, n_partitions);
        Ok(Arc::new(SplitScanExec::try_new(
            Arc::new(source),
            &partitions,
            limit,
        )?))
    }
}
