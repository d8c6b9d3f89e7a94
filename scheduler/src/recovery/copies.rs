//! When a task is given to a second executor, because it runs far longer than others of its stage.

use std::sync::Arc;

use ballista_core::serde::protobuf::task_status;
use ballista_scheduler::state::execution_stage::TaskInfo;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::physical_plan::ExecutionPlan;
use emporia_engine::writes_to_store;

use super::lineage::TaskId;

/// No task is slow before it has run that long.
const MIN_MILLIS: u128 = 5_000;
/// A task is slow when it runs that many times as long as half of those that ended.
const TIMES_MEDIAN: u128 = 2;

/// Whether tasks of a stage may run twice at a time.
///
/// Files have names of their own in each attempt, and only those of attempts that count are read or published.
/// A store has one place for the rows of both: they are equal, but the copy may still write when the result is
/// switched, and two writers of one key get in each other's way.
pub(super) fn may_be_copied(stage: &Arc<dyn ExecutionPlan>) -> bool {
    let mut may_be = true;
    let visited = stage.apply(|node| {
        may_be &= !writes_to_store(node) && !node.is::<DataSinkExec>();
        Ok(if may_be {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    });
    visited.is_ok() && may_be
}

/// How long the tasks of a stage take.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Times of those that succeeded, in milliseconds.
    ended: Vec<u128>,
    /// When those began that run, in milliseconds since the epoch.
    running: Vec<(TaskId, u128)>,
}

impl Pace {
    /// The times of `tasks`, from when they were given out to when their report came.
    pub(super) fn of(tasks: &[TaskInfo]) -> Self {
        let mut pace = Self::default();
        for (id, task) in tasks.iter().enumerate() {
            match &task.task_status {
                task_status::Status::Running(_) => pace.running.push((id, task.scheduled_time)),
                task_status::Status::Successful(_) => {
                    pace.ended
                        .push(task.finish_time.saturating_sub(task.scheduled_time));
                }
                task_status::Status::Failed(_) => {}
            }
        }
        pace
    }

    /// The task that runs longest, where at least half of all have ended and it is far slower than they were.
    pub(super) fn straggler(
        mut self,
        now: u128,
        may_be: impl Fn(TaskId) -> bool,
    ) -> Option<TaskId> {
        if self.running.is_empty() || self.ended.len() < self.running.len() {
            return None;
        }
        let middle = self.ended.len() / 2;
        let (_, median, _) = self.ended.select_nth_unstable(middle);
        let limit = MIN_MILLIS.max(*median * TIMES_MEDIAN);
        let slow = self
            .running
            .into_iter()
            .filter(|(task, start)| now.saturating_sub(*start) > limit && may_be(*task));
        slow.min_by_key(|(_, start)| *start).map(|(task, _)| task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn straggler(ended: &[u128], running: &[u128], now: u128) -> Option<TaskId> {
        let running = running.iter().copied().enumerate();
        let pace = Pace {
            ended: ended.to_vec(),
            running: running.collect(),
        };
        pace.straggler(now, |_| true)
    }

    #[test]
    fn a_task_is_slow_beside_others() {
        assert_eq!(straggler(&[4_000, 9_000, 4_000], &[1_000], 9_000), None);
        assert_eq!(straggler(&[4_000, 9_000, 4_000], &[1_000], 9_001), Some(0));
        assert_eq!(
            straggler(&[4_000, 9_000, 4_000], &[5_000, 2_000], 12_000),
            Some(1)
        );
    }

    #[test]
    fn short_tasks_and_first_tasks_are_not_copied() {
        assert_eq!(straggler(&[10, 10], &[0], 5_000), None);
        assert_eq!(straggler(&[10, 10], &[0], 5_001), Some(0));
        assert_eq!(straggler(&[], &[0], 100_000), None);
        assert_eq!(straggler(&[10], &[0, 0], 100_000), None);
        assert_eq!(straggler(&[10, 10], &[], 100_000), None);
    }

    #[test]
    fn a_task_that_has_a_copy_is_left_alone() {
        let pace = Pace {
            ended: vec![10, 10],
            running: vec![(0, 0), (1, 5)],
        };
        assert_eq!(pace.straggler(9_000, |task| task != 0), Some(1));
    }
}
