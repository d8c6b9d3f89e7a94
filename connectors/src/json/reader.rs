//! Reads the byte ranges of JSON files.

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
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use super::decoder::{Decoder, Output};
use super::lines::{Block, Source};
use super::schema::Columns;
use crate::files::TextFile;
use crate::location::store_of;
use crate::split::{SplitSource, check_projection};

/// Tag of [`JsonSource`] in an encoded plan.
pub const SOURCE_KIND: &str = "json";

/// A file of the table, as it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonFile {
    /// The file.
    pub file: TextFile,
    /// Whether it can be read from its start only.
    pub is_one_piece: bool,
}

impl JsonFile {
    pub(super) fn source(&self, store: &Arc<dyn ObjectStore>) -> Result<Source> {
        self.file.pinned(store).map(Source)
    }
}

/// One byte range of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) file: JsonFile,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The recipe of a scan over JSON files.
#[derive(Debug, Clone)]
pub struct JsonSource {
    /// Root of the store that holds the files.
    pub(super) store: ObjectStoreUrl,
    pub(super) columns: Columns,
    /// Indices into the table schema of the columns to yield.
    pub(super) projection: Vec<usize>,
    pub(super) estimated_rows: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    store: String,
    columns: Columns,
    projection: Vec<usize>,
    estimated_rows: Option<usize>,
}

impl JsonSource {
    /// Rebuilds the source from [`SplitSource::encode`].
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let recipe: Recipe =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        check_projection(&recipe.projection, recipe.columns.schema())?;
        Ok(Self {
            store: store_of(&recipe.store)?,
            columns: recipe.columns,
            projection: recipe.projection,
            estimated_rows: recipe.estimated_rows,
        })
    }

    fn decoder(&self, file: &JsonFile) -> Result<Decoder> {
        let outputs = self.projection.iter();
        let outputs = outputs.map(|index| self.columns.output(*index, &file.file.folders));
        Decoder::try_new(
            self.schema(),
            outputs.collect::<Result<Vec<Output>>>()?,
            self.columns.keys(),
            self.columns.is_permissive,
        )
    }
}

impl SplitSource for JsonSource {
    fn kind(&self) -> &'static str {
        SOURCE_KIND
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let recipe = Recipe {
            store: self.store.as_str().to_owned(),
            columns: self.columns.clone(),
            projection: self.projection.clone(),
            estimated_rows: self.estimated_rows,
        };
        serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn schema(&self) -> SchemaRef {
        let table = self.columns.schema();
        let fields = self.projection.iter();
        let fields = fields.map(|index| Arc::clone(&table.fields()[*index]));
        Arc::new(Schema::new(fields.collect::<Fields>()))
    }

    fn describe(&self) -> String {
        let schema = self.schema();
        let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let permissive = self.columns.is_permissive;
        format!(
            "json, columns=[{}], permissive={permissive}",
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
        let location = format!("{}{}", self.store.as_str(), range.file.file.path);
        let decoder = self
            .decoder(&range.file)?
            .of_file(location, range.start == 0)
            .with_sizes(context.session_config().batch_size(), limit);
        let blocks = range.file.source(&store)?.blocks(range.start..range.end);
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            decoded(blocks, decoder),
        )))
    }
}

fn decoded(
    blocks: futures::stream::BoxStream<'static, Result<Block>>,
    decoder: Decoder,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    let state = (blocks, decoder);
    futures::stream::try_unfold(state, async |(mut blocks, mut decoder)| {
        loop {
            if decoder.is_done() {
                return Ok(None);
            }
            if let Some(batch) = decoder.next_batch()? {
                // Parsing is pure CPU work; let other streams of the task run in between.
                tokio::task::yield_now().await;
                return Ok(Some((batch, (blocks, decoder))));
            }
            match blocks.try_next().await? {
                Some(block) => decoder.feed(block),
                None => {
                    let last = decoder.flush()?;
                    return Ok(last.map(|batch| (batch, (blocks, decoder))));
                }
            }
        }
    })
}
