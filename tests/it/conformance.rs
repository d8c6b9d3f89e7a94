//! A part of DataFusion's own test files, on one process and on a cluster; `make conformance` runs
//! all of them.
//!
//! A record that differs and is not in tests/conformance/known.txt fails the test. One that is in it
//! and no longer differs is named, so that its line can go.

use std::collections::BTreeSet;

use emporia_e2e::conformance::{Outcome, Place, Source, Totals, known, run_file};
use emporia_e2e::workspace;

/// Files in which the most that matters stands, and which are read within seconds.
const FILES: [&str; 29] = [
    "aggregate_repartition.slt",
    "aggregates_topk.slt",
    "case.slt",
    "cast.slt",
    "cte.slt",
    "distinct_on.slt",
    "eliminate_outer_join.slt",
    "grouping.slt",
    "grouping_set_repartition.slt",
    "in_list.slt",
    "intersection.slt",
    "join_disable_repartition_joins.slt",
    "join_is_not_distinct_from.slt",
    "join_limit_pushdown.slt",
    "lateral_join.slt",
    "lead_lag_extreme_offsets.slt",
    "limit.slt",
    "negative_zero.slt",
    "null_aware_anti_join.slt",
    "predicates.slt",
    "propagate_empty_relation_outer_join.slt",
    "push_down_filter_outer_joins.slt",
    "qualify.slt",
    "select.slt",
    "subquery.slt",
    "topk.slt",
    "union.slt",
    "unnest.slt",
    "window_topk_pushdown.slt",
];

/// Records of these files that run and have the stated rows, in percent of those that are compared. Those that
/// DataFusion refuses and Emporia answers do not count.
const LEAST_SHARE: f64 = 95.5;

async fn check(place: &Place) {
    let source = Source::fetch().unwrap();
    let list = workspace().join("tests/conformance/known.txt");
    let known = known(&std::fs::read_to_string(list).unwrap(), place.name());
    let mut totals = Totals::default();
    for file in FILES {
        let path = source.files().join(file);
        totals.add(run_file(&source, &path, place).await.unwrap());
    }
    let is_different = |outcome: &Outcome| matches!(outcome, Outcome::Different(_));
    let different = totals.findings().filter(|f| is_different(&f.outcome));
    let different: BTreeSet<_> = different.map(|f| f.at.as_str()).collect();
    let in_files = |at: &&String| FILES.iter().any(|file| at.starts_with(file));
    for at in known
        .keys()
        .filter(in_files)
        .filter(|at| !different.contains(at.as_str()))
    {
        println!(
            "{at} no longer differs on {}: take it out of known.txt",
            place.name()
        );
    }
    let new = totals.findings().filter(|f| is_different(&f.outcome));
    let new = new.filter(|f| !known.contains_key(&f.at));
    let new: Vec<_> = new
        .map(|f| format!("{}\n{}\n{:?}", f.at, f.sql, f.outcome))
        .collect();
    assert!(new.is_empty(), "{}", new.join("\n\n"));
    // Also what is refused must not become more.
    let summary = totals.summary(place.name());
    assert!(totals.share() >= LEAST_SHARE, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_datafusion_on_one_process() {
    check(&Place::OneProcess).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_datafusion_on_a_cluster() {
    check(&Place::cluster().await.unwrap()).await;
}
