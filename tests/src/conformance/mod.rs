//! Runs DataFusion's own test files on Emporia and counts what comes out the same.
//!
//! The files come with the crate `datafusion-sqllogictest` of the version that Emporia is built on;
//! nothing of them is kept here. Every record is run, also after one that differs.

mod cells;
mod database;
mod expected;
mod order;
mod report;
mod rules;
mod source;
mod statement;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use futures::FutureExt;
use sqllogictest::{QueryExpect, Record, StatementExpect};

pub use database::Place;
pub use report::{FileReport, Totals, known};
pub use source::{Source, test_files};

use cells::ColumnType;
use database::{Answer, Database};
use expected::{Expected, Verdict};
use rules::Rules;
use statement::{Kind, Statement, holds};

/// How long one record may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The rows that DataFusion's file states, or a failure where it states one.
    Same,
    /// Emporia failed, for this reason.
    Refused(String),
    /// Other rows, or rows where DataFusion fails.
    Different(String),
    /// Not compared, by this rule.
    LeftOut(&'static str),
}

/// A record that is not the same, and where it stands.
#[derive(Debug, Clone)]
pub struct Finding {
    /// `file:line` of the record.
    pub at: String,
    /// Its statement.
    pub sql: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// Runs all records of a file.
///
/// # Errors
/// Where the file cannot be parsed or a session not be opened.
pub async fn run_file(source: &Source, file: &Path, place: &Place) -> Result<FileReport, String> {
    let name = source.name_of(file);
    let mut report = FileReport::new(&name);
    let records = sqllogictest::parse_file::<ColumnType>(file).map_err(|e| e.to_string())?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut run = FileRun {
        rules: Rules::for_file(&name),
        database: Database::open(place)?,
        failed: BTreeMap::new(),
        folders: BTreeMap::new(),
    };
    for record in records {
        let Some(case) = Case::of(record) else {
            continue;
        };
        let sql = source.with_paths(&case.sql, scratch.path());
        let outcome = run.outcome(&sql, &case.expected).await;
        report.add(Finding {
            at: format!("{name}:{}", case.line),
            sql: case.sql,
            outcome,
        });
    }
    Ok(report)
}

/// A record that DataFusion runs.
struct Case {
    line: u32,
    sql: String,
    expected: Expected,
}

impl Case {
    fn of(record: Record<ColumnType>) -> Option<Self> {
        match record {
            Record::Statement {
                loc,
                conditions,
                sql,
                expected,
                ..
            } if rules::is_for_datafusion(&conditions) => Some(Self {
                line: loc.line(),
                sql,
                expected: match expected {
                    StatementExpect::Error(_) => Expected::Failure,
                    StatementExpect::Ok | StatementExpect::Count(_) => Expected::Success,
                },
            }),
            Record::Query {
                loc,
                conditions,
                sql,
                expected,
                ..
            } if rules::is_for_datafusion(&conditions) => Some(Self {
                line: loc.line(),
                sql,
                expected: match expected {
                    QueryExpect::Error(_) => Expected::Failure,
                    QueryExpect::Results {
                        types,
                        sort_mode,
                        results,
                        ..
                    } => Expected::Rows {
                        types,
                        sort_mode,
                        lines: results,
                    },
                },
            }),
            _ => None,
        }
    }
}

/// The state between the records of a file.
struct FileRun {
    rules: Rules,
    database: Database,
    /// Tables that are not there, with the outcome that what needs them has.
    failed: BTreeMap<String, Outcome>,
    /// The folders of tables that were declared over them.
    folders: BTreeMap<String, Vec<String>>,
}

impl FileRun {
    async fn outcome(&mut self, sql: &str, expected: &Expected) -> Outcome {
        let statement = Statement::of(sql);
        if let Some(rule) = self.rules.leave_out(&statement, expected) {
            // What it sets or writes may matter for the records after it.
            if !rules::has_effect(rule, &statement) || self.run(&statement).await.is_err() {
                self.remember(&statement, &Outcome::LeftOut(rule));
            }
            return Outcome::LeftOut(rule);
        }
        if let Some(outcome) = self.cause(&statement) {
            let outcome = match (outcome, expected) {
                // It fails as it should, but for another reason: nothing is known.
                (_, Expected::Failure) => Outcome::LeftOut(rules::NEEDS_MISSING),
                (outcome, _) => outcome,
            };
            if statement.drops() {
                // A part of it may be there, and the name is free from here on.
                let _ = self.run(&statement).await;
                self.forget(&statement);
            } else {
                self.remember(&statement, &outcome);
            }
            return outcome;
        }
        let outcome = match (self.run(&statement).await, expected) {
            (Err(_), Expected::Failure) => return Outcome::Same,
            (Err(reason), _) => match rules::by_design(&reason) {
                Some(rule) => Outcome::LeftOut(rule),
                None => Outcome::Refused(reason),
            },
            (Ok(_), Expected::Success) => Outcome::Same,
            (Ok(answer), Expected::Failure) => match rules::may_succeed(&statement) {
                Some(rule) => Outcome::LeftOut(rule),
                None => Outcome::Different(format!(
                    "DataFusion fails, here are {} rows",
                    answer.n_rows()
                )),
            },
            (Ok(answer), Expected::Rows { .. }) => self.compare(&statement, &answer, expected),
        };
        self.remember(&statement, &outcome);
        outcome
    }

    fn compare(&self, statement: &Statement, answer: &Answer, expected: &Expected) -> Outcome {
        match expected.judge(answer, statement) {
            Ok(Verdict::Same) => Outcome::Same,
            Ok(Verdict::Open(rule)) => Outcome::LeftOut(rule),
            Ok(Verdict::Different(detail)) => Outcome::Different(detail),
            Err(reason) => Outcome::Refused(reason),
        }
    }

    async fn run(&mut self, statement: &Statement) -> Result<Answer, String> {
        let work = AssertUnwindSafe(self.database.run(statement)).catch_unwind();
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("panic".to_owned()),
            Err(_) => Err(format!("no end within {} s", PATIENCE.as_secs())),
        }
    }

    /// Keeps in mind that a table is not there, or is there again.
    fn remember(&mut self, statement: &Statement, outcome: &Outcome) {
        if let Some(path) = statement.written() {
            self.remember_name(path.clone(), outcome);
            // Files are missing that a table has which was declared before.
            let folders = self.folders.iter();
            let around = folders.filter(|(_, folders)| folders.iter().any(|f| holds(f, &path)));
            let tables: Vec<_> = around.map(|(table, _)| table.clone()).collect();
            for table in tables {
                self.remember_name(table, outcome);
            }
        }
        if statement.kind() == Kind::External
            && let Some(table) = statement.creates()
        {
            self.folders.insert(table, statement.folders());
        }
        match (statement.creates(), statement.table()) {
            (Some(table), _) => self.remember_name(table, outcome),
            // Rows that were not written are missed later.
            (None, Some(table)) if *outcome != Outcome::Same && !statement.drops() => {
                self.remember_name(table.table().to_lowercase(), outcome);
            }
            _ => {}
        }
    }

    fn forget(&mut self, statement: &Statement) {
        if let Some(table) = statement.table() {
            self.failed.remove(&table.table().to_lowercase());
        }
    }

    fn remember_name(&mut self, name: String, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Same => {
                self.failed.remove(&name);
                return;
            }
            Outcome::LeftOut(_) => Outcome::LeftOut(rules::NEEDS_MISSING),
            _ => Outcome::Refused("needs a table that was refused".to_owned()),
        };
        self.failed.insert(name, outcome);
    }

    /// The outcome of a statement that names a table that is not there.
    fn cause(&self, statement: &Statement) -> Option<Outcome> {
        let made = statement.creates();
        let names = statement.words().filter(|w| Some(*w) != made.as_deref());
        let of_name = names.filter_map(|word| self.failed.get(word)).next();
        let of_file = || {
            let mut failed = self.failed.iter();
            failed
                .find(|(name, _)| statement.shares(name))
                .map(|(_, outcome)| outcome)
        };
        of_name.or_else(of_file).cloned()
    }
}
