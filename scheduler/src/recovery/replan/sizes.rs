//! How many rows an operator yields at most, by what its inputs have.

use std::sync::Arc;

use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf;
use ballista_core::serde::scheduler::PartitionLocation;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::JoinType;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use emporia_engine::is_estimate_or_mark;

/// What a value without a fixed width is counted as, where no more was written.
const TEXT_BYTES: u64 = 32;

/// What one partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    pub(crate) rows: u64,
    /// In memory, roughly.
    pub(crate) bytes: u64,
}

/// Most rows of any partition of `plan`, where every row stems from one row of a stage that it reads.
pub(super) fn largest(plan: &Arc<dyn ExecutionPlan>) -> Option<Size> {
    let reader = source(plan)?;
    let (width, has_texts) = row_bytes(&plan.schema());
    // What a task wrote before its end is counted as it was compressed.
    let times_written = if has_texts { 2 } else { 1 };
    let sizes = reader.partition.iter().map(|places| {
        let written = written(places)?;
        let bytes = written.rows.saturating_mul(width);
        Some(Size {
            rows: written.rows,
            bytes: bytes.max(written.bytes.saturating_mul(times_written)),
        })
    });
    let mut largest = Size::default();
    for size in sizes {
        let size = size?;
        largest.rows = largest.rows.max(size.rows);
        largest.bytes = largest.bytes.max(size.bytes);
    }
    Some(largest)
}

/// The reader whose rows `plan` passes on, each at most once.
fn source(plan: &Arc<dyn ExecutionPlan>) -> Option<&ShuffleReaderExec> {
    if let Some(reader) = plan.downcast_ref::<ShuffleReaderExec>() {
        return (!reader.broadcast).then_some(reader);
    }
    if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        return source(kept(join.join_type(), join.left(), join.right())?);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let side = kept(*join.join_type(), join.left(), join.right())?;
        let is_collected =
            *join.partition_mode() != PartitionMode::Partitioned && Arc::ptr_eq(side, join.left());
        return if is_collected { None } else { source(side) };
    }
    let is_known = plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan
            .downcast_ref::<SortExec>()
            .is_some_and(SortExec::preserve_partitioning)
        || plan
            .downcast_ref::<AggregateExec>()
            .is_some_and(|groups| groups.group_expr().is_single())
        || is_estimate_or_mark(plan);
    match plan.children().as_slice() {
        [input] if is_known => source(input),
        _ => None,
    }
}

/// The side of whose rows a semi or anti join keeps some.
fn kept<'a>(
    join_type: JoinType,
    left: &'a Arc<dyn ExecutionPlan>,
    right: &'a Arc<dyn ExecutionPlan>,
) -> Option<&'a Arc<dyn ExecutionPlan>> {
    match join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => Some(left),
        JoinType::RightSemi | JoinType::RightAnti => Some(right),
        _ => None,
    }
}

/// The rows at these places and their bytes, as their tasks reported them, where all of them are known.
pub(super) fn written(places: &[PartitionLocation]) -> Option<Size> {
    let mut all = Size::default();
    for place in places {
        let stats: protobuf::PartitionStats = place.partition_stats.into();
        all.rows = all.rows.saturating_add(stats.num_rows.try_into().ok()?);
        all.bytes = all.bytes.saturating_add(stats.num_bytes.try_into().ok()?);
    }
    Some(all)
}

/// The bytes of a row, and whether it has values without a fixed width.
fn row_bytes(schema: &Schema) -> (u64, bool) {
    let fields = schema.fields().iter();
    let widths: Vec<_> = fields.map(|f| f.data_type().primitive_width()).collect();
    let width = |width: &Option<usize>| width.map_or(TEXT_BYTES, |width| width as u64);
    (
        widths.iter().map(width).sum(),
        widths.iter().any(Option::is_none),
    )
}
