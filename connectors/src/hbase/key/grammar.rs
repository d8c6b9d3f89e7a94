//! Parses the option `key`; [`super`] documents its language.

use emporia_core::error::{Error, Result, nearest};

use super::super::value::{Kind, Unit};
use super::number::{Digits, NumberForm};
use super::pattern::TimePattern;
use super::salt::Salt;
use super::{Form, KeySpec, Part};

/// A column that the key may name.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct KeyColumn<'a> {
    /// Its name.
    pub(in super::super) name: &'a str,
    /// Its index in the table.
    pub(in super::super) index: usize,
    /// What its values are.
    pub(in super::super) kind: Kind,
}

const FUNCTIONS: [&str; 14] = [
    "fixed",
    "padded",
    "reversed",
    "int16",
    "int32",
    "int64",
    "ordered_int16",
    "ordered_int32",
    "ordered_int64",
    "reversed_int64",
    "time",
    "salt",
    "hexsalt",
    "any",
];

impl KeySpec {
    /// Parses the text of the option `key`.
    ///
    /// # Errors
    /// `InvalidInput` that says what is wrong with which part.
    pub(in super::super) fn parse(text: &str, columns: &[KeyColumn<'_>]) -> Result<Self> {
        if text.len() > MAX_TEXT {
            return Err(Error::invalid(format!(
                "the key's form has {} bytes, more than {MAX_TEXT}",
                text.len()
            )));
        }
        let tokens = tokens(text)?;
        let mut parser = Parser {
            tokens: &tokens,
            columns,
        };
        let mut parts = Vec::new();
        while !parser.tokens.is_empty() {
            parts.push(parser.part()?);
        }
        check(&parts)?;
        Ok(Self { parts })
    }
}

/// Checks that no two rows with different values in the key's columns have the same key.
pub(super) fn check(parts: &[Part]) -> Result<()> {
    let mut seen = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let Part::Column { column, form, .. } = part else {
            continue;
        };
        if seen.contains(column) {
            return Err(Error::invalid("the key has the same column twice"));
        }
        seen.push(*column);
        let ends = match parts.get(index + 1) {
            None => true,
            Some(Part::Literal(bytes)) => !bytes.is_empty(),
            Some(_) => false,
        };
        if *form == Form::Variable && !ends {
            return Err(Error::invalid(
                "a part of the key has no end: a column of variable length stands before another part",
            )
            .with_hint("put a literal such as '#' between them, or give it a length: fixed(NAME, n)"));
        }
    }
    if seen.is_empty() {
        return Err(Error::invalid("the key has no column"));
    }
    let salted = parts.iter().filter_map(|part| match part {
        Part::Salt(salt) => Some(salt.columns()),
        _ => None,
    });
    if salted.flatten().any(|column| !seen.contains(&column)) {
        return Err(Error::invalid("the key is salted with a column that is not in it")
            .with_hint("a salt is a hash of columns that stand in the key, so that rows can be found by them"));
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Number(i128),
    Literal(Vec<u8>),
    Open,
    Close,
    Comma,
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token = match first {
            _ if first.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '\'' => {
                let (literal, behind) = literal(&rest[1..])?;
                tokens.push(Token::Literal(literal));
                rest = behind;
                continue;
            }
            '"' => {
                let (name, behind) = rest[1..].split_once('"').ok_or_else(|| {
                    Error::invalid(format!("the key has an unclosed double quote: `{rest}`"))
                })?;
                tokens.push(Token::Name(name.to_owned()));
                rest = behind;
                continue;
            }
            _ => {
                let end = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                if word.is_empty() {
                    return Err(
                        Error::invalid(format!("the key cannot be read at `{rest}`")).with_hint(
                            "parts are separated by spaces, literals stand in single quotes",
                        ),
                    );
                }
                let token = match word.parse() {
                    Ok(number) => Token::Number(number),
                    Err(_) => Token::Name(word.to_owned()),
                };
                tokens.push(token);
                rest = behind;
                continue;
            }
        };
        tokens.push(token);
        rest = &rest[1..];
    }
    Ok(tokens)
}

/// The bytes of a literal whose opening quote was read, and what stands behind its closing one.
fn literal(text: &str) -> Result<(Vec<u8>, &str)> {
    let mut bytes = Vec::new();
    let mut rest = text;
    loop {
        if let Some(behind) = rest.strip_prefix("''") {
            bytes.push(b'\'');
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('\'') {
            return Ok((bytes, behind));
        } else if let Some(behind) = rest.strip_prefix("\\x") {
            let byte = behind
                .get(..2)
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(byte.ok_or_else(|| {
                Error::invalid(format!("the key has a bad escape at `\\x{behind}`"))
                    .with_hint("a byte is written as \\xNN, e.g. '\\x00'")
            })?);
            rest = &behind[2..];
        } else if let Some(first) = rest.chars().next() {
            bytes.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[first.len_utf8()..];
        } else {
            return Err(Error::invalid("the key has an unclosed literal"));
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    columns: &'a [KeyColumn<'a>],
}

impl<'a> Parser<'a> {
    fn part(&mut self) -> Result<Part> {
        let (name, is_call) = match self.tokens {
            [Token::Literal(bytes), rest @ ..] if !bytes.is_empty() => {
                self.tokens = rest;
                return Ok(Part::Literal(bytes.clone()));
            }
            [Token::Name(name), Token::Open, rest @ ..] => {
                self.tokens = rest;
                (name, true)
            }
            [Token::Name(name), rest @ ..] => {
                self.tokens = rest;
                (name, false)
            }
            _ => return Err(self.unexpected("a part of the key")),
        };
        if !is_call {
            return self.variable(name);
        }
        let part = match name.as_str() {
            "fixed" => {
                let column =
                    self.column_of("fixed", |kind| matches!(kind, Kind::Text | Kind::Binary))?;
                self.comma()?;
                let width = self.number(1, MAX_FIXED)?;
                column.part(Form::Fixed(width))
            }
            "padded" => self.decimal(false)?,
            "reversed" => self.decimal(true)?,
            "int16" => self.binary("int16", Digits::Native(2), None)?,
            "int32" => self.binary("int32", Digits::Native(4), None)?,
            "int64" => self.binary("int64", Digits::Native(8), None)?,
            "ordered_int16" => self.binary("ordered_int16", Digits::Ordered(2), None)?,
            "ordered_int32" => self.binary("ordered_int32", Digits::Ordered(4), None)?,
            "ordered_int64" => self.binary("ordered_int64", Digits::Ordered(8), None)?,
            "reversed_int64" => {
                self.binary("reversed_int64", Digits::Native(8), Some(i64::MAX.into()))?
            }
            "time" => self.time()?,
            "salt" => self.salt("salt", false)?,
            "hexsalt" => self.salt("hexsalt", true)?,
            "any" => Part::Any(self.number(1, MAX_FIXED)?),
            _ => {
                let error = Error::invalid(format!("the key cannot have a part `{name}(…)`"));
                return Err(match nearest(name, FUNCTIONS) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error.with_hint(format!("parts are {}", FUNCTIONS.join(", "))),
                });
            }
        };
        match self.tokens {
            [Token::Close, rest @ ..] => {
                self.tokens = rest;
                Ok(part)
            }
            _ => Err(self.unexpected("`)`")),
        }
    }

    fn variable(&self, name: &str) -> Result<Part> {
        let column = self.find(name)?;
        match column.kind {
            Kind::Text | Kind::Binary | Kind::Integer(_) | Kind::Date => {
                Ok(column.part(Form::Variable))
            }
            _ => Err(Error::invalid(format!(
                "column `{name}` cannot stand in the key as text, because its texts are not unique"
            ))
            .with_hint("write a timestamp as padded(NAME, 13), reversed(…), time(NAME, '…') or int64(NAME)")),
        }
    }

    fn decimal(&mut self, is_reversed: bool) -> Result<Part> {
        let (column, unit) = self.number_column(if is_reversed { "reversed" } else { "padded" })?;
        self.comma()?;
        let base = if is_reversed {
            let base = self.number(0, usize::MAX)?;
            self.comma()?;
            Some(base as i128)
        } else {
            None
        };
        let width = self.number(1, 38)? as u8;
        let digits = Digits::Decimal(width);
        Ok(column.part(Form::Number(NumberForm { unit, base, digits })))
    }

    fn binary(&mut self, name: &str, digits: Digits, base: Option<i128>) -> Result<Part> {
        let (column, unit) = self.number_column(name)?;
        Ok(column.part(Form::Number(NumberForm { unit, base, digits })))
    }

    fn time(&mut self) -> Result<Part> {
        let column = self.column_of("time", |kind| matches!(kind, Kind::Timestamp | Kind::Date))?;
        self.comma()?;
        match self.tokens {
            [Token::Literal(pattern), rest @ ..] => {
                self.tokens = rest;
                Ok(column.part(Form::Time(TimePattern::parse(pattern, column.kind)?)))
            }
            _ => Err(self.unexpected("a pattern in single quotes")),
        }
    }

    fn salt(&mut self, name: &str, is_hex: bool) -> Result<Part> {
        let mut columns = Vec::new();
        while !matches!(self.tokens, [Token::Number(_), ..]) {
            let column =
                self.column_of(name, |kind| matches!(kind, Kind::Text | Kind::Integer(_)))?;
            columns.push((column.index, column.kind));
            self.comma()?;
        }
        if columns.is_empty() {
            return Err(self.unexpected("a column to salt with"));
        }
        let buckets = self.number(1, 256)? as u16;
        Ok(Part::Salt(Salt {
            columns,
            buckets,
            is_hex,
        }))
    }

    /// A column of a kind that numbers can be made of, and what it is counted in.
    fn number_column(&mut self, part: &str) -> Result<(KeyColumn<'a>, Unit)> {
        let is_number = |kind| matches!(kind, Kind::Integer(_) | Kind::Timestamp);
        let [Token::Name(unit), Token::Open, rest @ ..] = self.tokens else {
            return Ok((self.column_of(part, is_number)?, Unit::Millis));
        };
        let unit = Unit::parse(unit).ok_or_else(|| {
            Error::invalid(format!("`{unit}` is not a unit of time"))
                .with_hint("units are seconds(NAME), millis(NAME) and micros(NAME)")
        })?;
        self.tokens = rest;
        let column = self.column_of(part, |kind| kind == Kind::Timestamp)?;
        match self.tokens {
            [Token::Close, rest @ ..] => {
                self.tokens = rest;
                Ok((column, unit))
            }
            _ => Err(self.unexpected("`)`")),
        }
    }

    fn column_of(&mut self, part: &str, is_good: impl Fn(Kind) -> bool) -> Result<KeyColumn<'a>> {
        let [Token::Name(name), rest @ ..] = self.tokens else {
            return Err(self.unexpected("a column"));
        };
        let column = self.find(name)?;
        if !is_good(column.kind) {
            return Err(Error::invalid(format!(
                "column `{name}` is not of a type that `{part}` can write"
            )));
        }
        self.tokens = rest;
        Ok(column)
    }

    fn find(&self, name: &str) -> Result<KeyColumn<'a>> {
        if let Some(column) = self.columns.iter().find(|column| column.name == name) {
            return Ok(*column);
        }
        let error = Error::invalid(format!(
            "the key names a column `{name}` that the table does not have"
        ));
        Err(
            match nearest(name, self.columns.iter().map(|column| column.name)) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("literals stand in single quotes"),
            },
        )
    }

    fn comma(&mut self) -> Result<()> {
        match self.tokens {
            [Token::Comma, rest @ ..] => {
                self.tokens = rest;
                Ok(())
            }
            _ => Err(self.unexpected("`,`")),
        }
    }

    fn number(&mut self, least: usize, most: usize) -> Result<usize> {
        match self.tokens {
            [Token::Number(number), rest @ ..] => {
                let number = usize::try_from(*number).ok();
                match number.filter(|number| (least..=most).contains(number)) {
                    Some(number) => {
                        self.tokens = rest;
                        Ok(number)
                    }
                    None => Err(self.unexpected(&format!("a number from {least} to {most}"))),
                }
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let found = match self.tokens.first() {
            None => "its end".to_owned(),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Number(number)) => format!("`{number}`"),
            Some(Token::Literal(bytes)) => {
                format!("'{}'", super::super::escape::printable(bytes, 20))
            }
            Some(Token::Open) => "`(`".to_owned(),
            Some(Token::Close) => "`)`".to_owned(),
            Some(Token::Comma) => "`,`".to_owned(),
        };
        Error::invalid(format!("the key has {found} where {wanted} is expected"))
    }
}

/// Longest text of a form, in bytes: errors quote parts of it.
const MAX_TEXT: usize = 4096;

/// Longest part of fixed length.
const MAX_FIXED: usize = 1024;

impl KeyColumn<'_> {
    fn part(self, form: Form) -> Part {
        Part::Column {
            column: self.index,
            kind: self.kind,
            form,
        }
    }
}
