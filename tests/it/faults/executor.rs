//! Executors that are killed, paused, told to end, or join late and die; files of their outputs that go.

use emporia_e2e::programs::wait_until;

use super::cluster::{self, Patience, executors_of};
use super::job::{JOBS, Replanning};
use super::matrix::{Fault, survive};
use super::scene::NOTICED;
use super::turn;

#[test]
fn a_killed_executor_costs_no_row() {
    survive(&[Fault::Killed], &JOBS, &Replanning::BOTH);
}

#[test]
fn two_killed_executors_cost_no_row() {
    survive(&[Fault::TwoKilled], &["clv"], &[Replanning::On]);
}

#[test]
fn two_executors_that_are_killed_at_once_cost_no_row() {
    survive(&[Fault::TwoKilledAtOnce], &["clv"], &[Replanning::On]);
}

#[test]
fn an_executor_that_joins_late_and_dies_costs_no_row() {
    let jobs = ["clv", "revenue_by_category"];
    survive(&[Fault::LateJoinerKilled], &jobs, &Replanning::BOTH);
}

#[test]
fn a_paused_executor_costs_no_row() {
    survive(&[Fault::Paused], &["clv"], &[Replanning::On]);
}

#[test]
fn all_executors_may_die_and_one_come_back() {
    let jobs = ["revenue_by_category"];
    survive(&[Fault::AllKilledOneBack], &jobs, &[Replanning::On]);
}

#[test]
fn an_executor_that_restarts_at_once_costs_no_row() {
    survive(&[Fault::Restarted], &["clv"], &[Replanning::On]);
}

#[test]
fn an_executor_that_flaps_costs_no_row() {
    survive(&[Fault::Flapping], &["clv"], &[Replanning::On]);
}

#[test]
fn damaged_files_of_outputs_cost_no_row() {
    let faults = [
        Fault::FilesRemoved,
        Fault::IndexesRemoved,
        Fault::FilesCutOff,
    ];
    survive(&faults, &["clv"], &Replanning::BOTH);
}

#[test]
fn an_executor_that_is_told_to_end_drains() {
    survive(&[Fault::ToldToEnd], &JOBS, &[Replanning::On]);
}

#[test]
fn a_dead_executor_is_noticed() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster::start(folder.path(), 2, Patience::Default, &[]).unwrap();
    assert_eq!(executors_of(&cluster.url).len(), 2);
    cluster.kill("executor-1").unwrap();
    let is_noticed = wait_until(NOTICED, || executors_of(&cluster.url) == ["executor-2"]);
    assert!(is_noticed, "{:?}", executors_of(&cluster.url));
}
