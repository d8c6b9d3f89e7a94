//! A queue whose total is known at any time, without taking anything back: two stacks, of which one is filled from
//! the other. Each row is added twice at most.

use std::fmt::Debug;

/// What some rows of a frame come to, and how it is joined with that of the rows behind them.
pub(super) trait Part: Copy + Debug + Default + Send + Sync + 'static {
    /// Both as one; the default is that of no rows.
    fn and(self, later: Self) -> Self;
}

/// The parts of a frame, in the order of its rows.
#[derive(Debug, Default)]
pub(super) struct Frame<P> {
    /// For each of the older rows, the newest first, the total from it to the newest of them.
    older: Vec<P>,
    newer: Vec<P>,
    total_of_newer: P,
}

impl<P: Part> Frame<P> {
    /// Takes a row in behind the others.
    pub(super) fn push(&mut self, part: P) {
        self.newer.push(part);
        self.total_of_newer = self.total_of_newer.and(part);
    }

    /// Leaves the oldest row out.
    pub(super) fn pop(&mut self) {
        if self.older.is_empty() {
            let mut total = P::default();
            for part in self.newer.drain(..).rev() {
                total = part.and(total);
                self.older.push(total);
            }
            self.total_of_newer = P::default();
        }
        self.older.pop();
    }

    /// The total of all rows.
    pub(super) fn total(&self) -> P {
        let older = self.older.last().copied().unwrap_or_default();
        older.and(self.total_of_newer)
    }

    /// Bytes beside the struct.
    pub(super) fn heap_size(&self) -> usize {
        (self.older.capacity() + self.newer.capacity()) * size_of::<P>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last of some rows, which shows whether they are joined in order.
    #[derive(Debug, Clone, Copy, Default, PartialEq)]
    struct Ends(Option<(u32, u32, usize)>);

    impl Part for Ends {
        fn and(self, later: Self) -> Self {
            match (self.0, later.0) {
                (Some((first, last, n)), Some((next, end, m))) => {
                    assert_eq!(last + 1, next);
                    Self(Some((first, end, n + m)))
                }
                (one, other) => Self(one.or(other)),
            }
        }
    }

    #[test]
    fn the_total_is_that_of_the_rows_within() {
        let mut frame = Frame::<Ends>::default();
        let (mut first, mut end) = (0, 0);
        assert_eq!(frame.total(), Ends(None));
        for (pushes, pops) in [
            (3, 1),
            (0, 2),
            (1, 0),
            (5, 4),
            (2, 4),
            (4, 0),
            (0, 3),
            (7, 8),
        ] {
            for _ in 0..pushes {
                frame.push(Ends(Some((end, end, 1))));
                end += 1;
            }
            for _ in 0..pops {
                frame.pop();
                first += 1;
            }
            let n = (end - first) as usize;
            let expected = (n > 0).then(|| (first, end - 1, n));
            assert_eq!(frame.total(), Ends(expected));
        }
    }
}
