//! The table provider over delimited files.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use super::cuts;
use super::head::{Head, map_header};
use super::key_filter::KeyFilter;
use super::options::DelimitedOptions;
use super::reader::{DelimitedSource, Range};
use crate::files::TextFile;
use crate::files::pruning::{self, is_on_partitions};
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

/// Delimited files with a declared schema.
#[derive(Debug, Clone)]
pub struct DelimitedTable {
    store: ObjectStoreUrl,
    files: Vec<TextFile>,
    options: DelimitedOptions,
    /// The columns of the files.
    declared: SchemaRef,
    /// The columns in the names of folders.
    folders: Fields,
    schema: SchemaRef,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    store: String,
    files: Vec<TextFile>,
    options: DelimitedOptions,
    declared: Vec<(String, String)>,
    folders: Vec<(String, String)>,
}

impl DelimitedTable {
    /// A table over `files`, which are paths in the store with the root `store`. The files have the
    /// columns `declared`, and their folders the values of `folders`.
    pub fn new(
        store: ObjectStoreUrl,
        files: Vec<TextFile>,
        options: DelimitedOptions,
        declared: SchemaRef,
        folders: Fields,
    ) -> Self {
        let schema = options.table_schema(&declared, &folders);
        Self {
            store,
            files,
            options,
            declared,
            folders,
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
        Head::read(file.pinned(store)?, &self.options).await
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
            folders: crate::codec::schema_to_names(&Schema::new(self.folders.clone())),
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
            crate::codec::schema_from_names(&recipe.folders)?
                .fields()
                .clone(),
        ))
    }

    /// The ranges of the files that tasks read.
    async fn splits(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: &[TextFile],
        n_partitions: usize,
    ) -> Result<Vec<String>> {
        let total: u64 = files.iter().map(TextFile::size).sum();
        let target = (total / (n_partitions as u64 * SPLITS_PER_PARTITION).max(1)).max(MIN_SPLIT);
        let ranges = |file: &TextFile| {
            let file = file.clone();
            let size = file.size();
            let n_ranges = size.div_ceil(target).max(1);
            async move {
                let cuts = (1..n_ranges).map(|n| size * n / n_ranges).collect();
                self.ranges(store, &file, cuts).await
            }
        };
        let files: Vec<_> = files.iter().map(ranges).collect();
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
        let size = file.size();
        cuts.push(size);
        let mut ranges: Vec<Range> = Vec::with_capacity(cuts.len());
        let mut start = 0;
        for end in cuts {
            // A long record leaves nothing for the ranges that begin in it. A file without bytes is
            // one range, so that it is read and may be missed.
            if end > start || (size == 0 && ranges.is_empty()) {
                ranges.push(Range {
                    file: file.clone(),
                    start,
                    end,
                });
                start = end;
            }
        }
        Ok(ranges)
    }

    /// The files whose folders pass the filters.
    fn kept(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<TextFile>> {
        let value = |file: &TextFile, index: usize| file.folders.value(index, &self.folders[index]);
        pruning::kept(state, filters, &self.folders, &self.files, value)
    }

    fn estimated_rows(files: &[TextFile]) -> usize {
        let rows = files.iter().map(|file| {
            let packed = [".gz", ".zst", ".bz2", ".xz"];
            let is_packed = packed.iter().any(|ending| file.path.ends_with(ending));
            let bytes_per_row = match is_packed {
                true => PACKED_BYTES_PER_ROW,
                false => BYTES_PER_ROW,
            };
            file.size() / bytes_per_row
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
        // One filter of keys is taken, and every row is judged by it: the plan need not ask again.
        let first = filters
            .iter()
            .position(|f| KeyFilter::of(f, &self.declared).is_some());
        let support = |(index, filter): (usize, &&Expr)| match first == Some(index)
            || is_on_partitions(filter, &self.folders)
        {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().enumerate().map(support).collect())
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
        let source = DelimitedSource {
            store: self.store.clone(),
            options: self.options.clone(),
            declared: Arc::clone(&self.declared),
            folders: self.folders.clone(),
            projection: projection
                .cloned()
                .unwrap_or_else(|| (0..self.schema.fields().len()).collect()),
            estimated_rows: Some(Self::estimated_rows(&files)),
            key_filter: filters
                .iter()
                .find_map(|f| KeyFilter::of(f, &self.declared)),
        };
        let store = state.runtime_env().object_store(&self.store)?;
        let partitions = deal(
            self.splits(&store, &files, n_partitions).await?,
            n_partitions,
        );
        Ok(Arc::new(SplitScanExec::try_new(
            Arc::new(source),
            &partitions,
            limit,
        )?))
    }
}
