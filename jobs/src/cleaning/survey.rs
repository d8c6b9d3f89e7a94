//! One pass over the narrow part of a table that says what cleaning will do: rows per rule, and the
//! rows whose keys occur more than once.
//!
//! Rows that need no decision fall into a handful of groups (rule and repairs); each candidate is a
//! group of its own. So one aggregation over a single integer yields both.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::{Expr, cast, lit, when};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::session::Session;

use super::duplicates::{Active, Candidate, Decisions, is_in, place_hash, text_hash};
use super::judge::{CODE, Judge, REPAIRS};
use super::rules::Action;
use super::source::{POSITION, SOURCE};
use crate::period::micros;
use crate::rows;
use crate::tables::planning;

/// The bit that tells the group of a candidate from the other groups.
const CANDIDATE: u64 = 1 << 63;
/// Factor of the rule in the number of a group; repairs are below it.
const CODE_FACTOR: i64 = 1 << 16;

/// Rows by code of the rule and bits of the repairs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    groups: BTreeMap<(i32, i64), i64>,
}

/// Counts the rows of a table about whose duplicates all is decided.
pub(super) async fn count_rows(session: &Session, judged: DataFrame) -> Result<Survey> {
    let frame = judged
        .select(vec![group_number().alias("token")])
        .and_then(|frame| frame.aggregate(vec![ident("token")], vec![count(lit(1)).alias("n")]))
        .map_err(planning("the survey of the table"))?;
    let batches = session.collect(frame).await?;
    let mut survey = Survey::default();
    let tokens = rows::unsigned(&batches, "token")?;
    for (token, n) in tokens.into_iter().zip(rows::integers(&batches, "n")?) {
        survey.add(token.unwrap_or(0), n.unwrap_or(0));
    }
    Ok(survey)
}

/// Counts the rows, and fetches the candidates.
pub(super) async fn survey(
    session: &Session,
    judged: DataFrame,
    active: Active,
    repeated: &ScalarValue,
) -> Result<(Survey, Vec<Candidate>)> {
    let is_candidate =
        ident(CODE)
            .eq(lit(0_i32))
            .and(is_in(session, active.key_hash(session)?, repeated)?);
    let place = place_hash(session)?;
    let time = match active.latest {
        Some(column) => micros(ident(column)),
        None => lit(0_i64),
    };
    // Texts are hashed for candidates only: the branches of a CASE are evaluated on their rows.
    let columns: [(&str, Expr, ScalarValue); 7] = [
        ("place", place, ScalarValue::UInt64(None)),
        ("hash", active.key_hash(session)?, ScalarValue::UInt64(None)),
        (
            "check",
            active.check_hash(session)?,
            ScalarValue::UInt64(None),
        ),
        ("text", text_hash(session)?, ScalarValue::UInt64(None)),
        ("time", time, ScalarValue::Int64(None)),
        ("position", ident(POSITION), ScalarValue::Int64(None)),
        ("source", ident(SOURCE), ScalarValue::Utf8(None)),
    ];
    let frame = || -> datafusion::error::Result<DataFrame> {
        let flagged = vec![ident(CODE), ident(REPAIRS), is_candidate.alias("candidate")];
        let mut passed = flagged;
        passed.extend(
            judged
                .schema()
                .fields()
                .iter()
                .map(|f| f.name().clone())
                .filter(|name| name != CODE && name != REPAIRS)
                .map(ident),
        );
        let judged = judged.clone().select(passed)?;
        let mut narrow = Vec::new();
        for (name, value, null) in columns {
            narrow.push(
                when(ident("candidate"), value)
                    .otherwise(lit(null))?
                    .alias(name),
            );
        }
        narrow.extend([ident(CODE), ident(REPAIRS)]);
        let judged = judged.select(narrow)?;
        let marked = datafusion::logical_expr::bitwise_or(ident("place"), lit(CANDIDATE));
        let token = when(ident("place").is_not_null(), marked).otherwise(group_number())?;
        let names = [
            "place", "hash", "check", "text", "time", "position", "source",
        ];
        let mut columns: Vec<Expr> = names.into_iter().map(ident).collect();
        columns.extend([token.alias("token"), ident(REPAIRS).alias("repairs")]);
        let mut measures = vec![
            count(lit(1)).alias("n"),
            max(ident("repairs")).alias("repairs"),
        ];
        measures.extend(names.into_iter().map(|name| max(ident(name)).alias(name)));
        judged
            .select(columns)?
            .aggregate(vec![ident("token")], measures)
    };
    let frame = frame().map_err(planning("the survey of the table"))?;
    read(&session.collect(frame).await?)
}

/// The number of the group of a row about which nothing is left to decide.
fn group_number() -> Expr {
    let number = cast(ident(CODE), DataType::Int64) * lit(CODE_FACTOR) + ident(REPAIRS);
    cast(number, DataType::UInt64)
}

fn read(batches: &[RecordBatch]) -> Result<(Survey, Vec<Candidate>)> {
    let tokens = rows::unsigned(batches, "token")?;
    let counts = rows::integers(batches, "n")?;
    let places = rows::unsigned(batches, "place")?;
    let hashes = rows::unsigned(batches, "hash")?;
    let checks = rows::unsigned(batches, "check")?;
    let texts = rows::unsigned(batches, "text")?;
    let times = rows::integers(batches, "time")?;
    let positions = rows::integers(batches, "position")?;
    let sources = rows::texts(batches, "source")?;
    let repairs = rows::integers(batches, "repairs")?;
    let mut survey = Survey::default();
    let mut candidates = Vec::new();
    for (row, token) in tokens.into_iter().enumerate() {
        let token = token.unwrap_or(0);
        let n = counts.get(row).copied().flatten().unwrap_or(0);
        if token & CANDIDATE == 0 {
            survey.add(token, n);
            continue;
        }
        if n != 1 {
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
            place: unsigned(&places),
            repairs: integer(&repairs).unwrap_or(0),
        });
    }
    Ok((survey, candidates))
}

impl Survey {
    fn add(&mut self, token: u64, n: i64) {
        let token = i64::try_from(token).unwrap_or(0);
        let code = i32::try_from(token / CODE_FACTOR).unwrap_or(0);
        *self.groups.entry((code, token % CODE_FACTOR)).or_default() += n;
    }

    /// Adds the candidates as they were decided about.
    pub(super) fn add_decisions(&mut self, decisions: &Decisions, active: Active) {
        let mut add = |code: Option<i32>, repairs: i64, n: usize| {
            let n = i64::try_from(n).unwrap_or(i64::MAX);
            *self.groups.entry((code.unwrap_or(0), repairs)).or_default() += n;
        };
        add(active.exact_code, 0, decisions.exact.len());
        add(active.key_code, 0, decisions.losers.len());
        for repairs in &decisions.kept_repairs {
            add(None, *repairs, 1);
        }
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
