//! The recipe of a scan over an HBase table.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Count;
use serde::{Deserialize, Serialize};

use super::definition::ScanOptions;
use super::escape::{as_text, printable};
use super::mapping::{Mapping, shared};
use super::reader::{self, ReadTask};
use super::snapshot::Snapshot;
use super::splits::Split;
use crate::error::to_datafusion;
use crate::split::{SplitSource, check_projection};
use crate::stores::Stores;

/// Tag of the tables and scans of this module in an encoded plan.
pub const SOURCE_KIND: &str = "hbase";

/// Most characters of a filter that `EXPLAIN` shows.
const SHOWN: usize = 300;

/// The recipe of a scan over an HBase table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HBaseSource {
    #[serde(with = "shared")]
    pub(super) mapping: Arc<Mapping>,
    /// Indices into the table schema of the columns to yield.
    pub(super) projection: Vec<usize>,
    /// The cells to ask for, `family:qualifier` each; all if empty.
    pub(super) columns: Vec<String>,
    /// A filter in the language of the gateway; none if empty.
    #[serde(with = "as_text")]
    pub(super) filter: Vec<u8>,
    /// The published state that is read; `None` for the rows as they are.
    pub(super) snapshot: Option<Snapshot>,
    pub(super) scan: ScanOptions,
    /// What `EXPLAIN` says about the keys that are read.
    pub(super) keys: String,
    pub(super) estimated_rows: Option<usize>,
}

impl HBaseSource {
    /// Rebuilds the source from [`SplitSource::encode`].
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let source: Self =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        check_projection(&source.projection, &source.mapping.schema())?;
        Ok(source)
    }
}

impl SplitSource for HBaseSource {
    fn kind(&self) -> &'static str {
        SOURCE_KIND
    }

    fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn schema(&self) -> SchemaRef {
        let table = self.mapping.schema();
        let fields: Vec<_> = self
            .projection
            .iter()
            .filter_map(|index| table.fields().get(*index).cloned())
            .collect();
        Arc::new(Schema::new(fields))
    }

    fn describe(&self) -> String {
        let schema = self.schema();
        let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let cells = match self.columns.as_slice() {
            [] => "all".to_owned(),
            cells => format!("[{}]", cells.join(", ")),
        };
        let mut text = format!(
            "hbase:{}, columns=[{}], cells={cells}, {}",
            self.mapping.table(),
            names.join(", "),
            self.keys
        );
        if !self.filter.is_empty() {
            text += &format!(", filter={}", printable(&self.filter, SHOWN));
        }
        if let Some(snapshot) = &self.snapshot {
            text += &format!(", run={}", snapshot.run);
        }
        text
    }

    fn estimated_rows(&self) -> Option<usize> {
        self.estimated_rows
    }

    fn open(
        &self,
        descriptor: &str,
        limit: Option<usize>,
        context: Arc<TaskContext>,
        n_skipped: &Count,
    ) -> Result<SendableRecordBatchStream> {
        let split: Split =
            serde_json::from_str(descriptor).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let stores = Stores::of_task(&context).map_err(to_datafusion)?;
        reader::read(ReadTask {
            client: stores.hbase().map_err(to_datafusion)?,
            source: self.clone(),
            schema: self.schema(),
            split,
            limit: limit.unwrap_or(usize::MAX),
            batch_size: context.session_config().batch_size(),
            n_skipped: n_skipped.clone(),
        })
    }
}
