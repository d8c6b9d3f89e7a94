//! The scan of Parquet files: DataFusion's, of the files as they were listed.
//!
//! [`PinnedSource`] is DataFusion's source of Parquet with three things of ours: a reader that reads
//! one version of a file, footers that hold what is certain only, and casts that keep values. DataFusion
//! does not send any of them, so the source goes over the wire as a message of ours around
//! DataFusion's, and whoever takes it from there has all three again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileMetrics;
use datafusion::datasource::physical_plan::{
    FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetFileReaderFactory,
    ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::proto::ExecutionPlanEncodeCtx;
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use datafusion_datasource::morsel::Morselizer;
use datafusion_proto::protobuf::physical_plan_node::PhysicalPlanType;
use datafusion_proto::protobuf::{PhysicalExtensionNode, PhysicalPlanNode};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore};

use super::adapter::ExactAdapters;
use super::footers::Footers;
use super::named::NamedFiles;
use super::pinned::PinnedFile;
use super::version::FileVersion;

/// Entity tags of files by their paths. DataFusion sends size and time of a file, but not its tag.
pub(crate) type Tags = BTreeMap<String, String>;

/// Parquet files as they were listed.
#[derive(Clone)]
pub(super) struct PinnedSource {
    inner: ParquetSource,
    tags: Arc<Tags>,
    footers: Footers,
}

impl PinnedSource {
    pub(super) fn new(inner: ParquetSource, tags: Arc<Tags>, footers: Footers) -> Self {
        Self {
            inner,
            tags,
            footers,
        }
    }

    /// DataFusion's scan as one of ours: what came over the wire.
    pub(super) fn around(
        scan: &Arc<dyn ExecutionPlan>,
        tags: Tags,
        footers: Footers,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = scan.downcast_ref::<DataSourceExec>();
        let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let Some(config) = config else {
            return internal_err!("a scan of files is around something else");
        };
        let Some(inner) = config.file_source().downcast_ref::<ParquetSource>() else {
            return internal_err!("a scan of files is not one of Parquet");
        };
        let source = Self::new(inner.clone(), Arc::new(tags), footers);
        let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source));
        Ok(DataSourceExec::from_data_source(config.build()))
    }

    fn again(&self, inner: &Arc<dyn FileSource>) -> Result<Arc<dyn FileSource>> {
        match inner.downcast_ref::<ParquetSource>() {
            Some(inner) => Ok(Arc::new(Self {
                inner: inner.clone(),
                ..self.clone()
            })),
            None => internal_err!("a source of Parquet became another one"),
        }
    }
}

impl FileSource for PinnedSource {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        internal_err!("Parquet files are read in morsels")
    }

    fn create_morselizer(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let readers = PinnedReaders {
            store: Arc::clone(&store),
            url: config.object_store_url.clone(),
            tags: Arc::clone(&self.tags),
            footers: self.footers.clone(),
        };
        let mut config = config.clone();
        config.expr_adapter_factory = Some(Arc::new(ExactAdapters));
        let source = self.inner.clone();
        let source = source.with_parquet_file_reader_factory(Arc::new(readers));
        let files = source.create_morselizer(store, &config, partition)?;
        Ok(Box::new(NamedFiles(files)))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        let inner = self.inner.with_batch_size(batch_size);
        match self.again(&inner) {
            Ok(source) => source,
            Err(_) => Arc::new(self.clone()),
        }
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.inner.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        self.inner.file_type()
    }

    fn fmt_extra(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_extra(kind, f)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let pushed = self.inner.try_pushdown_filters(filters, config)?;
        let updated_node = match pushed.updated_node {
            Some(inner) => Some(self.again(&inner)?),
            None => None,
        };
        Ok(FilterPushdownPropagation {
            filters: pushed.filters,
            updated_node,
        })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        Ok(match self.inner.try_pushdown_sort(order, properties)? {
            SortOrderPushdownResult::Exact { inner } => SortOrderPushdownResult::Exact {
                inner: self.again(&inner)?,
            },
            SortOrderPushdownResult::Inexact { inner } => SortOrderPushdownResult::Inexact {
                inner: self.again(&inner)?,
            },
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.inner.reorder_files(files)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        match self.inner.try_pushdown_projection(projection)? {
            Some(inner) => self.again(&inner).map(Some),
            None => Ok(None),
        }
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(visit)
    }

    fn try_to_proto(
        &self,
        base: &FileScanConfig,
        context: &ExecutionPlanEncodeCtx<'_>,
    ) -> Result<Option<PhysicalPlanNode>> {
        let Some(scan) = self.inner.try_to_proto(base, context)? else {
            return internal_err!("a scan of Parquet has no message");
        };
        let files = base.file_groups.iter().flat_map(|group| group.iter());
        let tags = files.filter_map(|file| {
            let path = file.object_meta.location.as_ref();
            Some((path.to_owned(), self.tags.get(path)?.clone()))
        });
        let node = crate::codec::pinned_scan(tags.collect())?;
        let around = PhysicalExtensionNode {
            node,
            inputs: vec![scan],
        };
        Ok(Some(PhysicalPlanNode {
            physical_plan_type: Some(PhysicalPlanType::Extension(around)),
        }))
    }
}

/// Opens files as they were listed.
#[derive(Debug)]
struct PinnedReaders {
    store: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
    tags: Arc<Tags>,
    footers: Footers,
}

impl ParquetFileReaderFactory for PinnedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let mut meta = file.object_meta;
        let path = meta.location.as_ref();
        meta.e_tag = self.tags.get(path).cloned();
        Ok(Box::new(PinnedReader {
            metrics: ParquetFileMetrics::new(partition, path, metrics),
            file: PinnedFile::new(
                Arc::clone(&self.store),
                meta.location.clone(),
                FileVersion::of(&meta),
            ),
            url: self.url.clone(),
            footers: self.footers.clone(),
            meta,
        }))
    }
}

struct PinnedReader {
    file: PinnedFile,
    meta: ObjectMeta,
    url: ObjectStoreUrl,
    footers: Footers,
    metrics: ParquetFileMetrics,
}

impl PinnedReader {
    fn count(&self, ranges: &[Range<u64>]) {
        let bytes: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.metrics.bytes_scanned.add(bytes);
    }
}

impl AsyncFileReader for PinnedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let ranges = [range];
            self.count(&ranges);
            let mut pieces = self.file.read(&ranges).await?;
            pieces
                .pop()
                .ok_or_else(|| ParquetError::General("nothing was read".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            self.count(&ranges);
            Ok(self.file.read(&ranges).await?)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let pages = options.map_or(
            PageIndexPolicy::Skip,
            ArrowReaderOptions::column_index_policy,
        );
        async move {
            let footer = self.footers.read(&self.url, &self.file, &self.meta, pages);
            footer.await
        }
        .boxed()
    }
}
