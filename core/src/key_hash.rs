//! The 64-bit hash of a key, the same in every process and version, and sets of such hashes.
//!
//! Finding a few keys among many rows needs neither a sort nor an exchange of the rows: a narrow
//! pass finds their hashes, and every later pass asks whether a row's hash is in the set.

use twox_hash::XxHash64;

/// Seed of all key hashes.
const SEED: u64 = 0;

/// The hash of a text key.
pub fn of_text(key: &str) -> u64 {
    XxHash64::oneshot(SEED, key.as_bytes())
}

/// The hash of an integer key.
pub fn of_integer(key: i64) -> u64 {
    XxHash64::oneshot(SEED, &key.to_le_bytes())
}

/// Bits of the filter for each hash of a set.
const FILTER_BITS: usize = 16;

/// The set as bytes: the number of hashes, a filter, and the hashes, sorted, without repeats; 8
/// big-endian bytes for each number. No bytes for no hashes.
///
/// The filter has a bit for every value of the first bits of a hash. Most rows are not in a set, and
/// one look at a small table tells so.
pub fn to_bytes(mut hashes: Vec<u64>) -> Vec<u8> {
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.is_empty() {
        return Vec::new();
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
    bytes
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
        let bits = (n_hashes.saturating_mul(FILTER_BITS))
            .next_power_of_two()
            .max(64);
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

/// Whether the set made by [`to_bytes`] has the hash; bytes of another make have none.
pub fn contains(set: &[u8], wanted: u64) -> bool {
    let Some((n_hashes, rest)) = set.split_first_chunk::<8>() else {
        return false;
    };
    let shape = Shape::of(u64::from_be_bytes(*n_hashes) as usize);
    let Some((filter, hashes)) = rest.split_at_checked(shape.filter_bytes) else {
        return false;
    };
    let (byte, bit) = shape.place(wanted);
    filter[byte] & bit != 0 && is_among(hashes.as_chunks::<8>().0, wanted)
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
        let set = to_bytes(hashes.clone());
        assert!(hashes.iter().all(|h| contains(&set, *h)));
        assert_eq!(
            (10_000..20_000)
                .map(of_integer)
                .filter(|h| contains(&set, *h))
                .count(),
            0
        );
        assert!(!contains(&set, 0) && !contains(&set, u64::MAX) && !contains(&[], 7));
        assert!(contains(&to_bytes(vec![0, u64::MAX]), u64::MAX));
        assert!(contains(&to_bytes(vec![0]), 0) && !contains(&to_bytes(Vec::new()), 0));
        assert!(!contains(&set[..set.len() / 2], 0) && !contains(&[0xff; 8], 7));
    }

    #[test]
    fn the_hash_is_that_of_the_published_algorithm() {
        // XXH64 of the empty text with seed 0.
        assert_eq!(of_text(""), 0xef46_db37_51d8_e999);
    }
}
