//! Cuts a line into fields.

use std::borrow::Cow;

/// Why a line has no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFault {
    /// A quote is open at the end of the line, or text follows a closed one.
    Quote,
}

/// Byte ranges of the fields of one line.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// `(start, end, quoted)` of each field; a quoted range excludes the outer quotes.
    spans: Vec<(usize, usize, bool)>,
}

impl Fields {
    /// Cuts `line`, which has no line break, and returns the number of its fields.
    pub(super) fn cut(&mut self, line: &[u8], delimiter: u8) -> Result<usize, LineFault> {
        if memchr::memchr(b'"', line).is_some() {
            return self.cut_quoted(line, delimiter);
        }
        Ok(self.cut_plain(line, delimiter, usize::MAX))
    }

    /// As [`Self::cut`], for a line without quotes of which only the first `n_wanted` fields are
    /// asked for; the others are counted.
    #[inline]
    pub(super) fn cut_plain(&mut self, line: &[u8], delimiter: u8, n_wanted: usize) -> usize {
        self.spans.clear();
        let mut start = 0;
        let mut delimiters = memchr::memchr_iter(delimiter, line);
        while self.spans.len() < n_wanted {
            let Some(at) = delimiters.next() else {
                self.spans.push((start, line.len(), false));
                return self.spans.len();
            };
            self.spans.push((start, at, false));
            start = at + 1;
        }
        self.spans.len() + 1 + delimiters.count()
    }

    /// As [`Self::cut`], for a line with quotes.
    pub(super) fn cut_quoted(&mut self, line: &[u8], delimiter: u8) -> Result<usize, LineFault> {
        self.spans.clear();
        let mut at = 0;
        loop {
            let end = if line.get(at) == Some(&b'"') {
                let start = at + 1;
                let mut close = start;
                // A doubled quote inside a quoted field stands for one.
                loop {
                    let quote = memchr::memchr(b'"', &line[close..]).ok_or(LineFault::Quote)?;
                    close += quote;
                    if line.get(close + 1) != Some(&b'"') {
                        break;
                    }
                    close += 2;
                }
                self.spans.push((start, close, true));
                close + 1
            } else {
                let end = memchr::memchr(delimiter, &line[at..]).map_or(line.len(), |n| at + n);
                self.spans.push((at, end, false));
                end
            };
            match line.get(end) {
                None => return Ok(self.spans.len()),
                Some(byte) if *byte == delimiter => at = end + 1,
                Some(_) => return Err(LineFault::Quote),
            }
        }
    }

    /// The text of field `index`.
    #[inline]
    pub(super) fn text<'a>(&self, line: &'a str, index: usize) -> Option<Cow<'a, str>> {
        let (start, end, quoted) = *self.spans.get(index)?;
        let text = line.get(start..end)?;
        if quoted && text.contains('"') {
            return Some(Cow::Owned(text.replace("\"\"", "\"")));
        }
        Some(Cow::Borrowed(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<&[&str], LineFault>) {
        let mut fields = Fields::default();
        let cut = fields.cut(line.as_bytes(), b',').map(|n_fields| {
            (0..n_fields)
                .map(|i| fields.text(line, i).unwrap().into_owned())
                .collect::<Vec<_>>()
        });
        let expected = expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(cut, expected, "{line}");
    }

    #[test]
    fn cuts_plain_and_quoted_lines() {
        check("a,b,,c", Ok(&["a", "b", "", "c"]));
        check("", Ok(&[""]));
        check(",", Ok(&["", ""]));
        check(r#""a,b",c"#, Ok(&["a,b", "c"]));
        check(r#"x,"say ""hi""",z"#, Ok(&["x", r#"say "hi""#, "z"]));
        check(r#"5" pipe,b"#, Ok(&[r#"5" pipe"#, "b"]));
        check(r#""open,b"#, Err(LineFault::Quote));
        check(r#""a"b,c"#, Err(LineFault::Quote));
    }

    #[test]
    fn counts_the_fields_that_are_not_asked_for() {
        let mut fields = Fields::default();
        for (n_wanted, n_cut) in [(0, 0), (1, 1), (2, 2), (3, 3), (9, 3)] {
            assert_eq!(fields.cut_plain(b"a,b,c", b',', n_wanted), 3, "{n_wanted}");
            assert_eq!(fields.spans.len(), n_cut, "{n_wanted}");
        }
        assert_eq!(fields.cut_plain(b"", b',', 1), 1);
    }
}
