//! From a predicate to key ranges.

use std::collections::BTreeMap;

use emporia_hbase::KeyRange;

use super::super::key::{Interval, KeySpec, Part};
use super::super::value::Scalar;
use super::{Domain, Predicate};

/// Most beginnings of keys that are followed at a time; beyond, a part is left open.
const MAX_PREFIXES: usize = 2048;
/// Most conjunctions that disjunctions are multiplied out to; beyond, a disjunction is left open.
const MAX_BRANCHES: usize = 256;

/// What is known of the key columns.
type Domains = BTreeMap<usize, Domain>;

impl Predicate {
    /// Where the keys lie of the rows for which the predicate can hold; sorted and disjoint.
    ///
    /// All other keys of the table belong to rows for which it does not hold.
    pub(in super::super) fn key_ranges(&self, key: &KeySpec) -> Vec<KeyRange> {
        let mut budget = MAX_BRANCHES;
        KeyRange::merge(ranges(self, &Domains::new(), key, &mut budget))
    }
}

fn ranges(
    predicate: &Predicate,
    known: &Domains,
    key: &KeySpec,
    budget: &mut usize,
) -> Vec<KeyRange> {
    let mut known = known.clone();
    let mut disjunctions = Vec::new();
    let conjuncts = match predicate {
        Predicate::And(conjuncts) => conjuncts.as_slice(),
        other => std::slice::from_ref(other),
    };
    for conjunct in conjuncts {
        match conjunct {
            Predicate::All => {}
            Predicate::Is(column, domain) => {
                let domain = match known.get(column) {
                    Some(other) => other.intersection(domain),
                    None => domain.clone(),
                };
                if domain.is_empty() {
                    return Vec::new();
                }
                known.insert(*column, domain);
            }
            // Flattened when it was made; read as a part of the conjunction all the same.
            nested @ Predicate::And(_) => disjunctions.push(std::slice::from_ref(nested)),
            Predicate::Or(branches) => disjunctions.push(branches.as_slice()),
        }
    }
    let mut result: Option<Vec<KeyRange>> = None;
    for branches in disjunctions {
        if branches.len() > *budget {
            continue;
        }
        *budget -= branches.len();
        let union = branches
            .iter()
            .flat_map(|branch| ranges(branch, &known, key, budget))
            .collect();
        let union = KeyRange::merge(union);
        result = Some(match result {
            Some(other) => intersect(&other, &union),
            None => union,
        });
    }
    result.unwrap_or_else(|| ranges_of_domains(&known, key, 0))
}

/// The keys that are in a range of both lists, which are sorted and disjoint.
fn intersect(a: &[KeyRange], b: &[KeyRange]) -> Vec<KeyRange> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut both = Vec::new();
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        both.extend(left.intersect(right));
        let left_ends_first =
            !left.end.is_empty() && (right.end.is_empty() || left.end <= right.end);
        if left_ends_first {
            a.next();
        } else {
            b.next();
        }
    }
    both
}

/// Where keys lie whose columns are in `known`; `first_salt` counts the salts that are settled.
fn ranges_of_domains(known: &Domains, key: &KeySpec, first_salt: usize) -> Vec<KeyRange> {
    // A salt belongs to certain values: where several are possible, each is followed by itself.
    let salts = key.parts().iter().filter_map(|part| match part {
        Part::Salt(salt) => Some(salt),
        _ => None,
    });
    for (index, salt) in salts.enumerate().skip(first_salt) {
        if let Some(settled) = settle(known, &salt.columns().collect::<Vec<_>>()) {
            return settled
                .iter()
                .flat_map(|known| ranges_of_domains(known, key, index + 1))
                .collect();
        }
    }
    walk(known, key)
}

/// `known` once for each combination of values of the columns; `None` where these are too many or
/// are not known.
fn settle(known: &Domains, columns: &[usize]) -> Option<Vec<Domains>> {
    let mut settled = vec![known.clone()];
    for column in columns {
        let points = known.get(column)?.points(MAX_PREFIXES)?;
        if points.len() * settled.len() > MAX_PREFIXES {
            return None;
        }
        settled = settled
            .iter()
            .flat_map(|known| {
                points.iter().map(|point| {
                    let mut known = known.clone();
                    known.insert(*column, point.clone());
                    known
                })
            })
            .collect();
    }
    Some(settled)
}

fn walk(known: &Domains, key: &KeySpec) -> Vec<KeyRange> {
    let mut prefixes = vec![Vec::new()];
    let mut found = Vec::new();
    for (index, part) in key.parts().iter().enumerate() {
        let mut longer = Vec::new();
        match part {
            Part::Literal(bytes) => {
                for mut prefix in prefixes {
                    prefix.extend_from_slice(bytes);
                    longer.push(prefix);
                }
            }
            Part::Any(_) => return open(found, &prefixes),
            Part::Salt(salt) => {
                let values: Option<Vec<_>> = salt
                    .columns()
                    .map(|column| single(known.get(&column)?))
                    .collect();
                match values {
                    Some(values) => {
                        for mut prefix in prefixes {
                            salt.write(values.iter().copied(), &mut prefix);
                            longer.push(prefix);
                        }
                    }
                    None if prefixes.len() * salt.buckets() > MAX_PREFIXES => {
                        return open(found, &prefixes);
                    }
                    None => longer.extend(prefixes.iter().flat_map(|prefix| salt.all(prefix))),
                }
            }
            Part::Column { column, kind, form } => {
                let Some(domain) = known.get(column) else {
                    return open(found, &prefixes);
                };
                for prefix in &prefixes {
                    let terminator = key.terminator(index);
                    let Some(intervals) = form.intervals(*kind, terminator, domain, prefix) else {
                        return open(found, &prefixes);
                    };
                    if longer.len() + intervals.len() > MAX_PREFIXES {
                        return open(found, &prefixes);
                    }
                    for interval in intervals {
                        match interval {
                            Interval::Point(prefix) => longer.push(prefix),
                            Interval::Range(range) => found.push(range),
                        }
                    }
                }
            }
        }
        prefixes = longer;
    }
    found.extend(prefixes.iter().map(|key| KeyRange::only(key)));
    found
}

/// What was found, and all keys with these beginnings.
fn open(mut found: Vec<KeyRange>, prefixes: &[Vec<u8>]) -> Vec<KeyRange> {
    found.extend(prefixes.iter().map(|prefix| KeyRange::prefix(prefix)));
    found
}

/// The only value of the domain, `None` where it has more or none.
fn single(domain: &Domain) -> Option<Scalar<'_>> {
    match domain {
        Domain::Integers(values) => match values.as_slice() {
            [(low, high)] if low == high => Some(Scalar::Integer(*low)),
            _ => None,
        },
        Domain::Bytes(ranges) => match ranges.as_slice() {
            [range] if range.end == emporia_hbase::after(&range.start) => {
                Some(Scalar::Bytes(&range.start))
            }
            _ => None,
        },
    }
}
