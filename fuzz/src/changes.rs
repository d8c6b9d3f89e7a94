//! Changes bytes as files and messages are changed in the field: cut, doubled, flipped, mixed.

/// Numbers from a seed, the same on every machine.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Equal seeds give equal numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or_default()
    }
}

/// `bytes` with one change or a few; `words` are texts that matter to who reads them.
pub(crate) fn changed(bytes: &[u8], words: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(4) * dice.below(2) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(9)).min(bytes.len());
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = dice.below(bytes.len() + 1);
                drop(bytes.splice(to..to, part));
            }
            3 => {
                let bit = 1 << dice.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
            n => {
                let word = words.get(dice.below(words.len()));
                let end = if n == 4 { end } else { at };
                drop(bytes.splice(at..end, word.into_iter().flatten().copied()));
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_bytes_and_another_one_others() {
        let words = [b"\"".to_vec(), b"\n".to_vec()];
        let bytes = |seed| changed(b"id,name\n1,a\n2,b\n", &words, &mut Dice::new(seed));
        let all: std::collections::BTreeSet<_> = (0..100).map(bytes).collect();
        assert!(all.len() > 80, "{}", all.len());
        assert_eq!(bytes(7), bytes(7));
    }
}
