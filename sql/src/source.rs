//! Where a piece of SQL comes from, so that an error can name the place and show the line.

use emporia_core::error::Error;

/// A text with the place from which it comes.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    text: &'a str,
    origin: Option<&'a str>,
    /// What the text is a part of.
    script: Option<&'a str>,
    first_line: usize,
    first_column: usize,
}

impl<'a> Source<'a> {
    /// A text of its own, for example a line typed by the user.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            origin: None,
            script: None,
            first_line: 1,
            first_column: 1,
        }
    }

    /// Names the file that the text comes from.
    #[must_use]
    pub fn named(mut self, origin: &'a str) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Says at which line and column of the file the text begins, both counted from 1.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.first_line = line.max(1);
        self.first_column = column.max(1);
        self
    }

    /// Gives the script that the text is a part of, so that an error shows its whole line.
    #[must_use]
    pub fn within(mut self, script: &'a str) -> Self {
        self.script = Some(script);
        self
    }

    /// The text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// An `InvalidInput` error at a line of the text.
    pub(crate) fn invalid_line(&self, line: usize, message: &str) -> Error {
        let line = line + self.first_line - 1;
        match self.origin {
            Some(origin) => Error::invalid(format!("{origin}:{line}: {message}")),
            None => Error::invalid(format!("line {line}: {message}")),
        }
    }

    /// `message` with the place in front and the marked source line behind it.
    pub(crate) fn point_at(&self, mark: Mark, message: &str) -> String {
        let line = mark.line + self.first_line - 1;
        let shift = if mark.line == 1 {
            self.first_column - 1
        } else {
            0
        };
        let column = mark.column + shift;
        let place = match self.origin {
            Some(origin) => format!("{origin}:{line}:{column}"),
            None => format!("{line}:{column}"),
        };
        let (source_line, column) = match self.script {
            Some(script) => (script.lines().nth(line - 1), column),
            None => (self.text.lines().nth(mark.line - 1), mark.column),
        };
        let Some(source_line) = source_line else {
            return format!("{place}: {message}");
        };
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // A tab of the line is repeated, so that the mark is under its column in every terminal.
        let indent: String = source_line
            .chars()
            .chain(std::iter::repeat(' '))
            .take(column - 1)
            .map(|c| if c == '\t' { c } else { ' ' })
            .collect();
        let carets = "^".repeat(mark.width.max(1));
        format!("{place}: {message}\n{number} | {source_line}\n{gutter} | {indent}{carets}")
    }

    /// The place behind the last character.
    pub(crate) fn end(&self) -> Option<Mark> {
        let (line_idx, last_line) = self.text.lines().enumerate().last()?;
        Mark::new(line_idx as u64 + 1, last_line.chars().count() as u64 + 1, 1)
    }

    /// `message` with the origin in front, for an error that has no place in the text.
    pub(crate) fn prefix(&self, message: &str) -> String {
        match self.origin {
            Some(origin) => format!("{origin}: {message}"),
            None => message.to_owned(),
        }
    }
}

impl<'a> From<&'a str> for Source<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text)
    }
}

/// A place inside the text of a [`Source`]; line and column count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    line: usize,
    column: usize,
    width: usize,
}

impl Mark {
    /// A mark; `None` for line or column 0, which parsers use for "unknown".
    pub(crate) fn new(line: u64, column: u64, width: usize) -> Option<Self> {
        let line = usize::try_from(line).ok().filter(|l| *l > 0)?;
        let column = usize::try_from(column).ok().filter(|c| *c > 0)?;
        Some(Self {
            line,
            column,
            width,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_the_place_below_the_line() {
        let source = Source::new("SELECT\n\tcout(*) FROM t").named("a.sql");
        let mark = Mark::new(2, 2, 4);
        let shown = mark.map(|m| source.point_at(m, "no such function"));
        assert_eq!(
            shown.as_deref(),
            Some("a.sql:2:2: no such function\n2 | \tcout(*) FROM t\n  | \t^^^^")
        );
    }

    #[test]
    fn a_part_of_a_file_keeps_the_positions_of_the_file() {
        let source = Source::new("SELECT x\nFROM t").at(10, 5);
        let first = Mark::new(1, 8, 1).map(|m| source.point_at(m, "m"));
        assert_eq!(
            first.as_deref(),
            Some("10:12: m\n10 | SELECT x\n   |        ^")
        );
        let second = Mark::new(2, 6, 1).map(|m| source.point_at(m, "m"));
        assert_eq!(second.as_deref(), Some("11:6: m\n11 | FROM t\n   |      ^"));
    }

    #[test]
    fn a_part_of_a_script_is_shown_with_its_whole_line() {
        let script = "SELECT 1; SELECT x";
        let source = Source::new("SELECT x").at(1, 11).within(script);
        let shown = Mark::new(1, 8, 1).map(|m| source.point_at(m, "m"));
        assert_eq!(
            shown.as_deref(),
            Some("1:18: m\n1 | SELECT 1; SELECT x\n  |                  ^")
        );
    }

    #[test]
    fn unknown_places_make_no_mark() {
        assert_eq!(Mark::new(0, 0, 1), None);
    }
}
