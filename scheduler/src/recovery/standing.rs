//! Which executors do their tasks well.
//!
//! An executor on which task after task fails, while another one succeeds, is set aside for a while; and a
//! partition that failed on an executor is given to another one. No clock: the time comes with each call.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ballista_core::JobId;

use super::lineage::StageId;

/// Failures in a row that set an executor aside.
const MAX_FAILURES: u32 = 3;
/// Time within which they have to happen.
const WINDOW: Duration = Duration::from_secs(60);
/// How long an executor is set aside the first time; then twice as long each time.
const FIRST: Duration = Duration::from_secs(30);
/// How often that time is doubled at most: eight minutes.
const MAX_DOUBLED: u32 = 4;

/// The executors on which a partition failed.
pub(crate) type FailedOn = BTreeMap<usize, BTreeSet<String>>;

/// What is known of all executors.
#[derive(Debug, Default)]
pub(crate) struct Standings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    executors: BTreeMap<String, Standing>,
    /// Those of them that have failed since their last success: few, so that a report is judged in no time.
    failing: BTreeSet<String>,
    failed: HashMap<JobId, BTreeMap<StageId, Arc<FailedOn>>>,
}

#[derive(Debug, Default)]
struct Standing {
    is_here: bool,
    /// Failures since the last success, the first and the last time of them.
    failures: Option<(u32, Instant, Instant)>,
    last_success: Option<Instant>,
    aside_until: Option<Instant>,
    /// How often in a row it was set aside.
    n_aside: u32,
}

impl Standing {
    fn fail(&mut self, now: Instant) {
        self.failures = match self.failures {
            Some((n, first, last)) if now.saturating_duration_since(last) <= WINDOW => {
                Some((n + 1, first, now))
            }
            _ => Some((1, now, now)),
        };
    }

    /// Whether nothing of an executor that is gone matters any more.
    fn is_past(&self, now: Instant) -> bool {
        let is_recent = |time: Instant| now.saturating_duration_since(time) <= WINDOW;
        let has_failed = self.failures.is_some_and(|(.., last)| is_recent(last));
        let was_aside = self
            .aside_until
            .is_some_and(|until| until >= now || is_recent(until));
        !self.is_here && !has_failed && !was_aside
    }

    fn is_aside(&self, now: Instant) -> bool {
        self.aside_until.is_some_and(|until| now < until)
    }
}

/// An executor that gets no tasks for a while.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SetAside {
    pub(crate) executor: String,
    pub(crate) time: Duration,
}

impl SetAside {
    /// Tells whoever reads the log.
    pub(crate) fn log(&self) {
        let Self { executor, time } = self;
        tracing::warn!(
            executor,
            ?time,
            "an executor gets no tasks for a while: they fail there, and not elsewhere"
        );
    }
}

impl Standings {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An executor, perhaps one that was here before: its past is remembered for a while.
    pub(crate) fn add(&self, executor: &str, now: Instant) {
        let mut state = self.state();
        state.executors.retain(|_, standing| !standing.is_past(now));
        let State {
            executors, failing, ..
        } = &mut *state;
        failing.retain(|id| executors.contains_key(id));
        let standing = state.executors.entry(executor.to_owned()).or_default();
        standing.is_here = true;
    }

    /// The executor is gone, which counts as a failure; the executors that are set aside because of that.
    pub(crate) fn lost(&self, executor: &str, now: Instant) -> Vec<SetAside> {
        let mut state = self.state();
        let Some(standing) = state.executors.get_mut(executor) else {
            return Vec::new();
        };
        standing.is_here = false;
        standing.fail(now);
        state.failing.insert(executor.to_owned());
        state.judge(now)
    }

    /// What failed in other jobs no longer counts.
    pub(crate) fn keep_jobs(&self, is_running: impl Fn(&JobId) -> bool) {
        self.state().failed.retain(|job, _| is_running(job));
    }

    /// A task was done; the executors that are set aside because of that.
    pub(crate) fn succeeded(&self, executor: &str, now: Instant) -> Vec<SetAside> {
        let mut state = self.state();
        if let Some(standing) = state.executors.get_mut(executor) {
            *standing = Standing {
                is_here: true,
                last_success: Some(now),
                ..Standing::default()
            };
            state.failing.remove(executor);
        }
        state.judge(now)
    }

    /// A task failed in a way that may pass; the executors that are set aside because of that.
    pub(crate) fn failed(&self, executor: &str, now: Instant) -> Vec<SetAside> {
        let mut state = self.state();
        if let Some(standing) = state.executors.get_mut(executor) {
            standing.fail(now);
            state.failing.insert(executor.to_owned());
        }
        state.judge(now)
    }

    /// Partitions of a stage failed, or were lost, on an executor; it gets them again only if there is no other.
    pub(crate) fn avoid(
        &self,
        executor: &str,
        (job, stage): (&JobId, StageId),
        partitions: &[usize],
    ) {
        let mut state = self.state();
        let stages = state.failed.entry(job.clone()).or_default();
        let failed_on = Arc::make_mut(stages.entry(stage).or_default());
        for partition in partitions {
            let executors = failed_on.entry(*partition).or_default();
            executors.insert(executor.to_owned());
        }
    }

    /// The executors on which partitions of a stage failed; none for most stages.
    pub(crate) fn failed_on(&self, job: &JobId, stage: StageId) -> Arc<FailedOn> {
        let state = self.state();
        let failed = state.failed.get(job).and_then(|stages| stages.get(&stage));
        failed.cloned().unwrap_or_default()
    }

    /// Those of `executors` that are not set aside; where all are, the one whose time ends first.
    pub(crate) fn usable(&self, executors: &HashSet<String>, now: Instant) -> HashSet<String> {
        let state = self.state();
        let until = |id: &String| {
            let standing = state.executors.get(id)?;
            standing.aside_until.filter(|until| now < *until)
        };
        let usable: HashSet<String> = executors
            .iter()
            .filter(|id| until(id).is_none())
            .cloned()
            .collect();
        if usable.is_empty() {
            let first = executors.iter().min_by_key(|id| (until(id), *id));
            return first.cloned().into_iter().collect();
        }
        usable
    }

    /// The executors that are here and set aside, and how long that lasts.
    pub(crate) fn aside(&self, now: Instant) -> BTreeMap<String, Duration> {
        let state = self.state();
        let here = state.executors.iter().filter(|(_, s)| s.is_here);
        here.filter_map(|(id, standing)| {
            let until = standing.aside_until.filter(|until| now < *until)?;
            Some((id.clone(), until.saturating_duration_since(now)))
        })
        .collect()
    }
}

impl State {
    /// Sets aside the executors on which tasks fail in a row while they do not fail elsewhere. Where tasks
    /// fail everywhere, it is not for the executors.
    fn judge(&mut self, now: Instant) -> Vec<SetAside> {
        let mut set_aside = Vec::new();
        for id in self.failing.clone() {
            let is_elsewhere = |first| self.has_success_elsewhere(&id, first, now);
            let Some(standing) = self.executors.get(&id) else {
                continue;
            };
            let Some((n_failures, first, last)) = standing.failures else {
                continue;
            };
            // One that was set aside before gets one chance.
            let limit = if standing.n_aside > 0 {
                1
            } else {
                MAX_FAILURES
            };
            if n_failures < limit
                || standing.is_aside(now)
                || now.saturating_duration_since(last) > WINDOW
                || !is_elsewhere(first)
            {
                continue;
            }
            let Some(standing) = self.executors.get_mut(&id) else {
                continue;
            };
            let time = FIRST * 2_u32.pow(standing.n_aside.min(MAX_DOUBLED));
            standing.n_aside += 1;
            standing.failures = None;
            standing.aside_until = Some(now + time);
            self.failing.remove(&id);
            set_aside.push(SetAside { executor: id, time });
        }
        set_aside
    }

    /// Whether another executor that gets tasks has done one since `first`.
    fn has_success_elsewhere(&self, executor: &str, first: Instant, now: Instant) -> bool {
        let mut others = self.executors.iter().filter(|(id, _)| *id != executor);
        others.any(|(_, standing)| {
            let is_recent = |success| success >= first;
            !standing.is_aside(now) && standing.last_success.is_some_and(is_recent)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        standings: Standings,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let standings = Standings::default();
            for id in ["a", "b", "c"] {
                standings.add(id, Instant::now());
            }
            Self {
                standings,
                start: Instant::now(),
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn fail(&self, executor: &str, seconds: u64) -> Vec<SetAside> {
            let stage = (&JobId::from("j"), 1);
            self.standings.avoid(executor, stage, &[0]);
            self.standings.failed(executor, self.at(seconds))
        }

        fn succeed(&self, executor: &str, seconds: u64) -> Vec<SetAside> {
            self.standings.succeeded(executor, self.at(seconds))
        }

        fn usable(&self, seconds: u64) -> Vec<String> {
            let all = ["a", "b", "c"].map(str::to_owned).into();
            let usable = self.standings.usable(&all, self.at(seconds));
            let mut usable: Vec<String> = usable.into_iter().collect();
            usable.sort();
            usable
        }
    }

    fn aside(executor: &str, seconds: u64) -> SetAside {
        SetAside {
            executor: executor.to_owned(),
            time: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn an_executor_that_fails_alone_is_set_aside_for_longer_and_longer() {
        let scene = Scene::new();
        scene.fail("a", 0);
        scene.succeed("b", 1);
        assert_eq!(scene.fail("a", 2), []);
        assert_eq!(scene.fail("a", 3), [aside("a", 30)]);
        assert_eq!(scene.usable(32), ["b", "c"]);
        assert_eq!(scene.usable(33), ["a", "b", "c"]);
        // One chance.
        assert_eq!(scene.fail("a", 34), []);
        assert_eq!(scene.succeed("b", 35), [aside("a", 60)]);
        let left = scene.standings.aside(scene.at(94));
        assert_eq!(left, [("a".to_owned(), Duration::from_secs(1))].into());
        assert!(scene.standings.aside(scene.at(95)).is_empty());
        // A success wipes the past.
        scene.succeed("a", 96);
        scene.fail("a", 97);
        scene.fail("a", 97);
        assert_eq!(scene.succeed("b", 98), []);
        assert_eq!(scene.fail("a", 99), [aside("a", 30)]);
    }

    #[test]
    fn an_executor_that_dies_again_and_again_is_set_aside() {
        let scene = Scene::new();
        for seconds in [0, 5] {
            assert_eq!(scene.standings.lost("a", scene.at(seconds)), []);
            scene.standings.add("a", scene.at(seconds + 1));
        }
        scene.succeed("b", 6);
        let set_aside = scene.standings.lost("a", scene.at(10));
        assert_eq!(set_aside, [aside("a", 30)]);
        assert!(scene.standings.aside(scene.at(11)).is_empty(), "not here");
        scene.standings.add("a", scene.at(11));
        assert_eq!(scene.usable(12), ["b", "c"]);
        // One that has been away for long has no past.
        scene.standings.lost("a", scene.at(100));
        scene.standings.add("d", scene.at(300));
        assert!(!scene.standings.state().executors.contains_key("a"));
    }

    #[test]
    fn the_time_has_a_limit() {
        let scene = Scene::new();
        let mut seconds = 0;
        let mut longest = Duration::ZERO;
        for _ in 0..12 {
            (0..3).for_each(|_| drop(scene.fail("a", seconds)));
            for found in scene.succeed("b", seconds) {
                longest = found.time;
            }
            seconds += 600;
        }
        assert_eq!(longest, Duration::from_secs(480));
    }

    #[test]
    fn failures_everywhere_or_now_and_then_set_nobody_aside() {
        let scene = Scene::new();
        scene.succeed("c", 0);
        for seconds in 1..10 {
            assert_eq!(scene.fail("a", seconds), []);
            assert_eq!(scene.fail("b", seconds), []);
        }
        let scene = Scene::new();
        for n in 0..10 {
            assert_eq!(scene.fail("a", n * 70), []);
            assert_eq!(scene.succeed("b", n * 70), []);
        }
    }

    #[test]
    fn where_all_are_set_aside_the_first_to_come_back_is_used() {
        let scene = Scene::new();
        for (seconds, bad, good) in [(1, "b", "a"), (2, "a", "c"), (3, "c", "c")] {
            (0..3).for_each(|_| drop(scene.fail(bad, seconds)));
            scene.succeed(good, seconds);
        }
        assert_eq!(scene.usable(4), ["c"]);
        let pair = ["a", "b"].map(str::to_owned).into();
        let usable = scene.standings.usable(&pair, scene.at(4));
        assert_eq!(usable, ["b".to_owned()].into());
        assert!(
            scene
                .standings
                .usable(&HashSet::new(), scene.at(4))
                .is_empty()
        );
    }

    #[test]
    fn it_is_known_where_partitions_failed() {
        let scene = Scene::new();
        scene.fail("a", 0);
        scene.fail("b", 0);
        let job = JobId::from("j");
        let failed = scene.standings.failed_on(&job, 1);
        assert_eq!(*failed, [(0, ["a", "b"].map(str::to_owned).into())].into());
        assert!(scene.standings.failed_on(&job, 2).is_empty());
        scene.standings.keep_jobs(|_| false);
        assert!(scene.standings.failed_on(&job, 1).is_empty());
    }
}
