//! A model of how a collection is overwritten: writers that take one step at a time in every order, of which one may
//! die at any step, one answer may get lost, and one may be taken for dead. What they conclude from the marker is
//! what [`super::marker`] says, as in the real code.

use std::collections::BTreeMap;

use super::marker::{Marker, Next, Switching};
use crate::search::{Model, search};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mutant {
    None,
    /// The marker is written whatever revision it has.
    BlindWrite,
    /// The staged collection is renamed under the name that tasks write to.
    NoSeal,
    /// A renaming that was begun by another run is not finished.
    NoHelp,
    /// The one that renames last wins.
    NoClaim,
    /// Whatever is staged by other runs is dropped, as it was once.
    DropAll,
}

/// The rows of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Rows {
    /// All rows of a run.
    Of(String),
    /// What a task of a run that goes on wrote into a collection that it made.
    PartOf(String),
    Old,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    Begin,
    Register,
    Write,
    Seal,
    /// The marker as it was read.
    Decide,
    Claim(Marker),
    Rename(Switching),
    Finish(Switching),
    Clear,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Writer {
    run: String,
    base: Option<String>,
    at: At,
    /// Whether all its rows are written.
    is_sealed: bool,
    /// Whether a task of it goes on writing.
    has_late_task: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    mutant: Mutant,
    marker: Marker,
    collections: BTreeMap<String, Rows>,
    writers: Vec<Writer>,
    /// Runs whose rows the collection had.
    seen: Vec<Rows>,
    /// Runs that were told that they are published, or not.
    told: BTreeMap<String, bool>,
    crashes: usize,
    losses: usize,
    late_tasks: usize,
    /// How often all runs that are written may fall silent for too long.
    silences: usize,
    now: i64,
}

type Step = (String, Result<State, String>);

const TARGET: &str = "t";
const LEASE: i64 = 10;

impl State {
    fn new(mutant: Mutant, runs: &[&str]) -> Self {
        let writers = runs.iter().map(|run| Writer {
            run: (*run).to_owned(),
            base: None,
            at: At::Begin,
            is_sealed: false,
            has_late_task: true,
        });
        Self {
            mutant,
            marker: Marker::new(TARGET),
            collections: [(TARGET.to_owned(), Rows::Old)].into(),
            writers: writers.collect(),
            seen: vec![Rows::Old],
            told: BTreeMap::new(),
            crashes: 1,
            losses: 1,
            late_tasks: 1,
            silences: 1,
            now: 0,
        }
    }

    fn staged(&self, run: &str) -> String {
        format!("{TARGET}__run_{run}")
    }

    fn sealed(&self, run: &str) -> String {
        match self.mutant {
            Mutant::NoSeal => self.staged(run),
            _ => format!("{TARGET}__new_{run}"),
        }
    }

    fn own(&self, run: &str) -> Switching {
        Switching {
            run_id: run.to_owned(),
            staged: self.sealed(run),
            rows: 1,
        }
    }

    /// Replaces the marker where it is still the one that `after` was made of.
    fn replace(&mut self, after: Marker) {
        let is_still = self.marker.revision + 1 == after.revision;
        if is_still || self.mutant == Mutant::BlindWrite {
            self.marker = after;
        }
    }

    /// Renames over the target, if the collection is there.
    fn rename(&mut self, from: &str) -> Result<(), String> {
        let Some(rows) = self.collections.remove(from) else {
            return Ok(());
        };
        if let Rows::PartOf(run) = &rows {
            return Err(format!("the collection has a part of the rows of {run}"));
        }
        self.collections.insert(TARGET.to_owned(), rows.clone());
        self.seen.push(rows);
        Ok(())
    }

    fn tell(&mut self, index: usize, is_published: bool) -> Result<(), String> {
        let run = self.writers[index].run.clone();
        let was = self.seen.contains(&Rows::Of(run.clone()));
        if was != is_published {
            return Err(format!("{run} hears that it is published: {is_published}"));
        }
        self.told.insert(run, is_published);
        self.writers[index].at = match is_published {
            true => At::Clear,
            false => At::Done,
        };
        Ok(())
    }

    /// What a writer of this index does next.
    fn go(&self, index: usize) -> Result<Self, String> {
        let mut s = self.clone();
        let run = s.writers[index].run.clone();
        let at = match s.writers[index].at.clone() {
            At::Begin => match s.marker.switching.clone() {
                Some(switching) if s.mutant != Mutant::NoHelp => At::Rename(switching),
                _ => {
                    s.writers[index].base = s.marker.published_run().map(str::to_owned);
                    At::Register
                }
            },
            At::Register => {
                s.marker = s.marker.with_run(&run, s.now + LEASE);
                s.collections
                    .insert(s.staged(&run), Rows::PartOf(run.clone()));
                At::Write
            }
            At::Write => {
                s.collections.insert(s.staged(&run), Rows::Of(run.clone()));
                At::Seal
            }
            At::Seal => {
                let (staged, sealed) = (s.staged(&run), s.sealed(&run));
                match s.collections.get(&staged) {
                    Some(Rows::Of(_)) => {
                        let rows = s.collections.remove(&staged);
                        s.collections.extend(rows.map(|rows| (sealed, rows)));
                        s.writers[index].is_sealed = true;
                        At::Decide
                    }
                    _ if s.mutant == Mutant::DropAll => return Err(format!("{run} lost its rows")),
                    // The rows are counted: some are missing.
                    _ => return s.tell(index, false).map(|()| s),
                }
            }
            At::Decide => {
                let base = s.writers[index].base.clone();
                match s.marker.next(&s.own(&run), base.as_deref()) {
                    Next::Claim(_) if s.mutant == Mutant::NoClaim => At::Rename(s.own(&run)),
                    Next::Claim(claimed) => At::Claim(claimed),
                    Next::Rename(switching) => At::Rename(switching),
                    Next::Finish(other) if s.mutant != Mutant::NoHelp => At::Rename(other),
                    Next::Done => return s.tell(index, true).map(|()| s),
                    Next::Finish(other) => {
                        return Err(format!("{run} is held up by {}", other.run_id));
                    }
                    Next::Superseded | Next::Forgotten => {
                        s.collections.remove(&s.sealed(&run));
                        s.marker = s.marker.without_run(&run).unwrap_or(s.marker.clone());
                        return s.tell(index, false).map(|()| s);
                    }
                }
            }
            At::Claim(claimed) => {
                s.replace(claimed);
                At::Decide
            }
            At::Rename(switching) => {
                s.rename(&switching.staged)?;
                At::Finish(switching)
            }
            At::Finish(switching) => {
                let finished = s.marker.finished(&switching.run_id, s.now);
                s.marker = finished.unwrap_or(s.marker.clone());
                match switching.run_id == run {
                    true => return s.tell(index, true).map(|()| s),
                    false if s.writers[index].is_sealed => At::Decide,
                    false => At::Begin,
                }
            }
            At::Clear => {
                while let Some(dead) = s.marker.dead_run(s.now).map(str::to_owned) {
                    s.marker = s.marker.without_run(&dead).unwrap_or(s.marker.clone());
                }
                let all = s.writers.iter().map(|writer| writer.run.clone());
                for other in all.collect::<Vec<_>>() {
                    let is_kept = s.marker.is_written(&other) || s.marker.is_switching(&other);
                    if !is_kept || (s.mutant == Mutant::DropAll && other != run) {
                        s.collections.remove(&s.staged(&other));
                        s.collections.remove(&s.sealed(&other));
                    }
                }
                At::Done
            }
            At::Done => At::Done,
        };
        s.writers[index].at = at;
        Ok(s)
    }

    fn check(self) -> Result<Self, String> {
        // What the marker says is what is there, or about to be.
        let is_renamed = |rows: &Rows| match (rows, &self.marker.switching) {
            (Rows::Of(run), Some(switching)) if *run == switching.run_id => true,
            (Rows::Of(run), _) => self.marker.published_run() == Some(run.as_str()),
            (Rows::Old, _) => self.marker.published_run().is_none(),
            (Rows::PartOf(_), _) => false,
        };
        match self.collections.get(TARGET) {
            None => Err("the collection is gone".to_owned()),
            Some(rows) if is_renamed(rows) => Ok(self),
            Some(rows) => Err(format!("the marker does not say that {rows:?} is there")),
        }
    }
}

impl Model for State {
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, writer) in self.writers.iter().enumerate() {
            let Writer { run, at, .. } = writer;
            if *at == At::Done {
                continue;
            }
            let after = self.go(index).and_then(Self::check);
            steps.push((format!("{run}: {at:?}"), after.clone()));
            // The answer is lost, and the same is done again.
            if let (true, Ok(mut lost)) = (self.losses > 0, after)
                && matches!(at, At::Claim(_) | At::Rename(_) | At::Finish(_))
                && lost.writers[index].at != At::Done
            {
                lost.losses -= 1;
                lost.writers[index].at = at.clone();
                lost.told.remove(run);
                steps.push((format!("{run}: {at:?}, but the answer is lost"), Ok(lost)));
            }
            if self.crashes > 0 {
                let mut dead = self.clone();
                dead.crashes -= 1;
                dead.writers[index].at = At::Done;
                steps.push((format!("{run} dies"), Ok(dead)));
            }
            let is_past = !matches!(at, At::Begin | At::Register | At::Write);
            if self.late_tasks > 0 && writer.has_late_task && is_past {
                let mut late = self.clone();
                late.late_tasks -= 1;
                late.writers[index].has_late_task = false;
                let name = late.staged(run);
                // The same rows again, where they are; else a collection of its own.
                late.collections
                    .entry(name)
                    .or_insert(Rows::PartOf(run.clone()));
                steps.push((format!("{run}: a task goes on"), late.check()));
            }
        }
        if self.silences > 0 {
            let mut silent = self.clone();
            silent.silences -= 1;
            silent.now += LEASE + 1;
            steps.push(("all are silent".to_owned(), Ok(silent)));
        }
        steps
    }

    fn check_end(&self) -> Result<(), String> {
        // The next run finishes what is switched to.
        let mut end = self.clone();
        if let Some(switching) = end.marker.switching.clone() {
            end.rename(&switching.staged)?;
            end.marker = end
                .marker
                .finished(&switching.run_id, 0)
                .unwrap_or(end.marker.clone());
        }
        end.check().map(drop)
    }
}

#[test]
fn a_collection_is_whole_and_its_marker_right() {
    for runs in [&["a", "b"][..], &["a", "b", "c"]] {
        let mut start = State::new(Mutant::None, runs);
        if runs.len() > 2 {
            start.silences = 0;
            start.late_tasks = 0;
        }
        match search(start) {
            Ok(n_states) => assert!(n_states > 500, "{n_states} states"),
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn harmless_looking_changes_are_found() {
    for mutant in [
        Mutant::BlindWrite,
        Mutant::NoSeal,
        Mutant::NoHelp,
        Mutant::NoClaim,
        Mutant::DropAll,
    ] {
        let found = search(State::new(mutant, &["a", "b"]));
        assert!(found.is_err(), "{mutant:?} is not found");
    }
}
