//! How many rows to ask for at once.
//!
//! The gateway gathers a page in its memory before it sends the first byte, and bounds it by the
//! number of rows only. So the number follows the size of the rows that came before.

/// Rows of the first page.
const FIRST_ROWS: usize = 1000;

/// Most rows of a page.
const MAX_ROWS: usize = 10_000;

/// Size of a page that is aimed at.
const TARGET_BYTES: usize = 2 * 1024 * 1024;

/// A page has at most this many times the rows of the one before.
const MAX_GROWTH: usize = 4;

/// The number of rows of the next page.
#[derive(Debug)]
pub(crate) struct PageSize {
    rows: usize,
    max_rows: usize,
    is_fixed: bool,
}

impl PageSize {
    /// Pages of so many rows, or of as many as fit.
    pub(crate) fn new(fixed: Option<usize>) -> Self {
        let fixed = fixed.map(|rows| rows.clamp(1, i32::MAX as usize));
        Self {
            rows: fixed.unwrap_or(FIRST_ROWS),
            max_rows: fixed.unwrap_or(MAX_ROWS),
            is_fixed: fixed.is_some(),
        }
    }

    /// Rows of the next page.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A page of so many rows had this size.
    pub(crate) fn learn(&mut self, n_rows: usize, n_bytes: usize) {
        // A fixed size changes only to grow back to what it was.
        if n_rows == 0 || self.is_fixed && self.rows == self.max_rows {
            return;
        }
        let row_bytes = (n_bytes / n_rows).max(1);
        self.rows = (TARGET_BYTES / row_bytes)
            .clamp(1, self.max_rows)
            .min(self.rows.saturating_mul(MAX_GROWTH));
    }

    /// A page was too large or took too long: the next one is smaller. False if it cannot be.
    pub(crate) fn shrink(&mut self) -> bool {
        let can_shrink = self.rows > 1;
        self.rows = (self.rows / 4).max(1);
        can_shrink
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_approach_the_target() {
        let mut pages = PageSize::new(None);
        pages.learn(1000, 110_000);
        assert_eq!(pages.rows(), 4000, "no leap");
        pages.learn(4000, 440_000);
        assert_eq!(pages.rows(), MAX_ROWS);
        pages.learn(MAX_ROWS, MAX_ROWS * 100 * 1024);
        assert_eq!(pages.rows(), 20);
        pages.learn(1, 10 * TARGET_BYTES);
        assert_eq!(pages.rows(), 1);
        assert!(!pages.shrink());
    }

    #[test]
    fn a_fixed_size_shrinks_only_in_trouble_and_grows_back() {
        let mut pages = PageSize::new(Some(100));
        pages.learn(100, 100 * TARGET_BYTES);
        assert_eq!(pages.rows(), 100);
        assert!(pages.shrink());
        assert_eq!(pages.rows(), 25);
        pages.learn(25, 25);
        assert_eq!(pages.rows(), 100);
    }
}
