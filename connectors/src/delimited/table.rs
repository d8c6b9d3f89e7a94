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
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::cuts;
use super::head::{Head, map_header};
use super::key_filter::KeyFilter;
use super::options::DelimitedOptions;
use super::reader::{DelimitedSource, Range};
use crate::split::{SplitScanExec, deal};

/// Smallest range worth a separate split.
const MIN_SPLIT: u64 = 8 * 1024 * 1024;
/// Ranges per partition: enough that partitions of a few uneven files end together.
const SPLITS_PER_PARTITION: u64 = 4;
/// Guess for row counts when nothing is known: bytes of a plain and of a packed line.
const BYTES_PER_ROW: u64 = 80;
const PACKED_BYTES_PER_ROW: u64 = 12;
/// Files that are looked at at a time while a scan is planned.
const N_FILES: usize = 8;
/// Files whose headers are checked before anything starts. Those of the others are checked when they
/// are read.
const MAX_CHECKED: usize = 512;

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

    /// Checks that every declared column stands in the header of every file.
    ///
    /// # Errors
    /// Names the file, the column and what the header has.
    pub async fn check_headers(&self, store: &Arc<dyn ObjectStore>) -> Result<()> {
        if !self.options.header {
            return Ok(());
        }
        let check = |file: &TextFile| {
            let file = file.clone();
            async move {
                let head = self.head(store, &file).await?;
                match &head.names {
                    Some(names) => map_header(names, &self.declared, &file.path).map(|_| ()),
                    None => Ok(()),
                }
            }
        };
        let files: Vec<_> = self.files.iter().take(MAX_CHECKED).map(check).collect();
        let checks = futures::stream::iter(files).buffered(N_FILES);
        checks.try_collect::<Vec<_>>().await.map(|_| ())
    }

    async fn head(&self, store: &Arc<dyn ObjectStore>, file: &TextFile) -> Result<Head> {
        let path = Path::parse(&file.path).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Head::read(store, &path, file.size, &self.options).await
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

    /// The ranges that tasks read.
    async fn splits(
        &self,
        store: &Arc<dyn ObjectStore>,
        n_partitions: usize,
    ) -> Result<Vec<String>> {
        let total: u64 = self.files.iter().map(|f| f.size).sum();
        let target = (total / (n_partitions as u64 * SPLITS_PER_PARTITION).max(1)).max(MIN_SPLIT);
        let ranges = |file: &TextFile| {
            let file = file.clone();
            let n_ranges = file.size.div_ceil(target).max(1);
            async move {
                let cuts = (1..n_ranges).map(|n| file.size * n / n_ranges).collect();
                self.ranges(store, &file, cuts).await
            }
        };
        let files: Vec<_> = self.files.iter().map(ranges).collect();
        let ranges: Vec<_> = futures::stream::iter(files)
            .buffered(N_FILES)
            .try_collect()
            .await?;
        let text = |range: Range| {
            serde_json::to_string(&range).map_err(|e| DataFusionError::External(Box::new(e)))
        };
        ranges.into_iter().flatten().map(text).collect()
    }

    /// The file in ranges that are cut at about `cuts`; as a whole where it cannot be cut.
    pub(super) async fn ranges(
        &self,
        store: &Arc<dyn ObjectStore>,
        file: &TextFile,
        mut cuts: Vec<u64>,
    ) -> Result<Vec<Range>> {
        if !cuts.is_empty() {
            let head = self.head(store, file).await?;
            let dialect = self.options.dialect(&file.path);
            if !head.text.is_plain {
                cuts.clear();
            } else if dialect.spanning_quote().is_some() {
                let starts = cuts::record_starts(self.store.as_str(), &head, dialect, cuts).await?;
                cuts = starts.to_vec();
            }
        }
        cuts.push(file.size);
        let mut ranges: Vec<Range> = Vec::with_capacity(cuts.len());
        let mut start = 0;
        for end in cuts {
            // A long record leaves nothing for the ranges that begin in it. A file without bytes is
            // one range, so that it is read and may be missed.
            if end > start || (file.size == 0 && ranges.is_empty()) {
                ranges.push(Range {
                    path: file.path.clone(),
                    size: file.size,
                    start,
                    end,
                });
                start = end;
            }
        }
        Ok(ranges)
    }

    fn estimated_rows(&self) -> usize {
        let rows = self.files.iter().map(|file| {
            let packed = [".gz", ".zst", ".bz2", ".xz"];
            let is_packed = packed.iter().any(|ending| file.path.ends_with(ending));
            let bytes_per_row = match is_packed {
                true => PACKED_BYTES_PER_ROW,
                false => BYTES_PER_ROW,
            };
            file.size / bytes_per_row
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
        let store = state.runtime_env().object_store(&self.store)?;
        let partitions = deal(self.splits(&store, n_partitions).await?, n_partitions);
        Ok(Arc::new(SplitScanExec::try_new(
            Arc::new(source),
            &partitions,
            limit,
        )?))
    }
}
