//! How the columns of a row make up its key.
//!
//! HBase finds rows by their keys only, so applications put into the key what they look for:
//! `user_000042#9998258209721999#sess_1`. A [`KeySpec`] says how such a key is made, in the table's
//! option `key`:
//!
//! ```text
//!   key = "hexsalt(user_id, 16) user_id '#' reversed(start_ts, 9999999999999, 13) '#' session_id"
//! ```
//!
//! `docs/store-options.md` has the parts.
//!
//! **Keys are injective.** No two rows that differ in a key column have the same key: a part of
//! variable length ends at a literal that its values may not contain, or at the end of the key;
//! numbers are of fixed width; and what a part cannot say (a negative `padded` number, half a
//! second in a `time` pattern without fractions) is refused on writing.
//!
//! **Order.** `fixed`, `padded`, `ordered_intN` and `time` keep the order of their column, `intN`
//! does for numbers ≥ 0, and `reversed` parts turn it. A `NAME` of a text column keeps it too where
//! no value contains a byte below the first byte of the literal behind it. Key ranges for
//! predicates do not rely on any of this more than is true: see the module `predicate`.

mod codec;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod grammar;
mod intervals;
mod number;
mod pattern;
mod salt;
#[cfg(test)]
mod tests;

use emporia_core::error::{Error, Result};
use serde::{Deserialize, Serialize};

pub(super) use codec::KeyFault;
#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz;
pub(super) use grammar::KeyColumn;
pub(super) use intervals::Interval;
use number::NumberForm;
use pattern::TimePattern;
use salt::Salt;

use super::value::Kind;

/// How the columns of a row make up its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeySpec {
    parts: Vec<Part>,
}

/// A piece of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// These bytes.
    Literal(#[serde(with = "super::escape::as_text")] Vec<u8>),
    /// A hash of other parts, so that neighbours in time are not neighbours in the table.
    Salt(Salt),
    /// This many bytes of any value.
    Any(usize),
    /// The value of a column.
    Column {
        /// Index of the column in the table.
        column: usize,
        /// What its values are.
        kind: Kind,
        /// How they are written.
        form: Form,
    },
}

/// How the value of a column stands in the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Form {
    /// As text up to the next literal or the end.
    Variable,
    /// As so many bytes.
    Fixed(usize),
    /// As a number of fixed width.
    Number(NumberForm),
    /// As digits of a date and time.
    Time(TimePattern),
}

impl KeySpec {
    /// A key that is the text of one column.
    pub(super) fn of_column(column: usize, kind: Kind) -> Self {
        let form = Form::Variable;
        Self {
            parts: vec![Part::Column { column, kind, form }],
        }
    }

    /// A key of columns as `Bytes.toBytes` writes them, next to each other; text has the given
    /// number of bytes or, at the end, any.
    ///
    /// # Errors
    /// `InvalidInput` where a column cannot be in a key, or keys would not be unique.
    pub(super) fn of_native(columns: &[(usize, Kind, Option<usize>)]) -> Result<Self> {
        let part = |(column, kind, length): &(usize, Kind, Option<usize>)| {
            let form = match (kind, length) {
                (Kind::Text | Kind::Binary, Some(length)) => Form::Fixed(*length),
                (Kind::Text | Kind::Binary, None) => Form::Variable,
                (Kind::Integer(width), _) => Form::Number(NumberForm::native(*width)),
                (Kind::Timestamp, _) => Form::Number(NumberForm::native(8)),
                _ => {
                    return Err(Error::invalid(
                        "a column of the key is of a type that keys cannot have",
                    )
                    .with_hint("keys are strings, binaries, integers and timestamps"));
                }
            };
            let (column, kind) = (*column, *kind);
            Ok(Part::Column { column, kind, form })
        };
        let parts = columns.iter().map(part).collect::<Result<Vec<_>>>()?;
        grammar::check(&parts)?;
        Ok(Self { parts })
    }

    /// The pieces of the key, in their order.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Indices of the columns that are in the key, in the order of its parts.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Column { column, .. } => Some(*column),
            _ => None,
        })
    }

    /// The literal behind part `index`, at which a part of variable length ends; `None` where the
    /// key ends there.
    pub(super) fn terminator(&self, index: usize) -> Option<&[u8]> {
        match self.parts.get(index + 1) {
            Some(Part::Literal(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Whether keys can be made: every byte of them is known.
    pub(super) fn is_writable(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Any(_)))
    }
}
