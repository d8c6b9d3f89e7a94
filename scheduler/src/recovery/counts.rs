//! What losses have cost.

use prometheus::IntCounter;

/// Counts since the start of the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    /// Partitions that were given to a task again, after a failure or a loss.
    pub(crate) rerun: IntCounter,
    /// Executors that were dropped.
    pub(crate) lost: IntCounter,
    /// Tasks that were given to a second executor.
    pub(crate) copied: IntCounter,
}

impl Counts {
    /// Counts that begin at 0.
    ///
    /// # Errors
    /// Where a name is no name of a metric.
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            rerun: IntCounter::new(
                "partitions_rerun_total",
                "Partitions that were given to a task again, after a failure or a loss.",
            )?,
            lost: IntCounter::new("executors_lost_total", "Executors that were dropped.")?,
            copied: IntCounter::new(
                "tasks_copied_total",
                "Tasks that were given to a second executor, because they ran far longer than others.",
            )?,
        })
    }
}
