//! Limits of tables in memory.
//!
//! A table in memory that yields its first rows only forgets that when Ballista cuts it into tasks, and on the
//! wire a large limit becomes another one. So the limit is a node above it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::LocalLimitExec;

use super::by_node::{Replacement, replaced};

/// The plan with limits above its tables in memory.
pub(super) fn with_limits_above(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    replaced(plan, |node| Ok(unlimited(node)))
}

fn unlimited(node: &Arc<dyn ExecutionPlan>) -> Replacement {
    let source: &dyn DataSource = node
        .downcast_ref::<DataSourceExec>()?
        .data_source()
        .as_ref();
    let table = source.downcast_ref::<MemorySourceConfig>()?;
    let most = source.fetch()?;
    let rows = table.partitions().iter().map(|batches| {
        let rows = batches.iter().map(|batch| batch.num_rows());
        rows.sum::<usize>()
    });
    let cuts = rows.max().is_some_and(|rows| rows > most);
    let all = Arc::new(DataSourceExec::new(table.with_fetch(None)?));
    match cuts {
        true => Some(Arc::new(LocalLimitExec::new(all, most))),
        false => Some(all),
    }
}
