//! Parses SQL without a session, so that a mistake in the text is found before anything is started.

use datafusion::sql::parser::{DFParserBuilder, Statement};
use emporia_core::error::{Error, Result};
use emporia_engine::dialect::{EmporiaDialect, MAX_NESTED_TEXT, as_read};

use crate::describe::describe_error;
use crate::source::Source;

/// The statement of a text; `None` where there is none.
///
/// # Errors
/// `InvalidInput` at the place of the mistake.
pub(crate) fn parse(source: &Source<'_>) -> Result<Option<Statement>> {
    // All statements are parsed, although there is one: only so are words after its end noticed.
    let text = as_read(source.text());
    let mut statements = DFParserBuilder::new(text.as_ref())
        .with_dialect(&EmporiaDialect)
        .with_recursion_limit(MAX_NESTED_TEXT)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|e| describe_error(*source, &e, &[]))?;
    Ok(statements.pop_front())
}

/// Checks that a text is a statement.
///
/// # Errors
/// `InvalidInput` at the place of the mistake.
pub fn check_syntax<'a>(source: impl Into<Source<'a>>) -> Result<()> {
    let source = source.into();
    match parse(&source)? {
        Some(_) => Ok(()),
        None => Err(Error::invalid(source.prefix("there is no statement"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> Option<String> {
        let source = Source::new(text).named("a.sql").at(3, 1);
        check_syntax(source).err().map(|e| e.to_string())
    }

    #[test]
    fn a_text_may_be_nested_deeply() {
        let nested = |n: usize| format!("SELECT {}x{} FROM t", "abs(".repeat(n), ")".repeat(n));
        assert_eq!(complaint(&nested(400)), None);
        let complaint = complaint(&nested(2000)).unwrap();
        assert!(complaint.contains("at most 1500"), "{complaint}");
    }

    #[test]
    fn a_mistake_is_marked_in_the_file() {
        assert_eq!(complaint("SELECT 1"), None);
        assert_eq!(complaint("DESCRIBE t"), None);
        assert_eq!(
            complaint("SELECT 2 FRM x").as_deref(),
            Some(
                "a.sql:3:14: expected: end of statement, found: x\n\
                 3 | SELECT 2 FRM x\n  |              ^"
            )
        );
    }

    #[test]
    fn a_text_that_ends_too_early_is_marked_at_its_end() {
        assert_eq!(
            complaint("SELECT 1 +").as_deref(),
            Some(
                "a.sql:3:11: expected: an expression, found: EOF\n\
                 3 | SELECT 1 +\n  |           ^"
            )
        );
        assert_eq!(
            complaint("SELECT *\nFROM").as_deref().map(|c| &c[..10]),
            Some("a.sql:4:5:")
        );
    }
}
