//! Faults of DataFusion that statements work around; each test fails once there is none, and
//! `docs/upstream.md` says what can go then.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int32Type;
use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{logical_plan_from_bytes, logical_plan_to_bytes};

use crate::plain::{TABLE, said, shown};

async fn number(context: &SessionContext, sql: &str) -> Result<i32> {
    let rows = context.sql(sql).await?.collect().await?;
    Ok(rows[0].column(0).as_primitive::<Int32Type>().value(0))
}

#[tokio::test]
async fn datafusion_still_cuts_the_values_of_an_insert() -> Result<()> {
    let context = SessionContext::new();
    context.sql("CREATE TABLE t (a INT)").await?;
    let insert = "INSERT INTO t SELECT x * 2 FROM (VALUES (1.5)) AS v(x)";
    context.sql(insert).await?.collect().await?;
    // 3 is right.
    assert_eq!(number(&context, "SELECT a FROM t").await?, 2);
    let made = "CREATE TABLE u (a INT) AS SELECT x * 2 FROM (VALUES (1.5)) AS v(x)";
    context.sql(made).await?;
    assert_eq!(number(&context, "SELECT a FROM u").await?, 2);
    Ok(())
}

#[tokio::test]
async fn datafusion_still_has_no_lateral_unnest() -> Result<()> {
    let context = SessionContext::new();
    context
        .sql("CREATE TABLE t AS SELECT 1 AS id, [1, 2] AS list")
        .await?;
    let query = "SELECT t.id, u.x FROM t, UNNEST(t.list) AS u(x)";
    let rows = context.sql(query).await?.collect().await;
    assert!(rows.is_err(), "{rows:?}");
    Ok(())
}

#[tokio::test]
async fn datafusion_still_sends_names_with_points_without_quotes() -> Result<()> {
    let context = SessionContext::new();
    let query = "SELECT \"a.b\".n FROM (SELECT 1 AS n) AS \"a.b\" ORDER BY \"a.b\".n";
    let plan = context.sql(query).await?.into_unoptimized_plan();
    let bytes = logical_plan_to_bytes(&plan)?;
    let sent = logical_plan_from_bytes(&bytes, &context.task_ctx());
    assert!(sent.is_err_and(|error| error.to_string().contains("n")));
    Ok(())
}

#[tokio::test]
async fn datafusion_passes_over_clauses() {
    for (query, found) in [
        (
            "SELECT k, count(*) FROM t WHERE k = 20 GROUP BY k WITH ROLLUP",
            "20 1",
        ),
        ("SELECT count(*) FROM t TABLESAMPLE BERNOULLI (0)", "4"),
        ("SELECT count(*) FROM t PREWHERE id = 1", "4"),
        (
            "SELECT count(*) FROM t START WITH id = 1 CONNECT BY PRIOR id = k",
            "4",
        ),
        ("SELECT count(*) FROM t FOR UPDATE", "4"),
        ("SELECT count(*) FROM t WITH (nolock)", "4"),
        ("SELECT 'abc' SIMILAR TO 'b'", "true"),
    ] {
        let shown = shown(&format!("{TABLE}{query}")).await;
        assert_eq!(
            shown.as_deref(),
            Ok(found),
            "right are other rows, or an error: {query}"
        );
    }
}

#[tokio::test]
async fn datafusion_passes_over_clauses_of_calls() {
    for (call, found) in [
        ("upper(DISTINCT 'a')", "A"),
        ("upper('a' ORDER BY 1)", "A"),
        ("upper('a') FILTER (WHERE false)", "A"),
        ("upper('a') OVER ()", "A"),
        ("upper('a') WITHIN GROUP (ORDER BY 1)", "A"),
        ("regr_count(DISTINCT 1, k)", "3"),
    ] {
        let query = format!("{TABLE}SELECT {call} FROM t LIMIT 1");
        let shown = shown(&query).await;
        assert_eq!(
            shown.as_deref(),
            Ok(found),
            "right is another value, or an error: {call}"
        );
    }
}

#[tokio::test]
async fn datafusion_pairs_all_rows_of_a_join_without_on() {
    let query = format!("{TABLE}SELECT count(*) FROM t AS a JOIN t AS b");
    assert_eq!(
        shown(&query).await.as_deref(),
        Ok("16"),
        "right is an error"
    );
}

#[tokio::test]
async fn datafusion_knows_named_windows_in_the_list_only() {
    let query = format!("{TABLE}SELECT 1 FROM t WINDOW w AS (ORDER BY id) ORDER BY sum(id) OVER w");
    assert_eq!(shown(&query).await.as_deref(), Ok("1"), "right are 4 rows");
}

#[tokio::test]
async fn datafusion_drops_what_is_behind_a_recursive_union() {
    let query =
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT 2 ORDER BY 1 LIMIT 1) SELECT n FROM a";
    assert_eq!(shown(query).await.as_deref(), Ok("1, 2"), "right is 1");
}

#[tokio::test]
async fn datafusion_casts_the_rounds_of_a_recursive_query() {
    let query = "WITH RECURSIVE a AS (SELECT 100 AS v, 1 AS n UNION ALL \
                 SELECT v * 1.055, n + 1 FROM a WHERE n < 2) SELECT v FROM a";
    assert_eq!(
        shown(query).await.as_deref(),
        Ok("100, 105"),
        "right is 105.5"
    );
}

#[tokio::test]
async fn datafusion_refuses_the_limit_of_distinct_rows_in_order() {
    let query = format!("{TABLE}SELECT DISTINCT k, count(*) OVER (PARTITION BY k) FROM t LIMIT 30");
    let said = said(&query).await;
    assert!(said.contains("Ordering direction required"), "{said}");
}

#[tokio::test]
async fn datafusion_lists_files_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display();
    let query = format!(
        "COPY (SELECT 1 AS n) TO '{folder}/a.parquet'; \
         CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{folder}/'; SELECT count(*) FROM t; \
         COPY (SELECT 2 AS n) TO '{folder}/b.parquet'; SELECT count(*) FROM t"
    );
    assert_eq!(shown(&query).await.as_deref(), Ok("1"), "right is 2");
}

#[tokio::test]
async fn datafusion_reads_a_folder_without_a_value_as_a_text() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display();
    let query = format!(
        "COPY (SELECT 1 AS n) TO '{folder}/year=__HIVE_DEFAULT_PARTITION__/a.parquet'; \
         CREATE EXTERNAL TABLE t (n BIGINT, year VARCHAR) STORED AS PARQUET PARTITIONED BY (year) \
         LOCATION '{folder}/'; SELECT year FROM t"
    );
    let found = shown(&query).await;
    assert_eq!(
        found.as_deref(),
        Ok("__HIVE_DEFAULT_PARTITION__"),
        "right is NULL"
    );
}
