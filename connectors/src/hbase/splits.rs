//! What each partition of a scan reads.
//!
//! The table is cut at the regions' first keys and at further keys between them. A piece is a range
//! of keys, so it is read right wherever its rows have moved since; regions only say which gateway
//! is near.

use emporia_hbase::KeyRange;
use serde::{Deserialize, Serialize};

use super::escape::{as_text, list_as_text};

/// Where a piece of the table begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut {
    /// Its first key.
    #[serde(with = "as_text")]
    pub(super) start: Vec<u8>,
    /// Host of the region server that has it.
    pub(super) server: Option<String>,
}

/// What a partition reads at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Split {
    /// The rows of a range.
    Scan {
        /// First key.
        #[serde(with = "as_text")]
        start: Vec<u8>,
        /// First key behind the range; empty for none.
        #[serde(with = "as_text")]
        end: Vec<u8>,
        /// Host of the region server that has it.
        server: Option<String>,
    },
    /// Single rows.
    Get {
        /// Their keys, sorted.
        #[serde(with = "list_as_text")]
        keys: Vec<Vec<u8>>,
    },
}

/// Keys that are asked for together.
const KEYS_PER_GET: usize = 1000;

/// Cuts `ranges`, which are sorted and disjoint, into splits for `n_partitions` partitions. `cuts`
/// are sorted.
pub(super) fn splits(ranges: &[KeyRange], cuts: &[Cut], n_partitions: usize) -> Vec<Split> {
    let (points, ranges): (Vec<_>, Vec<_>) = ranges
        .iter()
        .partition(|range| range.end == emporia_hbase::after(&range.start));
    let mut splits = Vec::new();
    for range in ranges {
        for (index, cut) in cuts.iter().enumerate() {
            // The first piece begins, and the last one ends, where the table does.
            let start = if index == 0 { &[][..] } else { &cut.start };
            let end = cuts.get(index + 1).map_or(&[][..], |next| &next.start);
            let Some(piece) = KeyRange::new(start, end).intersect(range) else {
                continue;
            };
            splits.push(Split::Scan {
                start: piece.start,
                end: piece.end,
                server: cut.server.clone(),
            });
        }
    }
    let keys_per_get = points
        .len()
        .div_ceil(n_partitions.max(1))
        .clamp(1, KEYS_PER_GET);
    for points in points.chunks(keys_per_get) {
        splits.push(Split::Get {
            keys: points.iter().map(|point| point.start.clone()).collect(),
        });
    }
    splits
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![Just(0), Just(1), Just(b'a'), Just(255)], 0..3)
    }

    proptest! {
        #[test]
        fn each_key_of_the_ranges_is_read_once(
            ranges in vec((key(), key()), 0..4),
            points in vec(key(), 0..4),
            starts in vec(key(), 0..5),
            wanted in key(),
        ) {
            let ranges = ranges.into_iter().map(|(start, end)| KeyRange { start, end });
            let points = points.iter().map(|key| KeyRange::only(key));
            let ranges = KeyRange::merge(ranges.chain(points).collect());
            let mut starts = starts;
            starts.push(Vec::new());
            starts.sort();
            starts.dedup();
            let cuts: Vec<_> = starts
                .into_iter()
                .map(|start| Cut { start, server: None })
                .collect();
            let n_reads: usize = splits(&ranges, &cuts, 3)
                .into_iter()
                .map(|split| match split {
                    Split::Scan { start, end, .. } => {
                        usize::from(KeyRange { start, end }.contains(&wanted))
                    }
                    Split::Get { keys } => keys.iter().filter(|key| **key == wanted).count(),
                })
                .sum();
            let is_wanted = ranges.iter().any(|range| range.contains(&wanted));
            prop_assert_eq!(n_reads, usize::from(is_wanted));
        }
    }
}
