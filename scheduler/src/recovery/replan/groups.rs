//! Small partitions of a stage's inputs are read together, so that there are fewer tasks.
//!
//! All inputs are dealt out by the same keys to the same number of partitions, so partitions of equal
//! numbers belong together, and groups of them do.

use std::ops::Range;
use std::sync::Arc;

use ballista_core::execution_plans::{
    CoalescePlan, PartitionGroup, ShuffleReaderExec, ShuffleWriterExec, SortShuffleWriterExec,
};
use ballista_core::serde::scheduler::PartitionLocation;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use emporia_engine::is_estimate_or_mark;
use emporia_engine::nodes::with_inputs;

use super::sizes::written;
use super::{Change, Place};

/// Less than that in a group is not worth a slot.
const MIN_BYTES: u64 = 1024 * 1024;
/// A group ends before it would have more.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The plan of a stage, with its inputs read in groups of partitions, where that makes fewer tasks.
pub(super) fn grouped(
    plan: Arc<dyn ExecutionPlan>,
    place: Place,
    changes: &mut Vec<Change>,
) -> Result<Arc<dyn ExecutionPlan>> {
    // Readers find rows by the keys that this stage deals them out by, whatever task wrote them.
    let is_free = plan
        .downcast_ref::<SortShuffleWriterExec>()
        .is_some_and(|writer| {
            matches!(
                writer.shuffle_output_partitioning(),
                Partitioning::Hash(_, _)
            )
        });
    let is_result = place.is_last && plan.is::<ShuffleWriterExec>();
    let Some(input) = plan.children().first().map(|input| Arc::clone(input)) else {
        return Ok(plan);
    };
    if !is_free && !is_result {
        return Ok(plan);
    }
    let mut sizes = Sizes::Unknown;
    let read = with_readers(Arc::clone(&input), &mut |reader, node| {
        sizes.add(reader);
        Ok(node)
    })?;
    let (Some(_), Sizes::Of(sizes)) = (read, sizes) else {
        return Ok(plan);
    };
    let groups = groups(&sizes, place.n_slots);
    // A few tasks less, of unequal size, end no sooner.
    if groups.len() > sizes.len() / 2 {
        return Ok(plan);
    }
    let input = with_readers(input, &mut |reader, _| in_groups(reader, &groups))?;
    let Some(input) = input else {
        return Ok(plan);
    };
    changes.push(Change::Grouped {
        from: sizes.len(),
        to: groups.len(),
    });
    with_inputs(plan, vec![input])
}

/// Bytes by partition, all inputs together.
enum Sizes {
    Unknown,
    Of(Vec<u64>),
    /// They do not fit each other, or are not told.
    Unfit,
}

impl Sizes {
    fn add(&mut self, reader: &ShuffleReaderExec) {
        let by_keys = matches!(reader.properties().output_partitioning(), Partitioning::Hash(_, n)
            if *n == reader.partition.len());
        let sizes = reader.partition.iter();
        let sizes: Option<Vec<u64>> = sizes.map(|p| written(p).map(|size| size.bytes)).collect();
        *self = match (std::mem::replace(self, Self::Unfit), sizes) {
            (Self::Unknown, Some(new)) if by_keys && reader.coalesce.is_none() => Self::Of(new),
            (Self::Of(mut all), Some(new))
                if by_keys && reader.coalesce.is_none() && all.len() == new.len() =>
            {
                for (all, new) in all.iter_mut().zip(new) {
                    *all = all.saturating_add(new);
                }
                Self::Of(all)
            }
            _ => Self::Unfit,
        };
    }
}

/// Neighbours together, so that each slot gets a group and no group is large.
fn groups(sizes: &[u64], n_slots: usize) -> Vec<Range<usize>> {
    let total = sizes
        .iter()
        .fold(0_u64, |all, size| all.saturating_add(*size));
    let a_slots = total / u64::try_from(n_slots.max(1)).unwrap_or(u64::MAX);
    let most = a_slots.clamp(MIN_BYTES, MAX_BYTES);
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0_u64;
    for (partition, size) in sizes.iter().enumerate() {
        let with = bytes.saturating_add(*size);
        match groups.last_mut() {
            Some(group) if with <= most => {
                group.end = partition + 1;
                bytes = with;
            }
            _ => {
                groups.push(partition..partition + 1);
                bytes = *size;
            }
        }
    }
    groups
}

type Replace<'a> =
    dyn FnMut(&ShuffleReaderExec, Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> + 'a;

/// The plan with those readers replaced of whose partitions each becomes one of the plan's; `None` where there
/// is an operator of which it is not known that it works on groups as well.
fn with_readers(
    node: Arc<dyn ExecutionPlan>,
    replace: &mut Replace<'_>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() {
        if reader.broadcast {
            return Ok(None);
        }
        return replace(reader, Arc::clone(&node)).map(Some);
    }
    let inputs: Vec<_> = node.children().into_iter().cloned().collect();
    let inputs = match inputs.as_slice() {
        [input] if works_on_groups(&node) => vec![with_readers(Arc::clone(input), replace)?],
        [left, right] => match sides(&node) {
            Some(Sides::Both) => vec![
                with_readers(Arc::clone(left), replace)?,
                with_readers(Arc::clone(right), replace)?,
            ],
            Some(Sides::Right) => vec![
                Some(Arc::clone(left)),
                with_readers(Arc::clone(right), replace)?,
            ],
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let inputs: Option<Vec<_>> = inputs.into_iter().collect();
    inputs.map(|inputs| with_inputs(node, inputs)).transpose()
}

/// Whether an operator with one input works on each partition by itself, and on groups of them as well.
fn works_on_groups(node: &Arc<dyn ExecutionPlan>) -> bool {
    let is_sort = node.downcast_ref::<SortExec>();
    let sorts_partitions =
        is_sort.is_some_and(|sort| sort.preserve_partitioning() && sort.fetch().is_none());
    let groups = node.downcast_ref::<AggregateExec>();
    (node.is::<FilterExec>() && node.fetch().is_none())
        || node.is::<ProjectionExec>()
        || sorts_partitions
        || groups.is_some_and(|groups| groups.limit_options().is_none())
        || node.is::<WindowAggExec>()
        || node.is::<BoundedWindowAggExec>()
        || is_estimate_or_mark(node)
}

/// The sides of a join whose partitions become partitions of the join.
enum Sides {
    Both,
    /// Each task reads all of the left one.
    Right,
}

fn sides(node: &Arc<dyn ExecutionPlan>) -> Option<Sides> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return match join.partition_mode() {
            PartitionMode::Partitioned => Some(Sides::Both),
            PartitionMode::CollectLeft => Some(Sides::Right),
            PartitionMode::Auto => None,
        };
    }
    if node.is::<SortMergeJoinExec>() {
        return Some(Sides::Both);
    }
    (node.is::<CrossJoinExec>() || node.is::<NestedLoopJoinExec>()).then_some(Sides::Right)
}

/// The reader with its partitions in groups.
fn in_groups(
    reader: &ShuffleReaderExec,
    groups: &[Range<usize>],
) -> Result<Arc<dyn ExecutionPlan>> {
    let number = |n: usize| u32::try_from(n).map_err(|e| DataFusionError::External(Box::new(e)));
    let of = |group: &Range<usize>| {
        let upstream_indices = group.clone().map(number).collect::<Result<_>>()?;
        Ok(PartitionGroup { upstream_indices })
    };
    let plan = CoalescePlan {
        upstream_partition_count: number(reader.upstream_partition_count)?,
        groups: groups.iter().map(of).collect::<Result<_>>()?,
    };
    let places: &[Vec<PartitionLocation>] = &reader.partition;
    let places = |partition: usize| places.get(partition).cloned().unwrap_or_default();
    regrouped(reader, plan, places)
}

/// The reader with the groups of `plan`, which finds partitions at `places`.
pub(in super::super) fn regrouped(
    reader: &ShuffleReaderExec,
    plan: CoalescePlan,
    mut places: impl FnMut(usize) -> Vec<PartitionLocation>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let groups = plan.groups.iter().map(|group| {
        let partitions = group.upstream_indices.iter();
        partitions.flat_map(|p| places(*p as usize)).collect()
    });
    let groups: Vec<Vec<PartitionLocation>> = groups.collect();
    let partitioning = match reader.properties().output_partitioning() {
        Partitioning::Hash(keys, _) => Partitioning::Hash(keys.clone(), groups.len()),
        _ => Partitioning::UnknownPartitioning(groups.len()),
    };
    let schema = reader.schema();
    let grouped =
        ShuffleReaderExec::try_new_coalesced(reader.stage_id, groups, plan, schema, partitioning);
    let grouped = grouped.map_err(|e| DataFusionError::External(Box::new(e)))?;
    Ok(Arc::new(grouped))
}
