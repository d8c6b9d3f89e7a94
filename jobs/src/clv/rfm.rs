//! Recency, frequency and money scores, and the segments that they make.
//!
//! A score is 1 to 5 by the fifths of the customers. The limits are values, not ranks: a customer
//! scores one more for every limit that his value exceeds, so that equal values always have equal
//! scores, whatever the order of rows. With many ties (most customers bought once) some scores are
//! therefore empty.

use datafusion::logical_expr::{Expr, lit, when};
use datafusion::prelude::ident;

use super::history::{CustomerHistory, Observed};

/// The values at the ends of the first four fifths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits(pub [i128; 4]);

/// The limits of all three scores.
#[derive(Debug)]
pub(super) struct Cuts {
    /// Of the negated days since the last order, so that more is better.
    pub recency: Limits,
    pub frequency: Limits,
    pub money: Limits,
}

/// Name of a segment and the inclusive ranges of its recency, frequency and money scores.
type Segment = (&'static str, [(i64, i64); 3]);

/// The segments; the first match wins, and together they cover all scores.
pub(super) const SEGMENTS: [Segment; 10] = [
    ("champions", [(5, 5), (5, 5), (5, 5)]),
    ("loyal", [(3, 5), (4, 5), (1, 5)]),
    ("potential_loyal", [(4, 5), (2, 3), (1, 5)]),
    ("new", [(5, 5), (1, 1), (1, 5)]),
    ("promising", [(3, 4), (1, 1), (1, 5)]),
    ("needs_attention", [(3, 3), (2, 3), (1, 5)]),
    ("cannot_lose", [(2, 2), (4, 5), (4, 5)]),
    ("at_risk", [(2, 2), (2, 5), (1, 5)]),
    ("about_to_sleep", [(2, 2), (1, 1), (1, 5)]),
    ("lost", [(1, 1), (1, 5), (1, 5)]),
];

impl Limits {
    /// The limits of the values.
    pub(super) fn of(mut values: Vec<i128>) -> Self {
        values.sort_unstable();
        let n = values.len();
        // The value of the last customer of each fifth.
        Self([1, 2, 3, 4].map(|fifth| {
            let rank = (n * fifth).div_ceil(5).max(1);
            values.get(rank - 1).copied().unwrap_or(0)
        }))
    }

    /// The score of a whole number as an expression of type `Int64`.
    pub(super) fn score(&self, value: &Expr) -> datafusion::error::Result<Expr> {
        let mut score = lit(1_i64);
        for limit in self.0 {
            let limit = datafusion::common::ScalarValue::Decimal128(Some(limit), 38, 0);
            score = score + when(value.clone().gt(lit(limit)), lit(1_i64)).otherwise(lit(0_i64))?;
        }
        Ok(score)
    }
}

impl Cuts {
    pub(super) fn of(observed: &Observed) -> Self {
        let limits = |of: &dyn Fn(&CustomerHistory) -> i128| {
            Limits::of(observed.customers.iter().map(of).collect())
        };
        Self {
            recency: limits(&|c| i128::from(c.last_day - observed.last_day)),
            frequency: limits(&|c| c.orders.into()),
            money: limits(&|c| c.revenue),
        }
    }
}

/// The segment of the columns `r_score`, `f_score` and `m_score`.
pub(super) fn segment() -> datafusion::error::Result<Expr> {
    let within = |ranges: [(i64, i64); 3]| {
        let columns = ["r_score", "f_score", "m_score"];
        let conditions = columns
            .into_iter()
            .zip(ranges)
            .filter(|(_, range)| *range != (1, 5))
            .map(|(column, (low, high))| Some(ident(column).between(lit(low), lit(high))));
        crate::orders::all_of(conditions).unwrap_or_else(|| lit(true))
    };
    let mut segments = SEGMENTS.into_iter();
    let Some((first, ranges)) = segments.next() else {
        return Ok(lit(""));
    };
    let mut case = when(within(ranges), lit(first));
    for (name, ranges) in segments {
        case = case.when(within(ranges), lit(name));
    }
    case.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_a_segment() {
        for (r, f, m) in (0..125).map(|i| (i / 25 + 1, i / 5 % 5 + 1, i % 5 + 1)) {
            let matches = |segment: &&Segment| {
                [r, f, m]
                    .iter()
                    .zip(segment.1)
                    .all(|(s, (low, high))| (low..=high).contains(s))
            };
            assert!(SEGMENTS.iter().any(|s| matches(&s)), "{r} {f} {m}");
        }
    }

    #[test]
    fn limits_are_the_ends_of_the_fifths() {
        assert_eq!(Limits::of((1..=10).collect()).0, [2, 4, 6, 8]);
        assert_eq!(Limits::of(vec![7]).0, [7, 7, 7, 7]);
        assert_eq!(Limits::of(vec![]).0, [0, 0, 0, 0]);
    }
}
