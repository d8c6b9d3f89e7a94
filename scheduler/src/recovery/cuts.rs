//! Which executors do not reach each other.
//!
//! A task that cannot fetch its input says from whom. Where that happens again, the network between the two is taken
//! for cut, and some executors get no tasks for a while, so that all others reach each other; one is always left, and
//! reaches itself. Those that take part in most failures are left out first. No clock: the time comes with each call.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long two executors count as cut from each other the first time; then twice as long each time.
const FIRST: Duration = Duration::from_secs(120);
/// How often that time is doubled at most: 16 minutes.
const MAX_DOUBLED: u32 = 3;
/// How long a failure is remembered, after that time.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Two executors, in the order of their names.
type Pair = (String, String);

/// The pairs of executors of which one could not fetch from the other.
#[derive(Debug, Default)]
pub(crate) struct Cuts(Mutex<BTreeMap<Pair, Failure>>);

/// That one could not fetch from the other.
#[derive(Debug, Clone, Copy)]
struct Failure {
    last: Instant,
    /// How often in a row they were taken for cut; 0 after one failure, which may pass.
    n_cut: u32,
}

impl Failure {
    /// How long they count as cut.
    fn until(self) -> Instant {
        match self.n_cut.checked_sub(1) {
            Some(n_doubled) => self.last + FIRST * 2_u32.pow(n_doubled.min(MAX_DOUBLED)),
            None => self.last,
        }
    }

    fn is_cut(self, now: Instant) -> bool {
        now < self.until()
    }

    fn is_past(self, now: Instant) -> bool {
        now.saturating_duration_since(self.until()) > REMEMBERED
    }
}

impl Cuts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Pair, Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task on `reader` could not fetch from `holder`. Whether `reader` gets no tasks because of that; else what
    /// `holder` has is of no use to it.
    pub(crate) fn failed(&self, reader: &str, holder: &str, now: Instant) -> bool {
        if reader == holder {
            return false;
        }
        let mut pairs = self.lock();
        pairs.retain(|_, failure| !failure.is_past(now));
        let is_again = pairs.keys().any(|pair| {
            let has = |executor: &str| pair.0 == executor || pair.1 == executor;
            has(reader) || has(holder)
        });
        let new = Failure {
            last: now,
            n_cut: 0,
        };
        let failure = pairs.entry(pair(reader, holder)).or_insert(new);
        if is_again && !failure.is_cut(now) {
            failure.last = now;
            failure.n_cut += 1;
            tracing::warn!(
                reader,
                holder,
                "two executors do not reach each other; one of them gets no tasks for a while"
            );
        }
        left_out(&pairs, |_| true, now).contains_key(reader)
    }

    /// An executor is gone, or another process has its name.
    pub(crate) fn forget(&self, executor: &str) {
        self.lock()
            .retain(|(a, b), _| a != executor && b != executor);
    }

    /// Those of `executors` that reach each other.
    pub(crate) fn usable(&self, mut executors: HashSet<String>, now: Instant) -> HashSet<String> {
        let pairs = self.lock();
        let left_out = left_out(&pairs, |id| executors.contains(id), now);
        executors.retain(|id| !left_out.contains_key(id));
        executors
    }

    /// The executors that get no tasks because others do not reach them, and how long that lasts.
    pub(crate) fn aside(&self, now: Instant) -> BTreeMap<String, Duration> {
        left_out(&self.lock(), |_| true, now)
    }
}

fn pair(a: &str, b: &str) -> Pair {
    let (first, second) = if a < b { (a, b) } else { (b, a) };
    (first.to_owned(), second.to_owned())
}

/// Those to leave out, and for how long, so that no two of the others are cut from each other. Of executors with
/// equally many failures it is the last one by name, so that the choice lasts.
fn left_out(
    pairs: &BTreeMap<Pair, Failure>,
    is_here: impl Fn(&str) -> bool,
    now: Instant,
) -> BTreeMap<String, Duration> {
    let here: Vec<(&Pair, &Failure)> = pairs
        .iter()
        .filter(|((a, b), _)| is_here(a) && is_here(b))
        .collect();
    let mut n_failures: BTreeMap<&str, usize> = BTreeMap::new();
    for &((a, b), _) in &here {
        *n_failures.entry(a.as_str()).or_default() += 1;
        *n_failures.entry(b.as_str()).or_default() += 1;
    }
    let mut cut = here;
    cut.retain(|(_, failure)| failure.is_cut(now));
    let mut left_out = BTreeMap::new();
    while let Some(worst) = cut
        .iter()
        .flat_map(|&((a, b), _)| [a.as_str(), b.as_str()])
        .max_by_key(|id| (n_failures.get(id), *id))
    {
        let of_worst = cut.iter().filter(|((a, b), _)| a == worst || b == worst);
        let until = of_worst.map(|(_, failure)| failure.until()).max();
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        left_out.insert(worst.to_owned(), left);
        cut.retain(|((a, b), _)| a != worst && b != worst);
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        cuts: Cuts,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                cuts: Cuts::default(),
                start: Instant::now(),
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn fail(&self, reader: &str, holder: &str, seconds: u64) -> bool {
            self.cuts.failed(reader, holder, self.at(seconds))
        }

        fn usable(&self, executors: &[&str], seconds: u64) -> Vec<String> {
            let executors = executors.iter().map(|id| (*id).to_owned()).collect();
            let usable = self.cuts.usable(executors, self.at(seconds));
            let mut usable: Vec<String> = usable.into_iter().collect();
            usable.sort();
            usable
        }
    }

    #[test]
    fn one_of_two_is_left_out_for_longer_and_longer() {
        let scene = Scene::new();
        assert!(!scene.fail("a", "b", 0), "it may pass");
        assert_eq!(scene.usable(&["a", "b"], 0), ["a", "b"]);
        assert!(scene.fail("b", "a", 1));
        // What comes late changes nothing, and the same one is left out whoever reads.
        assert!(!scene.fail("a", "b", 100));
        assert_eq!(scene.usable(&["a", "b"], 120), ["a"]);
        assert_eq!(scene.usable(&["b"], 120), ["b"], "nobody else is there");
        let left = [("b".to_owned(), Duration::from_secs(1))];
        assert_eq!(scene.cuts.aside(scene.at(120)), left.into());
        assert_eq!(scene.usable(&["a", "b"], 121), ["a", "b"]);
        assert!(scene.fail("b", "a", 130));
        assert_eq!(scene.usable(&["a", "b"], 369), ["a"]);
        assert_eq!(scene.usable(&["a", "b"], 370), ["a", "b"]);
        // After a long time it is the first failure again.
        assert!(!scene.fail("b", "a", 1000));
        assert_eq!(scene.usable(&["a", "b"], 1000), ["a", "b"]);
    }

    #[test]
    fn the_one_that_is_cut_from_all_is_left_out() {
        let scene = Scene::new();
        assert!(!scene.fail("b", "a", 0));
        assert!(!scene.fail("c", "a", 1));
        assert_eq!(scene.usable(&["a", "b", "c"], 2), ["b", "c"]);
        assert!(scene.fail("a", "d", 2));
        assert_eq!(scene.usable(&["a", "b", "c", "d"], 3), ["b", "c", "d"]);
        // A new process has its name.
        scene.cuts.forget("a");
        assert_eq!(scene.usable(&["a", "b", "c", "d"], 3), ["a", "b", "c", "d"]);
    }

    #[test]
    fn those_that_are_left_reach_each_other() {
        let scene = Scene::new();
        for (reader, holder) in [("a", "c"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")] {
            scene.fail(reader, holder, 0);
        }
        assert_eq!(scene.usable(&["a", "b", "c", "d"], 1), ["a", "b"]);
        assert_eq!(scene.usable(&["c", "d"], 1), ["c", "d"]);
    }

    #[test]
    fn what_an_executor_does_not_find_at_home_is_no_cut() {
        let scene = Scene::new();
        for seconds in 0..5 {
            assert!(!scene.fail("a", "a", seconds));
        }
        assert_eq!(scene.usable(&["a", "b"], 5), ["a", "b"]);
    }
}
