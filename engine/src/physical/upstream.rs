//! The faults of DataFusion's physical plans that ours answer, in DataFusion as it is: once a test here fails, its
//! answer may go.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::expressions::{Column, binary};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{physical_plan_from_bytes, physical_plan_to_bytes};

use crate::plain::{TABLE, batches, said, session, shown, text};

/// A step without rows.
fn empty() -> Arc<dyn ExecutionPlan> {
    let schema = Schema::new(vec![Field::new("x", DataType::Int64, true)]);
    Arc::new(EmptyExec::new(Arc::new(schema)))
}

/// The plan as it comes from the wire.
fn sent(plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let bytes = physical_plan_to_bytes(Arc::clone(plan))?;
    physical_plan_from_bytes(&bytes, &SessionContext::new().task_ctx())
}

#[tokio::test]
async fn a_sort_moves_below_an_offset() {
    let query =
        "SELECT id, row_number() OVER (ORDER BY id) FROM (SELECT id FROM t LIMIT 2 OFFSET 1)";
    let rows = shown(&format!("{TABLE}{query}")).await;
    assert_eq!(rows.as_deref(), Ok("2 1"), "right is 2 1, 3 2");
}

#[test]
fn the_wire_cuts_limits_to_32_bits() -> Result<()> {
    let large = (1 << 32) + 1;
    let filter = FilterExec::try_new(lit(true), empty())?;
    let table = MemorySourceConfig::try_new_exec(&[vec![]], empty().schema(), None)?;
    let plans: Vec<Arc<dyn ExecutionPlan>> = vec![
        Arc::new(LocalLimitExec::new(empty(), large)),
        Arc::new(CoalescePartitionsExec::new(empty()).with_fetch(Some(large))),
        filter.with_fetch(Some(large)).unwrap(),
        table.with_fetch(Some(large)).unwrap(),
    ];
    for plan in plans {
        assert_eq!(plan.fetch(), Some(large));
        assert_eq!(
            sent(&plan)?.fetch(),
            Some(1),
            "right is {large}: {}",
            plan.name()
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_recursive_query_has_no_form_on_the_wire() -> Result<()> {
    let query = "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT n FROM a";
    let plan = SessionContext::new().sql(query).await?;
    let plan = plan.create_physical_plan().await?;
    assert!(physical_plan_to_bytes(plan).is_err());
    Ok(())
}

#[tokio::test]
async fn groups_by_no_column_are_lost_on_the_wire() -> Result<()> {
    let context = SessionContext::new();
    let query = "SELECT count(*) FROM (VALUES (1), (2)) AS v(x) GROUP BY GROUPING SETS (())";
    let plan = context.sql(query).await?.create_physical_plan().await?;
    let of_sent = collect(sent(&plan)?, context.task_ctx()).await?;
    assert_eq!(text(&collect(plan, context.task_ctx()).await?), "2");
    assert_eq!(text(&of_sent), "", "right is 2");
    Ok(())
}

#[test]
fn steps_become_an_expression_that_cannot_be_read() -> Result<()> {
    let mut plan = empty();
    for _ in 0..30 {
        let schema = plan.schema();
        let x: Arc<dyn PhysicalExpr> = Arc::new(Column::new("x", 0));
        let doubled = binary(x, Operator::Multiply, lit(2_i64), &schema)?;
        let expr = binary(doubled, Operator::Plus, lit(1_i64), &schema)?;
        let alias = "x".to_owned();
        plan = Arc::new(ProjectionExec::try_new(
            [ProjectionExpr { expr, alias }],
            plan,
        )?);
    }
    sent(&plan)?;
    let moved = ProjectionPushdown::new().optimize(plan, &ConfigOptions::default())?;
    let error = sent(&moved).unwrap_err().to_string();
    assert!(error.contains("ecursion"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_expression_meets_rows_that_a_filter_leaves_out() {
    let query = "CREATE TABLE r AS SELECT * FROM (VALUES (1, 10, 2), (2, 7, 0)) AS v(id, a, b); \
                 SELECT b, a / b / id AS x FROM r WHERE b <> 0";
    let said = said(query).await;
    assert!(said.contains("Divide by zero"), "right is `2 5`: {said}");
}

#[tokio::test]
async fn a_filter_looks_at_another_column_of_the_same_name() {
    let query = "CREATE TABLE kept AS SELECT * FROM (VALUES (19, 10), (20, 3)) AS v(id, n); \
                 CREATE TABLE found AS SELECT * FROM (VALUES (295, 0), (296, 3), (297, 3)) AS v(id, n); \
                 SELECT count(*) FROM (SELECT f.n FROM found AS f RIGHT JOIN kept AS k ON f.n = k.n \
                 WHERE f.n NOT BETWEEN NULL AND 2)";
    assert_eq!(shown(query).await.as_deref(), Ok("3"), "right are 2");
}

#[tokio::test]
async fn a_frame_before_its_row_depends_on_batches() {
    let query = "CREATE TABLE u AS SELECT CASE WHEN v > 8 THEN v END AS k FROM generate_series(1, 10) AS g(v); \
                 SELECT min(n) FROM (SELECT k, count(*) OVER (ORDER BY k NULLS FIRST \
                 RANGE BETWEEN 5 PRECEDING AND 1 PRECEDING) AS n FROM u) WHERE k IS NULL";
    let mut found = Vec::new();
    for n_rows in ["2", "100"] {
        let context = session(&[
            ("datafusion.execution.target_partitions", "1"),
            ("datafusion.execution.batch_size", n_rows),
        ]);
        found.push(text(&batches(&context, query).await.unwrap()));
    }
    assert_eq!(found, ["2", "8"], "right is 8");
}

#[tokio::test]
async fn the_count_of_a_sliding_frame_is_taken_for_one_that_rises() {
    let query = format!(
        "{TABLE}SELECT n FROM (SELECT count(k) OVER (ORDER BY k ROWS 1 PRECEDING) AS n FROM t) ORDER BY n"
    );
    assert_eq!(
        shown(&query).await.as_deref(),
        Ok("1, 2, 2, 1"),
        "right is `1, 1, 2, 2`"
    );
}

#[tokio::test]
async fn the_first_groups_ask_for_memory_for_the_whole_limit() {
    let query = format!(
        "{TABLE}SELECT DISTINCT k FROM t ORDER BY k LIMIT {}",
        i64::MAX
    );
    let run = tokio::spawn(async move { shown(&query).await });
    let panic = run.await.unwrap_err().into_panic();
    let text = panic.downcast_ref::<&str>().copied();
    assert_eq!(text, Some("Hash table capacity overflow"));
}

#[tokio::test]
async fn a_constant_of_some_sets_counts_as_one() {
    let sql = format!(
        "{TABLE}SELECT coalesce(8, 10) AS x FROM t GROUP BY CUBE (coalesce(8, 10), k) ORDER BY x"
    );
    let rows = shown(&sql).await.expect("rows");
    assert_ne!(rows, "8, 8, 8, 8, NULL, NULL, NULL, NULL");
}

#[tokio::test]
async fn a_projection_moves_below_a_filter_that_leaves_out_columns() {
    let query = "CREATE TABLE a AS SELECT * FROM (VALUES (1, 2, 'b')) AS v(id, k, s); \
                 CREATE TABLE b AS SELECT * FROM (VALUES (1, 2, 'a')) AS v(id, n, s); \
                 SELECT coalesce(b.n, a.k), a.id FROM a LEFT JOIN b ON a.s <> b.s WHERE b.id = b.id";
    let said = said(query).await;
    assert!(
        said.contains("does not match with the projection expression"),
        "right is 2, 1: {said}"
    );
}

/// The first row of a query over `TABLE`, with the orders of subqueries.
async fn first_row(query: &str) -> String {
    let settings = [
        ("datafusion.execution.target_partitions", "1"),
        (
            "datafusion.sql_parser.enable_subquery_sort_elimination",
            "false",
        ),
    ];
    let rows = batches(&session(&settings), &format!("{TABLE}{query}")).await;
    text(&rows.unwrap())
}

#[tokio::test]
async fn a_limit_goes_with_its_sort() {
    let query = "SELECT r FROM (SELECT row_number() OVER (ORDER BY id) AS r FROM t ORDER BY r DESC) \
                 ORDER BY r LIMIT 1";
    assert_eq!(first_row(query).await, "1, 2, 3, 4", "right is 1");
}

#[tokio::test]
async fn distinct_values_come_in_another_order() {
    let query = "SELECT array_agg(id ORDER BY k DESC, id), array_agg(DISTINCT k ORDER BY k) FROM t WHERE k > 0";
    assert!(
        first_row(query).await.contains("[20, 10]"),
        "right is 10, 20"
    );
}
