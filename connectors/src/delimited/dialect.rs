//! How a text is cut into records, in one place for the reader of ranges, the planner of cuts and the
//! decoder: they have to agree about every byte.
//!
//! A quote opens a quoted field only as the first byte of the field; anywhere else outside of quotes it
//! is a byte like any other. A line break inside quotes belongs to the field. What follows a closed
//! quote up to the next delimiter or line break is a fault of the record, and quotes in it mean nothing.

use wide::u8x16;

use super::options::Records;

/// The bytes that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    pub(super) records: Records,
}

impl Dialect {
    /// The quote, if quoted fields may hold line breaks.
    pub(super) fn spanning_quote(&self) -> Option<u8> {
        self.quote.filter(|_| self.records == Records::Multiline)
    }
}

/// Bytes after which the state is remembered.
const PAGE: usize = 4096;

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Outside of quotes.
    Plain,
    /// In a comment.
    Comment,
    /// In a quoted field.
    Quoted,
    /// Behind the escape in a quoted field.
    Escaped,
    /// Behind a quote in a quoted field; another one would make it a literal.
    Closing,
}

/// Goes through a text byte by byte.
#[derive(Debug, Clone, Copy)]
struct Walker {
    dialect: Dialect,
    state: State,
    /// The byte before; at the beginning of a text a line break.
    before: u8,
}

impl Walker {
    /// Takes the next byte; whether it ends a record.
    fn step(&mut self, byte: u8) -> bool {
        let before = std::mem::replace(&mut self.before, byte);
        let Dialect {
            delimiter,
            quote,
            escape,
            comment,
            ..
        } = self.dialect;
        let is_quote = quote == Some(byte);
        match self.state {
            State::Plain if is_quote && (before == b'\n' || before == delimiter) => {
                self.state = State::Quoted;
            }
            State::Plain if before == b'\n' && comment == Some(byte) => {
                self.state = State::Comment;
            }
            State::Plain => return byte == b'\n',
            State::Comment if byte == b'\n' => {
                self.state = State::Plain;
                return true;
            }
            State::Comment => {}
            State::Quoted if is_quote => self.state = State::Closing,
            State::Quoted if escape == Some(byte) => self.state = State::Escaped,
            State::Quoted => {}
            State::Escaped => self.state = State::Quoted,
            State::Closing if is_quote => self.state = State::Quoted,
            State::Closing => {
                self.state = State::Plain;
                return byte == b'\n';
            }
        }
        false
    }
}

/// Finds the line breaks that end records, chunk by chunk.
///
/// Most of a text is taken 64 bytes at a time: quotes alternately open and close fields. That is wrong
/// only if one that would open stands inside of an unquoted field, which is seen at once; such a piece is
/// taken byte by byte.
#[derive(Debug)]
pub(super) struct Scanner {
    /// At the end of the last chunk.
    walker: Walker,
    /// At the beginning of each page of the last chunk.
    pages: Vec<Walker>,
    last_break: Option<usize>,
}

impl Scanner {
    /// A scanner of a text that begins at the beginning of a record.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            walker: Walker {
                dialect,
                state: State::Plain,
                before: b'\n',
            },
            pages: Vec::new(),
            last_break: None,
        }
    }

    /// Takes the next chunk.
    pub(super) fn scan(&mut self, chunk: &[u8]) {
        self.pages.clear();
        self.last_break = None;
        let dialect = self.walker.dialect;
        let Some(quote) = dialect.spanning_quote() else {
            self.last_break = memchr::memrchr(b'\n', chunk);
            return;
        };
        let is_simple = dialect.escape.is_none() && dialect.comment.is_none();
        for (n, page) in chunk.chunks(PAGE).enumerate() {
            self.pages.push(self.walker);
            let start = n * PAGE;
            match is_simple {
                true => self.scan_page(page, start, quote),
                false => self.walk(page, start),
            }
        }
    }

    /// The last line break of the last chunk that ends a record.
    pub(super) fn last_break(&self) -> Option<usize> {
        self.last_break
    }

    /// The first line break at or after `from` of the last chunk, which is given again, that ends a
    /// record.
    pub(super) fn first_break(&self, chunk: &[u8], from: usize) -> Option<usize> {
        if self.last_break.is_none_or(|last| last < from) {
            return None;
        }
        let Some(page) = self.pages.get(from / PAGE) else {
            return Some(from + memchr::memchr(b'\n', chunk.get(from..)?)?);
        };
        let mut walker = *page;
        let start = from / PAGE * PAGE;
        let bytes = chunk.get(start..)?.iter().enumerate();
        bytes
            .map(|(n, byte)| (start + n, walker.step(*byte)))
            .find_map(|(at, is_end)| (is_end && at >= from).then_some(at))
    }

    fn walk(&mut self, text: &[u8], start: usize) {
        for (n, byte) in text.iter().enumerate() {
            if self.walker.step(*byte) {
                self.last_break = Some(start + n);
            }
        }
    }

    fn scan_page(&mut self, page: &[u8], start: usize, quote: u8) {
        if self.walker.state == State::Plain && memchr::memchr(quote, page).is_none() {
            if let Some(at) = memchr::memrchr(b'\n', page) {
                self.last_break = Some(start + at);
            }
            self.walker.before = page.last().copied().unwrap_or(self.walker.before);
            return;
        }
        let (blocks, rest) = page.as_chunks::<64>();
        let mut at = start;
        for block in blocks {
            if !self.scan_block(block, at, quote) {
                self.walk(block, at);
            }
            at += block.len();
        }
        self.walk(rest, at);
    }

    /// Takes a block at `start`, unless it has to be taken byte by byte.
    #[inline]
    fn scan_block(&mut self, block: &[u8; 64], start: usize, quote: u8) -> bool {
        let delimiter = self.walker.dialect.delimiter;
        let [quotes, delimiters, breaks] = places(block, [quote, delimiter, b'\n']);
        let is_inside = self.walker.state == State::Quoted;
        // Whether the text is inside of quotes behind each byte.
        let inside = xor_of_all_before(quotes) ^ u64::from(is_inside).wrapping_neg();
        let before = self.walker.before;
        let may_open_first = self.walker.state == State::Closing
            || (self.walker.state == State::Plain && (before == b'\n' || before == delimiter));
        let may_open = ((delimiters | breaks | quotes) << 1) | u64::from(may_open_first);
        if quotes & inside & !may_open != 0 {
            return false;
        }
        let ends = breaks & !inside;
        if ends != 0 {
            self.last_break = Some(start + 63 - ends.leading_zeros() as usize);
        }
        let is_last = |mask: u64| mask >> 63 == 1;
        self.walker.state = match (is_last(inside), is_last(quotes)) {
            (true, _) => State::Quoted,
            (false, true) => State::Closing,
            (false, false) => State::Plain,
        };
        self.walker.before = block[63];
        true
    }
}

/// Where each of the bytes stands in the block.
#[inline]
fn places<const N: usize>(block: &[u8; 64], wanted: [u8; N]) -> [u64; N] {
    let mut masks = [0; N];
    for (n, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        for (mask, byte) in masks.iter_mut().zip(wanted) {
            let found = bytes.simd_eq(u8x16::splat(byte)).to_bitmask();
            *mask |= u64::from(found) << (16 * n);
        }
    }
    masks
}

/// Each bit the exclusive or of itself and all lower ones.
#[inline]
fn xor_of_all_before(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delimited::options::DelimitedOptions;

    /// The line breaks that end records, found in chunks of the size.
    fn breaks(dialect: Dialect, text: &[u8], size: usize) -> Vec<usize> {
        let mut scanner = Scanner::new(dialect);
        let mut found = Vec::new();
        for (n, chunk) in text.chunks(size).enumerate() {
            scanner.scan(chunk);
            let mut from = 0;
            let mut last = None;
            while let Some(at) = scanner.first_break(chunk, from) {
                found.push(n * size + at);
                last = Some(at);
                from = at + 1;
            }
            assert_eq!(scanner.last_break(), last);
        }
        found
    }

    #[test]
    fn line_breaks_inside_quotes_end_no_record() {
        let dialect = DelimitedOptions {
            comment: Some(b'#'),
            escape: Some(b'\\'),
            ..DelimitedOptions::default()
        };
        let dialect = dialect.dialect("t.csv");
        let cases: [(&str, &[&str]); 9] = [
            ("a,\"b\nc\"\n1,2\n", &["a,\"b\nc\"\n", "1,2\n"]),
            ("5\" pipe,x\ny\n", &["5\" pipe,x\n", "y\n"]),
            ("\"a\"\"\n\",b\nc\n", &["\"a\"\"\n\",b\n", "c\n"]),
            ("\"a\\\"\n\",b\nc\n", &["\"a\\\"\n\",b\n", "c\n"]),
            ("\"a\"x\"\nb\n", &["\"a\"x\"\n", "b\n"]),
            ("# it's \"\n,\"# \n\"\n", &["# it's \"\n", ",\"# \n\"\n"]),
            (
                "#,\"\n\"\n#\",\"\n\"\n\"\n",
                &["#,\"\n", "\"\n#\",\"\n\"\n"],
            ),
            (
                "\"\"\n\"\"\"\n\"\r\n\n",
                &["\"\"\n", "\"\"\"\n\"\r\n", "\n"],
            ),
            ("a,\"open\nb\nc\n", &[]),
        ];
        for (text, records) in cases {
            let mut end = 0;
            let expected: Vec<_> = records
                .iter()
                .map(|record| {
                    end += record.len();
                    end - 1
                })
                .collect();
            for size in 1..=text.len() {
                let found = breaks(dialect, text.as_bytes(), size);
                assert_eq!(found, expected, "{text:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn without_quotes_every_line_is_a_record() {
        let dialect = DelimitedOptions {
            records: Records::Lines,
            ..DelimitedOptions::default()
        };
        assert_eq!(breaks(dialect.dialect("t.csv"), b"\"a\nb\",c\n", 3), [2, 7]);
    }

    proptest! {
        #[test]
        fn blocks_give_what_single_bytes_give(
            pieces in prop::collection::vec(("[a,\"\n]{0,12}|\"[ab,\n]{0,80}\",", 1_usize..40), 1..40),
            size in 1_usize..20_000,
        ) {
            let pieces = pieces.iter().map(|(piece, n)| piece.repeat(*n));
            let text = pieces.collect::<String>().into_bytes();
            let dialect = DelimitedOptions::default().dialect("t.csv");
            let mut walker = Scanner::new(dialect).walker;
            let ends = text.iter().enumerate().filter(|(_, byte)| walker.step(**byte));
            let expected: Vec<_> = ends.map(|(at, _)| at).collect();
            prop_assert_eq!(breaks(dialect, &text, size), expected);
        }
    }
}
