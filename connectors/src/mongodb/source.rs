//! The scan of a collection: from a split to record batches.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt, TryStreamExt};
use mongodb::bson::{Document, doc};
use mongodb::raw_batch_cursor::RawBatch;
use serde::{Deserialize, Serialize};

use super::decode::Decoder;
use super::fault::Attempt;
use super::fetch::{self, Fetch, Request};
use super::mapping::{Column, Malformed, schema_of};
use super::namespace::Namespace;
use super::predicate::conjunction;
use super::retry::patiently;
use super::splits::Split;
use super::wire;
use crate::error::to_datafusion;
use crate::split::SplitSource;
use crate::stores::Stores;

/// Tag of [`CollectionSource`] in an encoded plan.
pub const SOURCE_KIND: &str = "mongodb";

/// The recipe of a scan over a collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectionSource {
    pub(super) namespace: Namespace,
    /// The columns to yield.
    pub(super) columns: Vec<Column>,
    pub(super) malformed: Malformed,
    /// What to ask the server for besides the split.
    #[serde(with = "wire::optional")]
    pub(super) filter: Option<Document>,
    pub(super) split_by: String,
    /// Whether documents are read in the order of `_id`.
    pub(super) is_ordered: bool,
    /// Whether the collection compares texts by a language's rules, unless it is told otherwise.
    pub(super) has_collation: bool,
    pub(super) estimated_rows: Option<usize>,
}

impl CollectionSource {
    /// Rebuilds the source from [`SplitSource::encode`].
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// The fields to ask for. `_id` comes in any case: a lost cursor is continued by it, and an error
    /// names the document by it.
    fn projection(&self) -> Document {
        let mut paths: Vec<&str> = self.columns.iter().map(|c| c.path.as_str()).collect();
        paths.sort_unstable();
        let mut projection = doc! { "_id": 1 };
        for path in &paths {
            // MongoDB refuses a path together with one that leads to it.
            let leads_here = |outer: &str| {
                path.strip_prefix(outer)
                    .is_some_and(|rest| rest.starts_with('.'))
            };
            if *path != "_id" && !leads_here("_id") && !paths.iter().any(|p| leads_here(p)) {
                projection.insert(*path, 1);
            }
        }
        projection
    }

    fn request(&self, split: &Split, limit: Option<usize>, stores: &Stores) -> Request {
        Request {
            namespace: self.namespace.clone(),
            filter: self.split_filter(split),
            projection: self.projection(),
            limit,
            is_ordered: self.is_ordered,
            is_of_one_type: split.is_of_one_type(),
            is_binary: self.has_collation,
            patience: stores.settings().patience,
        }
    }

    fn split_filter(&self, split: &Split) -> Option<Document> {
        let parts = [split.filter(&self.split_by), self.filter.clone()];
        conjunction(parts.into_iter().flatten().collect())
    }
}

impl SplitSource for CollectionSource {
    fn kind(&self) -> &'static str {
        SOURCE_KIND
    }

    fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn schema(&self) -> SchemaRef {
        schema_of(&self.columns)
    }

    fn describe(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
        let filter = match &self.filter {
            Some(filter) => format!(", filter={}", shortened(&filter.to_string())),
            None => String::new(),
        };
        format!(
            "mongodb, collection={}, columns=[{}]{filter}",
            self.namespace,
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
        let split: Split =
            serde_json::from_str(descriptor).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let stores = Stores::of_task(&context).map_err(to_datafusion)?;
        let batch_size = context.session_config().batch_size();
        let schema = self.schema();
        let source = self.clone();
        let batches = futures::stream::once(async move {
            if source.columns.is_empty() {
                let n_rows = source.count(&split, limit, &stores).await?;
                return Ok(futures::stream::iter(rows_without_columns(
                    source.schema(),
                    n_rows,
                    batch_size,
                ))
                .left_stream());
            }
            let stream = source.read(&split, limit, &stores, batch_size).await?;
            Ok::<_, DataFusionError>(stream.right_stream())
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// The start of a filter, which may hold a list of thousands of values.
fn shortened(filter: &str) -> String {
    const MAX_CHARS: usize = 400;
    match filter.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &filter[..end]),
        None => filter.to_owned(),
    }
}

impl CollectionSource {
    /// Without columns only the number of documents is wanted, which the server knows.
    async fn count(&self, split: &Split, limit: Option<usize>, stores: &Stores) -> Result<u64> {
        let client = stores.mongodb().await.map_err(to_datafusion)?;
        let filter = self.split_filter(split);
        patiently(stores.settings().patience, || {
            fetch::count(client, &self.namespace, filter.clone(), limit)
        })
        .await
        .map_err(|e| self.attempt(stores).failed_in_plan(e))
    }

    async fn read(
        &self,
        split: &Split,
        limit: Option<usize>,
        stores: &Stores,
        batch_size: usize,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
        let client = stores.mongodb().await.map_err(to_datafusion)?.clone();
        let decoder = Decoder::new(
            &self.namespace.to_string(),
            &self.columns,
            self.malformed,
            batch_size,
        )
        .map_err(to_datafusion)?;
        let fetch = Fetch::start(client, self.request(split, limit, stores));
        let attempt = self.attempt(stores);
        let state = Reading {
            fetch,
            decoder,
            at_hand: None,
        };
        Ok(futures::stream::try_unfold(state, move |mut reading| {
            let attempt = attempt.clone();
            async move {
                let batch = reading.next(&attempt).await?;
                Ok(batch.map(|batch| (batch, reading)))
            }
        }))
    }

    fn attempt(&self, stores: &Stores) -> Attempt {
        Attempt::to(format!("read `{}`", self.namespace), stores.settings())
    }
}

/// A scan under way.
struct Reading {
    fetch: Fetch,
    decoder: Decoder,
    /// Documents of which some were decoded already: how many.
    at_hand: Option<(RawBatch, usize)>,
}

impl Reading {
    async fn next(&mut self, attempt: &Attempt) -> Result<Option<RecordBatch>> {
        loop {
            if let Some((documents, n_done)) = self.at_hand.take() {
                let failed = |e| attempt.failed_in_plan(e);
                let values = documents.doc_slices().map_err(failed)?;
                let mut n_taken = n_done;
                for value in values.into_iter().skip(n_done) {
                    let value = value.map_err(|e| failed(e.into()))?;
                    if let Some(document) = value.as_document() {
                        self.decoder.append(document).map_err(to_datafusion)?;
                    }
                    n_taken += 1;
                    if self.decoder.is_full() {
                        break;
                    }
                }
                if self.decoder.is_full() {
                    self.at_hand = Some((documents, n_taken));
                    // Decoding is pure CPU work; let other streams of the task run in between.
                    tokio::task::yield_now().await;
                    return self.decoder.finish().map_err(to_datafusion);
                }
            }
            match self.fetch.next().await {
                Some(documents) => {
                    let documents = documents.map_err(|e| attempt.failed_in_plan(e))?;
                    self.at_hand = Some((documents, 0));
                }
                None => return self.decoder.finish().map_err(to_datafusion),
            }
        }
    }
}

/// Batches that have rows but no columns.
fn rows_without_columns(
    schema: SchemaRef,
    n_rows: u64,
    batch_size: usize,
) -> impl Iterator<Item = Result<RecordBatch>> + Send {
    let mut n_left = usize::try_from(n_rows).unwrap_or(usize::MAX);
    std::iter::from_fn(move || {
        let n_rows = n_left.min(batch_size);
        n_left -= n_rows;
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), Vec::new(), &options);
        (n_rows > 0).then(|| batch.map_err(DataFusionError::from))
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};
    use emporia_core::contract;
    use mongodb::bson::DateTime;

    use super::*;
    use crate::mongodb::mapping::Stored;

    fn source(paths: &[&str]) -> CollectionSource {
        let column = |path: &&str| {
            let field = Field::new(*path, DataType::Utf8, true);
            Column::new(&field, path, Stored::Native).unwrap()
        };
        CollectionSource {
            namespace: Namespace::parse("mongodb:shop.orders").unwrap(),
            columns: paths.iter().map(column).collect(),
            malformed: Malformed::Error,
            filter: Some(doc! { "ts": { "$gte": DateTime::from_millis(5) } }),
            split_by: "_id".to_owned(),
            is_ordered: true,
            has_collation: false,
            estimated_rows: Some(7),
        }
    }

    #[test]
    fn only_needed_fields_are_asked_for() {
        let projection = |paths: &[&str]| source(paths).projection();
        assert_eq!(projection(&[]), doc! { "_id": 1 });
        assert_eq!(
            projection(&["b", "a.x"]),
            doc! { "_id": 1, "a.x": 1, "b": 1 }
        );
        assert_eq!(
            projection(&["_id", "a.x", "a", "ab"]),
            doc! { "_id": 1, "a": 1, "ab": 1 }
        );
        assert_eq!(projection(&["_id.x"]), doc! { "_id": 1 });
    }

    #[test]
    fn source_survives_the_wire() {
        let mut source = source(&["a"]);
        let sessions = contract::schema("sessions").unwrap();
        source.columns.extend(
            sessions
                .fields()
                .iter()
                .map(|f| Column::new(f, f.name(), Stored::Any).unwrap()),
        );
        let back = CollectionSource::decode(&source.encode().unwrap()).unwrap();
        assert_eq!(back.filter, source.filter);
        assert_eq!(back.columns, source.columns);
        assert_eq!(back.schema(), source.schema());
        assert_eq!(back.describe(), source.describe());
        assert!(CollectionSource::decode(b"{}").is_err());
    }

    #[test]
    fn rows_without_columns_are_counted_out() {
        let schema = source(&[]).schema();
        let sizes = rows_without_columns(schema, 25, 10).map(|b| b.unwrap().num_rows());
        assert_eq!(sizes.collect::<Vec<_>>(), [10, 10, 5]);
    }
}
