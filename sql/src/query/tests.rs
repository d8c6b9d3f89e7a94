//! Unit tests of `query`.

use crate::job::SqlJob;

const HEADER: &str = "\
-- name: a
-- description: d
-- param: top int = 1 -- t
-- input: t
-- output: a
-- key: x

";

/// The error of the query, after its header, as text and hint; the query begins in line 8.
fn failure(query: &str) -> (String, String) {
    match SqlJob::parse("a.sql", format!("{HEADER}{query}")) {
        Ok(_) => ("parsed".to_owned(), String::new()),
        Err(e) => (e.to_string(), e.hint().unwrap_or_default().to_owned()),
    }
}

#[test]
fn a_query_may_have_ctes_and_a_closing_semicolon() {
    assert_eq!(failure("SELECT x FROM t LIMIT $top;\n-- end\n").0, "parsed");
    assert_eq!(
        failure("WITH u AS (SELECT * FROM t) SELECT x FROM u LIMIT $top").0,
        "parsed"
    );
    assert_eq!(
        failure("SELECT '$other; x' AS x, $$ $top; $$ FROM t LIMIT $top").0,
        "parsed"
    );
}

#[test]
fn only_one_statement() {
    let (message, hint) = failure("SELECT x FROM t LIMIT $top;\n\nSELECT 2");
    assert_eq!(message, "a.sql:10: a second statement begins here");
    assert_eq!(hint, "a job file holds one SELECT or WITH query");
    assert!(
        failure("-- only a comment")
            .0
            .ends_with("there is no query")
    );
}

#[test]
fn only_queries() {
    for statement in [
        "DROP TABLE t",
        "INSERT INTO t SELECT $top",
        "CREATE TABLE u AS SELECT x FROM t LIMIT $top",
        "COPY t TO 'x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN SELECT x FROM t LIMIT $top",
    ] {
        assert_eq!(
            failure(statement).0,
            "a.sql: the statement is not a query",
            "{statement}"
        );
    }
    let hidden = failure("WITH u AS (SELECT 1) INSERT INTO t SELECT $top");
    assert_eq!(hidden.1, "a job may only SELECT", "{}", hidden.0);
    let into = failure("SELECT x INTO u FROM t LIMIT $top");
    assert_eq!(into.0, "a.sql: SELECT INTO would make a table");
}

#[test]
fn placeholders_are_exactly_the_parameters() {
    let (message, hint) = failure("SELECT x\nFROM t LIMIT $tp");
    assert_eq!(
        message,
        "a.sql:9:14: `$tp` is not a declared parameter\n9 | FROM t LIMIT $tp\n  |              ^^^"
    );
    assert_eq!(hint, "did you mean `$top`?");
    let (message, _) = failure("SELECT x FROM t");
    assert_eq!(message, "a.sql:3: parameter `top` is not used by the query");
    assert!(
        failure("SELECT x FROM t LIMIT $1")
            .0
            .contains("`$1` is not a declared parameter")
    );
}

#[test]
fn tables_are_exactly_the_inputs() {
    let (message, hint) = failure("SELECT x\nFROM t JOIN v USING (x) LIMIT $top");
    assert_eq!(
        message,
        "a.sql:9:13: table `v` is not a declared input\n9 | FROM t JOIN v USING (x) LIMIT $top\n  |             ^"
    );
    assert_eq!(hint, "add `-- input: v`");
    let (message, _) = failure("SELECT 1 AS x LIMIT $top");
    assert_eq!(message, "a.sql:4: input `t` is not read by the query");
}

#[test]
fn syntax_errors_show_the_line() {
    let (message, _) = failure("SELECT x\nFORM t LIMIT $top");
    assert_eq!(
        message,
        "a.sql:9:6: expected: end of statement, found: t\n9 | FORM t LIMIT $top\n  |      ^"
    );
    let (message, _) = failure("SELECT x FROM t WHERE y = 'open");
    assert!(
        message.starts_with("a.sql:8:27: unterminated string literal"),
        "{message}"
    );
}
