//! Where the delimiters and line breaks of a text are, found sixteen bytes at a time.

use wide::u8x16;

/// The places of all delimiters and line breaks of a text, in order.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Bytes from the start of the text.
    places: Vec<u32>,
    /// Indices into `places` of the line breaks.
    breaks: Vec<u32>,
}

impl Marks {
    /// Finds the marks of `text`, which is smaller than 4 GiB; earlier ones are forgotten.
    pub(super) fn find(&mut self, text: &[u8], delimiter: u8) {
        self.places.clear();
        self.breaks.clear();
        let wanted = u8x16::splat(delimiter);
        let line_break = u8x16::splat(b'\n');
        let (chunks, rest) = text.as_chunks::<64>();
        let mut base = 0_u32;
        for chunk in chunks {
            let (mut marks, mut breaks) = (0_u64, 0_u64);
            for (n, bytes) in chunk.as_chunks::<16>().0.iter().enumerate() {
                let bytes = u8x16::new(*bytes);
                let ends = bytes.simd_eq(line_break);
                let found = ends | bytes.simd_eq(wanted);
                marks |= u64::from(found.to_bitmask()) << (16 * n);
                breaks |= u64::from(ends.to_bitmask()) << (16 * n);
            }
            while breaks != 0 {
                let before = (breaks & breaks.wrapping_neg()) - 1;
                let index = self.places.len() as u32 + (marks & before).count_ones();
                self.breaks.push(index);
                breaks &= breaks - 1;
            }
            while marks != 0 {
                self.places.push(base + marks.trailing_zeros());
                marks &= marks - 1;
            }
            base += 64;
        }
        for (at, byte) in (base..).zip(rest) {
            if *byte == b'\n' {
                self.breaks.push(self.places.len() as u32);
            }
            if *byte == b'\n' || *byte == delimiter {
                self.places.push(at);
            }
        }
    }

    /// The place of a mark.
    #[inline]
    pub(super) fn place(&self, index: usize) -> Option<usize> {
        self.places.get(index).map(|place| *place as usize)
    }

    /// The index of the mark at the end of line `line`; that after the last one where the text ends
    /// without a line break.
    #[inline]
    pub(super) fn end_of_line(&self, line: usize) -> usize {
        self.breaks
            .get(line)
            .map_or(self.places.len(), |index| *index as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_where_the_bytes_are(text in "[ab,\n]{0,200}") {
            let mut marks = Marks::default();
            marks.find(b"left,over\n", b',');
            marks.find(text.as_bytes(), b',');
            let is_mark = |(_, c): &(usize, char)| *c == ',' || *c == '\n';
            let expected: Vec<_> = text.char_indices().filter(is_mark).collect();
            let places: Vec<_> = (0..).map_while(|n| marks.place(n)).collect();
            prop_assert_eq!(places, expected.iter().map(|(at, _)| *at).collect::<Vec<_>>());
            let breaks = (0..expected.len()).filter(|n| expected[*n].1 == '\n');
            let ends = breaks.chain([expected.len(), expected.len()]);
            for (line, end) in ends.enumerate() {
                prop_assert_eq!(marks.end_of_line(line), end);
            }
        }
    }
}
