//! Which tasks hold the slots of which executor.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ballista_core::JobId;
use ballista_core::serde::scheduler::TaskKey;

/// The slots of all executors. A task holds its slots from when it is given to an executor until the
/// executor reports its end, is lost, or the job ends; so none can be lost or given back twice.
#[derive(Debug, Default)]
pub(crate) struct Slots(Mutex<BTreeMap<String, Executor>>);

#[derive(Debug, Default)]
struct Executor {
    n_slots: u32,
    n_held: u32,
    held: HashMap<TaskKey, Held>,
}

/// What a task holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    n_slots: u32,
    /// Whether nobody waits for it any more; it was told to end.
    pub(crate) is_given_up: bool,
}

impl Slots {
    fn executors(&self) -> MutexGuard<'_, BTreeMap<String, Executor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an executor that runs nothing.
    pub(crate) fn add(&self, executor: &str, n_slots: u32) {
        let new = Executor {
            n_slots,
            ..Executor::default()
        };
        self.executors().insert(executor.to_owned(), new);
    }

    /// Removes an executor and all that it ran.
    pub(crate) fn remove(&self, executor: &str) {
        self.executors().remove(executor);
    }

    /// Whether an executor is registered.
    pub(crate) fn has(&self, executor: &str) -> bool {
        self.executors().contains_key(executor)
    }

    /// The slots of all executors, free or not.
    pub(crate) fn n_all(&self) -> usize {
        let executors = self.executors();
        executors.values().map(|e| e.n_slots as usize).sum()
    }

    /// A task takes slots.
    pub(crate) fn hold(&self, executor: &str, task: TaskKey, n_slots: u32) {
        if let Some(executor) = self.executors().get_mut(executor) {
            executor.n_held += n_slots;
            let held = Held {
                n_slots,
                is_given_up: false,
            };
            executor.held.insert(task, held);
        }
    }

    /// Nobody waits for a task any more. It holds its slots until it ends.
    pub(crate) fn give_up(&self, executor: &str, task: &TaskKey) {
        if let Some(executor) = self.executors().get_mut(executor)
            && let Some(held) = executor.held.get_mut(task)
        {
            held.is_given_up = true;
        }
    }

    /// The tasks that hold slots of an executor.
    pub(crate) fn held(&self, executor: &str) -> HashMap<TaskKey, Held> {
        let executors = self.executors();
        let executor = executors.get(executor);
        executor.map(|e| e.held.clone()).unwrap_or_default()
    }

    /// A task has ended.
    pub(crate) fn release(&self, executor: &str, task: &TaskKey) {
        if let Some(executor) = self.executors().get_mut(executor)
            && let Some(held) = executor.held.remove(task)
        {
            executor.n_held -= held.n_slots;
        }
    }

    /// The jobs whose tasks hold slots.
    pub(crate) fn jobs(&self) -> HashSet<JobId> {
        let executors = self.executors();
        let tasks = executors.values().flat_map(|e| e.held.keys());
        tasks.map(|task| task.job_id.clone()).collect()
    }

    /// Tasks of other jobs no longer count: their jobs have ended, and they are being stopped.
    pub(crate) fn keep_jobs(&self, is_running: impl Fn(&JobId) -> bool) {
        for executor in self.executors().values_mut() {
            executor.held.retain(|task, _| is_running(&task.job_id));
            executor.n_held = executor.held.values().map(|held| held.n_slots).sum();
        }
    }

    /// The free slots of each of `executors`, most first.
    pub(crate) fn free(&self, executors: &HashSet<String>) -> Vec<(String, u32)> {
        let mut free: Vec<(String, u32)> = self
            .executors()
            .iter()
            .filter(|(id, _)| executors.contains(*id))
            .map(|(id, e)| (id.clone(), e.n_slots.saturating_sub(e.n_held)))
            .filter(|(_, n_free)| *n_free > 0)
            .collect();
        free.sort_by(|(a, n_a), (b, n_b)| n_b.cmp(n_a).then_with(|| a.cmp(b)));
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(job: &str, task_id: usize) -> TaskKey {
        TaskKey {
            job_id: job.into(),
            stage_id: 1,
            task_id,
        }
    }

    fn free(slots: &Slots) -> Vec<(String, u32)> {
        slots.free(&["a", "b"].map(str::to_owned).into())
    }

    #[test]
    fn slots_come_back_once() {
        let slots = Slots::default();
        slots.add("a", 4);
        slots.add("b", 2);
        slots.add("not asked for", 9);
        slots.hold("a", task("j", 0), 3);
        assert_eq!(free(&slots), [("b".to_owned(), 2), ("a".to_owned(), 1)]);
        // A report of another executor, a second report, and one of an unknown task.
        slots.release("b", &task("j", 0));
        slots.release("a", &task("j", 0));
        slots.release("a", &task("j", 0));
        slots.release("a", &task("j", 7));
        assert_eq!(free(&slots), [("a".to_owned(), 4), ("b".to_owned(), 2)]);
    }

    #[test]
    fn a_new_process_under_an_old_name_has_all_slots() {
        let slots = Slots::default();
        slots.add("a", 1);
        slots.hold("a", task("j", 0), 1);
        assert_eq!(free(&slots), []);
        slots.remove("a");
        slots.hold("a", task("j", 1), 1);
        slots.add("a", 1);
        slots.release("a", &task("j", 0));
        assert_eq!(free(&slots), [("a".to_owned(), 1)]);
    }

    #[test]
    fn ended_jobs_hold_nothing() {
        let slots = Slots::default();
        slots.add("a", 2);
        slots.hold("a", task("ended", 0), 1);
        slots.hold("a", task("runs", 0), 1);
        slots.keep_jobs(|job| job.as_str() == "runs");
        assert_eq!(free(&slots), [("a".to_owned(), 1)]);
    }
}
