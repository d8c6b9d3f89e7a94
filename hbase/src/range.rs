//! Algebra of row key ranges.
//!
//! HBase orders rows by the unsigned bytes of their keys. What a scan reads depends only on its
//! key range, never on regions: that is why a split, a merge or a move between planning and
//! reading loses nothing.

use serde::{Deserialize, Serialize};

/// The keys from `start`, inclusive, to `end`, exclusive; an empty bound is none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// First key of the range; empty for the first key of the table.
    pub start: Vec<u8>,
    /// First key behind the range; empty for the end of the table.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self {
            start: Vec::new(),
            end: Vec::new(),
        }
    }

    /// The keys from `start`, inclusive, to `end`, exclusive.
    pub fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self {
            start: start.into(),
            end: end.into(),
        }
    }

    /// The keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        Self::new(prefix, prefix_end(prefix))
    }

    /// The one key.
    #[must_use]
    pub fn only(key: &[u8]) -> Self {
        Self::new(key, after(key))
    }

    /// Whether no key can be in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.end.is_empty() && self.start >= self.end
    }

    /// Whether the key is in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && (self.end.is_empty() || key < self.end.as_slice())
    }

    /// The keys that are in both ranges, `None` where there are none.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let start = self.start.as_slice().max(&other.start);
        let end = match (self.end.is_empty(), other.end.is_empty()) {
            (true, _) => other.end.as_slice(),
            (_, true) => self.end.as_slice(),
            _ => self.end.as_slice().min(&other.end),
        };
        let both = Self::new(start, end);
        (!both.is_empty()).then_some(both)
    }

    /// The same keys in as few ranges as possible, sorted and disjoint.
    #[must_use]
    pub fn merge(mut ranges: Vec<Self>) -> Vec<Self> {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by(|a, b| a.start.cmp(&b.start));
        let mut merged: Vec<Self> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.end.is_empty() || range.start <= last.end => {
                    if !last.end.is_empty() && (range.end.is_empty() || range.end > last.end) {
                        last.end = range.end;
                    }
                }
                _ => merged.push(range),
            }
        }
        merged
    }
}

/// The first key behind `key`: no key lies between the two.
#[must_use]
pub fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// The first key behind all keys that begin with `prefix`; empty when there is none, which is the
/// case for a prefix of 0xFF bytes only.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bytes from a small alphabet with both extremes, so that bounds meet often.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        vec(
            prop_oneof![Just(0), Just(1), Just(7), Just(254), Just(255)],
            0..4,
        )
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        (key(), key()).prop_map(|(start, end)| KeyRange { start, end })
    }

    proptest! {
        #[test]
        fn intersection_holds_what_both_hold(a in range(), b in range(), key in key()) {
            let both = a.intersect(&b);
            prop_assert_eq!(
                both.as_ref().is_some_and(|both| both.contains(&key)),
                a.contains(&key) && b.contains(&key)
            );
            prop_assert!(both.is_none_or(|both| !both.is_empty()));
        }

        #[test]
        fn an_empty_range_holds_nothing(range in range(), key in key()) {
            prop_assert!(!(range.is_empty() && range.contains(&key)));
        }

        #[test]
        fn merged_ranges_hold_the_same_keys_once(ranges in vec(range(), 0..8), key in key()) {
            let merged = KeyRange::merge(ranges.clone());
            prop_assert_eq!(
                merged.iter().filter(|range| range.contains(&key)).count(),
                usize::from(ranges.iter().any(|range| range.contains(&key)))
            );
            for pair in merged.windows(2) {
                prop_assert!(!pair[0].end.is_empty() && pair[0].end < pair[1].start);
            }
        }

        #[test]
        fn a_prefix_range_holds_exactly_the_keys_with_the_prefix(prefix in key(), key in key()) {
            prop_assert_eq!(
                KeyRange::prefix(&prefix).contains(&key),
                key.starts_with(&prefix)
            );
        }

        #[test]
        fn nothing_lies_between_a_key_and_the_next(key in key(), other in key()) {
            let next = after(&key);
            prop_assert!(key < next);
            prop_assert!(other <= key || other >= next);
            prop_assert_eq!(KeyRange::only(&key).contains(&other), key == other);
        }
    }

    #[test]
    fn the_end_of_a_prefix_drops_trailing_ff() {
        assert_eq!(prefix_end(b"ab"), b"ac");
        assert_eq!(prefix_end(b"a\xff\xff"), b"b");
        assert_eq!(prefix_end(b"\xff"), b"");
        assert_eq!(prefix_end(b""), b"");
    }
}
