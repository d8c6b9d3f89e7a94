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

/// The set as bytes: sorted, without repeats, 8 big-endian bytes each.
pub fn to_bytes(mut hashes: Vec<u64>) -> Vec<u8> {
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into_iter().flat_map(u64::to_be_bytes).collect()
}

/// Whether the set made by [`to_bytes`] has the hash.
///
/// Interpolation search: hashes are spread evenly, so that the first guess is nearly right.
pub fn contains(set: &[u8], wanted: u64) -> bool {
    let (set, _) = set.as_chunks::<8>();
    let (mut low, mut high) = (0_usize, set.len());
    let (mut below, mut above) = (0_u64, u64::MAX);
    while low < high {
        let span = u128::from(above - below) + 1;
        let guess = u128::from(wanted - below) * (high - low) as u128 / span;
        let at = low + (guess as usize).min(high - low - 1);
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
    }

    #[test]
    fn the_hash_is_that_of_the_published_algorithm() {
        // XXH64 of the empty text with seed 0.
        assert_eq!(of_text(""), 0xef46_db37_51d8_e999);
    }
}
