//! Compares what executors say that they run with what was given to them.
//!
//! No I/O, no clock: [`Reconciler::compare`] gets an answer, what the scheduler holds to be running,
//! and the time.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use ballista_core::serde::scheduler::TaskKey;
use emporia_engine::running::{ExecutorTasks, TaskName};

use super::slots::Held;

/// How long the report of a task that ended may be on its way.
const REPORT_TIME: Duration = Duration::from_secs(10);
/// How long a task may be on its way to an executor, or wait there for a thread. Plans may be large.
const START_TIME: Duration = Duration::from_secs(120);
/// How long a task may end after it was told to.
const STOP_TIME: Duration = Duration::from_secs(2);

/// What an executor says, which has to be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is another process than before: all that the old one had is lost.
    Restarted,
    /// A task that was given to it does not run there, and no report of its end has come.
    Unreported { task: TaskKey, has_ended: bool },
    /// A task runs there for which nobody waits.
    Stray(TaskKey),
}

/// What the executors said before.
#[derive(Debug, Default)]
pub(crate) struct Reconciler {
    executors: HashMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    incarnation: String,
    /// Tasks that do not run there.
    missing: HashMap<TaskKey, Missing>,
    /// Since when tasks run there for which nobody waits, or when they were told to end.
    stray: HashMap<TaskKey, Instant>,
}

/// Since when a task does not run, and since when it is known to have ended.
#[derive(Debug, Clone, Copy)]
struct Missing {
    since: Instant,
    ended: Option<Instant>,
}

impl Reconciler {
    /// Forgets all executors but these.
    pub(crate) fn keep(&mut self, is_registered: impl Fn(&str) -> bool) {
        self.executors.retain(|id, _| is_registered(id));
    }

    /// What follows from the `answer` of an executor that got the tasks of `held`.
    pub(crate) fn compare(
        &mut self,
        executor: &str,
        answer: ExecutorTasks,
        held: &HashMap<TaskKey, Held>,
        now: Instant,
    ) -> Vec<Finding> {
        let seen = self.executors.entry(executor.to_owned()).or_default();
        if seen.incarnation != answer.incarnation {
            let is_first = seen.incarnation.is_empty();
            *seen = Seen {
                incarnation: answer.incarnation,
                ..Seen::default()
            };
            if !is_first {
                return vec![Finding::Restarted];
            }
        }
        let running: HashSet<TaskKey> = answer.running.into_iter().map(key).collect();
        let ended: HashSet<TaskKey> = answer.ended.into_iter().map(key).collect();
        let mut findings = seen.missing(&running, &ended, held, now);
        findings.extend(seen.stray(&running, held, now));
        findings
    }
}

impl Seen {
    fn missing(
        &mut self,
        running: &HashSet<TaskKey>,
        ended: &HashSet<TaskKey>,
        held: &HashMap<TaskKey, Held>,
        now: Instant,
    ) -> Vec<Finding> {
        self.missing
            .retain(|task, _| held.contains_key(task) && !running.contains(task));
        let mut findings = Vec::new();
        for task in held.keys().filter(|task| !running.contains(*task)) {
            let new = Missing {
                since: now,
                ended: None,
            };
            let missing = self.missing.entry(task.clone()).or_insert(new);
            // The executor names it for a while only.
            if missing.ended.is_none() && ended.contains(task) {
                missing.ended = Some(now);
            }
            let (since, limit) = match missing.ended {
                Some(ended) => (ended, REPORT_TIME),
                None => (missing.since, START_TIME),
            };
            if now.saturating_duration_since(since) >= limit {
                findings.push(Finding::Unreported {
                    task: task.clone(),
                    has_ended: missing.ended.is_some(),
                });
            }
        }
        findings
    }

    fn stray(
        &mut self,
        running: &HashSet<TaskKey>,
        held: &HashMap<TaskKey, Held>,
        now: Instant,
    ) -> Vec<Finding> {
        let is_stray = |task: &&TaskKey| held.get(*task).is_none_or(|held| held.is_given_up);
        let stray: HashSet<&TaskKey> = running.iter().filter(is_stray).collect();
        self.stray.retain(|task, _| stray.contains(task));
        let mut findings = Vec::new();
        for task in stray {
            let since = self.stray.entry(task.clone()).or_insert(now);
            if now.saturating_duration_since(*since) >= STOP_TIME {
                // It is told again when that time has passed again.
                *since = now;
                findings.push(Finding::Stray(task.clone()));
            }
        }
        findings
    }
}

fn key(name: TaskName) -> TaskKey {
    TaskKey {
        job_id: name.job.into(),
        stage_id: name.stage,
        task_id: name.task,
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Slots;
    use super::*;

    fn name(task: usize) -> TaskName {
        TaskName {
            job: "j".to_owned(),
            stage: 1,
            task,
        }
    }

    /// An executor `a`, and a clock.
    struct Scene {
        reconciler: Reconciler,
        slots: Slots,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let slots = Slots::default();
            slots.add("a", 8);
            Self {
                reconciler: Reconciler::default(),
                slots,
                start: Instant::now(),
            }
        }

        fn hold(&self, task: usize) {
            self.slots.hold("a", key(name(task)), 1);
        }

        /// What is found where it answers so after `seconds`.
        fn after(
            &mut self,
            seconds: u64,
            process: &str,
            running: &[usize],
            ended: &[usize],
        ) -> Vec<Finding> {
            let names = |tasks: &[usize]| tasks.iter().copied().map(name).collect();
            let answer = ExecutorTasks {
                incarnation: process.to_owned(),
                running: names(running),
                ended: names(ended),
            };
            let held = self.slots.held("a");
            let now = self.start + Duration::from_secs(seconds);
            self.reconciler.compare("a", answer, &held, now)
        }
    }

    fn unreported(task: usize, has_ended: bool) -> Finding {
        Finding::Unreported {
            task: key(name(task)),
            has_ended,
        }
    }

    #[test]
    fn a_task_that_ended_without_a_report_is_found() {
        let mut scene = Scene::new();
        scene.hold(0);
        assert_eq!(scene.after(0, "p", &[0], &[]), []);
        assert_eq!(scene.after(1, "p", &[], &[0]), []);
        assert_eq!(scene.after(10, "p", &[], &[]), []);
        assert_eq!(scene.after(11, "p", &[], &[]), [unreported(0, true)]);
        // The report comes.
        scene.slots.release("a", &key(name(0)));
        assert_eq!(scene.after(12, "p", &[], &[0]), []);
    }

    #[test]
    fn a_task_that_never_arrived_is_found_later() {
        let mut scene = Scene::new();
        scene.hold(0);
        assert_eq!(scene.after(0, "p", &[], &[]), []);
        assert_eq!(scene.after(119, "p", &[], &[]), []);
        assert_eq!(scene.after(120, "p", &[], &[]), [unreported(0, false)]);
    }

    #[test]
    fn a_task_that_waits_and_starts_is_not_missing() {
        let mut scene = Scene::new();
        scene.hold(0);
        assert_eq!(scene.after(0, "p", &[], &[]), []);
        assert_eq!(scene.after(119, "p", &[0], &[]), []);
        assert_eq!(scene.after(121, "p", &[], &[0]), []);
    }

    #[test]
    fn a_task_that_waited_long_and_ended_at_once_has_time_to_report() {
        let mut scene = Scene::new();
        scene.hold(0);
        assert_eq!(scene.after(0, "p", &[], &[]), []);
        assert_eq!(scene.after(119, "p", &[], &[0]), []);
        assert_eq!(scene.after(128, "p", &[], &[0]), []);
        assert_eq!(scene.after(129, "p", &[], &[0]), [unreported(0, true)]);
    }

    #[test]
    fn tasks_for_which_nobody_waits_are_stopped_again_and_again() {
        let mut scene = Scene::new();
        scene.hold(1);
        scene.slots.give_up("a", &key(name(1)));
        scene.hold(2);
        let stray = |task: usize| Finding::Stray(key(name(task)));
        assert_eq!(scene.after(0, "p", &[0, 1, 2], &[]), []);
        let mut found = scene.after(2, "p", &[0, 1, 2], &[]);
        found.sort_by_key(|finding| format!("{finding:?}"));
        assert_eq!(found, [stray(0), stray(1)]);
        assert_eq!(scene.after(3, "p", &[0, 2], &[1]), []);
        assert_eq!(scene.after(4, "p", &[0, 2], &[1]), [stray(0)]);
        assert_eq!(scene.after(13, "p", &[2], &[0, 1]), [unreported(1, true)]);
    }

    #[test]
    fn another_process_is_found_once() {
        let mut scene = Scene::new();
        scene.hold(0);
        assert_eq!(scene.after(0, "p", &[], &[]), []);
        assert_eq!(scene.after(1, "q", &[], &[]), [Finding::Restarted]);
        assert_eq!(scene.after(2, "q", &[], &[]), []);
        // What was missing in the old process is not counted.
        assert_eq!(scene.after(120, "q", &[], &[]), []);
    }
}
