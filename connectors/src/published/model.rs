//! A model of how results in files are published: writers and a reader that take one step at a time in every
//! order, of which one may die at any step, and one answer of the store may get lost. What they conclude from
//! what they find is what [`super::decide`] says, as in the real code.
//!
//! Each mutant is a change of the protocol that looks harmless; the search has to find what it breaks.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::{self, Commit, Hint, Newest, Outcome};
use crate::search::{Model, search};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mutant {
    None,
    /// Whether the number is free is one step, and the write another.
    CheckAndPut,
    /// A manifest that was created is taken for a commit.
    TrustCreated,
    /// A drop removes its manifest as well.
    NumbersAgain,
    /// `_current` is replaced before the commit.
    PointerFirst,
    /// Nobody looks again after `_current` was replaced.
    NoSecondLook,
    /// Files of the run before are removed with the others.
    SweepPrevious,
    /// An error of the store counts as a commit that did not take place.
    TrustErrors,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Manifest {
    number: u64,
    run: String,
    /// Runs whose files are listed; none where the result was dropped.
    files: BTreeSet<String>,
    dropped: bool,
    commits: Vec<Commit>,
}

impl Manifest {
    fn hint(&self) -> Hint {
        Hint {
            commit: self.number,
            run: self.run.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Add,
    Replace,
    Drop,
}

/// Looking for the newest state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Look {
    List,
    Hint(Option<u64>),
    Get(u64),
}

/// What a look finds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Head {
    commits: Vec<Commit>,
    files: BTreeSet<String>,
    run: Option<String>,
}

impl Head {
    fn of(manifest: &Manifest) -> Self {
        let mut commits = manifest.commits.clone();
        if commits.is_empty() {
            commits.push(Commit {
                number: manifest.number,
                run: manifest.run.clone(),
            });
        }
        Self {
            commits,
            files: manifest.files.clone(),
            run: (!manifest.dropped).then(|| manifest.run.clone()),
        }
    }

    fn number(&self) -> u64 {
        self.commits.last().map_or(0, |last| last.number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    Begin(Look),
    Write(Head),
    /// Of the mutants: the pointer is replaced, or it is known that the number is free.
    Early(Head),
    Create(Head),
    Check(Head, Look, /* an error */ bool),
    Copy(Head, /* copied */ Option<u64>),
    CopyPut(Head, Manifest),
    Sweep(Head),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Writer {
    name: &'static str,
    /// What it does, one after the other.
    work: Vec<Kind>,
    run: String,
    at: At,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reading {
    Begin,
    /// Commits when it began.
    Look(usize, Look),
    Read(usize, Head),
    Done,
}

/// A result folder and all who use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    mutant: Mutant,
    manifests: BTreeMap<u64, Manifest>,
    pointer: Option<Manifest>,
    /// Runs that have files.
    files: BTreeSet<String>,
    writers: Vec<Writer>,
    reader: Reading,
    /// The commits in their order, whatever anybody knows.
    truth: Vec<Manifest>,
    n_runs: usize,
    crashes: usize,
    losses: usize,
    /// Whether something went wrong so that `_current` may be old.
    is_disturbed: bool,
}

type Step = (String, Result<State, String>);

/// A step of a look: what it finds, or where it goes on.
enum Looked {
    Next(Look),
    Found(Head),
}

impl State {
    fn new(mutant: Mutant, writers: &[(&'static str, &[Kind])]) -> Self {
        let writers = writers.iter().map(|(name, work)| Writer {
            name,
            work: work.to_vec(),
            run: String::new(),
            at: At::Begin(Look::List),
        });
        Self {
            mutant,
            manifests: BTreeMap::new(),
            pointer: None,
            files: BTreeSet::new(),
            writers: writers.collect(),
            reader: Reading::Begin,
            truth: Vec::new(),
            n_runs: 0,
            crashes: 0,
            losses: 0,
            is_disturbed: false,
        }
    }

    /// With a result that an earlier version published.
    fn with_pointer_only(mut self) -> Self {
        let first = Manifest {
            number: 0,
            run: "0".to_owned(),
            files: ["0".to_owned()].into(),
            dropped: false,
            commits: Vec::new(),
        };
        self.files.insert("0".to_owned());
        self.pointer = Some(first.clone());
        self.truth.push(first);
        self
    }

    /// With one commit.
    fn with_commit(mut self) -> Self {
        let run = "0".to_owned();
        let first = Manifest {
            number: 1,
            run: run.clone(),
            files: [run.clone()].into(),
            dropped: false,
            commits: vec![Commit { number: 1, run }],
        };
        self.files.insert("0".to_owned());
        self.pointer = Some(first.clone());
        self.manifests.insert(1, first.clone());
        self.truth.push(first);
        self
    }

    fn with(mut self, crashes: usize, losses: usize) -> Self {
        self.crashes = crashes;
        self.losses = losses;
        self
    }

    fn without_reader(mut self) -> Self {
        self.reader = Reading::Done;
        self
    }

    fn look(&self, look: &Look) -> Result<Looked, String> {
        let again = Ok(Looked::Next(Look::List));
        match look {
            Look::List => {
                let listed = self.manifests.keys().next_back().copied();
                Ok(Looked::Next(Look::Hint(listed)))
            }
            Look::Hint(listed) => {
                let hint = self.pointer.as_ref().map(Manifest::hint);
                match decide::newest(*listed, hint.as_ref(), true) {
                    Newest::Nothing => Ok(Looked::Found(Head::default())),
                    Newest::Manifest(number) => Ok(Looked::Next(Look::Get(number))),
                    Newest::Pointer => match &self.pointer {
                        Some(pointer) => Ok(Looked::Found(Head::of(pointer))),
                        None => again,
                    },
                    // For ever, if `_current` is ahead of the manifests.
                    Newest::LookAgain if self.pointer_is_ahead() => {
                        Err("`_current` is a copy of no manifest".to_owned())
                    }
                    Newest::LookAgain | Newest::Lost(_) => again,
                }
            }
            Look::Get(number) => match self.manifests.get(number) {
                Some(manifest) => Ok(Looked::Found(Head::of(manifest))),
                None => again,
            },
        }
    }

    fn pointer_is_ahead(&self) -> bool {
        let copied = self.pointer.as_ref().map_or(0, |pointer| pointer.number);
        self.truth.last().map_or(0, |last| last.number) < copied
    }

    /// A commit takes place, or a file is created that counts for nobody.
    fn created(&mut self, manifest: Manifest, base: &Head) -> Result<(), String> {
        let number = manifest.number;
        let last = self.truth.last();
        if number > last.map_or(0, |last| last.number) {
            let before = last
                .filter(|last| !last.dropped)
                .map(|last| last.run.clone());
            if before != base.run {
                return Err(format!(
                    "{} is lost by {}",
                    before.unwrap_or_default(),
                    manifest.run
                ));
            }
            self.truth.push(manifest.clone());
        }
        self.manifests.insert(number, manifest);
        Ok(())
    }

    fn next(&self, writer: usize, base: &Head) -> Manifest {
        let Writer { work, run, .. } = &self.writers[writer];
        let number = base.number() + 1;
        let own = [run.clone()].into();
        let files = match work[0] {
            Kind::Add => base.files.union(&own).cloned().collect(),
            Kind::Replace => own,
            Kind::Drop => BTreeSet::new(),
        };
        let commit = Commit {
            number,
            run: run.clone(),
        };
        Manifest {
            number,
            run: run.clone(),
            files,
            dropped: work[0] == Kind::Drop,
            commits: decide::with_next(&base.commits, commit),
        }
    }

    fn is_published(&self, run: &str) -> bool {
        self.truth.iter().any(|commit| commit.run == run)
    }

    /// The writer goes on with its next work.
    fn done(&mut self, writer: usize) {
        let writer = &mut self.writers[writer];
        writer.work.remove(0);
        writer.at = match writer.work.is_empty() {
            true => At::Done,
            false => At::Begin(Look::List),
        };
    }

    fn writer_steps(&self, index: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let name = self.writers[index].name;
        let mut step = |words: &str, run: &dyn Fn(&mut Self) -> Result<(), String>| {
            let mut after = self.clone();
            let done = run(&mut after);
            let after = done.and_then(|()| after.check()).map(|()| after);
            steps.push((format!("{name} {words}"), after));
        };
        let writer = &self.writers[index];
        match &writer.at {
            At::Begin(look) => step(&format!("looks: {look:?}"), &|s| {
                match s.look(look)? {
                    Looked::Next(look) => s.writers[index].at = At::Begin(look),
                    // There is nothing to drop.
                    Looked::Found(head)
                        if head.run.is_none() && s.writers[index].work[0] == Kind::Drop =>
                    {
                        s.done(index);
                    }
                    Looked::Found(head) => {
                        s.n_runs += 1;
                        s.writers[index].run = format!("{}{name}", s.n_runs);
                        s.writers[index].at = At::Write(head);
                    }
                }
                Ok(())
            }),
            At::Write(head) => step("writes files", &|s| {
                let Writer { run, work, .. } = &s.writers[index];
                if work[0] != Kind::Drop {
                    s.files.insert(run.clone());
                }
                s.writers[index].at = match s.mutant {
                    Mutant::CheckAndPut | Mutant::PointerFirst => At::Early(head.clone()),
                    _ => At::Create(head.clone()),
                };
                Ok(())
            }),
            At::Early(head) => step("goes first", &|s| {
                let next = s.next(index, head);
                if s.mutant == Mutant::PointerFirst {
                    s.pointer = Some(next);
                } else if s.manifests.contains_key(&next.number) {
                    s.done(index);
                    return Ok(());
                }
                s.writers[index].at = At::Create(head.clone());
                Ok(())
            }),
            At::Create(head) => {
                let create = |s: &mut Self| {
                    let next = s.next(index, head);
                    if s.mutant == Mutant::CheckAndPut {
                        let before = s.manifests.get(&next.number).map(|m| m.run.clone());
                        if let Some(before) = before {
                            return Err(format!("{before} is written over by {}", next.run));
                        }
                    }
                    match s.manifests.contains_key(&next.number) {
                        true => Ok(true),
                        false => s.created(next, head).map(|()| false),
                    }
                };
                step("creates its manifest", &|s| {
                    let is_error = create(s)?;
                    s.writers[index].at = At::Check(head.clone(), Look::List, is_error);
                    Ok(())
                });
                if self.losses > 0 {
                    step("creates its manifest and hears an error", &|s| {
                        create(s)?;
                        s.losses -= 1;
                        s.writers[index].at = At::Check(head.clone(), Look::List, true);
                        Ok(())
                    });
                    step("does not create its manifest", &|s| {
                        s.losses -= 1;
                        s.writers[index].at = At::Check(head.clone(), Look::List, true);
                        Ok(())
                    });
                }
            }
            At::Check(head, look, is_error) => step(&format!("checks: {look:?}"), &|s| {
                let attempt = Commit {
                    number: head.number() + 1,
                    run: s.writers[index].run.clone(),
                };
                let outcome = match s.mutant {
                    Mutant::TrustCreated if !is_error => Outcome::Published,
                    Mutant::TrustErrors if *is_error => Outcome::Superseded,
                    _ => match s.look(look)? {
                        Looked::Next(look) => {
                            s.writers[index].at = At::Check(head.clone(), look, *is_error);
                            return Ok(());
                        }
                        Looked::Found(found) => decide::outcome(&found.commits, &attempt),
                    },
                };
                match outcome {
                    Outcome::Published if !s.is_published(&attempt.run) => {
                        Err(format!("{} takes itself for published", attempt.run))
                    }
                    Outcome::Published => {
                        s.writers[index].at = At::Copy(head.clone(), None);
                        Ok(())
                    }
                    Outcome::Superseded if s.is_published(&attempt.run) => {
                        Err(format!("{} takes itself for superseded", attempt.run))
                    }
                    // What it wrote is removed. A drop begins again.
                    Outcome::Superseded if s.writers[index].work[0] == Kind::Drop => {
                        s.writers[index].at = At::Begin(Look::List);
                        Ok(())
                    }
                    Outcome::Superseded => {
                        s.files.remove(&attempt.run);
                        s.done(index);
                        Ok(())
                    }
                    Outcome::Absent if *is_error => {
                        s.writers[index].at = At::Create(head.clone());
                        Ok(())
                    }
                    other => Err(format!("{} is {other:?}", attempt.run)),
                }
            }),
            At::Copy(head, copied) => step("looks what `_current` should be", &|s| {
                let newest = s.manifests.values().next_back().cloned();
                let newest = newest.filter(|newest| *copied != Some(newest.number));
                let is_over = s.mutant == Mutant::NoSecondLook && copied.is_some();
                s.writers[index].at = match newest.filter(|_| !is_over) {
                    Some(newest) => At::CopyPut(head.clone(), newest),
                    None => At::Sweep(head.clone()),
                };
                Ok(())
            }),
            At::CopyPut(head, manifest) => step("replaces `_current`", &|s| {
                s.pointer = (!manifest.dropped).then(|| manifest.clone());
                s.writers[index].at = At::Copy(head.clone(), Some(manifest.number));
                Ok(())
            }),
            At::Sweep(head) => step("sweeps", &|s| {
                let own = s.next(index, head);
                let previous = head.run.as_deref().filter(|_| !own.dropped);
                let previous = previous.filter(|_| s.mutant != Mutant::SweepPrevious);
                let before = match previous {
                    Some(_) => head.files.clone(),
                    None => BTreeSet::new(),
                };
                s.files.retain(|run| {
                    !decide::is_over(run, &own.run, previous)
                        || own.files.contains(run)
                        || before.contains(run)
                });
                let number = own.number + u64::from(own.dropped);
                s.manifests
                    .retain(|other, _| !decide::is_spent(*other, number));
                if s.mutant == Mutant::NumbersAgain && own.dropped {
                    s.manifests.remove(&own.number);
                }
                s.done(index);
                Ok(())
            }),
            At::Done => {}
        }
        if self.crashes > 0 && writer.at != At::Done {
            step("dies", &|s| {
                s.crashes -= 1;
                s.is_disturbed = true;
                s.writers[index].at = At::Done;
                Ok(())
            });
        }
        steps
    }

    fn reader_step(&self) -> Option<Step> {
        let mut after = self.clone();
        let words = format!("reader {:?}", self.reader);
        let done = match &self.reader {
            Reading::Begin => {
                after.reader = Reading::Look(self.truth.len(), Look::List);
                Ok(())
            }
            Reading::Look(began, look) => self.look(look).and_then(|looked| {
                match looked {
                    Looked::Next(look) => after.reader = Reading::Look(*began, look),
                    Looked::Found(head) => {
                        self.check_found(*began, &head)?;
                        after.reader = Reading::Read(*began, head);
                    }
                }
                Ok(())
            }),
            Reading::Read(_, head) => {
                after.reader = Reading::Done;
                self.check_read(head)
            }
            Reading::Done => return None,
        };
        Some((words, done.map(|()| after)))
    }

    /// What a reader finds was the newest state at some time since it began.
    fn check_found(&self, began: usize, head: &Head) -> Result<(), String> {
        let since = self.truth.iter().skip(began.saturating_sub(1));
        let mut states = since.map(|commit| (!commit.dropped).then_some(&commit.run));
        let is_none = began == 0 && head.run.is_none();
        match is_none || states.any(|run| run == head.run.as_ref()) {
            true => Ok(()),
            false => Err(format!("a reader finds {:?}", head.run)),
        }
    }

    /// Files are there as long as not more than one commit came after.
    fn check_read(&self, head: &Head) -> Result<(), String> {
        let later = self.truth.iter().rev();
        let mut later = later.take_while(|commit| Some(&commit.run) != head.run.as_ref());
        let is_excused = later.clone().count() >= 2 || later.any(|commit| commit.dropped);
        match is_excused || head.files.is_subset(&self.files) {
            true => Ok(()),
            false => Err(format!("files of {:?} are gone", head.run)),
        }
    }

    fn check(&self) -> Result<(), String> {
        let Some(last) = self.truth.last() else {
            return Ok(());
        };
        if !last.files.is_subset(&self.files) {
            return Err(format!("files of the result {} are gone", last.run));
        }
        let copied = self.pointer.as_ref().map_or(0, |pointer| pointer.number);
        match copied > last.number {
            true => Err("`_current` is ahead".to_owned()),
            false => Ok(()),
        }
    }
}

impl Model for State {
    fn steps(&self) -> Vec<Step> {
        let writers = (0..self.writers.len()).flat_map(|index| self.writer_steps(index));
        writers.chain(self.reader_step()).collect()
    }

    fn check_end(&self) -> Result<(), String> {
        let mut look = Look::List;
        let head = loop {
            match self.look(&look)? {
                Looked::Next(next) => look = next,
                Looked::Found(head) => break head,
            }
        };
        let last = self.truth.last().filter(|last| !last.dropped);
        let run = last.map(|last| last.run.clone());
        if head.run != run {
            return Err(format!("at the end {:?} is found, not {run:?}", head.run));
        }
        // The next writer is held up by nobody.
        if self.manifests.contains_key(&(head.number() + 1)) {
            return Err("the next number is taken".to_owned());
        }
        let pointer = self.pointer.as_ref().map(|pointer| pointer.run.clone());
        match self.is_disturbed || pointer == run {
            true => Ok(()),
            false => Err(format!("`_current` is {pointer:?} at the end, not {run:?}")),
        }
    }
}

/// What is searched: two writers and a reader, a crash, a lost answer.
fn starts(mutant: Mutant) -> Vec<State> {
    let new = |writers: &[(&'static str, &[Kind])]| State::new(mutant, writers);
    vec![
        new(&[("a", &[Kind::Add]), ("b", &[Kind::Add])]).with(1, 1),
        new(&[("a", &[Kind::Add]), ("b", &[Kind::Replace])])
            .with_pointer_only()
            .with(1, 1),
        new(&[("a", &[Kind::Add]), ("b", &[Kind::Drop])])
            .with_commit()
            .with(1, 1),
        new(&[("a", &[Kind::Replace]), ("b", &[Kind::Add, Kind::Replace])])
            .with_commit()
            .with(1, 0),
        // One sleeps while numbers come and go.
        new(&[
            ("a", &[Kind::Add]),
            ("b", &[Kind::Replace, Kind::Add, Kind::Replace]),
        ])
        .with_commit()
        .without_reader(),
        new(&[
            ("a", &[Kind::Add]),
            ("b", &[Kind::Drop, Kind::Add, Kind::Add]),
        ])
        .with_commit()
        .without_reader(),
        new(&[
            ("a", &[Kind::Replace]),
            ("b", &[Kind::Add]),
            ("c", &[Kind::Add]),
        ])
        .with_commit()
        .without_reader(),
    ]
}

#[test]
fn results_in_files_are_whole_or_not_there() {
    for (number, start) in starts(Mutant::None).into_iter().enumerate() {
        match search(start) {
            Ok(n_states) => assert!(n_states > 500, "start {number} has {n_states} states"),
            Err(fault) => panic!("start {number}: {fault}"),
        }
    }
}

#[test]
fn harmless_looking_changes_are_found() {
    for (mutant, fault) in [
        (Mutant::CheckAndPut, "is written over by"),
        (Mutant::TrustCreated, "takes itself for published"),
        (Mutant::NumbersAgain, ""),
        (Mutant::PointerFirst, "`_current` is"),
        (Mutant::NoSecondLook, "`_current` is"),
        (Mutant::SweepPrevious, "are gone"),
        (Mutant::TrustErrors, "takes itself for superseded"),
    ] {
        let faults = starts(mutant).into_iter().map(search);
        let found = faults
            .filter_map(Result::err)
            .find(|found| found.contains(fault));
        assert!(found.is_some(), "{mutant:?} is not found");
    }
}
