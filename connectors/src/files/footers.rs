//! Footers of Parquet files: read once per version of a file, and kept for a while.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::{Schema, TimeUnit};
use datafusion::datasource::physical_plan::parquet::{CachedParquetMetaData, Int96Coercer};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::parquet::arrow::async_reader::MetadataFetch;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::hints::{arrow_schema, with_plain_types};
use super::pinned::PinnedFile;
use super::trusted::trusted;

/// How much of the end of a file is read at first: the footer of most files.
const FIRST_READ: usize = 64 * 1024;

/// Unit of old timestamps (`INT96`). In nanoseconds, as they are stored, the years before 1677 and
/// after 2262 would become others.
pub(super) const OLD_TIMESTAMP_UNIT: TimeUnit = TimeUnit::Microsecond;

/// The footers that a process keeps: the cache of its runtime, which is bounded by its bytes.
///
/// A key names the version of a file, so an entry cannot be of another one.
#[derive(Debug, Clone)]
pub(super) struct Footers {
    cache: Arc<FileMetadataCache>,
}

impl Footers {
    pub(super) fn new(cache: Arc<FileMetadataCache>) -> Self {
        Self { cache }
    }

    /// The footer of the file, without what cannot be relied on.
    pub(super) async fn read(
        &self,
        store: &ObjectStoreUrl,
        file: &PinnedFile,
        meta: &ObjectMeta,
        pages: PageIndexPolicy,
    ) -> Result<Arc<ParquetMetaData>> {
        let key = key(store, meta);
        let kept = self.cache.get(&key);
        let kept = kept.filter(|entry| entry.is_valid_for(meta));
        let kept = kept.and_then(|entry| {
            let footer = entry.file_metadata.as_any();
            let footer = footer.downcast_ref::<CachedParquetMetaData>()?;
            Some(Arc::clone(footer.parquet_metadata()))
        });
        if let Some(footer) = kept
            && (pages == PageIndexPolicy::Skip || footer.column_index().is_some())
        {
            return Ok(footer);
        }
        let reader = ParquetMetaDataReader::new()
            .with_page_index_policy(pages)
            .with_prefetch_hint(Some(FIRST_READ));
        let footer = reader.load_and_finish(Fetch(file), file.size()).await?;
        let footer = Arc::new(with_plain_types(trusted(footer)?));
        let kept = CachedParquetMetaData::new(Arc::clone(&footer));
        let entry = CachedFileMetadataEntry::new(meta.clone(), Arc::new(kept));
        self.cache.put(&key, entry);
        Ok(footer)
    }
}

fn key(store: &ObjectStoreUrl, meta: &ObjectMeta) -> Path {
    let time = meta.last_modified.timestamp_nanos_opt();
    Path::from(format!(
        "{}{}/{}/{}/{}",
        store.as_str(),
        meta.location,
        meta.size,
        time.unwrap_or_else(|| meta.last_modified.timestamp_micros()),
        meta.e_tag.as_deref().unwrap_or_default(),
    ))
}

/// The columns of a file.
pub(super) fn schema_of(footer: &ParquetMetaData) -> Result<Schema> {
    let file = footer.file_metadata();
    let schema = arrow_schema(file)?;
    let coerced = Int96Coercer::new(file.schema_descr(), &schema, &OLD_TIMESTAMP_UNIT).coerce();
    Ok(coerced.unwrap_or(schema))
}

struct Fetch<'a>(&'a PinnedFile);

impl MetadataFetch for Fetch<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let mut pieces = self.0.read(&[range]).await?;
            pieces
                .pop()
                .ok_or_else(|| ParquetError::General("nothing was read".to_owned()))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use arrow::ipc::convert::{IpcSchemaEncoder, fb_to_schema};
    use arrow::ipc::root_as_schema;
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    /// Fails once such a type is an error; then `arrow_schema` need not catch a panic.
    #[test]
    fn arrow_panics_at_integers_of_128_bits() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        let written = IpcSchemaEncoder::new().schema_to_fb(&schema);
        let written = written.finished_data();
        let n_bits = 64_i32.to_le_bytes();
        let places = (0..written.len() - 4).filter(|at| written[*at..at + 4] == n_bits);
        let panics = places.filter(|at| {
            let mut bytes = written.to_vec();
            bytes[*at..at + 4].copy_from_slice(&128_i32.to_le_bytes());
            let read = || root_as_schema(&bytes).map(fb_to_schema).is_ok();
            catch_unwind(AssertUnwindSafe(read)).is_err_and(|panic| {
                let text = panic.downcast_ref::<String>();
                text.is_some_and(|text| text.contains("bit width of 128"))
            })
        });
        assert_eq!(panics.count(), 1);
    }
}
