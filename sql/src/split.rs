//! Splits a script into statements.
//!
//! The tokens are those of the parser that runs the statements, so quotes, dollar quotes and
//! comments mean the same here and there.

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use emporia_core::error::{Error, Result};
use emporia_core::text::lowercase_first;
use emporia_engine::dialect::EmporiaDialect;

use crate::source::{Mark, Source};

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlStatement {
    /// From the first to the last word, without comments around it and without the semicolon.
    pub text: String,
    /// Line of the first character, from 1.
    pub line: usize,
    /// Column of the first character in characters, from 1.
    pub column: usize,
    /// Offset of the first character in bytes.
    pub offset: usize,
    /// Whether a semicolon ends the statement; an interactive client asks for more lines if not.
    pub is_terminated: bool,
}

impl<'a> From<&'a SqlStatement> for Source<'a> {
    fn from(statement: &'a SqlStatement) -> Self {
        Source::new(&statement.text).at(statement.line, statement.column)
    }
}

/// Splits a script at the semicolons that are not part of a quote or comment. Parts that hold only
/// blanks and comments are left out.
///
/// # Errors
/// `InvalidInput` at a quote or comment that does not end.
pub fn split_statements(text: &str) -> Result<Vec<SqlStatement>> {
    let offsets = Offsets::new(text);
    let mut statements = Vec::new();
    let mut span: Option<(Location, Location)> = None;
    let mut push = |span: Option<(Location, Location)>, is_terminated: bool| {
        let Some((start, end)) = span else { return };
        let offset = offsets.byte(start);
        let Some(part) = text.get(offset..offsets.byte(end)) else {
            return;
        };
        statements.push(SqlStatement {
            text: part.to_owned(),
            line: start.line as usize,
            column: start.column as usize,
            offset,
            is_terminated,
        });
    };
    for token in tokens(&Source::new(text))? {
        match token.token {
            Token::SemiColon => push(span.take(), true),
            Token::Whitespace(_) | Token::EOF => {}
            _ => {
                let start = span.map_or(token.span.start, |(start, _)| start);
                span = Some((start, token.span.end));
            }
        }
    }
    push(span, false);
    Ok(statements)
}

/// The tokens of a text with their places.
pub(crate) fn tokens(source: &Source<'_>) -> Result<Vec<TokenWithSpan>> {
    Tokenizer::new(&EmporiaDialect, source.text())
        .tokenize_with_location()
        .map_err(|e| {
            let message = lowercase_first(&e.message);
            let mark = Mark::new(e.location.line, e.location.column, 1);
            Error::invalid(match mark {
                Some(mark) => source.point_at(mark, &message),
                None => source.prefix(&message),
            })
        })
}

/// Byte offsets of the places of a text.
struct Offsets<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Offsets<'a> {
    fn new(text: &'a str) -> Self {
        let starts = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'\n')
            .map(|(i, _)| i + 1);
        Self {
            text,
            lines: std::iter::once(0).chain(starts).collect(),
        }
    }

    fn byte(&self, place: Location) -> usize {
        let line_idx = (place.line as usize).saturating_sub(1);
        let Some(start) = self.lines.get(line_idx) else {
            return self.text.len();
        };
        let n_chars = (place.column as usize).saturating_sub(1);
        let rest = self.text.get(*start..).unwrap_or("");
        start
            + rest
                .chars()
                .take(n_chars)
                .map(char::len_utf8)
                .sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        let statements = split_statements(script).map_err(|e| e.to_string());
        match statements {
            Ok(statements) => statements.into_iter().map(|s| s.text).collect(),
            Err(message) => vec![message],
        }
    }

    #[test]
    fn splits_at_semicolons_only_outside_quotes_and_comments() {
        let script =
            "SELECT ';' AS \"a;b\"; -- one; two\n/* three; */ SELECT $$x;y$$ ;;\n SELECT $t$a;$t$";
        assert_eq!(
            texts(script),
            ["SELECT ';' AS \"a;b\"", "SELECT $$x;y$$", "SELECT $t$a;$t$"]
        );
    }

    #[test]
    fn doubled_quotes_do_not_end_a_quote() {
        assert_eq!(
            texts("SELECT 'it''s; ok'; SELECT 2"),
            ["SELECT 'it''s; ok'", "SELECT 2"]
        );
    }

    #[test]
    fn placeholders_are_not_dollar_quotes() {
        assert_eq!(texts("SELECT $a; SELECT $b"), ["SELECT $a", "SELECT $b"]);
    }

    #[test]
    fn comments_alone_are_no_statement() {
        assert!(texts("-- nothing\n ; /* here */ ;").is_empty());
    }

    #[test]
    fn keeps_places_with_characters_of_several_bytes() -> Result<()> {
        let script = "SELECT 'é€';\n  -- note\n  SELECT 2";
        let statements = split_statements(script)?;
        let second = statements
            .get(1)
            .ok_or_else(|| Error::internal("one statement"))?;
        assert_eq!(
            (second.line, second.column, second.is_terminated),
            (3, 3, false)
        );
        assert_eq!(&script[second.offset..], "SELECT 2");
        assert!(
            statements
                .first()
                .is_some_and(|s| s.is_terminated && s.text == "SELECT 'é€'")
        );
        Ok(())
    }

    #[test]
    fn an_open_quote_is_an_error_at_its_place() {
        let shown = texts("SELECT 1;\nSELECT 'open");
        assert_eq!(
            shown,
            ["2:8: unterminated string literal\n2 | SELECT 'open\n  |        ^"]
        );
    }
}
