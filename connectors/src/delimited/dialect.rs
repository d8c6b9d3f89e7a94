//! How a text is cut into records, in one place for the reader of ranges, the planner of cuts and the
//! decoder: they have to agree about every byte.
//!
//! A quote opens a quoted field only as the first byte of the field; anywhere else outside of quotes it
//! is a byte like any other. A line break inside quotes belongs to the field. What follows a closed
//! quote up to the next delimiter or line break is a fault of the record, and quotes in it mean nothing.

use std::ops::Range;

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

/// Finds what lies outside of quotes, chunk by chunk. A line break there ends a record.
#[derive(Debug)]
pub(super) struct Scanner {
    dialect: Dialect,
    state: State,
    /// The byte before the next chunk; at the beginning of a record a line break.
    before: u8,
    /// The pieces of the last chunk that lie outside of quotes, in order.
    plain: Vec<Range<usize>>,
}

impl Scanner {
    /// A scanner of a text that begins at the beginning of a record.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            state: State::Plain,
            before: b'\n',
            plain: Vec::new(),
        }
    }

    /// Takes the next chunk.
    pub(super) fn scan(&mut self, chunk: &[u8]) {
        self.plain.clear();
        let Some(quote) = self.dialect.spanning_quote() else {
            self.plain.push(0..chunk.len());
            return;
        };
        let mut at = 0;
        let mut plain_from = 0;
        while at < chunk.len() {
            at = match self.state {
                State::Plain => match self.next_opening(chunk, at, quote) {
                    Some(open) => {
                        self.plain.push(plain_from..open);
                        self.state = State::Quoted;
                        open + 1
                    }
                    None => break,
                },
                State::Comment => match memchr::memchr(b'\n', &chunk[at..]) {
                    Some(n) => {
                        self.state = State::Plain;
                        at + n + 1
                    }
                    None => break,
                },
                State::Quoted => match self.next_special(&chunk[at..], quote) {
                    Some(n) => {
                        self.state = match chunk[at + n] == quote {
                            true => State::Closing,
                            false => State::Escaped,
                        };
                        at + n + 1
                    }
                    None => break,
                },
                State::Escaped => {
                    self.state = State::Quoted;
                    at + 1
                }
                State::Closing if chunk[at] == quote => {
                    self.state = State::Quoted;
                    at + 1
                }
                State::Closing => {
                    self.state = State::Plain;
                    plain_from = at;
                    at
                }
            };
        }
        if matches!(self.state, State::Plain | State::Comment) {
            self.plain.push(plain_from..chunk.len());
        }
        self.before = chunk.last().copied().unwrap_or(self.before);
    }

    fn next_special(&self, text: &[u8], quote: u8) -> Option<usize> {
        match self.dialect.escape {
            Some(escape) => memchr::memchr2(quote, escape, text),
            None => memchr::memchr(quote, text),
        }
    }

    /// The next quote at or after `at` that opens a field; `None` where the chunk has none, which may
    /// be because a comment begins that goes on behind it.
    fn next_opening(&mut self, chunk: &[u8], mut at: usize, quote: u8) -> Option<usize> {
        let byte_before = |at: usize, before: u8| match at {
            0 => before,
            _ => chunk[at - 1],
        };
        loop {
            let found = match self.dialect.comment {
                None => at + memchr::memchr(quote, chunk.get(at..)?)?,
                Some(comment) => {
                    let is_start = byte_before(at, self.before) == b'\n';
                    if is_start && chunk.get(at) == Some(&comment) {
                        match memchr::memchr(b'\n', &chunk[at..]) {
                            Some(n) => at += n + 1,
                            None => {
                                self.state = State::Comment;
                                return None;
                            }
                        }
                        continue;
                    }
                    let found = at + memchr::memchr2(quote, b'\n', chunk.get(at..)?)?;
                    if chunk[found] == b'\n' {
                        at = found + 1;
                        continue;
                    }
                    found
                }
            };
            let before = byte_before(found, self.before);
            if before == b'\n' || before == self.dialect.delimiter {
                return Some(found);
            }
            at = found + 1;
        }
    }

    /// The last line break of the last chunk that ends a record.
    pub(super) fn last_break(&self, chunk: &[u8]) -> Option<usize> {
        self.plain
            .iter()
            .rev()
            .find_map(|piece| Some(piece.start + memchr::memrchr(b'\n', &chunk[piece.clone()])?))
    }

    /// The first line break of the last chunk at or after `from` that ends a record.
    pub(super) fn first_break(&self, chunk: &[u8], from: usize) -> Option<usize> {
        let first = self.plain.partition_point(|piece| piece.end <= from);
        self.plain[first..].iter().find_map(|piece| {
            let start = piece.start.max(from);
            Some(start + memchr::memchr(b'\n', &chunk[start..piece.end])?)
        })
    }
}

#[cfg(test)]
mod tests {
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
            assert_eq!(scanner.last_break(chunk), last);
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
}
