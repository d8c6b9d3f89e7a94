//! SQL scripts: where they come from, and their statements, all of which are checked before the
//! first one runs.

use std::io::{self, Read};
use std::path::Path;

use emporia_core::error::{Error, Result};
use emporia_core::text::without_mark;
use emporia_sql::{Source, SqlStatement, check_syntax, split_statements};

/// Names the standard input where a file is expected.
const STDIN: &str = "-";

/// A text with statements and the file that it comes from.
pub(super) struct Script {
    text: String,
    origin: Option<String>,
}

impl Script {
    /// What a user typed.
    pub(super) fn typed(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            origin: None,
        }
    }

    /// The script of `--execute` or `--file`; `None` where neither is given.
    pub(super) fn given(execute: &[String], file: Option<&Path>) -> Result<Option<Self>> {
        match file {
            _ if !execute.is_empty() => Ok(Some(Self::typed(execute.join(";\n")))),
            Some(path) if path == Path::new(STDIN) => Self::of_stdin().map(Some),
            Some(path) => Self::of_file(path).map(Some),
            None => Ok(None),
        }
    }

    /// The script on the standard input.
    pub(super) fn of_stdin() -> Result<Self> {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|e| {
            Error::invalid("cannot read SQL from the standard input").with_source(e)
        })?;
        Ok(Self::typed(without_mark(text)))
    }

    fn of_file(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::not_found(format!("cannot read the SQL file `{origin}`")).with_source(e)
        })?;
        Ok(Self {
            text: without_mark(text),
            origin: Some(origin),
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The statements.
    ///
    /// # Errors
    /// `InvalidInput` at the first mistake in the syntax of any of them.
    pub(super) fn statements(&self) -> Result<Vec<SqlStatement>> {
        let in_file = |e: Error| match &self.origin {
            Some(origin) => Error::new(e.kind(), format!("{origin}:{e}")),
            None => e,
        };
        let statements = split_statements(&self.text).map_err(in_file)?;
        for statement in &statements {
            check_syntax(self.source(statement))?;
        }
        Ok(statements)
    }

    /// Where a statement stands.
    pub(super) fn source<'a>(&'a self, statement: &'a SqlStatement) -> Source<'a> {
        let source = Source::from(statement).within(&self.text);
        match &self.origin {
            Some(origin) => source.named(origin),
            None => source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Script {
        Script {
            text: text.into(),
            origin: Some("a.sql".into()),
        }
    }

    fn complaint(script: &Script) -> String {
        let error = script.statements().err();
        error.map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn statements_of_a_file_keep_their_lines() -> Result<()> {
        let script = file("SELECT 1;\n\nSELECT 2");
        let lines: Vec<_> = script.statements()?.iter().map(|s| s.line).collect();
        assert_eq!(lines, [1, 3]);
        Ok(())
    }

    #[test]
    fn a_mistake_in_any_statement_is_found_at_its_place() {
        let open = complaint(&file("SELECT 'x"));
        assert!(open.starts_with("a.sql:1:8: "), "{open}");
        assert_eq!(
            complaint(&file("SELECT 1;\n\nSELECT 2,, 3;\nSELECT 4")),
            "a.sql:3:10: expected: an expression, found: ,\n3 | SELECT 2,, 3;\n  |          ^"
        );
        assert_eq!(
            complaint(&Script::typed("SELECT 1; SELEC 2")),
            "1:11: expected: an SQL statement, found: SELEC\n\
             1 | SELECT 1; SELEC 2\n  |           ^"
        );
    }

    #[test]
    fn the_mark_of_windows_editors_is_no_part_of_a_script() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|e| Error::internal(e.to_string()))?;
        let path = folder.path().join("bom.sql");
        std::fs::write(&path, "\u{feff}SELECT 1").map_err(|e| Error::internal(e.to_string()))?;
        let script = Script::of_file(&path)?;
        let statements = script.statements()?;
        assert_eq!(
            (statements[0].text.as_str(), statements[0].column),
            ("SELECT 1", 1)
        );
        Ok(())
    }

    #[test]
    fn a_script_comes_from_one_place() -> Result<()> {
        assert!(Script::given(&[], None)?.is_none());
        let both = Script::given(&["SELECT 1".into(), "SELECT 2".into()], None)?;
        let n_statements = both.map(|script| script.statements().map(|s| s.len()));
        assert_eq!(n_statements.transpose()?, Some(2));
        let gone = Script::given(&[], Some(Path::new("no/file.sql"))).err();
        assert!(gone.is_some_and(|e| e.to_string().contains("no/file.sql")));
        Ok(())
    }
}
