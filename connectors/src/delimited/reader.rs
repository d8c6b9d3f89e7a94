//! Reads the byte ranges of delimited files.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::decoder::Decoder;
use super::fields;
use super::key_filter::KeyFilter;
use super::lines::{self, Block};
use super::options::DelimitedOptions;
use crate::split::SplitSource;

/// Tag of [`DelimitedSource`] in an encoded plan.
pub const SOURCE_KIND: &str = "delimited";

/// Bytes at the start of a file that must hold its header line.
const MAX_HEADER: u64 = 256 * 1024;

/// One byte range of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The recipe of a scan over delimited files.
#[derive(Debug, Clone)]
pub struct DelimitedSource {
    /// Root of the store that holds the files.
    pub(super) store: ObjectStoreUrl,
    pub(super) options: DelimitedOptions,
    /// The declared columns, without those that permissive reading adds.
    pub(super) declared: SchemaRef,
    /// Indices into the table schema of the columns to yield.
    pub(super) projection: Vec<usize>,
    pub(super) estimated_rows: Option<usize>,
    pub(super) key_filter: Option<KeyFilter>,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    store: String,
    options: DelimitedOptions,
    declared: Vec<(String, String)>,
    projection: Vec<usize>,
    estimated_rows: Option<usize>,
    key_filter: Option<KeyFilter>,
}

impl DelimitedSource {
    /// Rebuilds the source from [`SplitSource::encode`].
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let recipe: Recipe =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(Self {
            store: ObjectStoreUrl::parse(&recipe.store)?,
            options: recipe.options,
            declared: crate::codec::schema_from_names(&recipe.declared)?,
            projection: recipe.projection,
            estimated_rows: recipe.estimated_rows,
            key_filter: recipe.key_filter,
        })
    }
}

impl SplitSource for DelimitedSource {
    fn kind(&self) -> &'static str {
        SOURCE_KIND
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let recipe = Recipe {
            store: self.store.as_str().to_owned(),
            options: self.options.clone(),
            declared: crate::codec::schema_to_names(&self.declared),
            projection: self.projection.clone(),
            estimated_rows: self.estimated_rows,
            key_filter: self.key_filter.clone(),
        };
        serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn schema(&self) -> SchemaRef {
        let table = self.options.table_schema(&self.declared);
        let fields: Vec<_> = self
            .projection
            .iter()
            .map(|i| Arc::clone(&table.fields()[*i]))
            .collect();
        Arc::new(Schema::new(fields))
    }

    fn describe(&self) -> String {
        let schema = self.schema();
        let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let filter = match &self.key_filter {
            Some(filter) => format!(", key_filter={}", self.declared.field(filter.column).name()),
            None => String::new(),
        };
        let permissive = self.options.permissive;
        format!(
            "csv, columns=[{}], permissive={permissive}{filter}",
            names.join(", ")
        )
    }

    fn estimated_rows(&self) -> Option<usize> {
        self.estimated_rows
    }

    fn open(
        &self,
        descriptor: &str,
        limit: Option<usize>,
        context: Arc<TaskContext>,
        _: &Count,
    ) -> Result<SendableRecordBatchStream> {
        let range: Range =
            serde_json::from_str(descriptor).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let store = context.runtime_env().object_store(&self.store)?;
        let batch_size = context.session_config().batch_size();
        let source = self.clone();
        let path = Path::parse(&range.path).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let batches = futures::stream::once(async move {
            let header = match source.options.header {
                true => Some(read_header(store.as_ref(), &path, range.size).await?),
                false => None,
            };
            let decoder = Decoder::try_new(&source, &range, header.as_deref(), batch_size)?;
            let end = if lines::is_gzip(&path) {
                u64::MAX
            } else {
                range.end
            };
            let blocks = lines::blocks(store, path, range.size, range.start..end);
            Ok::<_, DataFusionError>(decode_blocks(blocks, decoder, limit))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}

fn decode_blocks(
    blocks: futures::stream::BoxStream<'static, Result<Block>>,
    decoder: Decoder,
    limit: Option<usize>,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    let n_wanted = limit.unwrap_or(usize::MAX);
    let state = (blocks, decoder, 0_usize);
    futures::stream::try_unfold(state, move |(mut blocks, mut decoder, n_seen)| async move {
        if n_seen >= n_wanted {
            return Ok(None);
        }
        loop {
            if let Some(batch) = decoder.next_batch()? {
                let n_seen = n_seen + batch.num_rows();
                // Parsing is pure CPU work; let other streams of the task run in between.
                tokio::task::yield_now().await;
                return Ok(Some((batch, (blocks, decoder, n_seen))));
            }
            match blocks.try_next().await? {
                Some(block) => decoder.feed(block),
                None => {
                    let last = decoder.flush()?;
                    return Ok(last.map(|batch| (batch, (blocks, decoder, usize::MAX))));
                }
            }
        }
    })
}

/// The header line of a file, without its line break.
pub(super) async fn read_header(store: &dyn ObjectStore, path: &Path, size: u64) -> Result<String> {
    let mut text = Vec::new();
    if lines::is_gzip(path) {
        let found = store
            .get(path)
            .await
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)))?;
        let packed = found
            .into_stream()
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)));
        let kind =
            datafusion::datasource::file_format::file_compression_type::FileCompressionType::GZIP;
        let mut chunks = kind.convert_stream(packed.boxed())?;
        while let Some(chunk) = chunks.try_next().await? {
            text.extend_from_slice(&chunk);
            if text.contains(&b'\n') || text.len() as u64 > MAX_HEADER {
                break;
            }
        }
    } else {
        let head = store
            .get_range(path, 0..size.min(MAX_HEADER))
            .await
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)))?;
        text.extend_from_slice(&head);
    }
    let end = memchr::memchr(b'\n', &text).unwrap_or(text.len());
    let line = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    String::from_utf8(line.to_vec()).map_err(|_| {
        DataFusionError::Execution(format!("the header of `{path}` is not UTF-8 text"))
    })
}

/// Maps the declared columns to field positions by the names in `header`.
///
/// # Errors
/// When a declared column is missing, naming the file and what it has.
pub(super) fn map_header(
    header: &str,
    declared: &Schema,
    delimiter: u8,
    path: &str,
) -> Result<(Vec<usize>, usize)> {
    let names = fields::texts(header, delimiter)
        .map_err(|_| DataFusionError::Execution(format!("the header of `{path}` is not closed")))?;
    let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    let positions = declared
        .fields()
        .iter()
        .map(|field| {
            names
                .iter()
                .position(|n| *n == field.name().as_str())
                .ok_or_else(|| {
                    DataFusionError::Execution(format!(
                        "file `/{path}` has no column `{}`; its header names {}",
                        field.name(),
                        names.join(", ")
                    ))
                })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((positions, names.len()))
}
