//! Cuts a record with quotes into fields.

use super::dialect::Dialect;
use super::options::Records;

/// A field of a record, in bytes from the start of the record; without its outer quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) form: Form,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    /// In quotes, and its text is what stands between them.
    Quoted,
    /// In quotes, with bytes that stand for others.
    Escaped,
    /// Not there: the record has fewer fields.
    Missing,
}

/// A record that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) n_fields: usize,
    /// Where its line break stands, or the end of the text.
    pub(super) end: usize,
    /// A quote is open at its end, or text follows a closed one.
    pub(super) has_quote_fault: bool,
}

/// Appends the fields of the record that `text` begins with to `spans`.
pub(super) fn cut(text: &[u8], dialect: &Dialect, spans: &mut Vec<Span>) -> Record {
    // Where no field holds line breaks, the record is the line.
    let text = match dialect.records {
        Records::Multiline => text,
        Records::Lines => &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())],
    };
    let before = spans.len();
    let mut has_quote_fault = false;
    let mut at = 0;
    loop {
        let end = match dialect.quote {
            Some(quote) if text.get(at) == Some(&quote) => {
                let start = at + 1;
                let (close, form) = closing(&text[start..], quote, dialect.escape);
                let close = close.map(|n| start + n);
                spans.push(Span {
                    start,
                    end: close.unwrap_or(text.len()),
                    form,
                });
                match close.map(|close| behind(&text[close + 1..], dialect, close + 1)) {
                    Some((end, is_clean)) => {
                        has_quote_fault |= !is_clean;
                        end
                    }
                    None => {
                        has_quote_fault = true;
                        text.len()
                    }
                }
            }
            _ => {
                let end = end_of_plain(&text[at..], dialect).map_or(text.len(), |n| at + n);
                let is_last = text.get(end) != Some(&dialect.delimiter);
                let has_return = is_last && end > at && text[end - 1] == b'\r';
                spans.push(Span {
                    start: at,
                    end: end - usize::from(has_return),
                    form: Form::Plain,
                });
                end
            }
        };
        match text.get(end) {
            Some(byte) if *byte == dialect.delimiter => at = end + 1,
            _ => {
                return Record {
                    n_fields: spans.len() - before,
                    end,
                    has_quote_fault,
                };
            }
        }
    }
}

fn end_of_plain(text: &[u8], dialect: &Dialect) -> Option<usize> {
    memchr::memchr2(dialect.delimiter, b'\n', text)
}

/// The quote that closes a field whose text begins with `text`.
fn closing(text: &[u8], quote: u8, escape: Option<u8>) -> (Option<usize>, Form) {
    let mut form = Form::Quoted;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let found = match escape {
            Some(escape) => memchr::memchr2(quote, escape, rest),
            None => memchr::memchr(quote, rest),
        };
        let Some(found) = found.map(|n| at + n) else {
            break;
        };
        if text[found] == quote && text.get(found + 1) != Some(&quote) {
            return (Some(found), form);
        }
        form = Form::Escaped;
        at = found + 2;
    }
    (None, form)
}

/// Where the field ends whose closing quote stands before `text`, which begins at `at`; and whether
/// nothing stands in between.
fn behind(text: &[u8], dialect: &Dialect, at: usize) -> (usize, bool) {
    match text {
        [] | [b'\n', ..] => (at, true),
        [b'\r'] | [b'\r', b'\n', ..] => (at + 1, true),
        [byte, ..] if *byte == dialect.delimiter => (at, true),
        _ => {
            let end = end_of_plain(text, dialect).unwrap_or(text.len());
            (at + end, false)
        }
    }
}

/// Appends the text of a field with the form [`Form::Escaped`] to `to`.
pub(super) fn unescape(text: &[u8], dialect: &Dialect, to: &mut Vec<u8>) {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let stands_for_next = Some(*byte) == dialect.quote || Some(*byte) == dialect.escape;
        match stands_for_next {
            true => to.extend(bytes.next()),
            false => to.push(*byte),
        }
    }
}

/// The texts of the fields of a record, and whether they are in quotes; `None` where a quote is wrong.
pub(super) fn texts(record: &str, dialect: &Dialect) -> Option<Vec<(String, Form)>> {
    let mut spans = Vec::new();
    if cut(record.as_bytes(), dialect, &mut spans).has_quote_fault {
        return None;
    }
    let text = |span: &Span| {
        let text = record
            .as_bytes()
            .get(span.start..span.end)
            .unwrap_or_default();
        let mut plain = Vec::new();
        match span.form {
            Form::Escaped => unescape(text, dialect, &mut plain),
            _ => plain.extend_from_slice(text),
        }
        (String::from_utf8_lossy(&plain).into_owned(), span.form)
    };
    Some(spans.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delimited::options::DelimitedOptions;

    fn check_with(options: &DelimitedOptions, record: &str, expected: Option<&[&str]>) {
        let found = texts(record, &options.dialect("t.csv"));
        let found = found.map(|t| t.into_iter().map(|(text, _)| text).collect::<Vec<_>>());
        let expected = expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(found, expected, "{record}");
    }

    #[test]
    fn cuts_plain_and_quoted_records() {
        let check = |record, expected| check_with(&DelimitedOptions::default(), record, expected);
        check("a,b,,c", Some(&["a", "b", "", "c"]));
        check("", Some(&[""]));
        check(",", Some(&["", ""]));
        check(r#""a,b",c"#, Some(&["a,b", "c"]));
        check(r#"x,"say ""hi""",z"#, Some(&["x", r#"say "hi""#, "z"]));
        check(r#"5" pipe,b"#, Some(&[r#"5" pipe"#, "b"]));
        check("\"a\r\nb\",\"c\"\r\nnext,\"", Some(&["a\r\nb", "c"]));
        check("a,b\r\nnext", Some(&["a", "b"]));
        check("\"\"\"\"", Some(&["\""]));
        check(r#""open,b"#, None);
        check(r#""a"b,c"#, None);
        check("\"a\rb\"\rc", None);
    }

    #[test]
    fn an_escape_takes_the_next_byte_as_it_is() {
        let options = DelimitedOptions {
            escape: Some(b'\\'),
            quote: Some(b'\''),
            ..DelimitedOptions::default()
        };
        let check = |record, expected| check_with(&options, record, expected);
        check(r"'it\'s','a\\',b\", Some(&["it's", r"a\", r"b\"]));
        check(r"'it''s'", Some(&["it's"]));
        check(r"'open\'", None);
        check(r"'open\", None);
    }

    #[test]
    fn where_records_are_lines_an_open_quote_damages_its_line_only() {
        let options = DelimitedOptions {
            records: Records::Lines,
            ..DelimitedOptions::default()
        };
        let mut spans = Vec::new();
        let record = cut(b"\"a,b\nc,\"d\"\n", &options.dialect("t.csv"), &mut spans);
        assert_eq!((record.end, record.has_quote_fault), (4, true));
    }
}
