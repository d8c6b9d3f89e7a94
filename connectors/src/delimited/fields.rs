//! Cuts a line with quotes into fields.

/// Why a line has no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFault {
    /// A quote is open at the end of the line, or text follows a closed one.
    Quote,
}

/// A field of a line, in bytes from the start of the line; without its outer quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Two quotes inside stand for one.
    pub(super) has_doubled_quotes: bool,
}

/// Appends the fields of `line`, which has no line break, to `spans`; returns how many they are.
pub(super) fn cut(line: &[u8], delimiter: u8, spans: &mut Vec<Span>) -> Result<usize, LineFault> {
    let before = spans.len();
    let mut at = 0;
    loop {
        let end = if line.get(at) == Some(&b'"') {
            let start = at + 1;
            let mut close = start;
            let mut has_doubled_quotes = false;
            loop {
                let quote = memchr::memchr(b'"', &line[close..]).ok_or(LineFault::Quote)?;
                close += quote;
                if line.get(close + 1) != Some(&b'"') {
                    break;
                }
                has_doubled_quotes = true;
                close += 2;
            }
            spans.push(Span {
                start,
                end: close,
                has_doubled_quotes,
            });
            close + 1
        } else {
            let end = memchr::memchr(delimiter, &line[at..]).map_or(line.len(), |n| at + n);
            spans.push(Span {
                start: at,
                end,
                has_doubled_quotes: false,
            });
            end
        };
        match line.get(end) {
            None => return Ok(spans.len() - before),
            Some(byte) if *byte == delimiter => at = end + 1,
            Some(_) => return Err(LineFault::Quote),
        }
    }
}

/// The texts of the fields of a line.
pub(super) fn texts(line: &str, delimiter: u8) -> Result<Vec<String>, LineFault> {
    let mut spans = Vec::new();
    cut(line.as_bytes(), delimiter, &mut spans)?;
    let text = |span: &Span| {
        let text = line.get(span.start..span.end).unwrap_or_default();
        match span.has_doubled_quotes {
            true => text.replace("\"\"", "\""),
            false => text.to_owned(),
        }
    };
    Ok(spans.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<&[&str], LineFault>) {
        let expected = expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(texts(line, b','), expected, "{line}");
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
}
