//! Faults of DataFusion that statements work around; each test fails once there is none, and
//! `docs/upstream.md` says what can go then.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int32Type;
use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{logical_plan_from_bytes, logical_plan_to_bytes};

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
