//! Where a table is cut into pieces that are read at the same time.
//!
//! Regions are the natural pieces, but tables made through a gateway often have a single one.
//! A region is cut further at the buckets of a salt or, without one, at keys between the first and
//! the last of its rows. The last key is found by asking for the first row behind a key, a few
//! dozen times. The cuts only decide how evenly the work is spread: whatever they are, every key is
//! in one piece.

use std::time::{Duration, Instant};

use emporia_hbase::{Client, KeyRange, Region, RowSink, ScanRequest, filter, prefix_end};

use super::key::{KeySpec, Part};
use super::snapshot::behind_marker;
use super::splits::Cut;

/// Pieces that a table of few regions is cut into.
const PIECES: usize = 16;
/// Regions from which on a table is left as it is.
const MANY_REGIONS: usize = 8;
/// Bytes behind the beginning that all keys share that decide where cuts are.
const DEPTH: usize = 4;
/// Most questions about one region.
const MAX_QUESTIONS: usize = 64;
/// Time after which no further question is asked.
const MAX_TIME: Duration = Duration::from_secs(3);

/// Where to cut a table with these regions; `per_region` pieces of each, or a good number. `first_key`
/// finds the first key of a range; `None` for a range without rows, or where it is not known.
pub(super) fn cuts(
    regions: &[Region],
    key: &KeySpec,
    per_region: Option<usize>,
    mut first_key: impl FnMut(&KeyRange) -> Option<Vec<u8>>,
) -> Vec<Cut> {
    let n_pieces = per_region.unwrap_or_else(|| match regions.len() {
        MANY_REGIONS.. => 1,
        few => PIECES.div_ceil(few.max(1)),
    });
    let deadline = Instant::now() + MAX_TIME;
    let mut cuts = Vec::new();
    for region in regions {
        let mut starts = vec![region.range.start.clone()];
        if n_pieces > 1 {
            let inner = match salts(key) {
                Some(salts) => evenly(&salts, &region.range, n_pieces),
                None => between(&region.range, n_pieces, |range| {
                    (Instant::now() < deadline)
                        .then(|| first_key(range))
                        .flatten()
                }),
            };
            starts.extend(inner);
        }
        cuts.extend(starts.into_iter().map(|start| Cut {
            start,
            server: region.server.clone(),
        }));
    }
    cuts
}

/// Where buckets begin, but for the first one, where the key begins with a salt.
fn salts(key: &KeySpec) -> Option<Vec<Vec<u8>>> {
    let mut prefix = Vec::new();
    for part in key.parts() {
        match part {
            Part::Literal(bytes) => prefix.extend_from_slice(bytes),
            Part::Salt(salt) => return Some(salt.all(&prefix).skip(1).collect()),
            Part::Any(_) | Part::Column { .. } => return None,
        }
    }
    None
}

/// Of the keys that lie inside of the range, so many at equal distances that there are `n_pieces`.
fn evenly(keys: &[Vec<u8>], range: &KeyRange, n_pieces: usize) -> Vec<Vec<u8>> {
    let inside: Vec<_> = keys
        .iter()
        .filter(|key| **key != range.start && range.contains(key))
        .collect();
    let n_cuts = inside.len().min(n_pieces - 1);
    (1..=n_cuts)
        .filter_map(|n| inside.get((n * (inside.len() + 1) / (n_cuts + 1)).saturating_sub(1)))
        .map(|key| (*key).clone())
        .collect()
}

/// Keys that cut the rows of the range into `n_pieces` of similar size, if keys are spread evenly.
fn between(
    range: &KeyRange,
    n_pieces: usize,
    first_key: impl FnMut(&KeyRange) -> Option<Vec<u8>>,
) -> Vec<Vec<u8>> {
    let mut questions = Questions {
        range,
        n_left: MAX_QUESTIONS,
        first_key,
    };
    let Some(first) = questions.first_from(&range.start) else {
        return Vec::new();
    };
    let last = questions.last_from(&first);
    let mut cuts = interpolate(&first, &last, n_pieces);
    cuts.retain(|cut| *cut != range.start && range.contains(cut));
    cuts
}

struct Questions<'r, F> {
    range: &'r KeyRange,
    n_left: usize,
    first_key: F,
}

impl<F: FnMut(&KeyRange) -> Option<Vec<u8>>> Questions<'_, F> {
    /// The first key of the range that is not before `start`.
    fn first_from(&mut self, start: &[u8]) -> Option<Vec<u8>> {
        self.n_left = self.n_left.checked_sub(1)?;
        let wanted = KeyRange::new(start, self.range.end.clone());
        (!wanted.is_empty())
            .then(|| (self.first_key)(&wanted))
            .flatten()
    }

    /// A key that begins as the last key of the range does, at least so far that cuts can be told.
    fn last_from(&mut self, first: &[u8]) -> Vec<u8> {
        let mut last = first.to_vec();
        let mut n_decided = 0;
        let mut position = 0;
        while position < last.len() && n_decided < DEPTH {
            let behind = prefix_end(&last[..=position]);
            // All 0xFF: the byte before has been asked about already.
            let next = match behind.len() == position + 1 {
                true => self.first_from(&behind),
                false => None,
            };
            if let Some(key) = next {
                last = key;
                self.raise(&mut last, position);
            }
            if position >= last.len() || !first.starts_with(&last[..=position]) {
                n_decided += 1;
            }
            position += 1;
        }
        last
    }

    /// Moves on to a key with the largest byte at `position`; no key has a larger one before it.
    fn raise(&mut self, last: &mut Vec<u8>, position: usize) {
        let mut high = 256;
        // Behind a digit mostly comes a digit.
        if last.get(position).is_some_and(u8::is_ascii_digit) {
            let behind_digits = [&last[..position], b":"].concat();
            match self.first_from(&behind_digits) {
                Some(key) => *last = key,
                None => high = usize::from(b':'),
            }
        }
        while let Some(low) = last.get(position).map(|byte| usize::from(*byte))
            && low + 1 < high
        {
            // Between the two, so at most 255.
            let middle = (low + high).div_ceil(2);
            let mut start = last[..position].to_vec();
            start.push(middle as u8);
            match self.first_from(&start) {
                Some(key) => *last = key,
                None => high = middle,
            }
        }
    }
}

/// Keys at equal distances between the two, taken as numbers: decimal where both have digits,
/// hexadecimal where both have hexadecimal digits, and else of bytes.
fn interpolate(first: &[u8], last: &[u8], n_pieces: usize) -> Vec<Vec<u8>> {
    let n_shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let alphabets: Vec<Alphabet> = (n_shared..n_shared + DEPTH)
        .map(|position| Alphabet::of(first.get(position), last.get(position)))
        .collect();
    let number = |key: &[u8]| {
        alphabets
            .iter()
            .enumerate()
            .fold(0_u64, |number, (place, alphabet)| {
                let digit = key
                    .get(n_shared + place)
                    .map_or(0, |byte| alphabet.digit(*byte));
                number * alphabet.size() + digit
            })
    };
    let (low, high) = (number(first), number(last) + 1);
    let mut cuts: Vec<Vec<u8>> = (1..n_pieces as u64)
        .map(|n| {
            let mut rest = low + (high.saturating_sub(low)) * n / n_pieces as u64;
            let mut digits = Vec::with_capacity(DEPTH);
            for alphabet in alphabets.iter().rev() {
                digits.push(alphabet.byte(rest % alphabet.size()));
                rest /= alphabet.size();
            }
            digits.reverse();
            let shared = first.get(..n_shared).unwrap_or_default();
            [shared, digits.as_slice()].concat()
        })
        .filter(|cut| first < cut.as_slice() && cut.as_slice() <= last)
        .collect();
    cuts.dedup();
    cuts
}

/// The values that a byte of keys takes, as far as two keys tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Decimal,
    Hexadecimal,
    Bytes,
}

const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

impl Alphabet {
    fn of(first: Option<&u8>, last: Option<&u8>) -> Self {
        let all = |is_good: fn(&u8) -> bool| [first, last].into_iter().flatten().all(is_good);
        if all(u8::is_ascii_digit) {
            Self::Decimal
        } else if all(|byte| HEXADECIMAL.contains(byte)) {
            Self::Hexadecimal
        } else {
            Self::Bytes
        }
    }

    fn size(self) -> u64 {
        match self {
            Self::Decimal => 10,
            Self::Hexadecimal => 16,
            Self::Bytes => 256,
        }
    }

    fn digit(self, byte: u8) -> u64 {
        match self {
            Self::Decimal => u64::from(byte.saturating_sub(b'0')).min(9),
            Self::Hexadecimal => HEXADECIMAL.iter().position(|b| *b == byte).unwrap_or(0) as u64,
            Self::Bytes => byte.into(),
        }
    }

    fn byte(self, digit: u64) -> u8 {
        match self {
            Self::Decimal => b'0' + (digit % 10) as u8,
            Self::Hexadecimal => HEXADECIMAL[(digit % 16) as usize],
            Self::Bytes => (digit % 256) as u8,
        }
    }
}

/// The first key of a range; `None` also where HBase does not say, because nothing but the balance
/// of the pieces depends on it.
pub(super) fn first_key(client: &Client, table: &str, range: &KeyRange) -> Option<Vec<u8>> {
    let mut scanner = client.scan(ScanRequest {
        filter: Some(filter::and(&[filter::first_key_only(), filter::key_only()])),
        page_rows: Some(1),
        limit: Some(1),
        ..ScanRequest::new(table, range.intersect(&behind_marker())?)
    });
    let mut first = FirstKey(None);
    match scanner.next_page(&mut first) {
        Ok(_) => first.0,
        Err(error) => {
            tracing::debug!(table, %error, "a key to cut the table at was not found");
            None
        }
    }
}

struct FirstKey(Option<Vec<u8>>);

impl RowSink for FirstKey {
    fn row(&mut self, key: &[u8]) {
        self.0.get_or_insert_with(|| key.to_vec());
    }

    fn cell(&mut self, _: &[u8], _: i64, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::super::definition::mapping_of;
    use super::*;

    fn region(start: &[u8], end: &[u8]) -> Region {
        Region {
            range: KeyRange::new(start, end),
            server: None,
        }
    }

    fn key(text: &str) -> KeySpec {
        mapping_of(&["u string", "n int64"], &[("key", text), ("family", "f")]).key
    }

    fn first_in(keys: &BTreeSet<Vec<u8>>, range: &KeyRange) -> Option<Vec<u8>> {
        keys.range(range.start.clone()..)
            .find(|key| range.contains(key))
            .cloned()
    }

    #[test]
    fn a_region_of_decimal_keys_is_cut_evenly() {
        let keys: BTreeSet<_> = (0..20_000)
            .map(|n| format!("user_{n:06}#x").into_bytes())
            .collect();
        let mut n_questions = 0;
        let cuts = cuts(&[region(b"", b"")], &key("u '#' n"), None, |range| {
            n_questions += 1;
            first_in(&keys, range)
        });
        assert_eq!(cuts.len(), 16);
        assert_eq!(cuts[0].start, b"");
        let ends = cuts
            .iter()
            .skip(1)
            .map(|cut| cut.start.clone())
            .chain([b"v".to_vec()]);
        for (cut, end) in cuts.iter().zip(ends) {
            let n_rows = keys.range(cut.start.clone()..end).count();
            assert!((1200..1300).contains(&n_rows), "{n_rows} {cut:?}");
        }
        assert!(n_questions < 40, "{n_questions}");
    }

    #[test]
    fn a_salted_table_is_cut_at_its_buckets() {
        let starts = |regions: &[Region], per_region| {
            let cuts = cuts(regions, &key("salt(u, 16) u '#' n"), per_region, |_| None);
            cuts.into_iter().map(|cut| cut.start).collect::<Vec<_>>()
        };
        let all: Vec<Vec<u8>> = (0..16)
            .map(|n| if n == 0 { vec![] } else { vec![n] })
            .collect();
        assert_eq!(starts(&[region(b"", b"")], None), all);
        assert_eq!(starts(&[region(b"", b"")], Some(1)), [b""]);
        assert_eq!(
            starts(&[region(b"", b"")], Some(4)),
            [vec![], vec![4], vec![8], vec![12]]
        );
        let two = [region(b"", &[8]), region(&[8], b"")];
        assert_eq!(starts(&two, Some(2)), [vec![], vec![4], vec![8], vec![12]]);
    }

    #[test]
    fn many_regions_and_empty_tables_are_left_as_they_are() {
        let bounds: Vec<Vec<u8>> = (0..9)
            .map(|n| if n == 0 { vec![] } else { vec![n] })
            .collect();
        let regions: Vec<_> = (0..9)
            .map(|n| region(&bounds[n], bounds.get(n + 1).map_or(&[], Vec::as_slice)))
            .collect();
        let never = |_: &KeyRange| -> Option<Vec<u8>> { panic!("nothing is to be asked") };
        assert_eq!(cuts(&regions, &key("u"), None, never).len(), 9);
        assert_eq!(
            cuts(&[region(b"", b"")], &key("u"), None, |_| None).len(),
            1
        );
    }

    proptest! {
        #[test]
        fn cuts_are_sorted_and_inside_of_their_regions(
            keys in btree_set(vec(prop::sample::select(&b"0159af\x00\xff"[..]), 1..6), 0..40),
            bound in vec(any::<u8>(), 1..3),
            n_pieces in 1..20_usize,
        ) {
            let regions = [region(b"", &bound), region(&bound, b"")];
            let cuts = cuts(&regions, &key("u"), Some(n_pieces), |range| first_in(&keys, range));
            prop_assert_eq!(&cuts[0].start, b"");
            prop_assert!(cuts.windows(2).all(|pair| pair[0].start < pair[1].start));
            prop_assert!(cuts.iter().any(|cut| cut.start == bound));
            prop_assert!(cuts.len() <= 2 * n_pieces);
        }

        #[test]
        fn the_last_key_is_found_as_far_as_it_matters(
            keys in btree_set(vec(prop::sample::select(&b"0159af\x00\xff"[..]), 1..7), 1..40),
        ) {
            let first = keys.first().unwrap();
            let all = KeyRange::all();
            let mut questions = Questions {
                range: &all,
                n_left: usize::MAX,
                first_key: |range: &KeyRange| first_in(&keys, range),
            };
            let last = questions.last_from(first);
            let most = keys.last().unwrap();
            let n_shared = first.iter().zip(most).take_while(|(a, b)| a == b).count();
            let n_compared = (n_shared + DEPTH).min(last.len()).min(most.len());
            prop_assert_eq!(&last[..n_compared], &most[..n_compared]);
        }
    }
}
