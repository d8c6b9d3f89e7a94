//! Rows that repeat others, found without sorting or shuffling wide rows.
//!
//! 1. One narrow query finds the hashes of the keys that occur more than once, and counts the rows.
//! 2. A second one brings the trusted rows of these keys, a few numbers each, to the client, which
//!    decides about them exactly (see [`super::survey`]). The scan of delimited text parses only the
//!    lines with such a key.
//! 3. The pass that writes knows the rows to remove by the hash of their place in the source.
//!
//! A table without places (not read from text) has its repeated keys numbered by a window, over the
//! rows of these keys only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, UInt64Type};
use datafusion::error::Result as PlanResult;
use datafusion::execution::FunctionRegistry;
use datafusion::functions::core::expr_fn::greatest;
use datafusion::functions::string::expr_fn::concat;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, ScalarFunctionArgs, cast, lit, when,
};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result};
use emporia_core::key_hash::KeySet;
use emporia_engine::functions::{in_key_set, row_number};
use emporia_engine::session::Session;

use super::judge::{CODE, Judge};
use super::rules::{DUPLICATE_KEY, Duplicates, EXACT_DUPLICATE};
use super::source::{POSITION, SOURCE};
use crate::rows;
use crate::tables::{function, planning};

/// The rules about duplicates that are not skipped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Active {
    /// Column of the key; the text of the row where there is none.
    pub key: &'static str,
    pub latest: Option<&'static str>,
    pub exact_code: Option<i32>,
    pub key_code: Option<i32>,
}

impl Active {
    /// `None` where there is nothing to look for.
    pub(super) fn of(duplicates: &Duplicates, judge: &Judge) -> Option<Self> {
        let active = Self {
            key: duplicates.key.unwrap_or("_raw"),
            latest: duplicates.latest,
            exact_code: judge.code(EXACT_DUPLICATE),
            key_code: judge.code(DUPLICATE_KEY),
        };
        (active.exact_code.is_some() || active.key_code.is_some()).then_some(active)
    }

    /// The hash of the key.
    pub(super) fn key_hash(&self, session: &Session) -> Result<Expr> {
        Ok(function(session, "key_hash")?.call(vec![ident(self.key)]))
    }

    /// A second, independent hash of the key.
    pub(super) fn check_hash(&self, session: &Session) -> Result<Expr> {
        let salted = concat(vec![lit("check:"), text(ident(self.key))]);
        Ok(function(session, "key_hash")?.call(vec![salted]))
    }
}

/// The text of a value.
pub(super) fn text(value: Expr) -> Expr {
    cast(value, DataType::Utf8)
}

/// The hash of the place of a row.
pub(super) fn place_hash(session: &Session) -> Result<Expr> {
    let place = concat(vec![text(ident(SOURCE)), lit(":"), text(ident(POSITION))]);
    Ok(function(session, "key_hash")?.call(vec![place]))
}

/// The hash of the text of a row.
pub(super) fn text_hash(session: &Session) -> Result<Expr> {
    Ok(function(session, "key_hash")?.call(vec![ident("_raw")]))
}

/// Whether the hash is in the set; never null.
pub(super) fn is_in(hash: Expr, set: &KeySet) -> Expr {
    in_key_set(set.clone()).call(vec![hash]).is_true()
}

/// What the first, narrow pass finds.
#[derive(Debug)]
pub(super) struct Repeats {
    /// Rows of the table.
    pub rows_in: u64,
    /// The hashes of keys that occur more than once; `None` where there are none.
    pub keys: Option<KeySet>,
}

/// Counts the rows and finds the keys that occur more than once.
pub(super) async fn repeats(
    session: &Session,
    judged: &DataFrame,
    active: Option<Active>,
) -> Result<Repeats> {
    let mut measures = vec![count(lit(1)).alias("rows_in")];
    if let Some(active) = active {
        let hash = active.key_hash(session)?;
        let repeated = session.context().udaf("repeated_hashes");
        let repeated = repeated.map_err(planning("the search for repeated keys"))?;
        measures.push(repeated.call(vec![hash]).alias("keys"));
    }
    let frame = judged
        .clone()
        .aggregate(vec![], measures)
        .map_err(planning("the search for repeated keys"))?;
    let batches = session.collect(frame).await?;
    let rows_in = rows::integers(&batches, "rows_in")?;
    let rows_in = rows_in.into_iter().flatten().next().unwrap_or(0);
    let keys = batches
        .first()
        .and_then(|batch| batch.column_by_name("keys"))
        .and_then(|keys| keys.as_binary_opt::<i32>())
        .filter(|keys| !keys.is_empty() && keys.is_valid(0) && !keys.value(0).is_empty())
        .map(|keys| KeySet::from_bytes(keys.value(0)));
    Ok(Repeats {
        rows_in: u64::try_from(rows_in).unwrap_or(0),
        keys,
    })
}

/// A trusted row whose key may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub key: (u64, u64),
    /// Hash of the text of the row.
    pub text: u64,
    /// Microseconds since the epoch; constant where the rule has no time column.
    pub time: Option<i64>,
    pub source: String,
    pub position: i64,
    pub place: u64,
}

/// What is decided about candidates.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    /// Hashes of the places of rows that are exact duplicates.
    pub exact: Vec<u64>,
    /// Hashes of the places of rows that are not the latest of their key.
    pub losers: Vec<u64>,
    /// Positions of both.
    pub positions: Vec<i64>,
}

/// Decides which candidates stay.
pub(super) fn decide(mut candidates: Vec<Candidate>, active: Active) -> Decisions {
    // First in the source first: it is the one that stays among equals.
    candidates.sort_by(|a, b| (&a.source, a.position).cmp(&(&b.source, b.position)));
    let mut by_key: HashMap<(u64, u64), Vec<Candidate>> = HashMap::new();
    for candidate in candidates {
        by_key.entry(candidate.key).or_default().push(candidate);
    }
    let mut decisions = Decisions::default();
    for rows in by_key.into_values() {
        let mut originals: Vec<&Candidate> = Vec::with_capacity(rows.len());
        let mut texts = HashSet::new();
        for row in &rows {
            let is_new = texts.insert(row.text);
            if active.exact_code.is_some() && !is_new {
                decisions.exact.push(row.place);
                decisions.positions.push(row.position);
            } else {
                originals.push(row);
            }
        }
        let mut winner = None;
        for (at, row) in originals.iter().enumerate() {
            let is_later = winner.is_none_or(|(_, time)| match active.latest {
                Some(_) => row.time > time,
                None => true,
            });
            if is_later {
                winner = Some((at, row.time));
            }
        }
        for (at, row) in originals.into_iter().enumerate() {
            let is_winner = winner.is_some_and(|(winner, _)| winner == at);
            if active.key_code.is_some() && !is_winner {
                decisions.losers.push(row.place);
                decisions.positions.push(row.position);
            }
        }
    }
    decisions
}

impl Decisions {
    /// The code of a row after the decisions.
    pub(super) fn code(&self, session: &Session, active: Active) -> Result<Expr> {
        let code = ident(CODE);
        if self.positions.is_empty() {
            return Ok(code);
        }
        let hash = function(session, "key_hash")?;
        let positions = self.positions.iter().copied();
        let positions = position_hashes(session, positions)?;
        let place = place_hash(session)?;
        let exact = is_in(place.clone(), &KeySet::of(self.exact.clone()));
        let loser = is_in(place, &KeySet::of(self.losers.clone()));
        let decided = when(exact, lit(active.exact_code.unwrap_or(0)))
            .when(loser, lit(active.key_code.unwrap_or(0)))
            .otherwise(lit(0_i32));
        // The position alone is a number: the text of the place is made for few rows only.
        let may_go = is_in(hash.call(vec![ident(POSITION)]), &positions);
        let may_go = code.clone().eq(lit(0_i32)).and(may_go);
        let decided = decided.and_then(|decided| when(may_go, decided).end());
        let decided = decided.map_err(planning("the removal of duplicates"))?;
        Ok(greatest(vec![code, decided]))
    }
}

/// The hashes of positions as the engine's function computes them.
fn position_hashes(session: &Session, positions: impl Iterator<Item = i64>) -> Result<KeySet> {
    let array = Int64Array::from_iter_values(positions);
    let number_rows = array.len();
    let hashed = function(session, "key_hash")?.invoke_with_args(ScalarFunctionArgs {
        args: vec![ColumnarValue::Array(Arc::new(array))],
        arg_fields: vec![Arc::new(Field::new("position", DataType::Int64, true))],
        number_rows,
        return_field: Arc::new(Field::new("hash", DataType::UInt64, true)),
        config_options: Arc::clone(session.context().state_ref().read().config().options()),
    });
    let hashed = hashed.and_then(|value| value.to_array(number_rows));
    let hashed = hashed.map_err(planning("the hashes of positions"))?;
    let hashed = hashed
        .as_primitive_opt::<UInt64Type>()
        .ok_or_else(|| Error::internal("key_hash returns no unsigned integers"))?;
    Ok(KeySet::of(hashed.iter().flatten().collect()))
}

/// The codes of a table without places: candidates are numbered by windows, in the order of their
/// text where nothing else tells them apart.
pub(super) fn numbered(
    session: &Session,
    judged: DataFrame,
    active: Active,
    repeated: &KeySet,
) -> Result<DataFrame> {
    let is_candidate = ident(CODE)
        .eq(lit(0_i32))
        .and(is_in(active.key_hash(session)?, repeated));
    let plan = || -> PlanResult<DataFrame> {
        let others = judged.clone().filter(is_candidate.clone().is_not_true())?;
        let columns: Vec<String> = judged
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let time = active.latest.unwrap_or("_raw");
        let copy = row_number()
            .partition_by(vec![ident(active.key), ident("_raw")])
            .order_by(vec![ident("_raw").sort(true, false)])
            .build()?
            .alias("_copy");
        let candidates = judged.clone().filter(is_candidate)?.window(vec![copy])?;
        let is_copy = match active.exact_code {
            Some(_) => ident("_copy").gt(lit(1_i64)),
            None => lit(false),
        };
        let candidates = candidates.with_column("_is_copy", is_copy)?;
        let rank = row_number()
            .partition_by(vec![ident(active.key)])
            .order_by(vec![
                ident("_is_copy").sort(true, false),
                ident(time).sort(false, false),
                ident("_raw").sort(true, false),
            ])
            .build()?
            .alias("_rank");
        let code = when(ident("_is_copy"), lit(active.exact_code.unwrap_or(0)))
            .when(
                ident("_rank").gt(lit(1_i64)),
                lit(active.key_code.unwrap_or(0)),
            )
            .otherwise(lit(0_i32))?;
        let kept = columns.iter().filter(|c| *c != CODE).map(ident);
        let kept = kept.chain([code.alias(CODE)]).collect::<Vec<_>>();
        let others_columns = columns.iter().filter(|c| *c != CODE).map(ident);
        let others = others.select(others_columns.chain([ident(CODE)]).collect::<Vec<_>>())?;
        others.union(candidates.window(vec![rank])?.select(kept)?)
    };
    plan().map_err(planning("the removal of duplicates"))
}
