//! What cleaning has to know about a table: the rows whose keys occur more than once, and how many
//! rows each rule is about.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::logical_expr::lit;
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::key_hash::KeySet;
use emporia_engine::job::TallyRow;
use emporia_engine::session::Session;

use super::duplicates::{Active, Candidate, is_in, place_hash, text, text_hash};
use super::judge::{CODE, Judge};
use super::rules::Action;
use super::source::{POSITION, SOURCE};
use crate::period::micros;
use crate::rows;
use crate::tables::planning;

/// Rows by code of the rule and bits of the repairs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    groups: BTreeMap<(i32, i64), i64>,
}

/// Fetches the trusted rows whose keys occur more than once.
pub(super) async fn candidates(
    session: &Session,
    judged: DataFrame,
    active: Active,
    repeated: &KeySet,
) -> Result<Vec<Candidate>> {
    let is_repeated = is_in(active.key_hash(session)?, repeated);
    let time = match active.latest {
        Some(column) => micros(ident(column)),
        None => lit(0_i64),
    };
    let columns = vec![
        place_hash(session)?.alias("place"),
        active.key_hash(session)?.alias("hash"),
        active.check_hash(session)?.alias("check"),
        text_hash(session)?.alias("text"),
        time.alias("time"),
        ident(POSITION).alias("position"),
        text(ident(SOURCE)).alias("source"),
    ];
    let frame = judged
        .filter(is_repeated)
        .and_then(|frame| frame.filter(ident(CODE).eq(lit(0_i32))))
        .and_then(|frame| frame.select(columns))
        .map_err(planning("the rows with repeated keys"))?;
    read(&session.collect(frame).await?)
}

fn read(batches: &[RecordBatch]) -> Result<Vec<Candidate>> {
    let places = rows::unsigned(batches, "place")?;
    let hashes = rows::unsigned(batches, "hash")?;
    let checks = rows::unsigned(batches, "check")?;
    let texts = rows::unsigned(batches, "text")?;
    let times = rows::integers(batches, "time")?;
    let positions = rows::integers(batches, "position")?;
    let sources = rows::texts(batches, "source")?;
    let mut seen = HashSet::with_capacity(places.len());
    let mut candidates = Vec::with_capacity(places.len());
    for (row, place) in places.into_iter().enumerate() {
        let place = place.unwrap_or(0);
        if !seen.insert(place) {
            return Err(Error::internal("two rows of the table have the same place")
                .with_hint("the columns `_source` and `_position` must tell rows apart"));
        }
        let unsigned = |values: &[Option<u64>]| values.get(row).copied().flatten().unwrap_or(0);
        let integer = |values: &[Option<i64>]| values.get(row).copied().flatten();
        candidates.push(Candidate {
            key: (unsigned(&hashes), unsigned(&checks)),
            text: unsigned(&texts),
            time: integer(&times),
            source: sources.get(row).cloned().flatten().unwrap_or_default(),
            position: integer(&positions).unwrap_or(0),
            place,
        });
    }
    Ok(candidates)
}

impl Survey {
    /// The counts of a pass over the rows by `_code` and `_repairs`.
    pub(super) fn of(counts: Vec<TallyRow>) -> Self {
        let mut survey = Self::default();
        for count in counts {
            let value = |at: usize| count.values.get(at).copied().unwrap_or(0);
            let code = i32::try_from(value(0)).unwrap_or(0);
            let rows = i64::try_from(count.rows).unwrap_or(i64::MAX);
            *survey.groups.entry((code, value(1))).or_default() += rows;
        }
        survey
    }

    /// Rows of the whole table.
    pub(super) fn rows_in(&self) -> i64 {
        self.groups.values().sum()
    }

    /// Rows that break the rule with the code; the trusted ones for 0.
    pub(super) fn rows_of(&self, code: i32) -> i64 {
        self.groups
            .iter()
            .filter(|((c, _), _)| *c == code)
            .map(|(_, n)| n)
            .sum()
    }

    /// Trusted rows with the repair.
    fn repaired(&self, bit: usize) -> i64 {
        let has = |repairs: i64| repairs >> bit & 1 == 1;
        let groups = self
            .groups
            .iter()
            .filter(|((c, repairs), _)| *c == 0 && has(*repairs));
        groups.map(|(_, n)| n).sum()
    }

    /// Rows that an action removes.
    pub(super) fn removed_by(&self, judge: &Judge, action: Action) -> i64 {
        let codes = judge
            .verdicts
            .iter()
            .zip(1_i32..)
            .filter(|(v, _)| v.action == action);
        codes.map(|(_, code)| self.rows_of(code)).sum()
    }

    /// Verifies that no rule broken by a row makes the run fail.
    pub(super) fn check(&self, judge: &Judge, table: &str) -> Result<()> {
        for (verdict, code) in judge.verdicts.iter().zip(1_i32..) {
            let n = self.rows_of(code);
            if verdict.action == Action::Fail && n > 0 {
                return Err(Error::new(
                    ErrorKind::Failed,
                    format!(
                        "{n} rows of table `{table}` break the rule `{}`",
                        verdict.id
                    ),
                )
                .with_hint("nothing was written; correct the source"));
            }
        }
        Ok(())
    }

    /// The table `cleaning_counters`.
    pub(super) fn to_batch(&self, judge: &Judge, table: &str) -> Result<RecordBatch> {
        let total = |id: &str, n: i64| (id.to_owned(), id.to_owned(), n);
        let mut counters = vec![
            total("rows_in", self.rows_in()),
            total("rows_out", self.rows_of(0)),
            total("dropped", self.removed_by(judge, Action::Drop)),
            total("quarantined", self.removed_by(judge, Action::Quarantine)),
        ];
        for (verdict, code) in judge.verdicts.iter().zip(1_i32..) {
            counters.push((
                verdict.id.clone(),
                verdict.action.name().to_owned(),
                self.rows_of(code),
            ));
        }
        for (bit, repair) in judge.repairs.iter().enumerate() {
            counters.push((repair.id.clone(), "repair".to_owned(), self.repaired(bit)));
        }
        let tables = counters.iter().map(|_| Some(table));
        let ids = counters.iter().map(|(id, _, _)| Some(id.as_str()));
        let actions = counters.iter().map(|(_, action, _)| Some(action.as_str()));
        let rows = counters.iter().map(|(_, _, n)| Some(*n));
        RecordBatch::try_from_iter_with_nullable([
            (
                "table_name",
                Arc::new(tables.collect::<StringArray>()) as ArrayRef,
                false,
            ),
            (
                "rule_id",
                Arc::new(ids.collect::<StringArray>()) as ArrayRef,
                false,
            ),
            (
                "action",
                Arc::new(actions.collect::<StringArray>()) as ArrayRef,
                false,
            ),
            (
                "rows",
                Arc::new(rows.collect::<Int64Array>()) as ArrayRef,
                false,
            ),
        ])
        .map_err(|e| Error::internal("cannot make the table of counters").with_source(e))
    }
}
