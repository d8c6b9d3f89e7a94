//! What statements compute, on the way that a query takes: planned by the client, sent, planned again, and sent to a
//! task.

use std::sync::Arc;

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use emporia_core::catalog::Catalog;

use crate::empty::with_columns;
use crate::state::{logical_codec, physical_codec};
use crate::{EngineOptions, Session, Target};

fn session() -> Session {
    let options = EngineOptions {
        batch_size: 2,
        ..EngineOptions::default()
    };
    let stores = Arc::default();
    Session::open(Catalog::default(), Target::SingleProcess, &options, &stores).unwrap()
}

fn sent(plan: &LogicalPlan, session: &Session) -> Result<LogicalPlan> {
    let codec = logical_codec();
    let bytes = logical_plan_to_bytes_with_extension_codec(plan, codec.as_ref())?;
    let context = session.context().task_ctx();
    logical_plan_from_bytes_with_extension_codec(&bytes, &context, codec.as_ref())
}

fn to_task(plan: Arc<dyn ExecutionPlan>, session: &Session) -> Result<Arc<dyn ExecutionPlan>> {
    let codec = physical_codec();
    let bytes = physical_plan_to_bytes_with_extension_codec(plan, codec.as_ref())?;
    let context = session.context().task_ctx();
    physical_plan_from_bytes_with_extension_codec(&bytes, &context, codec.as_ref())
}

/// The rows as text, with `|` between values and `;` between rows.
async fn rows(sql: &str) -> Result<String> {
    let session = session();
    let frame = session
        .sql(sql)
        .await
        .map_err(|error| datafusion::error::DataFusionError::Plan(format!("{error:?}")))?;
    let (state, plan) = frame.into_parts();
    let plan = with_columns(state.optimize(&plan)?)?;
    let plan = sent(&plan, &session)?;
    let plan = state.create_physical_plan(&plan).await?;
    let plan = to_task(plan, &session)?;
    let batches = collect(plan, session.context().task_ctx()).await?;
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns = columns.map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).to_string());
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    Ok(rows.join(";"))
}

async fn check(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        match rows(sql).await {
            Ok(found) => assert_eq!(found, *expected, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }
}

/// Checks the query that `query` makes of each part.
async fn check_each(query: impl Fn(&str) -> String, cases: &[(&str, &str)]) {
    for (part, expected) in cases {
        check(&[(&query(part), expected)]).await;
    }
}

/// Checks that a query is refused with words that tell why.
async fn check_refused(sql: &str, why: &str) {
    match rows(sql).await {
        Ok(found) => panic!("{sql}: {found}"),
        Err(error) => assert!(error.to_string().contains(why), "{sql}: {error}"),
    }
}

const LISTS: &str = "(SELECT 1 AS id, 3 AS v, [1, 2, NULL] AS l UNION ALL SELECT 2, 2, [1, 2, NULL] \
    UNION ALL SELECT 3, 3, [1, 2] UNION ALL SELECT 4, NULL, [1] UNION ALL SELECT 5, 1, NULL \
    UNION ALL SELECT 6, NULL, array_remove([1], 1)) AS t";

#[tokio::test]
async fn lists_are_compared_by_three_values() {
    let each = [
        ("v = ANY(l)", "NULL;true;false;NULL;NULL;false"),
        ("v <> ALL(l)", "NULL;false;true;NULL;NULL;true"),
        ("v > ANY(l)", "true;true;true;NULL;NULL;false"),
        ("v < ANY(l)", "NULL;NULL;false;NULL;NULL;false"),
        ("v >= ALL(l)", "NULL;NULL;true;NULL;NULL;true"),
        ("v <= ALL(l)", "false;false;false;NULL;NULL;true"),
        ("v <> ANY(l)", "true;true;true;NULL;NULL;false"),
        ("v = ALL(l)", "false;false;false;NULL;NULL;true"),
    ];
    let query = |condition: &str| format!("SELECT {condition} FROM {LISTS} ORDER BY id");
    check_each(query, &each).await;
    check(&[
        ("SELECT 3 = ANY([1, 2, NULL]), 3 <> ALL([1, 2, NULL]), 1 <> ALL([1, NULL]), 3 < ANY([2, NULL])", "NULL|NULL|false|NULL"),
        ("SELECT s = ANY(string_to_array('a,b', ',')) FROM (VALUES ('a'), ('c'), (NULL)) AS t(s)", "true;false;NULL"),
        ("SELECT x = ANY([CAST('81234.57' AS DECIMAL(18, 2)), y]) FROM (VALUES (81234.57, 1)) AS t(x, y)", "true"),
        ("SELECT x > ALL(l) FROM (VALUES (-0.0, [0.0]), (1.0, [0.5])) AS t(x, l)", "false;true"),
        ("SELECT count(*) FROM (VALUES (1)) AS t(x) WHERE x = ANY(array_remove([1], 1))", "0"),
    ])
    .await;
    let number = "SELECT 1 = ANY(x) FROM (VALUES (1)) AS t(x)";
    check_refused(number, "takes a list or a subquery").await;
}

const ZEROS: &str = "(VALUES (1, -0.0, 2), (2, 0.0, 1), (3, 1.0, 3)) AS t(id, x, y)";

#[tokio::test]
async fn zeros_are_equal() {
    let each = [
        (
            "CASE x WHEN 0 THEN 'zero' ELSE 'other' END FROM zeros ORDER BY id",
            "zero;zero;other",
        ),
        (
            "CASE 0 WHEN x THEN 'zero' ELSE 'other' END FROM zeros ORDER BY id",
            "zero;zero;other",
        ),
        (
            "nullif(x, 0.0) IS NULL FROM zeros ORDER BY id",
            "true;true;false",
        ),
        (
            "rank() OVER (ORDER BY x), sum(y) OVER (ORDER BY x DESC) FROM zeros ORDER BY id",
            "1|6;1|6;3|3",
        ),
        (
            "sum(y) OVER (PARTITION BY x) FROM zeros ORDER BY id",
            "3;3;3",
        ),
        ("y FROM zeros ORDER BY x, y", "1;2;3"),
        ("y FROM zeros ORDER BY x DESC, y DESC", "3;2;1"),
        (
            "count(DISTINCT x), count(*), sum(DISTINCT x) FROM zeros",
            "2|3|1.0",
        ),
        ("array_agg(y ORDER BY x, y) FROM zeros", "[1, 2, 3]"),
        ("mode(abs(x) * -1.0 * 0) FROM zeros", "0.0"),
        ("count(*) FROM zeros GROUP BY x ORDER BY 1", "1;2"),
        (
            "x IN (0.0), x IN (0.0, 2, 3, 4, 5, 6, 7) FROM zeros WHERE id = 1",
            "true|true",
        ),
    ];
    let query = |part: &str| format!("SELECT {part}").replace("zeros", ZEROS);
    check_each(query, &each).await;
    check(&[
        ("SELECT count(*) FROM (VALUES (-0.0)) AS a(x) JOIN (VALUES (0.0)) AS b(y) ON x = y", "1"),
        ("SELECT DISTINCT x = 0 FROM (VALUES (-0.0), (0.0)) AS a(x)", "true"),
        ("SELECT rank() OVER (ORDER BY x) FROM (VALUES (arrow_cast(-0.0, 'Float32')), (NULL), (0.0)) AS a(x)", "1;1;3"),
    ])
    .await;
}

#[tokio::test]
async fn patterns_are_as_they_are_written() {
    check(&[
        ("SELECT s LIKE 'a!%b' ESCAPE '!', s ILIKE 'A!%B' ESCAPE '!', s NOT LIKE 'a!%b' ESCAPE '!' \
          FROM (VALUES ('a%b'), ('axb'), (NULL)) AS t(s)", "true|true|false;false|false|true;NULL|NULL|NULL"),
        ("SELECT s LIKE p ESCAPE '#' FROM (VALUES ('a_b', '%#_%'), ('axb', '%#_%'), ('a', NULL), (NULL, 'a')) AS t(s, p)",
            "true;false;NULL;NULL"),
        ("SELECT s LIKE 'a\\b%' ESCAPE '!' FROM (VALUES ('a\\bc'), ('abc')) AS t(s)", "true;false"),
        ("SELECT s LIKE 'a\\%b' ESCAPE '\\', s LIKE 'a\\%b' FROM (VALUES ('a%b')) AS t(s)", "true|true"),
        ("SELECT regexp_replace(s, 'EUR', '$5'), regexp_replace(s, '(E)(U)R', '\\2\\1$9'), regexp_replace(s, 'u', '$1', 'gi') \
          FROM (VALUES ('10 EUR'), (NULL)) AS t(s)", "10 $5|10 UE$9|10 E$1R;NULL|NULL|NULL"),
        ("SELECT regexp_replace('abc', p, r) FROM (VALUES ('(b)', '<$1>'), ('b', '<$1>'), (NULL, 'x'), ('b', NULL)) AS t(p, r)",
            "a<b>c;a<$1>c;NULL;NULL"),
        ("SELECT regexp_replace(s, 'b', r, f) FROM (VALUES ('bb', '$1', 'g'), ('bb', '$1', 'i')) AS t(s, r, f)", "$1$1;$1b"),
    ])
    .await;
    let cut = "SELECT s LIKE 'a!' ESCAPE '!' FROM (VALUES ('a')) AS t(s)";
    check_refused(cut, "ends with the escape character").await;
}

#[tokio::test]
async fn decimals_have_room() {
    check(&[
        ("SELECT ceil(x), floor(-x), ceil(y), floor(y) FROM (VALUES (CAST('9.9' AS DECIMAL(2, 1)), CAST(7 AS DECIMAL(3, 0))), (NULL, NULL)) AS t(x, y)",
            "10.0|-10.0|7|7;NULL|NULL|NULL|NULL"),
        ("SELECT ceil(CAST('9.9' AS DECIMAL(2, 1))), ceil(1.5), floor(NULL)", "10.0|2.0|NULL"),
        ("SELECT count(*) FROM (VALUES (CAST('9.9' AS DECIMAL(2, 1))), (CAST('9.0' AS DECIMAL(2, 1)))) AS t(x) WHERE floor(x) = 9 AND ceil(x) > 9.5", "1"),
        ("SELECT x = -9999999999999999.99, x < 12345678901234567890123456789 FROM (VALUES (CAST('-9999999999999999.99' AS DECIMAL(18, 2)))) AS t(x)", "true|true"),
        ("SELECT CAST(12345678901234567890123456789 AS DECIMAL(38, 0)), -9223372036854775809", "12345678901234567890123456789|-9223372036854775809"),
        ("SELECT x * 3.14159265358979323846 > 6.2831, x = 2.00000000000000000000000001 FROM (VALUES (2.0)) AS t(x)", "true|true"),
        ("SELECT a.p FROM (VALUES (CAST('67.07' AS DECIMAL(18, 2)))) AS a(p) JOIN (VALUES (67.07), (1.0)) AS b(f) ON a.p = b.f", "67.07"),
        ("SELECT g, avg(x), avg(DISTINCT x) FROM (VALUES (1, CAST(2 AS DECIMAL(10, 0))), (1, 0), (1, 0), (2, NULL)) AS t(g, x) GROUP BY g ORDER BY g",
            "1|0.6667|1.0000;2|NULL|NULL"),
        ("SELECT avg(x), sum(x) / 3, avg(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM (SELECT CAST(1 AS DECIMAL(10, 0)) AS x WHERE false) GROUP BY x", ""),
        ("SELECT avg(x), avg(DISTINCT x) FROM (SELECT CAST(1 AS DECIMAL(10, 0)) AS x WHERE false)", "NULL|NULL"),
    ])
    .await;
    let long = "SELECT 1234567890123456789012345678901234567890";
    check_refused(long, "40 digits").await;
}

#[tokio::test]
async fn other_names_mean_the_same() {
    check(&[
        ("SELECT mod(-7, 3), sign(-2.5), year(d), quarter(d), month(d), day(d), dayofyear(d), weekofyear(d) FROM (VALUES (date '2024-02-29')) AS t(d)",
            "-1|-1.0|2024|1|2|29|60|9"),
        ("SELECT hour(t), minute(t), second(t) FROM (VALUES (timestamp '2024-02-29 05:06:07.5'), (NULL)) AS t(t)", "5|6|7;NULL|NULL|NULL"),
        ("SELECT last_day(d) FROM (VALUES (date '2024-02-03'), (date '2999-12-31'), (NULL)) AS t(d)", "2024-02-29;2999-12-31;NULL"),
        ("SELECT datediff(date '2024-03-01', d), date_diff('day', d, timestamp '2024-03-01 23:00:00') FROM (VALUES (date '2024-02-28'), (NULL)) AS t(d)", "2|2;NULL|NULL"),
        ("SELECT g, max_by(x, y), min_by(x, y) FILTER (WHERE y > 1), mode(x) \
          FROM (VALUES ('a', 'p', 1), ('a', 'q', 3), ('a', 'r', NULL), ('a', 'q', 2), ('b', 't', NULL), ('c', NULL, 1)) AS t(g, x, y) GROUP BY g ORDER BY g",
            "a|q|q|q;b|NULL|NULL|t;c|NULL|NULL|NULL"),
        ("SELECT mode(x), mode(l) FROM (VALUES (3, [1]), (1, [2]), (3, [2]), (1, NULL)) AS t(x, l)", "1|[2]"),
        ("SELECT mode(x) FROM (SELECT 1 AS x WHERE false)", "NULL"),
        ("SELECT mode(x) OVER (ORDER BY i ROWS 2 PRECEDING) FROM (VALUES (1, 5), (2, 5), (3, 4), (4, 4), (5, NULL)) AS t(i, x) ORDER BY i", "5;5;5;4;4"),
        ("SELECT date '2024-01-31' + n * interval '1 month' FROM (VALUES (1), (NULL), (-2)) AS t(n)", "2024-02-29;NULL;2023-11-30"),
        ("SELECT timestamp '2024-01-01 00:00:00' + interval '1 day' * 1.5, interval '1 month' * 0.5 = interval '15 days'", "2024-01-02T12:00:00|true"),
    ])
    .await;
    let long = "SELECT interval '1 month' * n FROM (VALUES (9223372036854775807)) AS t(n)";
    check_refused(long, "does not fit").await;
}

#[tokio::test]
async fn frames_that_move_cross_the_wire() {
    let values =
        "(VALUES (1, 1e20, 'a'), (2, 1.0, 'b'), (3, 2.0, NULL), (4, 3.0, 'c')) AS t(i, x, s)";
    let over = "OVER (ORDER BY i ROWS 1 PRECEDING)";
    let each = [
        ("sum(x)", "1e20;1e20;3.0;5.0"),
        ("avg(x)", "1e20;5e19;1.5;2.5"),
        ("stddev_pop(x)", "0.0;5e19;0.5;0.5"),
        ("bool_or(x > 1)", "true;true;true;true"),
        ("string_agg(s, '+')", "a;a+b;b;c"),
        ("array_agg(s)", "[a];[a, b];[b, NULL];[NULL, c]"),
        ("count(DISTINCT s)", "1;2;1;1"),
    ];
    let query = |call: &str| format!("SELECT {call} {over} FROM {values} ORDER BY i");
    check_each(query, &each).await;
}

#[tokio::test]
async fn times_are_what_they_say() {
    let far = "(SELECT arrow_cast('9999-12-31 10:30:00', 'Timestamp(µs)') AS t)";
    let old = "(VALUES (timestamp '1969-12-31 23:59:59.9999'), (NULL)) AS v(t)";
    let epoch = "(VALUES (CAST(1700000000 AS INT), '2024-02-03 10')) AS v(i, s)";
    let each = [
        (
            format!("date_bin(interval '1 day', t), date_bin(interval '1 month', t) FROM {far}"),
            "9999-12-31T00:00:00|9999-12-01T00:00:00",
        ),
        (
            format!("date_trunc('week', t), date_trunc('hour', t) FROM {far}"),
            "9999-12-27T00:00:00|9999-12-31T10:00:00",
        ),
        (
            "date_bin(interval '1 day', timestamp '1700-01-01 10:00:00', timestamp '2000-01-01')".to_owned(),
            "1700-01-01T00:00:00",
        ),
        (
            format!("date_trunc('millisecond', t), CAST(t AS TIMESTAMP(0)), to_unixtime(t) FROM {old}"),
            "1969-12-31T23:59:59.999|1969-12-31T23:59:59|-1;NULL|NULL|NULL",
        ),
        (
            "date_trunc('millisecond', timestamp '1969-12-31 23:59:59.9999'), to_timestamp_seconds('1969-12-31 23:59:58.5')".to_owned(),
            "1969-12-31T23:59:59.999|1969-12-31T23:59:58Z",
        ),
        (
            format!("CAST(i AS TIMESTAMP), TRY_CAST(i AS TIMESTAMP), CAST(i + 0.5 AS TIMESTAMP), arrow_cast(i, 'Timestamp(ms)') FROM {epoch}"),
            "2023-11-14T22:13:20|2023-11-14T22:13:20|2023-11-14T22:13:20.500|1970-01-20T16:13:20",
        ),
        (
            format!("to_timestamp(s, '%Y-%m-%d %H'), to_timestamp('2024-02-03 11 PM', '%Y-%m-%d %I %p'), to_unixtime(s, '%F %H:%M', '%F %H') FROM {epoch}"),
            "2024-02-03T10:00:00Z|2024-02-03T23:00:00Z|1706954400",
        ),
    ];
    for (query, expected) in &each {
        check(&[(&format!("SELECT {query}"), expected)]).await;
    }
    for (query, why) in [
        (
            "SELECT date_bin(interval '-1 hour', timestamp '1969-01-01')",
            "longer than nothing",
        ),
        ("SELECT TRY_CAST(1.5 AS TIMESTAMP)", "to_timestamp(x)"),
        ("SELECT to_timestamp(1e10)", "to_timestamp_seconds"),
        (
            "SELECT to_timestamp('2024-02-03 10:11', '%F %I:%M')",
            "part of a time of day",
        ),
        (
            "SELECT to_timestamp('2024-02-03 1x', '%F %H')",
            "'2024-02-03 1x'",
        ),
    ] {
        check_refused(query, why).await;
    }
}

#[tokio::test]
async fn it_does_not_matter_what_is_constant() {
    check(&[
        ("SELECT array_has([1, NULL, 3], x), array_has(l, x), array_has([1, 3], x) \
          FROM (VALUES (1, [1, NULL, 3]), (2, [1, NULL, 3]), (NULL, [1, NULL, 3])) AS t(x, l)",
            "true|true|true;false|false|false;NULL|NULL|NULL"),
        ("SELECT array_has_all([1, 2], CAST(NULL AS BIGINT[])), array_has_any([1, 2], CAST(NULL AS BIGINT[]))", "NULL|NULL"),
        ("SELECT '<' || lpad('abc', n) || '>', '<' || rpad('abc', n, s) || '>', lpad(s, -1, s) FROM (VALUES (4, 'x'), (-1, 'x')) AS t(n, s)",
            "< abc>|<abcx>|;<>|<>|"),
    ])
    .await;
}
