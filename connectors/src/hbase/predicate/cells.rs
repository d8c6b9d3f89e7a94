//! From a predicate to a filter on cells.

use emporia_hbase::filter::{self, Op};
use emporia_hbase::{KeyRange, after};

use super::super::mapping::{CellName, Mapping, Place};
use super::super::value::{
    Encoding, Kind, Native, Scalar, float_of_order, float32_to_order, write_date, write_integer,
};
use super::{Domain, Predicate};

/// Most comparisons of a filter.
const MAX_LEAVES: usize = 200;
/// Most bytes of a filter.
const MAX_BYTES: usize = 64 * 1024;
/// Most values that are compared one by one.
const MAX_TEXTS: i128 = 64;

/// A filter that HBase applies to rows before it sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct CellFilter {
    /// In the language of the gateway.
    pub(in super::super) bytes: Vec<u8>,
    /// Indices of the columns that it tests; the scan has to fetch them.
    pub(in super::super) columns: Vec<usize>,
    n_leaves: usize,
}

impl CellFilter {
    /// What HBase can check of the predicate; `None` for nothing.
    pub(in super::super) fn of(predicate: &Predicate, mapping: &Mapping) -> Option<Self> {
        match predicate {
            Predicate::All => None,
            Predicate::Is(index, domain) => {
                let column = mapping.columns.get(*index)?;
                let Place::Cell { cell, encoding } = &column.place else {
                    return None;
                };
                let ranges = byte_ranges(*encoding, column.kind, domain)?;
                let (bytes, n_leaves) = compare_with(cell, &ranges)?;
                Self {
                    bytes,
                    columns: vec![*index],
                    n_leaves,
                }
                .within_limits()
            }
            Predicate::And(conjuncts) => {
                let mut parts = Vec::new();
                for conjunct in conjuncts {
                    parts.extend(Self::of(conjunct, mapping));
                    // What is too much is left out: fewer conditions, more rows.
                    if !parts.is_empty() && Self::join(&parts, filter::and).is_none() {
                        parts.pop();
                    }
                }
                Self::join(&parts, filter::and)
            }
            Predicate::Or(branches) => {
                let parts = branches.iter().map(|branch| Self::of(branch, mapping));
                Self::join(&parts.collect::<Option<Vec<_>>>()?, filter::or)
            }
        }
    }

    /// The parts as one filter; `None` for no part and for too many.
    fn join(parts: &[Self], join: fn(&[Vec<u8>]) -> Vec<u8>) -> Option<Self> {
        if parts.is_empty() {
            return None;
        }
        let filters: Vec<_> = parts.iter().map(|part| part.bytes.clone()).collect();
        let mut columns: Vec<_> = parts.iter().flat_map(|part| part.columns.clone()).collect();
        columns.sort_unstable();
        columns.dedup();
        Self {
            bytes: join(&filters),
            columns,
            n_leaves: parts.iter().map(|part| part.n_leaves).sum(),
        }
        .within_limits()
    }

    fn within_limits(self) -> Option<Self> {
        (self.n_leaves <= MAX_LEAVES && self.bytes.len() <= MAX_BYTES).then_some(self)
    }
}

/// A filter for rows whose cell is in one of the ranges, which are sorted and disjoint, and the
/// number of its comparisons; `None` for no range.
fn compare_with(cell: &CellName, ranges: &[KeyRange]) -> Option<(Vec<u8>, usize)> {
    let compare = |op, value: &[u8]| filter::compare(cell.family(), cell.qualifier(), op, value);
    let (first, last) = (ranges.first()?, ranges.last()?);
    let gaps: Vec<&[u8]> = ranges
        .windows(2)
        .filter(|pair| pair[1].start == after(&pair[0].end))
        .map(|pair| pair[0].end.as_slice())
        .collect();
    let has_ends = !first.start.is_empty() || !last.end.is_empty();
    if !has_ends && gaps.len() + 1 == ranges.len() {
        let filters: Vec<_> = match gaps.as_slice() {
            [] => vec![filter::present(cell.family(), cell.qualifier())],
            gaps => gaps.iter().map(|gap| compare(Op::NotEq, gap)).collect(),
        };
        return Some((filter::and(&filters), filters.len()));
    }
    let mut n_leaves = 0;
    let alternatives: Vec<_> = ranges
        .iter()
        .map(|range| {
            let mut bounds = Vec::new();
            match range.end.split_last() {
                Some((0, last)) if last == range.start => bounds.push(compare(Op::Eq, last)),
                upper => {
                    if !range.start.is_empty() {
                        bounds.push(compare(Op::GtEq, &range.start));
                    }
                    match upper {
                        Some((0, last)) => bounds.push(compare(Op::LtEq, last)),
                        Some(_) => bounds.push(compare(Op::Lt, &range.end)),
                        None => {}
                    }
                }
            }
            n_leaves += bounds.len();
            filter::and(&bounds)
        })
        .collect();
    Some((filter::or(&alternatives), n_leaves))
}

/// The bytes of all cells whose value is in the domain, sorted and disjoint; `None` where they are
/// not known, or are in too many places.
///
/// Cells that are no values may be in the ranges or not.
fn byte_ranges(encoding: Encoding, kind: Kind, domain: &Domain) -> Option<Vec<KeyRange>> {
    let intervals = match domain {
        Domain::Bytes(ranges) => return Some(ranges.clone()),
        Domain::Integers(intervals) => intervals,
    };
    let (least, most) = Domain::bounds(kind)?;
    if intervals.as_slice() == [(least, most)] {
        return Some(vec![KeyRange::all()]);
    }
    let ranges = match encoding {
        Encoding::Text => match kind {
            Kind::Date => dates(intervals),
            Kind::Boolean => truths(intervals),
            Kind::Integer(_) => {
                let text = |value, out: &mut Vec<u8>| {
                    Encoding::Text
                        .encode(kind, Scalar::Integer(value), out)
                        .is_ok()
                };
                texts(intervals, (least, most), text)?
            }
            // Of several texts of one value.
            _ => return None,
        },
        Encoding::EpochText(_) => {
            let text = |value, out: &mut Vec<u8>| {
                encoding.encode(kind, Scalar::Integer(value), out).is_ok()
            };
            texts(intervals, (least, most), text)?
        }
        Encoding::Bytes(Native::Boolean) | Encoding::Ordered(Native::Boolean) => intervals
            .iter()
            // Zero is false and anything else true.
            .map(|(low, high)| match (low, high) {
                (0, 0) => KeyRange::only(&[0]),
                _ => KeyRange::new([1], []),
            })
            .collect(),
        Encoding::Bytes(native @ (Native::Float | Native::Double)) => {
            floats(intervals, native, false)
        }
        Encoding::Ordered(native @ (Native::Float | Native::Double)) => {
            floats(intervals, native, true)
        }
        Encoding::Bytes(native) => integers(intervals, (least, most), native, kind, false),
        Encoding::Ordered(native) => integers(intervals, (least, most), native, kind, true),
        Encoding::BigDecimal | Encoding::Json => return None,
    };
    Some(KeyRange::merge(ranges))
}

/// All byte strings from `first` to `last`, both of the same width and included.
fn between(first: &[u8], last: &[u8]) -> KeyRange {
    let start: &[u8] = if first.iter().all(|byte| *byte == 0) {
        &[]
    } else {
        first
    };
    if last.iter().all(|byte| *byte == u8::MAX) {
        KeyRange::new(start, [])
    } else {
        KeyRange::new(start, after(last))
    }
}

fn integers(
    intervals: &[(i128, i128)],
    (least, most): (i128, i128),
    native: Native,
    kind: Kind,
    ordered: bool,
) -> Vec<KeyRange> {
    let (times, by) = native.scale(kind);
    let half = match native.width() {
        16 => i128::MAX,
        width => (1_i128 << (u32::from(width) * 8 - 1)) - 1,
    };
    let store = |value: i128| value.saturating_mul(times).div_euclid(by);
    let bytes = |number| {
        let mut out = Vec::new();
        write_integer(number, native.width(), ordered, &mut out);
        out
    };
    let mut ranges = Vec::new();
    for (low, high) in intervals {
        // Rounded down at both ends: possibly one more value, never one fewer. What is no bound of
        // values is none of numbers.
        let low = if *low == least {
            -half - 1
        } else {
            store(*low).max(-half - 1)
        };
        let high = if *high == most {
            half
        } else {
            store(*high).min(half)
        };
        // Without the turned sign, negative numbers come behind the others.
        let pieces = match (ordered, low < 0, high >= 0) {
            (false, true, true) => vec![(0, high), (low, -1)],
            _ => vec![(low, high)],
        };
        let pieces = pieces.into_iter().filter(|(low, high)| low <= high);
        ranges.extend(pieces.map(|(low, high)| between(&bytes(low), &bytes(high))));
    }
    ranges
}

fn floats(intervals: &[(i128, i128)], native: Native, ordered: bool) -> Vec<KeyRange> {
    let mut ranges = Vec::new();
    for (low, high) in intervals {
        let (low, high) = (*low as i64, *high as i64);
        // Of a float of 4 bytes the neighbours are taken in, because the bound may lie between two.
        let (low, high) = match native {
            Native::Float => {
                let place = |order| float32_to_order(float_of_order(order) as f32);
                (
                    i64::from(place(low).saturating_sub(1)),
                    i64::from(place(high).saturating_add(1)),
                )
            }
            _ => (low, high),
        };
        let bytes = |order: i64| {
            let mut out = Vec::new();
            // As bits of a float, places of negative ones are turned.
            let turned = match (ordered, order < 0, native) {
                (true, _, _) | (_, false, _) => order,
                (false, true, Native::Float) => order ^ i64::from(i32::MAX),
                (false, true, _) => order ^ i64::MAX,
            };
            write_integer(turned.into(), native.width(), ordered, &mut out);
            out
        };
        if ordered {
            ranges.push(between(&bytes(low), &bytes(high)));
            continue;
        }
        if high >= 0 {
            ranges.push(between(&bytes(low.max(0)), &bytes(high)));
        }
        if low < 0 {
            ranges.push(between(&bytes(high.min(-1)), &bytes(low)));
        }
    }
    ranges
}

/// Texts of days are ordered; a day whose year does not have four digits has none.
fn dates(intervals: &[(i128, i128)]) -> Vec<KeyRange> {
    let text = |days: i128| {
        let mut out = Vec::new();
        write_date(days, &mut out).then_some(out)
    };
    let ranges = intervals.iter().map(|(low, high)| {
        KeyRange::new(
            text(*low).unwrap_or_default(),
            text(*high).map(|last| after(&last)).unwrap_or_default(),
        )
    });
    ranges.collect()
}

fn truths(intervals: &[(i128, i128)]) -> Vec<KeyRange> {
    const TRUE: [&[u8]; 4] = [b"true", b"True", b"TRUE", b"1"];
    const FALSE: [&[u8]; 4] = [b"false", b"False", b"FALSE", b"0"];
    let texts = intervals
        .iter()
        .flat_map(|(low, _)| if *low == 0 { FALSE } else { TRUE });
    texts.map(KeyRange::only).collect()
}

/// Values each of which has one text, in no order: the texts themselves where the values are few,
/// all but some texts where nearly all values are meant.
fn texts(
    intervals: &[(i128, i128)],
    (least, most): (i128, i128),
    write: impl Fn(i128, &mut Vec<u8>) -> bool,
) -> Option<Vec<KeyRange>> {
    let texts_of = |intervals: &[(i128, i128)]| {
        let mut n_values = 0_i128;
        for (low, high) in intervals {
            n_values = n_values.saturating_add(high.saturating_sub(*low).saturating_add(1));
        }
        let values = intervals.iter().flat_map(|(low, high)| *low..=*high);
        (n_values <= MAX_TEXTS).then(|| {
            let texts = values.filter_map(|value| {
                let mut text = Vec::new();
                write(value, &mut text).then_some(text)
            });
            texts.collect::<Vec<_>>()
        })
    };
    if let Some(texts) = texts_of(intervals) {
        return Some(texts.iter().map(|text| KeyRange::only(text)).collect());
    }
    if intervals.first()?.0 > least || intervals.last()?.1 < most {
        return None;
    }
    let gaps: Vec<_> = intervals
        .windows(2)
        .map(|pair| (pair[0].1 + 1, pair[1].0 - 1))
        .collect();
    let mut excluded = texts_of(&gaps)?;
    excluded.sort_unstable();
    let mut ranges = Vec::new();
    let mut start = Vec::new();
    for text in excluded {
        let behind = after(&text);
        ranges.push(KeyRange::new(start, text));
        start = behind;
    }
    ranges.push(KeyRange::new(start, []));
    Some(ranges)
}
