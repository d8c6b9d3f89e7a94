//! Recovery from the loss of executors, in the scheduler: what is lost is computed again, nothing is
//! counted twice, and no client takes part. docs/recovery.md has the rules.
//!
//! [`Recovering`] stands between Ballista and its cluster state. Before the first task of a job is
//! given out, it puts a [`graph::RecoveringGraph`] in the place of Ballista's graph of the job.

mod bind;
mod cluster;
mod copies;
mod counts;
mod cuts;
mod finished;
mod graph;
mod lineage;
mod places;
mod probe;
mod reconcile;
mod repeatable;
mod replan;
mod slots;
mod standing;
mod watch;

pub(crate) use cluster::{Recovering, Rules, Shared};
pub(crate) use counts::Counts;
pub(crate) use finished::{FinishedJobs, Keep};
pub(crate) use lineage::Limits;
pub(crate) use replan::{Replanning, Replans};
pub(crate) use watch::watch;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
