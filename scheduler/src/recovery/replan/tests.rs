//! Plans of stages over inputs of known sizes.

use std::collections::BTreeSet;

use ballista_core::execution_plans::sort_shuffle::SortShuffleConfig;
use ballista_core::execution_plans::{ShuffleReaderExec, ShuffleWriterExec, SortShuffleWriterExec};
use ballista_core::serde::protobuf::ShuffleWritePartition;
use ballista_core::serde::scheduler::{
    ExecutorMetadata, ExecutorOperatingSystemSpecification, ExecutorSpecification, PartitionId,
    PartitionLocation, PartitionStats,
};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{Partitioning, displayable};

use super::super::places::{Output, Outputs, moved};
use super::*;

type Plan = Arc<dyn ExecutionPlan>;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const PLACE: Place = Place {
    is_last: false,
    n_slots: 2,
};
const RESULT: Place = Place {
    is_last: true,
    n_slots: 2,
};
const JOIN_TYPES: [JoinType; 8] = [
    JoinType::Inner,
    JoinType::Left,
    JoinType::Right,
    JoinType::Full,
    JoinType::LeftSemi,
    JoinType::LeftAnti,
    JoinType::RightSemi,
    JoinType::RightAnti,
];

fn written(stage: usize, partition: usize, bytes: Option<u64>) -> PartitionLocation {
    PartitionLocation {
        map_partition_id: 0,
        partition_id: PartitionId::new(&"j".into(), stage, partition),
        executor_meta: ExecutorMetadata {
            id: "e".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 1,
            grpc_port: 2,
            specification: ExecutorSpecification::default(),
            os_info: ExecutorOperatingSystemSpecification::default(),
        },
        // Of a row of two columns.
        partition_stats: PartitionStats::new(bytes.map(|bytes| bytes / 16), Some(1), bytes),
        file_id: Some(0),
        is_sort_shuffle: true,
    }
}

/// A reader of a stage whose partitions have so many bytes; 0 for those that no task wrote.
fn reader_of(stage: usize, key: DataType, sizes: &[Option<u64>]) -> Plan {
    let schema = Arc::new(Schema::new(vec![
        Field::new("k", key, true),
        Field::new("v", DataType::Int64, true),
    ]));
    let places = sizes.iter().enumerate().map(|(partition, bytes)| {
        let is_there = *bytes != Some(0);
        Vec::from_iter(is_there.then(|| written(stage, partition, *bytes)))
    });
    let keys = Partitioning::Hash(vec![col("k", &schema).unwrap()], sizes.len());
    let reader = ShuffleReaderExec::try_new(stage, places.collect(), schema, keys);
    Arc::new(reader.unwrap())
}

fn reader(stage: usize, sizes: &[u64]) -> Plan {
    let sizes: Vec<_> = sizes.iter().copied().map(Some).collect();
    reader_of(stage, DataType::Int64, &sizes)
}

fn sorted(plan: Plan, column: &str) -> Plan {
    let key = PhysicalSortExpr::new_default(col(column, &plan.schema()).unwrap());
    Arc::new(SortExec::new([key].into(), plan).with_preserve_partitioning(true))
}

/// A sort-merge join of inputs that are sorted by `k`.
fn merged(left: Plan, right: Plan, join_type: JoinType) -> Plan {
    let on = (
        col("k", &left.schema()).unwrap(),
        col("k", &right.schema()).unwrap(),
    );
    let join = SortMergeJoinExec::try_new(
        left,
        right,
        vec![on],
        None,
        join_type,
        vec![SortOptions::default()],
        NullEquality::NullEqualsNothing,
    );
    Arc::new(join.unwrap())
}

fn join(left: Plan, right: Plan, join_type: JoinType) -> Plan {
    merged(sorted(left, "k"), sorted(right, "k"), join_type)
}

/// A stage whose rows are dealt out by a key.
fn dealt_out(plan: Plan) -> Plan {
    let key = col("k", &plan.schema()).unwrap();
    let by_key = Partitioning::Hash(vec![key], 4);
    let config = SortShuffleConfig::default();
    let writer = SortShuffleWriterExec::try_new("j".into(), 9, plan, String::new(), by_key, config);
    Arc::new(writer.unwrap())
}

/// A stage whose rows stay in their partitions.
fn kept(plan: Plan) -> Plan {
    let writer = ShuffleWriterExec::try_new("j".into(), 9, plan, String::new());
    Arc::new(writer.unwrap())
}

fn count<T: ExecutionPlan>(plan: &Plan) -> usize {
    let mut n = 0;
    plan.apply(|node| {
        n += usize::from(node.is::<T>());
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    n
}

fn readers(plan: &Plan) -> Vec<ShuffleReaderExec> {
    let mut found = Vec::new();
    plan.apply(|node| {
        found.extend(node.downcast_ref::<ShuffleReaderExec>().cloned());
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    found
}

fn text(plan: &Plan) -> String {
    displayable(plan.as_ref()).indent(true).to_string()
}

#[track_caller]
fn is_left_alone(plan: Plan, place: Place) {
    let before = text(&plan);
    let (plan, changes) = replanned(plan, place).unwrap();
    assert_eq!(changes, []);
    assert_eq!(text(&plan), before);
}

#[test]
fn the_smaller_side_of_a_join_is_hashed() {
    for join_type in JOIN_TYPES {
        for (left, right, built) in [(MIB, 900 * MIB, 1), (900 * MIB, MIB, 2), (MIB, 2 * MIB, 1)] {
            let sides = [reader(1, &[left; 2]), reader(2, &[right; 2])];
            let [left, right] = sides;
            let before = dealt_out(join(left, right, join_type));
            let schema = before.children()[0].schema();
            let (plan, changes) = replanned(before, PLACE).unwrap();
            assert_eq!(changes.len(), 1, "{}", text(&plan));
            assert_eq!(count::<SortExec>(&plan), 0, "{}", text(&plan));
            assert_eq!(plan.children()[0].schema(), schema);
            let mut modes = Vec::new();
            plan.apply(|node| {
                if let Some(join) = node.downcast_ref::<HashJoinExec>() {
                    let build = join.left().downcast_ref::<ShuffleReaderExec>().unwrap();
                    let is_swapped = build.stage_id == 2;
                    let expected = if is_swapped {
                        join_type.swap()
                    } else {
                        join_type
                    };
                    assert_eq!(*join.join_type(), expected);
                    modes.push((*join.partition_mode(), build.stage_id));
                }
                Ok(TreeNodeRecursion::Continue)
            })
            .unwrap();
            assert_eq!(modes, [(PartitionMode::Partitioned, built)], "{join_type}");
        }
    }
}

#[test]
fn a_join_stays_where_no_side_is_known_to_be_small() {
    let large = || reader(1, &[MIB, 900 * MIB]);
    is_left_alone(dealt_out(join(large(), large(), JoinType::Inner)), PLACE);
    let unknown = || reader_of(1, DataType::Int64, &[Some(MIB), None]);
    is_left_alone(
        dealt_out(join(unknown(), unknown(), JoinType::Inner)),
        PLACE,
    );
}

#[test]
fn sorts_for_a_join_that_is_hashed_are_left_out() {
    let renamed = |plan: Plan| -> Plan {
        let columns = ["k", "v"].map(|name| ProjectionExpr {
            expr: col(name, &plan.schema()).unwrap(),
            alias: name.to_owned(),
        });
        Arc::new(ProjectionExec::try_new(columns, plan).unwrap())
    };
    let top = |plan: Plan| -> Plan {
        let key = PhysicalSortExpr::new_default(col("k", &plan.schema()).unwrap());
        let sort = SortExec::new([key].into(), plan).with_preserve_partitioning(true);
        Arc::new(sort.with_fetch(Some(3)))
    };
    let stage = |left: Plan| {
        let right = sorted(reader(2, &[MIB; 2]), "k");
        dealt_out(merged(left, right, JoinType::LeftSemi))
    };
    let left = renamed(sorted(reader(1, &[900 * MIB; 2]), "k"));
    let (plan, changes) = replanned(stage(left), PLACE).unwrap();
    assert_eq!(
        (changes.len(), count::<SortExec>(&plan)),
        (1, 0),
        "{}",
        text(&plan)
    );
    // One that takes the first rows stays.
    let left = renamed(top(reader(1, &[900 * MIB; 2])));
    let (plan, changes) = replanned(stage(left), PLACE).unwrap();
    assert_eq!(
        (changes.len(), count::<SortExec>(&plan)),
        (1, 1),
        "{}",
        text(&plan)
    );
}

#[test]
fn the_hash_tables_of_a_stage_fit_together() {
    let small = |stage| reader(stage, &[20 * MIB; 2]);
    let mut plan = reader(0, &[900 * MIB; 2]);
    for stage in 1..=4 {
        plan = join(plan, small(stage), JoinType::LeftSemi);
    }
    let (plan, _) = replanned(dealt_out(plan), PLACE).unwrap();
    // 20 MiB of values, and 24 bytes of a table for each of 1,310,720 rows.
    assert_eq!(count::<HashJoinExec>(&plan), 2, "{}", text(&plan));
    assert_eq!(count::<SortMergeJoinExec>(&plan), 2);
}

#[test]
fn keys_that_may_be_equal_in_two_ways_are_left_to_be_sorted() {
    let floats = || reader_of(1, DataType::Float64, &[Some(9 * MIB), Some(9 * MIB)]);
    is_left_alone(dealt_out(join(floats(), floats(), JoinType::Inner)), PLACE);
}

#[test]
fn an_order_that_a_stage_promises_is_kept() {
    let small = |stage| reader(stage, &[9 * MIB; 2]);
    let by_key = || join(small(1), small(2), JoinType::Inner);
    is_left_alone(kept(by_key()), PLACE);
    is_left_alone(
        dealt_out(Arc::new(LocalLimitExec::new(by_key(), 10))),
        PLACE,
    );
    // What is sorted for something else stays sorted.
    is_left_alone(dealt_out(sorted(reader(1, &[900 * MIB; 2]), "v")), PLACE);
    // The order of a result is made above the join.
    for stage in [kept(sorted(by_key(), "v")), kept(sorted(by_key(), "k"))] {
        let (plan, changes) = replanned(stage, PLACE).unwrap();
        assert_eq!(changes.len(), 1);
        let sort = plan.children()[0];
        assert!(sort.is::<SortExec>(), "{}", text(&plan));
        assert_eq!(
            (count::<SortExec>(&plan), count::<HashJoinExec>(&plan)),
            (1, 1)
        );
    }
}

#[test]
fn a_join_that_needs_the_order_of_another_gets_it() {
    let small = |stage| reader(stage, &[9 * MIB; 2]);
    let large = |stage| reader(stage, &[900 * MIB; 2]);
    let inner = || join(small(1), small(2), JoinType::LeftSemi);
    let both = merged(inner(), sorted(large(3), "k"), JoinType::Inner);
    let (plan, changes) = replanned(dealt_out(both), PLACE).unwrap();
    assert_eq!(changes.len(), 2, "{}", text(&plan));
    assert_eq!(count::<SortExec>(&plan), 0);
    // The sides of the outer one are large.
    let inner = join(large(1), small(2), JoinType::LeftSemi);
    is_left_alone(
        dealt_out(merged(inner, sorted(large(3), "k"), JoinType::Inner)),
        PLACE,
    );
}

#[test]
fn small_partitions_are_read_together_in_all_inputs_alike() {
    let sizes: Vec<u64> = (0..20).map(|n| (n % 7) * 100 * KIB).collect();
    let stage = dealt_out(join(
        reader(1, &sizes),
        reader(2, &[900 * KIB; 20]),
        JoinType::Inner,
    ));
    let (plan, changes) = replanned(stage, PLACE).unwrap();
    assert_eq!(changes.len(), 2, "{changes:?}");
    let readers = readers(&plan);
    let groups = |reader: &ShuffleReaderExec| {
        let groups = &reader.coalesce.as_ref().unwrap().groups;
        let groups = groups.iter().map(|group| group.upstream_indices.clone());
        groups.collect::<Vec<_>>()
    };
    assert_eq!(groups(&readers[0]), groups(&readers[1]));
    let all: Vec<u32> = groups(&readers[0]).concat();
    assert_eq!(all, Vec::from_iter(0..20));
    assert!((2..20).contains(&groups(&readers[0]).len()));
    for reader in &readers {
        for (places, group) in reader.partition.iter().zip(groups(reader)) {
            let read = places.iter().map(|place| place.partition_id.partition_id);
            let read: BTreeSet<u32> = read.map(|p| u32::try_from(p).unwrap()).collect();
            let group: BTreeSet<u32> = group.into_iter().collect();
            assert!(read.is_subset(&group), "{read:?} of {group:?}");
        }
        let n_places: usize = reader.partition.iter().map(Vec::len).sum();
        assert_eq!(n_places, if reader.stage_id == 1 { 17 } else { 20 });
    }
}

#[test]
fn every_slot_has_a_group_and_none_is_large() {
    for (n_slots, size, n_groups) in [
        (2, 0, 1),
        (2, KIB, 1),
        (2, 512 * KIB, 2),
        (8, 512 * KIB, 8),
        (2, 2 * MIB, 2),
        (2, 8 * MIB, 8),
        (2, 90 * MIB, 16),
    ] {
        let stage = kept(sorted(reader(1, &[size; 16]), "v"));
        let place = Place {
            is_last: true,
            n_slots,
        };
        let (plan, _) = replanned(stage, place).unwrap();
        let n = readers(&plan)[0].partition.len();
        assert_eq!(n, n_groups, "{n_slots} slots, {size} bytes");
    }
}

#[test]
fn a_number_of_partitions_that_others_see_stays() {
    let small = || reader(1, &[KIB; 8]);
    is_left_alone(kept(sorted(small(), "v")), PLACE);
    let both = UnionExec::try_new(vec![small(), small()]).unwrap();
    is_left_alone(kept(both), RESULT);
    is_left_alone(kept(Arc::new(LocalLimitExec::new(small(), 1))), RESULT);
    is_left_alone(kept(reader_of(1, DataType::Int64, &[None; 8])), RESULT);
    is_left_alone(
        dealt_out(join(
            reader(1, &[900 * MIB; 8]),
            reader(2, &[900 * MIB; 8]),
            JoinType::Full,
        )),
        PLACE,
    );
}

#[test]
fn inputs_without_rows_are_planned_like_others() {
    for join_type in JOIN_TYPES {
        let nothing = reader(1, &[0; 8]);
        let stage = dealt_out(join(nothing, reader(2, &[0; 8]), join_type));
        let (plan, changes) = replanned(stage, PLACE).unwrap();
        assert_eq!(changes.len(), 2);
        let n_places: Vec<usize> = readers(&plan)[0].partition.iter().map(Vec::len).collect();
        assert_eq!(n_places, [0]);
    }
}

#[test]
fn groups_are_found_at_other_places() {
    let (plan, _) = replanned(kept(reader(1, &[KIB; 8])), RESULT).unwrap();
    let mut outputs = Outputs::default();
    for task in 0..2 {
        let partitions = (0..8).map(|partition_id| ShuffleWritePartition {
            partition_id,
            num_batches: 1,
            num_rows: 1,
            num_bytes: 16,
            file_id: Some(0),
            is_sort_shuffle: true,
        });
        let executor = written(1, 0, None).executor_meta;
        let output = Output::new(&"j".into(), &executor, partitions.collect());
        outputs.add(1, task, output);
    }
    let moved = moved(plan, &outputs).unwrap();
    let reader = readers(&moved).remove(0);
    assert_eq!(reader.partition.len(), 1);
    assert_eq!(reader.partition[0].len(), 16);
    assert_eq!(
        moved.children()[0]
            .properties()
            .partitioning
            .partition_count(),
        1
    );
}
