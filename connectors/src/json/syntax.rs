//! JSON text, read value by value and as strictly as RFC 8259 has it, without a tree in memory.
//!
//! arrow-json cuts numbers to fit a type and says neither where nor in what; serde_json has numbers
//! as floats. Here a number stays the text that it is, and the column decides.

use std::borrow::Cow;

/// Objects and arrays in each other; bounds the stack.
pub(super) const MAX_DEPTH: usize = 64;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Bytes from the start of the line.
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// A scalar, or the beginning of an array or object, whose content the cursor then gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// The number as it is written.
    Number(&'a str),
    Text(Cow<'a, str>),
    List,
    Object,
}

/// A place in a JSON text. A copy of it is a way back.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

type Result<T> = std::result::Result<T, SyntaxError>;

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T> {
        Err(SyntaxError { at: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no blank.
    fn next_mark(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if is_there {
            self.at += word.len();
        }
        is_there
    }

    /// The next value.
    pub(super) fn value(&mut self) -> Result<Value<'a>> {
        match self.next_mark() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'{') => self.enter().map(|()| Value::Object),
            Some(b'[') => self.enter().map(|()| Value::List),
            Some(b't') if self.take("true") => Ok(Value::Bool(true)),
            Some(b'f') if self.take("false") => Ok(Value::Bool(false)),
            Some(b'n') if self.take("null") => Ok(Value::Null),
            Some(_) => self.wrong("no JSON value begins like this"),
            None => self.wrong("the text ends where a value is expected"),
        }
    }

    fn enter(&mut self) -> Result<()> {
        if self.depth == MAX_DEPTH {
            return self.wrong("arrays and objects are nested deeper than 64 levels");
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Whether the array that was entered has another item, which is the next value.
    pub(super) fn item(&mut self, is_first: bool) -> Result<bool> {
        match self.next_mark() {
            Some(b']') => {
                self.leave();
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if is_first => Ok(true),
            Some(_) => self.wrong("`,` or `]` is expected"),
            None => self.wrong("an array is not closed"),
        }
    }

    /// The next key of the object that was entered; its value is the next one.
    pub(super) fn key(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>> {
        match self.next_mark() {
            Some(b'}') => {
                self.leave();
                return Ok(None);
            }
            Some(b',') if !is_first => self.at += 1,
            Some(_) if is_first => {}
            Some(_) => return self.wrong("`,` or `}` is expected"),
            None => return self.wrong("an object is not closed"),
        }
        if self.next_mark() != Some(b'"') {
            return self.wrong("a key in double quotes is expected");
        }
        let key = self.string()?;
        if self.next_mark() != Some(b':') {
            return self.wrong("`:` is expected behind a key");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Passes over the next value, which is checked all the same.
    pub(super) fn skip(&mut self) -> Result<()> {
        match self.value()? {
            Value::List => {
                let mut is_first = true;
                while self.item(is_first)? {
                    is_first = false;
                    self.skip()?;
                }
            }
            Value::Object => {
                let mut is_first = true;
                while self.key(is_first)?.is_some() {
                    is_first = false;
                    self.skip()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The next value as it is written.
    pub(super) fn raw(&mut self) -> Result<&'a str> {
        self.next_mark();
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    /// Checks that nothing but blanks is left.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.next_mark() {
            None => Ok(()),
            Some(_) => self.wrong("more text follows the object; a line holds one"),
        }
    }

    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.take("-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.wrong("a number has no digits"),
        }
        if self.take(".") {
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            self.digits()?;
        }
        match self.peek() {
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-' | b'_') => {
                self.wrong("a number goes on like no number of JSON")
            }
            _ => Ok(&self.text[start..self.at]),
        }
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => self.wrong("a number lacks digits"),
        }
    }

    /// The text in quotes that begins here.
    fn string(&mut self) -> Result<Cow<'a, str>> {
        self.at += 1;
        let mut decoded: Option<String> = None;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
                return self.wrong("a text is not closed");
            };
            if let Some(bad) = rest[..length].iter().position(|byte| *byte < 0x20) {
                self.at += bad;
                return self.wrong("a text holds a control character that is not escaped");
            }
            let piece = &self.text[self.at..self.at + length];
            self.at += length;
            if rest[length] == b'"' {
                self.at += 1;
                return Ok(match decoded {
                    None => Cow::Borrowed(piece),
                    Some(text) => Cow::Owned(text + piece),
                });
            }
            let decoded = decoded.get_or_insert_default();
            decoded.push_str(piece);
            decoded.push(self.escape()?);
        }
    }

    /// The character that an escape stands for.
    fn escape(&mut self) -> Result<char> {
        self.at += 1;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.wrong("no escape of JSON"),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The character of `\uXXXX`, or of two of them; the cursor is at the `u`.
    fn unicode(&mut self) -> Result<char> {
        let first = self.four_digits()?;
        let code = match first {
            0xD800..=0xDBFF if self.take("\\") && self.peek() == Some(b'u') => {
                let second = self.four_digits()?;
                match second {
                    0xDC00..=0xDFFF => 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00),
                    _ => first,
                }
            }
            other => other,
        };
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => self.wrong("half of a character stands alone"),
        }
    }

    fn four_digits(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
        let digits = digits.filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|d| u32::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        match code {
            Some(code) => {
                self.at += 5;
                Ok(code)
            }
            None => self.wrong("`\\u` needs four hexadecimal digits"),
        }
    }
}

/// Whether the text is a number as JSON has it, and nothing else.
pub(super) fn is_number(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let mut cursor = Cursor::new(text);
    begins && cursor.number().is_ok() && cursor.at == text.len()
}

/// Checks that `line` is one JSON object, or blank.
///
/// # Errors
/// What is wrong with it.
pub fn check_line(line: &[u8]) -> std::result::Result<(), String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    let mut cursor = Cursor::new(text);
    if cursor.next_mark().is_none() {
        return Ok(());
    }
    let is_object = cursor.peek() == Some(b'{');
    let checked = cursor.skip().and_then(|()| cursor.end());
    checked.map_err(|e| format!("{} at byte {}", e.what, e.at))?;
    match is_object {
        true => Ok(()),
        false => Err("not an object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Tree;

    use super::*;

    /// The tree of the next value; numbers are texts that begin with `#`.
    fn tree(cursor: &mut Cursor<'_>) -> Result<Tree> {
        Ok(match cursor.value()? {
            Value::Null => Tree::Null,
            Value::Bool(value) => Tree::Bool(value),
            Value::Number(text) => Tree::String(format!("#{text}")),
            Value::Text(text) => Tree::String(text.into_owned()),
            Value::List => {
                let mut items = Vec::new();
                while cursor.item(items.is_empty())? {
                    items.push(tree(cursor)?);
                }
                Tree::Array(items)
            }
            Value::Object => {
                let mut fields = serde_json::Map::new();
                let mut is_first = true;
                while let Some(key) = cursor.key(is_first)? {
                    is_first = false;
                    let value = tree(cursor)?;
                    fields.insert(key.into_owned(), value);
                }
                Tree::Object(fields)
            }
        })
    }

    fn whole(text: &str) -> Result<Tree> {
        let mut cursor = Cursor::new(text);
        let tree = tree(&mut cursor)?;
        cursor.end()?;
        assert_eq!(cursor.depth, 0);
        Ok(tree)
    }

    /// The tree of another parser, with whole numbers as [`tree`] has them.
    fn with_texts(tree: Tree) -> Tree {
        match tree {
            Tree::Number(number) => Tree::String(format!("#{number}")),
            Tree::Array(items) => Tree::Array(items.into_iter().map(with_texts).collect()),
            Tree::Object(fields) => {
                let fields = fields.into_iter();
                Tree::Object(fields.map(|(k, v)| (k, with_texts(v))).collect())
            }
            other => other,
        }
    }

    fn value() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            Just(Tree::Null),
            any::<bool>().prop_map(Tree::from),
            any::<i64>().prop_map(Tree::from),
            "\\PC{0,6}".prop_map(Tree::from),
            "[\\x00-\\x7f\u{e9}\u{1f600}]{0,6}".prop_map(Tree::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
                prop::collection::vec(("[a-c\"\\\\\n\u{e9}]{0,2}", inner), 0..4)
                    .prop_map(|fields| Tree::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_another_program_writes_is_read(tree in value(), is_pretty in any::<bool>()) {
            let text = match is_pretty {
                true => serde_json::to_string_pretty(&tree).unwrap(),
                false => tree.to_string(),
            };
            prop_assert_eq!(whole(&text), Ok(with_texts(tree)));
        }

        #[test]
        fn a_text_is_json_where_another_parser_says_so(
            text in "([\\[\\]{},:\" \\\\]|\"a\"|-|[01e.]|u00e9|null|true|\\\\n){0,12}",
        ) {
            // The other parser knows no number beyond a float.
            let theirs = serde_json::from_str::<Tree>(&text);
            let is_range = theirs.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
            prop_assert_eq!(whole(&text).is_ok(), theirs.is_ok() || is_range, "{:?}", theirs);
        }

        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = check_line(&bytes);
        }
    }

    #[test]
    fn faults_are_named_with_their_place() {
        for (text, at, what) in [
            ("{\"a\":1", 6, "an object is not closed"),
            ("{\"a\" 1}", 5, "`:` is expected"),
            ("{a:1}", 1, "a key in double quotes"),
            ("[1,]", 3, "no JSON value begins"),
            ("[1 2]", 3, "`,` or `]`"),
            ("01", 1, "a number goes on"),
            ("1.", 2, "a number lacks digits"),
            ("-", 1, "a number has no digits"),
            ("NaN", 0, "no JSON value begins"),
            ("\"\\ud83d\"", 7, "half of a character"),
            ("\"\\ud83d\\u0041\"", 13, "half of a character"),
            ("\"a\nb\"", 2, "a control character"),
            ("\"\\x\"", 2, "no escape"),
            ("{} {}", 3, "more text follows"),
        ] {
            let error = whole(text).err();
            let is_right = error
                .as_ref()
                .is_some_and(|e| e.at == at && e.what.contains(what));
            assert!(is_right, "{text}: {error:?}");
        }
        assert_eq!(whole("\"\\ud83d\\ude00\""), Ok(Tree::from("\u{1f600}")));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(whole(&nested(MAX_DEPTH)).is_ok());
        let error = whole(&nested(100_000)).map_err(|e| e.at);
        assert_eq!(error, Err(MAX_DEPTH));
    }
}
