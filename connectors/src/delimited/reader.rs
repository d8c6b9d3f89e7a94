//! Reads the byte ranges of delimited files.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::decoder::Decoder;
use super::failure::{Failure, Place};
use super::head::Head;
use super::key_filter::KeyFilter;
use super::lines::{self, Block, Start};
use super::options::DelimitedOptions;
use crate::files::TextFile;
use crate::location::store_of;
use crate::split::{SplitSource, check_projection};

/// Tag of [`DelimitedSource`] in an encoded plan.
pub const SOURCE_KIND: &str = "delimited";

/// One byte range of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) file: TextFile,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Range {
    /// Whether it is the whole file, which need not be plain text then.
    fn is_whole(&self) -> bool {
        self.start == 0 && self.end == self.file.size()
    }
}

/// The recipe of a scan over delimited files.
#[derive(Debug, Clone)]
pub struct DelimitedSource {
    /// Root of the store that holds the files.
    pub(super) store: ObjectStoreUrl,
    pub(super) options: DelimitedOptions,
    /// The declared columns of the files.
    pub(super) declared: SchemaRef,
    /// The columns whose values are names of folders.
    pub(super) folders: Fields,
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
    folders: Vec<(String, String)>,
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
        let declared = crate::codec::schema_from_names(&recipe.declared)?;
        let folders = crate::codec::schema_from_names(&recipe.folders)?;
        let table = recipe.options.table_schema(&declared, folders.fields());
        check_projection(&recipe.projection, &table)?;
        if let Some(filter) = &recipe.key_filter {
            check_projection(&[filter.column], &declared)?;
        }
        Ok(Self {
            store: store_of(&recipe.store)?,
            options: recipe.options,
            declared,
            folders: folders.fields().clone(),
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
            folders: crate::codec::schema_to_names(&Schema::new(self.folders.clone())),
            projection: self.projection.clone(),
            estimated_rows: self.estimated_rows,
            key_filter: self.key_filter.clone(),
        };
        serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn schema(&self) -> SchemaRef {
        let table = self.options.table_schema(&self.declared, &self.folders);
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
        let file = range.file.pinned(&store)?;
        let batches = futures::stream::once(async move {
            let head = Head::read(file, &source.options).await?;
            let decoder = Decoder::try_new(&source, &range, head.names.as_ref(), batch_size)?;
            let dialect = source.options.dialect(&range.file.path);
            let end = match (range.is_whole(), head.text.is_plain) {
                (true, false) => u64::MAX,
                (_, true) => range.end,
                (false, false) => return Err(head.text.file.changed().into()),
            };
            // The planner cuts at records, where lines are not the records.
            let (start, kind) =
                match range.start <= head.start || dialect.spanning_quote().is_some() {
                    true => (range.start.max(head.start), Start::Record),
                    false => (range.start, Start::Anywhere),
                };
            let blocks = lines::blocks(&head.text, dialect, start..end, kind);
            let file = format!("{}{}", source.store.as_str(), range.file.path);
            let place = Place {
                text: head.text,
                file,
            };
            Ok::<_, DataFusionError>(decode_blocks(blocks, decoder, place, limit))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}

pub(super) fn decode_blocks(
    blocks: BoxStream<'static, Result<Block, Failure>>,
    decoder: Decoder,
    place: Place,
    limit: Option<usize>,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    let n_wanted = limit.unwrap_or(usize::MAX);
    let state = (blocks, decoder, place, 0_usize);
    futures::stream::try_unfold(state, move |state| async move {
        let (mut blocks, mut decoder, place, n_seen) = state;
        if n_seen >= n_wanted {
            return Ok(None);
        }
        loop {
            let batch = match decoder.next_batch() {
                Ok(batch) => batch,
                Err(failure) => return Err(place.error(failure).await),
            };
            if let Some(batch) = batch {
                let n_seen = n_seen + batch.num_rows();
                // Parsing is pure CPU work; let other streams of the task run in between.
                tokio::task::yield_now().await;
                return Ok(Some((batch, (blocks, decoder, place, n_seen))));
            }
            let block = match blocks.try_next().await {
                Ok(block) => block,
                Err(failure) => return Err(place.error(failure).await),
            };
            match block {
                Some(block) => decoder.feed(block),
                None => {
                    let last = decoder.flush()?;
                    return Ok(last.map(|batch| (batch, (blocks, decoder, place, usize::MAX))));
                }
            }
        }
    })
}
