//! What the filters of a query say about a table, as far as HBase can use it.
//!
//! ```text
//!   DataFusion filters ──expr──▶ Predicate ──ranges──▶ key ranges, point reads
//!                                          ──cells───▶ filter of the scan
//! ```
//!
//! Everything here may let through more rows than the filters do, never fewer: the provider reports
//! every filter as inexact, and DataFusion asks it again of each row that arrives. A
//! [`Predicate`] is therefore a **superset**: whatever is not understood becomes
//! [`Predicate::All`].
//!
//! # Key ranges
//!
//! Conjunctions are collected into one [`Domain`] for each key column. The parts of the key are
//! walked in order: as long as a part is fixed to points, it extends the beginnings of keys; at the
//! first part that is a range, it makes ranges of them and ends. A salt is computed where the
//! columns that it hashes are fixed, and otherwise stands for all its buckets. A disjunction over
//! several columns is the union of what its branches say, each together with the conjunction
//! around it.
//!
//! # Filters on cells
//!
//! A comparison with a cell is pushed where the bytes of the cell are in the order of the values,
//! or, for native integers, in that order on each side of zero; and for decimal texts, of which
//! only one stands for a value, on equality. The filter drops rows without the cell, as SQL does,
//! because a comparison with null is never true; this also holds for `!=`.
//!
//! In a published table a filter may meet a cell of an older run in a row that has none of this
//! run. Then the column is null in this run and the predicate is not true: whether the old cell
//! matches or not, no row is lost, and one that came too many is dropped when DataFusion asks
//! again. Where the row has a cell of this run, it is the newest that the scan sees.

mod cells;
mod compare;
mod domain;
mod expr;
mod ranges;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(super) use cells::CellFilter;
pub(super) use domain::Domain;
pub(super) use expr::predicate_of;

/// Rows of which the filters of a query can be true; a superset of those of which they are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicate {
    /// All rows.
    All,
    /// Rows whose value of the column is one of the domain, and not null.
    Is(usize, Domain),
    /// Rows for which all hold.
    And(Vec<Predicate>),
    /// Rows for which one holds.
    Or(Vec<Predicate>),
}

impl Predicate {
    /// Rows for which all hold.
    pub(super) fn and(predicates: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for predicate in predicates {
            match predicate {
                Self::All => {}
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Self::All,
            1 => flat.remove(0),
            _ => Self::And(flat),
        }
    }

    /// Whether it says anything about the column.
    pub(super) fn mentions(&self, column: usize) -> bool {
        match self {
            Self::All => false,
            Self::Is(index, _) => *index == column,
            Self::And(inner) | Self::Or(inner) => inner.iter().any(|p| p.mentions(column)),
        }
    }

    /// Rows for which one holds.
    pub(super) fn or(predicates: impl IntoIterator<Item = Self>) -> Self {
        let mut flat: Vec<Self> = Vec::new();
        // Alternatives of one column are one domain of it.
        let mut domains = BTreeMap::<usize, Vec<Domain>>::new();
        for predicate in predicates {
            let branches = match predicate {
                Self::All => return Self::All,
                Self::Or(inner) => inner,
                other => vec![other],
            };
            for branch in branches {
                match branch {
                    Self::Is(column, domain) => domains.entry(column).or_default().push(domain),
                    other => flat.push(other),
                }
            }
        }
        let domains = domains.into_iter();
        flat.extend(domains.map(|(column, sets)| Self::Is(column, Domain::union(sets))));
        match flat.len() {
            1 => flat.remove(0),
            _ => Self::Or(flat),
        }
    }
}
