//! Random numbers by address: every row, customer or session has its own sequence.
//!
//! A table can then be made in any order, by any number of threads, and a value can be drawn again
//! instead of being kept. The maintained generators of the ecosystem promise quality, not the same
//! numbers in their next version; SplitMix64 is eight lines and is fixed for good.

/// The golden ratio, the increment of SplitMix64.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a sequence is used for; equal rows of different streams are independent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Subcategory = 1,
    Product,
    Popularity,
    BuyerOrder,
    User,
    Purchases,
    Orders,
    Basket,
    Visits,
    VisitCount,
    Session,
    Pages,
    RawOrder,
    RawFault,
    RawDamage,
    ShopCustomer,
    ShopProduct,
    ShopOrder,
    EventBlock,
    EventProduct,
}

/// The sequence of random numbers of one row of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    /// The sequence at an address.
    pub(crate) fn at(seed: u64, stream: Stream, row: u64) -> Self {
        let stream_key = mix(seed ^ (stream as u64).wrapping_mul(GAMMA));
        Self {
            state: mix(stream_key ^ mix(row.wrapping_add(GAMMA))),
        }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number of `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number of `0..n`; zero for `n = 0`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A whole number of `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// One of the entries.
    pub(crate) fn pick<T: Copy>(&mut self, entries: &[T]) -> T {
        entries[self.below(entries.len() as u64) as usize]
    }

    /// A position of `weights`, which sum up to one.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.uniform();
        for (position, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return position;
            }
        }
        weights.len() - 1
    }

    /// An exponential variate of this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (-self.uniform()).ln_1p()
    }
}

/// The finaliser of SplitMix64, a permutation of 64 bits.
fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes() {
        let mut rng = Rng::at(42, Stream::User, 7);
        let first: Vec<u64> = (0..2).map(|_| rng.bits()).collect();
        let mut again = Rng::at(42, Stream::User, 7);
        assert_eq!(first, [again.bits(), again.bits()]);
        assert_ne!(first[0], Rng::at(42, Stream::User, 8).bits());
        assert_ne!(first[0], Rng::at(42, Stream::Product, 7).bits());
        assert_ne!(first[0], Rng::at(43, Stream::User, 7).bits());
    }

    #[test]
    fn numbers_fill_their_ranges_evenly() {
        let mut counts = [0_u32; 6];
        for row in 0..60_000 {
            counts[Rng::at(1, Stream::User, row).between(0, 5) as usize] += 1;
        }
        assert!(
            counts.iter().all(|n| n.abs_diff(10_000) < 400),
            "{counts:?}"
        );
    }
}
