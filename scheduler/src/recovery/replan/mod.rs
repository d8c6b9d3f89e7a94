//! The plan of a stage is made again when all that it reads has been computed: then the sizes of its inputs are
//! known, where the planner had to guess.
//!
//! [`replanned`] is a function of the plan, the outputs that it reads and the number of slots. It changes
//! nothing outside its stage: the rows, and the partition in which a reader finds them, stay the same. A
//! plan is made before the first task of its stage is given out, and kept as long as any output of the
//! stage is. An error fails the query. docs/recovery.md says what is changed and when.

mod groups;
mod joins;
mod record;
mod sizes;

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;

pub(super) use groups::regrouped;
pub(crate) use record::Replans;

/// Whether the stages of a job are planned again; an extension of the configuration of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replanning {
    On,
    Off,
}

/// What the plan of a stage is made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Whether no other stage reads the output, so that its number of partitions is free.
    pub(super) is_last: bool,
    /// The slots of all executors, at least 1.
    pub(super) n_slots: usize,
}

/// A change of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Instead of sorting both sides of a join, the smaller one is hashed.
    Hashed {
        /// What is joined, as the plan shows it.
        join: String,
        /// Most rows and bytes of a partition of the smaller side.
        build: sizes::Size,
    },
    /// Partitions are read together.
    Grouped { from: usize, to: usize },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashed { join, build } => write!(
                f,
                "a side of {} rows and {} bytes in a partition is hashed instead of sorting both: {join}",
                build.rows, build.bytes
            ),
            Self::Grouped { from, to } => write!(f, "{from} partitions are read as {to}"),
        }
    }
}

/// The plan of a stage, made for the sizes of its inputs, and what was changed.
///
/// # Errors
/// Where a changed plan cannot be built.
pub(super) fn replanned(
    plan: Arc<dyn ExecutionPlan>,
    place: Place,
) -> Result<(Arc<dyn ExecutionPlan>, Vec<Change>)> {
    let mut changes = Vec::new();
    let plan = groups::grouped(plan, place, &mut changes)?;
    let plan = joins::hashed(plan, &mut changes)?;
    Ok((plan, changes))
}

#[cfg(test)]
mod tests;
