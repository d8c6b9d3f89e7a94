//! Which bytes a part of the key has for a set of values of its column.

use emporia_hbase::{KeyRange, after, prefix_end};

use super::super::predicate::Domain;
use super::super::value::{Encoding, Kind, Scalar, write_date};
use super::Form;

/// Keys that agree up to a part, and what the part may be in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Interval {
    /// Keys that begin with these bytes; the part ends there.
    Point(Vec<u8>),
    /// Keys of a range.
    Range(KeyRange),
}

/// Most values of a part that are looked for one by one where their texts are not ordered.
const MAX_TEXTS: i128 = 64;

impl Form {
    /// Where keys lie that begin with `prefix`, go on with this part, and whose value of it is in
    /// `domain`: in one of the intervals, all of them. `None` where the form says nothing about it.
    pub(in super::super) fn intervals(
        &self,
        kind: Kind,
        terminator: Option<&[u8]>,
        domain: &Domain,
        prefix: &[u8],
    ) -> Option<Vec<Interval>> {
        match (self, domain) {
            (Self::Variable, Domain::Bytes(ranges)) => Some(
                ranges
                    .iter()
                    .map(|range| variable_interval(range, terminator, prefix))
                    .collect(),
            ),
            (Self::Fixed(width), Domain::Bytes(ranges)) => Some(
                ranges
                    .iter()
                    .filter_map(|range| fixed_interval(range, *width, prefix))
                    .collect(),
            ),
            (Self::Variable, Domain::Integers(ranges)) if kind == Kind::Date => Some(
                ranges
                    .iter()
                    .filter_map(|(low, high)| date_interval(*low, *high, prefix))
                    .collect(),
            ),
            (Self::Variable, Domain::Integers(ranges)) => integer_texts(kind, ranges, prefix),
            (Self::Number(number), Domain::Integers(ranges)) => Some(
                ranges
                    .iter()
                    .flat_map(|(low, high)| number.intervals(kind, *low, *high))
                    .map(|(first, last)| between(prefix, &first, &last))
                    .collect(),
            ),
            (Self::Time(pattern), Domain::Integers(ranges)) => Some(
                ranges
                    .iter()
                    .filter_map(|(low, high)| pattern.interval(kind, *low, *high))
                    .map(|(first, last)| between(prefix, &first, &last))
                    .collect(),
            ),
            (Self::Fixed(_), Domain::Integers(_))
            | (Self::Number(_) | Self::Time(_), Domain::Bytes(_)) => None,
        }
    }
}

fn join(prefix: &[u8], part: &[u8]) -> Vec<u8> {
    [prefix, part].concat()
}

/// Keys whose part, of fixed width, lies from `first` to `last`, both included.
fn between(prefix: &[u8], first: &[u8], last: &[u8]) -> Interval {
    if first == last {
        Interval::Point(join(prefix, first))
    } else {
        Interval::Range(KeyRange::new(
            join(prefix, first),
            prefix_end(&join(prefix, last)),
        ))
    }
}

fn is_point(range: &KeyRange) -> bool {
    range.end == after(&range.start)
}

/// Keys whose part of variable length is in `range`.
///
/// A value that is smaller than the upper bound but a beginning of it is followed by the
/// terminator, and such a key may lie behind the bound: with the terminator `~`, the key `a~…` of
/// the value `a` lies behind the bound `ab`. The end of the interval moves behind all such keys.
fn variable_interval(range: &KeyRange, terminator: Option<&[u8]>, prefix: &[u8]) -> Interval {
    let start = join(prefix, &range.start);
    if is_point(range) {
        return Interval::Point(start);
    }
    if range.end.is_empty() {
        return Interval::Range(KeyRange::new(start, prefix_end(prefix)));
    }
    let mut end = join(prefix, &range.end);
    if let Some(terminator) = terminator {
        for length in 0..range.end.len() {
            let beginning = &range.end[..length];
            if beginning < range.start.as_slice() {
                continue;
            }
            let behind = prefix_end(&[prefix, beginning, terminator].concat());
            if behind.is_empty() {
                end = prefix_end(prefix);
                break;
            }
            end = end.max(behind);
        }
    }
    Interval::Range(KeyRange::new(start, end))
}

/// Keys whose part of `width` bytes is in `range`.
fn fixed_interval(range: &KeyRange, width: usize, prefix: &[u8]) -> Option<Interval> {
    let start = join(prefix, &range.start);
    if is_point(range) {
        return (range.start.len() == width).then_some(Interval::Point(start));
    }
    let end = match range.end.get(..width) {
        _ if range.end.is_empty() => prefix_end(prefix),
        // The value may be a beginning of the bound.
        Some(beginning) if range.end.len() > width => prefix_end(&join(prefix, beginning)),
        _ => join(prefix, &range.end),
    };
    let interval = KeyRange::new(start, end);
    (!interval.is_empty()).then_some(Interval::Range(interval))
}

/// Days whose years have four digits.
const FIRST_DAY: i128 = -719_528;
const LAST_DAY: i128 = 2_932_896;

fn date_interval(low: i128, high: i128, prefix: &[u8]) -> Option<Interval> {
    let (low, high) = (low.max(FIRST_DAY), high.min(LAST_DAY));
    let text = |days| {
        let mut out = Vec::new();
        write_date(days, &mut out).then_some(out)
    };
    if low > high {
        return None;
    }
    Some(between(prefix, &text(low)?, &text(high)?))
}

/// Decimal texts are in no useful order, so only a few values can be looked for.
fn integer_texts(kind: Kind, ranges: &[(i128, i128)], prefix: &[u8]) -> Option<Vec<Interval>> {
    let mut n_values = 0_i128;
    for (low, high) in ranges {
        n_values = n_values.saturating_add(high.checked_sub(*low)?.saturating_add(1));
    }
    if n_values > MAX_TEXTS {
        return None;
    }
    let values = ranges.iter().flat_map(|(low, high)| *low..=*high);
    let keys = values.filter_map(|value| {
        let mut key = prefix.to_vec();
        let written = Encoding::Text.encode(kind, Scalar::Integer(value), &mut key);
        written.is_ok().then_some(Interval::Point(key))
    });
    Some(keys.collect())
}
