//! What a statement is, as far as the comparison has to know.

use datafusion::common::TableReference;

/// Words before the name of the table in a statement that makes, fills or drops it.
const NOISE: [&str; 21] = [
    "create",
    "or",
    "replace",
    "temporary",
    "temp",
    "external",
    "unbounded",
    "table",
    "view",
    "insert",
    "overwrite",
    "into",
    "drop",
    "if",
    "not",
    "exists",
    "from",
    "update",
    "delete",
    "truncate",
    "merge",
];

/// A statement and its first words.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// The text.
    pub(super) sql: String,
    lower: String,
    words: Vec<String>,
}

/// What kind of statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Makes, fills, changes or drops a table that holds its rows itself.
    Table,
    /// Declares files as a table.
    External,
    /// Defines what queries may name: views, schemas, prepared statements, settings.
    Definition,
    /// Writes files.
    Copy,
    /// Anything that returns rows.
    Query,
}

impl Statement {
    pub(super) fn of(sql: &str) -> Self {
        let lower = without_comments(sql).to_lowercase();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let words = lower
            .split(|c: char| !is_part(c))
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect();
        Self {
            sql: sql.to_owned(),
            lower: lower.trim().to_owned(),
            words,
        }
    }

    /// The text in lower case, without comments.
    pub(super) fn lower(&self) -> &str {
        &self.lower
    }

    /// Its words in lower case.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// Whether it begins with these words.
    pub(super) fn starts_with(&self, words: &[&str]) -> bool {
        self.words().take(words.len()).eq(words.iter().copied())
    }

    pub(super) fn kind(&self) -> Kind {
        let first: Vec<_> = self.words().take(5).collect();
        match first[..] {
            ["create", "external" | "unbounded", ..] => Kind::External,
            ["create", ..] if first.contains(&"table") => Kind::Table,
            ["drop", "table", ..] | ["insert" | "update" | "delete" | "truncate" | "merge", ..] => {
                Kind::Table
            }
            [
                "create" | "drop" | "set" | "reset" | "prepare" | "deallocate",
                ..,
            ] => Kind::Definition,
            ["copy", ..] => Kind::Copy,
            _ => Kind::Query,
        }
    }

    /// The table that a statement of [`Kind::Table`] or [`Kind::External`] is about.
    pub(super) fn table(&self) -> Option<TableReference> {
        if !matches!(self.kind(), Kind::Table | Kind::External) {
            return None;
        }
        let text = without_comments(&self.sql);
        let mut rest = text.trim();
        let is_end = |c: char| c.is_whitespace() || c == '(' || c == ';';
        loop {
            let end = rest.find(is_end).unwrap_or(rest.len());
            let word = rest.get(..end)?;
            let lower = word.to_lowercase();
            if word.is_empty() {
                return None;
            }
            if NOISE.contains(&lower.as_str()) {
                rest = rest.get(end..)?.trim_start();
            } else {
                return Some(TableReference::from(word));
            }
        }
    }

    /// The name of the table or view that it makes.
    pub(super) fn creates(&self) -> Option<String> {
        if !self.starts_with(&["create"]) {
            return None;
        }
        if self.words().take(5).any(|w| w == "view") {
            let after = self.words().skip_while(|w| *w != "view").skip(1);
            let mut names = after.skip_while(|w| ["if", "not", "exists"].contains(w));
            return names.next().map(str::to_owned);
        }
        self.table().map(|t| t.table().to_lowercase())
    }

    /// Whether it takes a table away.
    pub(super) fn drops(&self) -> bool {
        self.starts_with(&["drop"])
    }

    /// The folder or file that a statement of [`Kind::Copy`] writes.
    pub(super) fn written(&self) -> Option<String> {
        if self.kind() != Kind::Copy {
            return None;
        }
        let mut paths = self.paths();
        paths.next().map(str::to_owned)
    }

    /// Whether a table of [`Kind::External`] has the files of the folder or file `path`, or some of them.
    pub(super) fn shares(&self, path: &str) -> bool {
        let has_some = |own: &str| holds(path, own) || holds(own, path);
        self.kind() == Kind::External && self.paths().any(has_some)
    }

    /// The folders or files that a statement of [`Kind::External`] names.
    pub(super) fn folders(&self) -> Vec<String> {
        self.paths().map(str::to_owned).collect()
    }

    /// The absolute paths in its texts.
    fn paths(&self) -> impl Iterator<Item = &str> {
        let texts = self.sql.split('\'').skip(1).step_by(2);
        let paths = texts.filter(|text| text.starts_with('/'));
        paths.map(|path| path.trim_end_matches('/'))
    }

    /// Whether the order of the rows is left open, as far as one can tell from the words.
    pub(super) fn has_order(&self) -> bool {
        self.lower.contains("order by")
    }

    /// Whether a limit takes some of the rows.
    pub(super) fn has_limit(&self) -> bool {
        self.words()
            .any(|w| w == "limit" || w == "offset" || w == "fetch")
    }
}

/// Whether `path` is the folder or below it.
pub(super) fn holds(folder: &str, path: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The text without `-- …` lines, which may hold anything.
fn without_comments(sql: &str) -> String {
    let lines = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_tables_are_told_from_the_words() {
        let cases = [
            (
                "CREATE TABLE IF NOT EXISTS a(x INT)",
                Kind::Table,
                Some("a"),
            ),
            (
                "create or replace table \"B\" as values (1)",
                Kind::Table,
                Some("B"),
            ),
            ("INSERT INTO s.c VALUES (1)", Kind::Table, Some("c")),
            ("DROP TABLE d;", Kind::Table, Some("d")),
            ("DELETE FROM d WHERE x", Kind::Table, Some("d")),
            (
                "CREATE EXTERNAL TABLE e STORED AS CSV",
                Kind::External,
                Some("e"),
            ),
            ("-- why\nSELECT 1", Kind::Query, None),
            ("set a.b = 1", Kind::Definition, None),
        ];
        for (sql, kind, table) in cases {
            let statement = Statement::of(sql);
            assert_eq!(statement.kind(), kind, "{sql}");
            let found = statement.table().map(|t| t.table().to_owned());
            assert_eq!(found.as_deref(), table, "{sql}");
        }
    }

    #[test]
    fn what_a_copy_writes_is_a_folder() {
        let written = |sql| Statement::of(sql).written();
        assert_eq!(
            written("COPY t TO '/a/b/c.csv'").as_deref(),
            Some("/a/b/c.csv")
        );
        assert_eq!(
            written("COPY t TO '/a/b/' STORED AS CSV").as_deref(),
            Some("/a/b")
        );
        assert_eq!(written("SELECT '/a/b/'"), None);
    }

    #[test]
    fn a_table_shares_files_with_folders_around_and_inside_of_it() {
        let table = Statement::of("CREATE EXTERNAL TABLE e STORED AS CSV LOCATION '/a/b/'");
        for (path, is_shared) in [
            ("/a", true),
            ("/a/b", true),
            ("/a/b/1.csv", true),
            ("/a/bc", false),
        ] {
            assert_eq!(table.shares(path), is_shared, "{path}");
        }
    }

    #[test]
    fn what_a_statement_makes_has_a_name() {
        let view = Statement::of("CREATE OR REPLACE VIEW v AS SELECT 1");
        assert_eq!(view.creates().as_deref(), Some("v"));
        assert_eq!(Statement::of("DROP TABLE d").creates(), None);
    }
}
