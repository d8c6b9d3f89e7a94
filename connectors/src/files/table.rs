//! The table over Parquet files: listed once, where the query is planned.
//!
//! The table holds what every process needs to know of its files: path, size, time, values of
//! partitions, columns and statistics. It travels whole, so neither the scheduler nor an executor lists
//! a folder, and what they cannot see is an error and not an empty table.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{Result, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_proto::protobuf;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::footers::Footers;
use super::pruning::{self, is_on_partitions};
use super::source::{PinnedSource, Tags};
use super::statistics;
use crate::base64_text;
use crate::location::store_of;

/// The tag under which the codec finds the decoder of this table.
pub(crate) const SOURCE_KIND: &str = "files";

/// Parquet files as one table.
#[derive(Debug, Clone)]
pub struct FilesTable {
    store: ObjectStoreUrl,
    files: Arc<Vec<ListedFile>>,
    /// Of all files together.
    statistics: Arc<Statistics>,
    /// The columns in the files.
    columns: SchemaRef,
    /// The columns in the names of folders.
    partitions: Fields,
    /// All columns.
    schema: SchemaRef,
}

/// A file of a table.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    /// With the values of partitions.
    pub(super) file: PartitionedFile,
    /// Rows in it.
    pub(super) rows: usize,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    store: String,
    files: Vec<FileRecipe>,
    /// DataFusion has a message for those of a file.
    #[serde(with = "base64_text")]
    statistics: Vec<u8>,
    #[serde(with = "base64_text")]
    columns: Vec<u8>,
    #[serde(with = "base64_text")]
    partitions: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct FileRecipe {
    #[serde(with = "base64_text")]
    file: Vec<u8>,
    rows: usize,
    tag: Option<String>,
}

impl FilesTable {
    /// A table of files whose `columns` may differ in order and type and be missing.
    pub(super) fn new(
        store: ObjectStoreUrl,
        files: Vec<ListedFile>,
        statistics: Statistics,
        columns: SchemaRef,
        partitions: Fields,
    ) -> Self {
        let all = columns.fields().iter().chain(&partitions).cloned();
        let schema = Arc::new(Schema::new(all.collect::<Fields>()));
        Self {
            store,
            files: Arc::new(files),
            statistics: Arc::new(statistics),
            columns,
            partitions,
            schema,
        }
    }

    /// The table as bytes, for a plan that crosses the wire.
    ///
    /// # Errors
    /// When the recipe cannot be serialised.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let files = self.files.iter().map(|listed| {
            Ok(FileRecipe {
                file: protobuf::PartitionedFile::try_from(&listed.file)?.encode_to_vec(),
                rows: listed.rows,
                tag: listed.file.object_meta.e_tag.clone(),
            })
        });
        let mut all = PartitionedFile::new("", 0);
        all.statistics = Some(Arc::clone(&self.statistics));
        let partitions = Schema::new(self.partitions.clone());
        let recipe = Recipe {
            store: self.store.as_str().to_owned(),
            files: files.collect::<Result<_>>()?,
            statistics: protobuf::PartitionedFile::try_from(&all)?.encode_to_vec(),
            columns: protobuf::Schema::try_from(self.columns.as_ref())?.encode_to_vec(),
            partitions: protobuf::Schema::try_from(&partitions)?.encode_to_vec(),
        };
        serde_json::to_vec(&recipe).map_err(external)
    }

    /// Rebuilds the table from [`FilesTable::encode`]; does no I/O.
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let recipe: Recipe = serde_json::from_slice(bytes).map_err(external)?;
        let schema = |bytes: &[u8]| -> Result<Schema> {
            let schema = protobuf::Schema::decode(bytes).map_err(external)?;
            Ok(Schema::try_from(&schema)?)
        };
        let file = |bytes: &[u8]| -> Result<PartitionedFile> {
            let file = protobuf::PartitionedFile::decode(bytes).map_err(external)?;
            PartitionedFile::try_from(&file)
        };
        let files = recipe.files.iter().map(|recipe| {
            let mut file = file(&recipe.file)?;
            file.object_meta.e_tag.clone_from(&recipe.tag);
            Ok(ListedFile {
                file,
                rows: recipe.rows,
            })
        });
        let files = files.collect::<Result<_>>()?;
        let columns = Arc::new(schema(&recipe.columns)?);
        let statistics = file(&recipe.statistics)?.statistics;
        let unknown = || Statistics::new_unknown(&columns);
        Ok(Self::new(
            store_of(&recipe.store)?,
            files,
            statistics.map_or_else(unknown, Arc::unwrap_or_clone),
            Arc::clone(&columns),
            schema(&recipe.partitions)?.fields,
        ))
    }

    /// The files whose folders pass the filters.
    fn kept(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<ListedFile>> {
        pruning::kept(
            state,
            filters,
            &self.partitions,
            &self.files,
            |listed, index| {
                let value = listed.file.partition_values.get(index).cloned();
                value.ok_or_else(|| {
                    DataFusionError::Internal("a file has too few values".to_owned())
                })
            },
        )
    }
}

#[async_trait]
impl TableProvider for FilesTable {
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
        let support = |filter: &&Expr| match is_on_partitions(filter, &self.partitions) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
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
        let files = self.kept(state, filters)?;
        if files.is_empty() {
            let schema = project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let rows = files.iter().map(|listed| listed.rows).sum();
        let statistics = statistics::of_part(&self.statistics, rows, &self.schema);
        let files: Vec<_> = files.into_iter().map(|listed| listed.file).collect();
        let tags = files.iter().filter_map(|file| {
            let tag = file.object_meta.e_tag.clone()?;
            Some((file.object_meta.location.to_string(), tag))
        });
        let tags: Arc<Tags> = Arc::new(tags.collect::<BTreeMap<_, _>>());
        let columns = TableSchema::builder(Arc::clone(&self.columns))
            .with_table_partition_cols(self.partitions.clone())
            .build();
        let mut options = TableParquetOptions::default();
        options.global.coerce_int96 = Some("us".to_owned());
        let scan = ParquetSource::new(columns).with_table_parquet_options(options);
        let footers = Footers::new(state.runtime_env().cache_manager.get_file_metadata_cache());
        let source = PinnedSource::new(scan, tags, footers);
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
