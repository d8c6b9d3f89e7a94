//! One file in memory and the rows in it, for the targets that read files.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::metrics::Count;
use datafusion::prelude::{SessionConfig, SessionContext};
use emporia_core::catalog::parse_type;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use crate::files::TextFile;
use crate::files::partitions::FolderValues;
use crate::split::SplitSource;

/// Rows of a batch: few, so that small files have several.
const BATCH: usize = 3;

/// The cells of rows as text; `None` is null.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// A store in memory.
pub(crate) struct Place {
    runtime: Runtime,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) root: ObjectStoreUrl,
    task: Arc<TaskContext>,
}

thread_local! {
    static PLACE: Option<Place> = Place::new().ok();
}

impl Place {
    fn new() -> Result<Self> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let root = ObjectStoreUrl::parse("memory:///")?;
        let config = SessionConfig::new().with_batch_size(BATCH);
        let context = SessionContext::new_with_config(config);
        context.register_object_store(root.as_ref(), Arc::clone(&store));
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            store,
            root,
            task: context.task_ctx(),
        })
    }

    /// Works with the store of this thread.
    pub(crate) fn with<T>(work: impl FnOnce(&Self) -> T) -> T {
        PLACE.with(|place| match place {
            Some(place) => work(place),
            None => unreachable!("a store in memory has no reason to fail"),
        })
    }

    /// Waits for the work.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Writes the file and lists it.
    pub(crate) fn put(&self, path: &str, bytes: Bytes) -> Result<TextFile> {
        let path = Path::from(path);
        self.wait(async {
            self.store.put(&path, bytes.into()).await?;
            let meta = self.store.head(&path).await?;
            Ok(TextFile::new(&meta, FolderValues::default()))
        })
    }

    /// The batches of the splits, one after the other.
    pub(crate) fn read(
        &self,
        source: &dyn SplitSource,
        splits: &[String],
    ) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for split in splits {
            let rows = source.open(split, None, Arc::clone(&self.task), &Count::new())?;
            batches.extend(self.wait(rows.try_collect::<Vec<_>>())?);
        }
        assert!(batches.iter().all(|batch| batch.num_rows() <= BATCH));
        Ok(batches)
    }
}

/// The rows, or the text of the error, which is one that was foreseen.
pub(crate) fn shown(batches: Result<Vec<RecordBatch>>) -> Result<Rows, String> {
    let batches = batches.map_err(|e| {
        let is_foreseen = !matches!(e.find_root(), DataFusionError::Internal(_));
        assert!(is_foreseen, "{e}");
        e.to_string()
    });
    let cell = |column: &dyn Array, row: usize| match column.is_null(row) {
        true => None,
        false => Some(array_value_to_string(column, row).unwrap_or_else(|e| e.to_string())),
    };
    let rows = batches?;
    let rows = rows.iter().flat_map(|batch| {
        let row = move |n: usize| batch.columns().iter().map(move |c| cell(c.as_ref(), n));
        (0..batch.num_rows()).map(move |n| row(n).collect())
    });
    Ok(rows.collect())
}

/// The columns with these names and types.
pub(crate) fn schema(columns: &[&str]) -> SchemaRef {
    let fields = columns.iter().filter_map(|column| {
        let (name, data_type) = column.split_once(' ')?;
        Some(Field::new(name, parse_type(data_type).ok()?, true))
    });
    let fields: Vec<_> = fields.collect();
    assert_eq!(fields.len(), columns.len());
    Arc::new(Schema::new(fields))
}
