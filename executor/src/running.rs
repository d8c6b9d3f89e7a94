//! The tasks of this process, for the scheduler to compare with what it knows.
//!
//! An executor reports the end of a task once. Where that report is lost, the scheduler learns from
//! these lists that the task no longer runs.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ballista_core::ids::new_instance_id;
use emporia_engine::running::{ExecutorTasks, TaskName};

/// How long a task that ended is named.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How many tasks that ended are named at most; the scheduler asks each second.
const MAX_ENDED: usize = 256;

/// What runs in this process and what ended lately. Clones share one list.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<Shared>);

struct Shared {
    incarnation: String,
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    running: BTreeSet<TaskName>,
    ended: VecDeque<(Instant, TaskName)>,
}

impl Lists {
    fn end(&mut self, name: &TaskName, now: Instant) {
        if let Some(name) = self.running.take(name) {
            self.ended.push_back((now, name));
        }
        while self.ended.len() > MAX_ENDED
            || self
                .ended
                .front()
                .is_some_and(|(then, _)| now.saturating_duration_since(*then) > REMEMBERED)
        {
            self.ended.pop_front();
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("incarnation", &self.0.incarnation)
            .finish_non_exhaustive()
    }
}

impl Tasks {
    /// No tasks, in a process with a new id.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            incarnation: new_instance_id(),
            lists: Mutex::default(),
        }))
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task that runs until the guard is dropped.
    pub(crate) fn start(&self, name: TaskName) -> RunningTask {
        self.lists().running.insert(name.clone());
        RunningTask {
            tasks: self.clone(),
            name,
        }
    }

    /// What the scheduler is told.
    pub(crate) fn answer(&self) -> ExecutorTasks {
        let lists = self.lists();
        ExecutorTasks {
            incarnation: self.0.incarnation.clone(),
            running: lists.running.iter().cloned().collect(),
            ended: lists.ended.iter().map(|(_, name)| name.clone()).collect(),
        }
    }
}

/// A task between its start and the moment when its report is on the way.
#[derive(Debug)]
#[must_use]
pub(crate) struct RunningTask {
    tasks: Tasks,
    name: TaskName,
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.tasks.lists().end(&self.name, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(task: usize) -> TaskName {
        TaskName {
            job: "j".to_owned(),
            stage: 1,
            task,
        }
    }

    #[test]
    fn tasks_run_until_they_are_dropped() {
        let tasks = Tasks::new();
        let first = tasks.start(name(0));
        let second = tasks.start(name(1));
        drop(first);
        let answer = tasks.answer();
        assert_eq!(answer.running, [name(1)]);
        assert_eq!(answer.ended, [name(0)]);
        drop(second);
        assert_eq!(tasks.answer().ended, [name(0), name(1)]);
        assert_eq!(tasks.answer().incarnation, answer.incarnation);
        assert_ne!(Tasks::new().answer().incarnation, answer.incarnation);
    }

    #[test]
    fn ended_tasks_are_forgotten() {
        let mut lists = Lists::default();
        let start = Instant::now();
        lists.running = (0..MAX_ENDED + 10).map(name).collect();
        for task in 0..MAX_ENDED + 5 {
            lists.end(&name(task), start);
        }
        assert_eq!(lists.ended.len(), MAX_ENDED);
        assert_eq!(lists.ended[0].1, name(5));
        lists.end(&name(MAX_ENDED + 5), start + REMEMBERED * 2);
        assert_eq!(lists.ended.len(), 1);
    }
}
