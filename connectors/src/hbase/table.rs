//! The table provider over an HBase table.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use emporia_hbase::KeyRange;
use serde::{Deserialize, Serialize};

use super::definition::ScanOptions;
use super::escape::printable;
use super::fetch::Fetch;
use super::mapping::{Mapping, shared};
use super::predicate::{CellFilter, Predicate, predicate_of};
use super::snapshot::Snapshot;
use super::source::HBaseSource;
use super::splits::{Cut, Split, splits};
use crate::split::{SplitScanExec, deal};

/// Key ranges that `EXPLAIN` shows, and characters of each of their keys.
const SHOWN_RANGES: usize = 3;
const SHOWN_KEY: usize = 60;

/// A table of HBase. It is a recipe: it was read from the catalog and from HBase on the client, and
/// the scheduler plans scans of it without asking HBase again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HBaseTable {
    #[serde(with = "shared")]
    pub(super) mapping: Arc<Mapping>,
    pub(super) scan: ScanOptions,
    /// Where it is cut into pieces that are read at the same time.
    pub(super) cuts: Vec<Cut>,
    /// The published state that is read; `None` for the rows as they are.
    pub(super) snapshot: Option<Snapshot>,
}

impl HBaseTable {
    /// How cells are columns.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The table as bytes, for a plan that crosses the wire.
    ///
    /// # Errors
    /// When the recipe cannot be serialised.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// Rebuilds the table from [`HBaseTable::encode`]; does no I/O.
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// Whether a scan reads less by this filter, alone or together with others.
    fn is_of_use(&self, filter: &Expr) -> bool {
        let predicate = predicate_of(filter, &self.mapping);
        let mut key = self.mapping.key.columns();
        key.any(|column| predicate.mentions(column))
            || CellFilter::of(&predicate, &self.mapping).is_some()
    }
}

#[async_trait]
impl TableProvider for HBaseTable {
    fn schema(&self) -> SchemaRef {
        self.mapping.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Never exact: asking again costs little, and a row too many would be a wrong answer.
        let support = |filter: &&Expr| match self.is_of_use(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
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
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.mapping.columns.len()).collect(),
        };
        let filters = filters
            .iter()
            .map(|filter| predicate_of(filter, &self.mapping));
        let predicate = Predicate::and(filters);
        let ranges = predicate.key_ranges(&self.mapping.key);
        let cell_filter = CellFilter::of(&predicate, &self.mapping);
        let is_one_run = self.snapshot.as_ref().is_some_and(|s| !s.includes_older);
        let fetch = Fetch::plan(&self.mapping, &projection, cell_filter.as_ref(), is_one_run);
        let n_partitions = state.config().target_partitions();
        let splits = splits(&ranges, &self.cuts, n_partitions);
        let descriptors = splits
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        let source = HBaseSource {
            mapping: Arc::clone(&self.mapping),
            projection,
            columns: fetch.columns,
            filter: fetch.filter,
            snapshot: self.snapshot.clone(),
            scan: self.scan.clone(),
            keys: describe_keys(&ranges, &splits),
            estimated_rows: self.estimated_rows(&ranges, &splits),
        };
        Ok(Arc::new(SplitScanExec::try_new(
            Arc::new(source),
            &deal(descriptors, n_partitions),
            limit,
        )?))
    }
}

impl HBaseTable {
    fn estimated_rows(&self, ranges: &[KeyRange], splits: &[Split]) -> Option<usize> {
        let keys = splits.iter().map(|split| match split {
            Split::Get { keys } => Some(keys.len()),
            Split::Scan { .. } => None,
        });
        match keys.sum::<Option<usize>>() {
            Some(n_keys) => Some(n_keys),
            // What a range holds of the table is not known.
            None if *ranges == [KeyRange::all()] => self.scan.rows,
            None => None,
        }
    }
}

/// What `EXPLAIN` says about the keys that are read.
fn describe_keys(ranges: &[KeyRange], splits: &[Split]) -> String {
    let shown = match ranges {
        [all] if *all == KeyRange::all() => "all".to_owned(),
        ranges => {
            let shown = ranges.iter().take(SHOWN_RANGES).map(|range| {
                let start = printable(&range.start, SHOWN_KEY);
                if range.end == emporia_hbase::after(&range.start) {
                    return format!("`{start}`");
                }
                format!("`{start}`..`{}`", printable(&range.end, SHOWN_KEY))
            });
            let mut shown: Vec<_> = shown.collect();
            if ranges.len() > SHOWN_RANGES {
                shown.push(format!("… {} in all", ranges.len()));
            }
            format!("[{}]", shown.join(", "))
        }
    };
    format!("keys={shown}, splits={}", splits.len())
}
