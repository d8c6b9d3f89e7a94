//! What is refused, and what is read.

use datafusion::prelude::SessionContext;

use super::*;
use crate::dialect::parse_statement;

fn refused(text: &str) -> Option<String> {
    let parsed = parse_statement(text, 50).unwrap();
    check(&parsed, &SessionContext::new().state())
        .and_then(|()| check_joins(&parsed))
        .err()
        .map(|error| error.to_string())
}

#[test]
fn clauses_without_effect_are_refused() {
    for (text, clause) in [
        (
            "SELECT g, count(*) FROM t GROUP BY g WITH ROLLUP",
            "GROUP BY … WITH",
        ),
        (
            "SELECT g, count(*) FROM t GROUP BY g WITH TOTALS",
            "GROUP BY … WITH",
        ),
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (0)", "TABLESAMPLE"),
        (
            "SELECT * FROM (SELECT 1) TABLESAMPLE (1 ROWS)",
            "TABLESAMPLE",
        ),
        (
            "CREATE TABLE n AS SELECT * FROM t TABLESAMPLE (1 ROWS)",
            "TABLESAMPLE",
        ),
        ("SELECT count(*) FROM t PREWHERE id = 1", "PREWHERE"),
        (
            "SELECT a FROM t START WITH a = 1 CONNECT BY PRIOR a = b",
            "CONNECT BY",
        ),
        ("SELECT * ILIKE '%id%' FROM t", "* ILIKE"),
        ("SELECT t.* RENAME (a AS b) FROM t", "* RENAME"),
        (
            "SELECT * FROM generate_series(1, 5) WITH ORDINALITY",
            "WITH ORDINALITY",
        ),
        (
            "SELECT * FROM t, LATERAL unnest(xs) WITH ORDINALITY",
            "WITH ORDINALITY",
        ),
        (
            "SELECT * FROM UNNEST(xs) AS x WITH OFFSET AS n",
            "WITH OFFSET",
        ),
        ("SELECT 'x' SIMILAR TO '_'", "SIMILAR TO"),
        ("SELECT * FROM t FINAL", "FINAL behind a table"),
        (
            "SELECT 1 FROM t POSITIONAL JOIN u",
            "POSITIONAL behind a table",
        ),
        (
            "SELECT 1 FROM t any LEFT JOIN u ON true",
            "ANY behind a table",
        ),
        ("SELECT 1 FROM t GLOBAL JOIN u ON true", "GLOBAL JOIN"),
        ("SELECT 1 FROM t WITH (nolock)", "a hint in WITH"),
        ("SELECT 1 FROM t PARTITION (p)", "a part or a version"),
        ("SELECT 1 FROM t FOR UPDATE", "FOR UPDATE"),
        (
            "SELECT 1 FROM (SELECT 1 FROM t FOR SHARE) AS q",
            "FOR UPDATE or FOR SHARE",
        ),
        ("SELECT 1 FROM t FOR XML AUTO", "FOR"),
        ("SELECT 1 FROM t SETTINGS a = 1", "SETTINGS"),
        ("SELECT 1 FROM t FORMAT JSON", "FORMAT"),
        ("SELECT TOP 1 a FROM t", "TOP"),
        ("SELECT DISTINCT TOP 1 a FROM t", "TOP"),
        ("SELECT a FROM t LIMIT 1 BY a", "LIMIT … BY"),
        (
            "SELECT a FROM t ORDER BY a FETCH FIRST 1 ROW WITH TIES",
            "FETCH … WITH TIES",
        ),
        (
            "SELECT a FROM t FETCH FIRST 10 PERCENT ROWS ONLY",
            "FETCH … PERCENT",
        ),
        ("SELECT a FROM t ORDER BY a WITH FILL", "WITH FILL"),
        ("SELECT a FROM t CLUSTER BY a", "CLUSTER BY"),
        ("SELECT a FROM t DISTRIBUTE BY a", "DISTRIBUTE BY"),
        ("SELECT a FROM t SORT BY a", "SORT BY"),
        (
            "SELECT a FROM t LATERAL VIEW explode(xs) e AS x",
            "LATERAL VIEW",
        ),
        ("SELECT 1 UNION SELECT a INTO n FROM t", "INTO"),
        ("SELECT * FROM (SELECT a INTO n FROM t) AS q", "INTO"),
        ("SELECT * FROM f(1, 2) AS s(n INT)", "a type in the columns"),
        (
            "SELECT * FROM generate_series(stop => 3, start => 1)",
            "the name of an argument",
        ),
        ("SELECT 'a' 'b'", "a text behind a text"),
        ("SELECT 1 UNION SELECT 2 ORDER BY ALL", "ORDER BY ALL"),
        ("VALUES (2), (1) ORDER BY ALL", "ORDER BY ALL"),
        ("SELECT 1_000", "a name right behind a number"),
        ("SELECT trim('xay', 'x', 'y')", "trim of several texts"),
        (
            "FROM t |> AGGREGATE sum(a) GROUP BY g DESC",
            "an order in AGGREGATE",
        ),
        ("FROM a |> FULL JOIN b USING (id)", "USING or NATURAL"),
        ("SELECT p FROM a JOIN b", "JOIN without ON"),
        (
            "SELECT id, p, s FROM a FULL JOIN b USING (id)",
            "USING or NATURAL",
        ),
        ("SELECT p FROM a NATURAL RIGHT JOIN b", "USING or NATURAL"),
        (
            "SELECT * FROM a LEFT JOIN b USING (id)",
            "* over a LEFT JOIN",
        ),
        (
            "EXPLAIN SELECT 1 WHERE EXISTS (SELECT 1 FROM a FULL JOIN b USING (id))",
            "USING or NATURAL",
        ),
    ] {
        let error = refused(text).unwrap_or_default();
        let is_named = error.contains(clause) && error.contains(" is not supported; ");
        assert!(is_named, "{text}: {error}");
    }
}

#[test]
fn clauses_of_calls_without_effect_are_refused() {
    for (call, clause) in [
        ("lower(DISTINCT a)", "DISTINCT or ALL of lower"),
        ("lower(a) FILTER (WHERE b)", "FILTER of lower"),
        ("lower(a) OVER (PARTITION BY b)", "OVER of lower"),
        ("lower(a) IGNORE NULLS", "IGNORE or RESPECT NULLS of lower"),
        ("lower(a ORDER BY b)", "ORDER BY of lower"),
        (
            "lower(a) WITHIN GROUP (ORDER BY b)",
            "WITHIN GROUP of lower",
        ),
        ("unnest(DISTINCT a)", "DISTINCT or ALL of unnest"),
        ("sum(a)(b)", "two pairs of parentheses"),
        (
            "sum(a) RESPECT NULLS OVER ()",
            "IGNORE or RESPECT NULLS of sum",
        ),
        (
            "row_number() IGNORE NULLS OVER ()",
            "IGNORE or RESPECT NULLS of row_number",
        ),
        ("lag(DISTINCT a) OVER (ORDER BY b)", "DISTINCT of lag"),
        ("regr_count(DISTINCT a, b)", "DISTINCT of regr_count"),
        (
            "approx_percentile_cont(DISTINCT a, 0.5)",
            "DISTINCT of approx_percentile_cont",
        ),
        ("array_agg(a ORDER BY 1)", "a number in the ORDER BY"),
        (
            "percentile_cont(a, 0.5 ORDER BY b)",
            "ORDER BY another value of percentile_cont",
        ),
    ] {
        let text = format!("SELECT {call} FROM t");
        let error = refused(&text).unwrap_or_default();
        let is_named = error.contains(clause) && error.contains(" is not supported; ");
        assert!(is_named, "{text}: {error}");
    }
}

#[test]
fn what_is_read_is_taken() {
    for text in [
        "SELECT a, count(*) FROM t GROUP BY ROLLUP (a)",
        "SELECT sum(v) OVER w FROM t WINDOW w AS (PARTITION BY g)",
        "SELECT id, p, s FROM a LEFT JOIN b USING (id)",
        "SELECT * FROM a JOIN b USING (id)",
        "SELECT * FROM a FULL JOIN b ON a.id = b.id",
        "SELECT * EXCLUDE (a) FROM t ORDER BY a LIMIT 3",
        "SELECT * FROM generate_series(1, 5) AS s(n), UNNEST([1, 2]) AS u(x)",
        "SELECT /*+ BROADCAST(t) */ a INTO n FROM t",
        "SELECT any.a FROM t AS any",
        "WITH final AS (SELECT 1 AS a) SELECT a FROM final",
        "SELECT f.a FROM t \"final\", t f",
        "SELECT 1 AS one, 'a' \"b\", 2 two",
        "SELECT count(DISTINCT a), sum(a) FILTER (WHERE b), string_agg(a, ',' ORDER BY b) FROM t",
        "SELECT first_value(a) IGNORE NULLS OVER (ORDER BY b), lag(a) RESPECT NULLS OVER (ORDER BY b) FROM t",
        "SELECT array_agg(a) IGNORE NULLS, percentile_cont(a, 0.5 ORDER BY a) FROM t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a DESC) FROM t",
        "SELECT row_number() OVER (ORDER BY 1), trim(BOTH 'x' FROM a), trim(a, 'xy') FROM t",
    ] {
        assert_eq!(refused(text), None, "{text}");
    }
}
