//! The 64-bit hash of a key, the same in every process and version, and sets of such hashes.
//!
//! Finding a few keys among many rows needs neither a sort nor an exchange of the rows: a narrow
//! pass finds their hashes, and every later pass asks whether a row's hash is in the set.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use twox_hash::XxHash64;

/// Seed of all key hashes.
const SEED: u64 = 0;

/// The hash of a text key.
pub fn of_text(key: &str) -> u64 {
    of_bytes(key.as_bytes())
}

/// The hash of the bytes of a text key.
pub fn of_bytes(key: &[u8]) -> u64 {
    XxHash64::oneshot(SEED, key)
}

/// The hash of an integer key.
pub fn of_integer(key: i64) -> u64 {
    XxHash64::oneshot(SEED, &key.to_le_bytes())
}

/// Bits of the filter for each hash of a set.
const FILTER_BITS: usize = 16;

/// A set of hashes that travels inside a plan. Clones share their bytes, and it prints short: plans are
/// printed, compared and hashed often while they are made.
///
/// The bytes are the number of hashes, a filter, and the hashes, sorted, without repeats; 8 big-endian
/// bytes for each number. No bytes for no hashes. The filter has a bit for every value of the first
/// bits of a hash: most rows are not in a set, and one look at a small table tells so.
#[derive(Clone)]
pub struct KeySet {
    bytes: Arc<[u8]>,
    shape: Shape,
    /// Hash of the bytes.
    digest: u64,
}

impl KeySet {
    /// The set of the hashes.
    pub fn of(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.is_empty() {
            return Self::from_bytes(&[]);
        }
        let shape = Shape::of(hashes.len());
        let mut filter = vec![0_u8; shape.filter_bytes];
        for hash in &hashes {
            let (byte, bit) = shape.place(*hash);
            filter[byte] |= bit;
        }
        let mut bytes = (hashes.len() as u64).to_be_bytes().to_vec();
        bytes.extend(filter);
        bytes.extend(hashes.into_iter().flat_map(u64::to_be_bytes));
        Self::from_bytes(&bytes)
    }

    /// The set with the bytes of [`Self::as_bytes`]; bytes of another make have no hashes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let n_hashes = bytes.first_chunk::<8>().map(|n| u64::from_be_bytes(*n));
        let n_hashes = n_hashes.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        Self {
            shape: Shape::of(n_hashes),
            digest: XxHash64::oneshot(SEED, bytes),
            bytes: bytes.into(),
        }
    }

    /// The set as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it has no hash.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Tells sets apart in the text of a plan.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether the set has the hash.
    pub fn contains(&self, wanted: u64) -> bool {
        let filter_end = 8_usize.saturating_add(self.shape.filter_bytes);
        let (Some(filter), Some(hashes)) =
            (self.bytes.get(8..filter_end), self.bytes.get(filter_end..))
        else {
            return false;
        };
        let (byte, bit) = self.shape.place(wanted);
        filter[byte] & bit != 0 && is_among(hashes.as_chunks::<8>().0, wanted)
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
            && (Arc::ptr_eq(&self.bytes, &other.bytes) || self.bytes == other.bytes)
    }
}

impl Eq for KeySet {}

impl Hash for KeySet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({:016x})", self.digest)
    }
}

/// How the filter of a set is laid out.
#[derive(Clone, Copy)]
struct Shape {
    filter_bytes: usize,
    /// Bits of a hash that do not matter to the filter.
    shift: u32,
}

impl Shape {
    fn of(n_hashes: usize) -> Self {
        // A damaged number must not overflow.
        let bits = n_hashes.saturating_mul(FILTER_BITS).clamp(64, 1 << 48);
        let bits = bits.next_power_of_two();
        Self {
            filter_bytes: bits / 8,
            shift: u64::BITS - bits.trailing_zeros(),
        }
    }

    fn place(self, hash: u64) -> (usize, u8) {
        let at = (hash >> self.shift) as usize;
        (at / 8, 1 << (at % 8))
    }
}

/// Interpolation search: hashes are spread evenly, so that the first guess is nearly right.
fn is_among(set: &[[u8; 8]], wanted: u64) -> bool {
    let (mut low, mut high) = (0_usize, set.len());
    let (mut below, mut above) = (0_u64, u64::MAX);
    while low < high {
        // Floats are exact enough for a guess, and much faster than a division of 128 bits.
        let share = (wanted - below) as f64 / (above - below) as f64;
        let guess = (share * (high - low) as f64) as usize;
        let at = low + guess.min(high - low - 1);
        let value = u64::from_be_bytes(set[at]);
        match value.cmp(&wanted) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => {
                low = at + 1;
                below = value;
            }
            std::cmp::Ordering::Greater => {
                high = at;
                above = value;
            }
        }
        if below > wanted || above < wanted {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_what_was_put_in_and_nothing_else() {
        let hashes: Vec<u64> = (0..10_000).map(of_integer).collect();
        let set = KeySet::of(hashes.clone());
        assert!(hashes.iter().all(|h| set.contains(*h)));
        assert_eq!(
            (10_000..20_000)
                .map(of_integer)
                .filter(|h| set.contains(*h))
                .count(),
            0
        );
        assert!(!set.contains(0) && !set.contains(u64::MAX));
        let of = |hashes: &[u64]| KeySet::of(hashes.to_vec());
        assert!(of(&[0, u64::MAX]).contains(u64::MAX));
        assert!(of(&[0]).contains(0) && !of(&[]).contains(0));
    }

    #[test]
    fn a_set_is_its_bytes() {
        let set = KeySet::of((0..1_000).map(of_integer).collect());
        let bytes = set.as_bytes();
        assert_eq!(KeySet::from_bytes(bytes), set);
        assert!(KeySet::from_bytes(bytes).contains(of_integer(7)));
        assert_ne!(KeySet::of(vec![1]), set);
        for damaged in [&bytes[..bytes.len() / 2], &[], &[7], &[0xff; 8]] {
            assert!(!KeySet::from_bytes(damaged).contains(7), "{damaged:?}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_published_algorithm() {
        // XXH64 of the empty text with seed 0.
        assert_eq!(of_text(""), 0xef46_db37_51d8_e999);
    }
}
