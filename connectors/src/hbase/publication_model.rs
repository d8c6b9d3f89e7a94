//! A model of how a result in HBase is published: writers and a reader that take one step at a time in every order,
//! of which one may die at any step, and one answer may get lost. A run is drawn, a cell is taken or left, and the runs
//! that a marker row remembers are counted by the functions of the real code.

use std::collections::BTreeSet;

use super::publication::{next_run, with_next};
use super::snapshot::Snapshot;
use crate::search::{Model, search};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mutant {
    None,
    /// The marker is replaced whatever it is.
    BlindSwitch,
    /// Runs have the time of the clock, and nothing is drawn.
    RunOfClock,
    /// Cells are removed before the switch.
    PurgeFirst,
    /// Readers do not look again at the end.
    NoSecondLook,
    /// The rows are not counted.
    NoCount,
    /// A switch whose answer is an error counts as one that did not take place.
    TrustErrors,
}

/// `_emporia:published`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Marker {
    run: i64,
    /// Who published it.
    by: &'static str,
    recent: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    Begin,
    /// With the marker as it was.
    ReadLast(Marker),
    /// With what was drawn last.
    Draw(Marker, i64),
    /// One row after the other.
    Write(Marker, usize),
    Count(Marker),
    Switch(Marker),
    /// With whether the answer is an error.
    Look(Marker, bool),
    Purge(usize, bool),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Writer {
    name: &'static str,
    run: i64,
    at: At,
    /// A task of it that goes on after the run ended writes a row again, or one that was never written.
    has_late_task: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reading {
    Begin,
    /// The run, who published it, and who wrote the rows that were found.
    Rows(i64, &'static str, Vec<Option<&'static str>>),
    Done,
}

/// A cell: its timestamp and who wrote it. One of the same timestamp replaces another.
type Cells = BTreeSet<(i64, &'static str)>;

const ROWS: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    mutant: Mutant,
    marker: Marker,
    last: i64,
    rows: [Cells; ROWS],
    writers: Vec<Writer>,
    reader: Reading,
    /// Who was published, in order.
    truth: Vec<&'static str>,
    clock: i64,
    crashes: usize,
    losses: usize,
    late_tasks: usize,
}

type Step = (String, Result<State, String>);

impl State {
    /// A result that was published at 1.
    fn new(mutant: Mutant, names: &[&'static str]) -> Self {
        let writers = names.iter().map(|name| Writer {
            name,
            run: 0,
            at: At::Begin,
            has_late_task: true,
        });
        let first: Cells = [(1, "0")].into();
        Self {
            mutant,
            marker: Marker {
                run: 1,
                by: "0",
                recent: vec![1],
            },
            last: 1,
            rows: [first.clone(), first],
            writers: writers.collect(),
            reader: Reading::Begin,
            truth: vec!["0"],
            clock: 5,
            crashes: 1,
            losses: 1,
            late_tasks: 1,
        }
    }

    fn write(&mut self, row: usize, run: i64, name: &'static str) {
        self.rows[row].retain(|(timestamp, _)| *timestamp != run);
        self.rows[row].insert((run, name));
    }

    /// Whose cell a scan of `run` takes of a row.
    fn cell(&self, row: usize, run: i64) -> Option<&'static str> {
        let snapshot = Snapshot {
            run,
            includes_older: false,
            owner: String::new(),
        };
        let cells = self.rows[row].iter().rev();
        let mut cells = cells.filter(|(timestamp, _)| *timestamp < snapshot.before());
        let taken = cells.find(|(timestamp, _)| snapshot.includes(*timestamp));
        taken.map(|(_, name)| *name)
    }

    fn tell(&mut self, index: usize, is_published: bool) -> Result<(), String> {
        let name = self.writers[index].name;
        match self.truth.contains(&name) == is_published {
            true => Ok(()),
            false => Err(format!("{name} hears that it is published: {is_published}")),
        }
    }

    /// The compare-and-put of the marker; whether it is replaced.
    fn switch(&mut self, index: usize, before: &Marker) -> Result<bool, String> {
        let Writer { name, run, .. } = self.writers[index];
        if self.marker != *before && self.mutant != Mutant::BlindSwitch {
            return Ok(false);
        }
        if self.truth.last() != Some(&before.by) {
            return Err(format!("{name} replaces what it has not seen"));
        }
        self.marker = Marker {
            run,
            by: name,
            recent: with_next(&before.recent, run),
        };
        self.truth.push(name);
        Ok(true)
    }

    fn go(&self, index: usize) -> Result<Self, String> {
        let mut s = self.clone();
        let Writer { name, run, .. } = s.writers[index];
        s.writers[index].at = match s.writers[index].at.clone() {
            At::Begin => At::ReadLast(s.marker.clone()),
            At::ReadLast(before) if s.mutant == Mutant::RunOfClock => {
                s.writers[index].run = s.clock;
                At::Write(before, 0)
            }
            At::ReadLast(before) => At::Draw(before, s.last),
            At::Draw(before, last) => match s.last == last {
                true => {
                    s.writers[index].run = next_run(s.clock, before.run, last);
                    s.last = s.writers[index].run;
                    At::Write(before, 0)
                }
                false => At::ReadLast(before),
            },
            At::Write(before, row) => {
                s.write(row, run, name);
                match row + 1 < ROWS {
                    true => At::Write(before, row + 1),
                    false => At::Count(before),
                }
            }
            At::Count(before) => {
                let n_rows = (0..ROWS).filter(|row| s.cell(*row, run).is_some()).count();
                match (n_rows == ROWS || s.mutant == Mutant::NoCount, s.mutant) {
                    (false, _) => At::Done,
                    (true, Mutant::PurgeFirst) => {
                        for cells in &mut s.rows {
                            cells.retain(|(timestamp, _)| *timestamp >= run);
                        }
                        At::Switch(before)
                    }
                    (true, _) => At::Switch(before),
                }
            }
            At::Switch(before) => match s.switch(index, &before)? {
                true => At::Purge(0, true),
                false => At::Look(before, false),
            },
            At::Look(before, is_error) => {
                let is_published = s.marker.recent.contains(&run);
                if is_published && !(is_error && s.mutant == Mutant::TrustErrors) {
                    At::Purge(0, true)
                } else if is_error && s.marker.run == before.run && s.mutant != Mutant::TrustErrors
                {
                    // The error is told; it is tried again here.
                    At::Switch(before)
                } else {
                    s.tell(index, false)?;
                    At::Done
                }
            }
            At::Purge(row, _) => {
                s.tell(index, true)?;
                s.rows[row].retain(|(timestamp, _)| *timestamp >= run);
                match row + 1 < ROWS {
                    true => At::Purge(row + 1, true),
                    false => At::Done,
                }
            }
            At::Done => At::Done,
        };
        Ok(s)
    }

    fn read(&self) -> Option<Step> {
        let mut s = self.clone();
        let words = format!("reader: {:?}", self.reader);
        s.reader = match &self.reader {
            Reading::Begin => Reading::Rows(self.marker.run, self.marker.by, Vec::new()),
            Reading::Rows(run, by, found) if found.len() < ROWS => {
                let mut found = found.clone();
                found.push(self.cell(found.len(), *run));
                Reading::Rows(*run, by, found)
            }
            Reading::Rows(run, by, found) => {
                let is_still = self.marker.run == *run || self.mutant == Mutant::NoSecondLook;
                if is_still && found.iter().any(|row| *row != Some(by)) {
                    let fault = format!("a reader of {by} has the rows {found:?}");
                    return Some((words, Err(fault)));
                }
                Reading::Done
            }
            Reading::Done => return None,
        };
        Some((words, Ok(s)))
    }
}

impl Model for State {
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, writer) in self.writers.iter().enumerate() {
            let Writer { name, at, run, .. } = writer;
            let is_drawn = !matches!(at, At::Begin | At::ReadLast(_) | At::Draw(..));
            if self.late_tasks > 0 && writer.has_late_task && is_drawn {
                for row in 0..ROWS {
                    let mut late = self.clone();
                    late.late_tasks -= 1;
                    late.writers[index].has_late_task = false;
                    late.write(row, *run, name);
                    steps.push((format!("{name}: a task goes on with row {row}"), Ok(late)));
                }
            }
            if *at == At::Done {
                continue;
            }
            steps.push((format!("{name}: {at:?}"), self.go(index)));
            if let (At::Switch(before), true) = (at, self.losses > 0) {
                for is_applied in [true, false] {
                    let mut lost = self.clone();
                    lost.losses -= 1;
                    let switched = match is_applied {
                        true => lost.switch(index, before).map(drop),
                        false => Ok(()),
                    };
                    lost.writers[index].at = At::Look(before.clone(), true);
                    let words =
                        format!("{name}: the answer of the switch is lost, applied: {is_applied}");
                    steps.push((words, switched.map(|()| lost)));
                }
            }
            if self.crashes > 0 {
                let mut dead = self.clone();
                dead.crashes -= 1;
                dead.writers[index].at = At::Done;
                steps.push((format!("{name} dies"), Ok(dead)));
            }
            // A task of the run is lost, and its row not written.
            if let (At::Write(before, 0), true) = (at, self.crashes > 0) {
                let mut lost = self.clone();
                lost.crashes -= 1;
                lost.writers[index].at = At::Write(before.clone(), 1);
                steps.push((format!("{name} loses a row"), Ok(lost)));
            }
        }
        steps.extend(self.read());
        steps
    }

    fn check_end(&self) -> Result<(), String> {
        let by = self.truth.last().copied();
        let rows = (0..ROWS).map(|row| self.cell(row, self.marker.run));
        match rows.into_iter().all(|row| row == by) && Some(self.marker.by) == by {
            true => Ok(()),
            false => Err(format!("at the end {by:?} is not there")),
        }
    }
}

#[test]
fn results_in_hbase_are_whole_or_not_there() {
    match search(State::new(Mutant::None, &["a", "b"])) {
        Ok(n_states) => assert!(n_states > 1000, "{n_states} states"),
        Err(fault) => panic!("{fault}"),
    }
}

#[test]
fn harmless_looking_changes_are_found() {
    for mutant in [
        Mutant::BlindSwitch,
        Mutant::RunOfClock,
        Mutant::PurgeFirst,
        Mutant::NoSecondLook,
        Mutant::NoCount,
        Mutant::TrustErrors,
    ] {
        let found = search(State::new(mutant, &["a", "b"]));
        assert!(found.is_err(), "{mutant:?} is not found");
    }
}
