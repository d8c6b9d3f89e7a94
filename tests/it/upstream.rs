//! Faults of DataFusion that `docs/upstream.md` lists, without what Emporia does about them. A test that fails
//! here says that the fault is gone, and that the work-around can go, too.

use std::sync::Arc;

use ballista_core::extension::SessionConfigExt;
use ballista_scheduler::physical_optimizer::join_selection::JoinSelection;
use ballista_scheduler::planner::{DefaultDistributedPlanner, DistributedPlanner};
use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::bytes::{
    logical_plan_from_bytes, logical_plan_to_bytes, physical_plan_from_bytes,
    physical_plan_to_bytes,
};

/// A session of DataFusion over the table `t (a, b)` in two partitions.
fn context() -> Result<SessionContext> {
    let config = SessionConfig::new()
        .with_target_partitions(2)
        .set_bool("datafusion.optimizer.prefer_hash_join", false);
    let context = SessionContext::new_with_config(config);
    let column = |name| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![column("a"), column("b")]));
    let rows = |a: Vec<Option<i64>>, b: Vec<Option<i64>>| {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(a)), Arc::new(Int64Array::from(b))];
        RecordBatch::try_new(Arc::clone(&schema), columns)
    };
    let first = rows(
        vec![Some(1), Some(2), Some(3)],
        vec![Some(10), None, Some(30)],
    )?;
    let second = rows(vec![Some(4), None], vec![None, Some(10)])?;
    let table = MemTable::try_new(first.schema(), vec![vec![first], vec![second]])?;
    context.register_table("t", Arc::new(table))?;
    Ok(context)
}

async fn plan(sql: &str) -> Result<Arc<dyn ExecutionPlan>> {
    context()?.sql(sql).await?.create_physical_plan().await
}

#[tokio::test]
async fn a_rank_is_taken_for_unique() -> Result<()> {
    let plan = plan(
        "WITH x AS (SELECT a, sum(b) AS v FROM t GROUP BY a) \
         SELECT rk, a FROM (SELECT a, rank() OVER (ORDER BY v) AS rk FROM x) ORDER BY rk, a",
    )
    .await?;
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    assert!(!shown.contains("rk@0 ASC NULLS LAST, a@1 ASC"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn sums_wrap_around() -> Result<()> {
    let sql = "SELECT sum(a + 9223372036854775807) FROM t";
    let rows = context()?.sql(sql).await?.collect().await?;
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    Ok(())
}

#[tokio::test]
async fn a_case_in_two_aggregates_is_refused() {
    let sql = "SELECT sum(CASE WHEN a > b THEN a ELSE 0 END), max(CASE WHEN a > b THEN a ELSE 0 END) FROM t";
    let error = plan(sql).await.unwrap_err().to_string();
    assert!(
        error.contains("Physical input schema should be the same"),
        "{error}"
    );
}

#[tokio::test]
async fn texts_in_two_orders_are_refused() {
    let sql = "SELECT string_agg(a, '+' ORDER BY a), string_agg(a, '+' ORDER BY b) FROM t";
    let error = plan(sql).await.unwrap_err().to_string();
    assert!(
        error.contains("Conflicting ordering requirements"),
        "{error}"
    );
}

#[tokio::test]
async fn a_deep_plan_cannot_be_read() -> Result<()> {
    let mut plan = LogicalPlanBuilder::empty(true).build()?;
    for at in 0..60 {
        plan = LogicalPlanBuilder::from(plan)
            .alias(format!("t{at}"))?
            .build()?;
    }
    let bytes = logical_plan_to_bytes(&plan)?;
    let error = logical_plan_from_bytes(&bytes, &context()?.task_ctx()).unwrap_err();
    assert!(error.to_string().contains("ecursion"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_wire_loses_options_of_windows() -> Result<()> {
    for window in [
        "lag(b) IGNORE NULLS OVER (ORDER BY a)",
        "sum(b) FILTER (WHERE a > 2) OVER (ORDER BY a)",
    ] {
        let plan = plan(&format!("SELECT {window} FROM t ORDER BY a")).await?;
        let context = context()?.task_ctx();
        let sent = physical_plan_to_bytes(Arc::clone(&plan))?;
        let sent = physical_plan_from_bytes(&sent, &context)?;
        let right = collect(plan, Arc::clone(&context)).await?;
        assert_ne!(right, collect(sent, context).await?, "{window}");
    }
    Ok(())
}

#[tokio::test]
async fn a_left_nested_loop_join_keeps_its_partitions() -> Result<()> {
    fn join(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
        match plan.is::<NestedLoopJoinExec>() {
            true => Some(Arc::clone(plan)),
            false => plan.children().into_iter().find_map(join),
        }
    }
    let plan = plan("SELECT * FROM t x FULL JOIN t y ON x.a < y.b").await?;
    let join = join(&plan).unwrap();
    assert_eq!(join.output_partitioning().partition_count(), 2);
    Ok(())
}

/// The stages that Ballista makes of a query.
async fn stages(sql: &str) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
    let config = SessionConfig::new_with_ballista().with_ballista_broadcast_join_threshold_bytes(1);
    let mut planner = DefaultDistributedPlanner::new();
    let stages =
        planner.plan_query_stages(&"job".to_owned().into(), plan(sql).await?, config.options());
    let stages = stages.map_err(|error| DataFusionError::External(Box::new(error)))?;
    Ok(stages.into_iter().map(|stage| stage as _).collect())
}

#[tokio::test]
async fn not_in_of_a_large_side_is_refused() {
    let error = stages("SELECT a FROM t WHERE a NOT IN (SELECT b FROM t)").await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
}

#[tokio::test]
async fn an_exchange_loses_the_order_that_a_window_needs() -> Result<()> {
    let sql = "SELECT sum(b) OVER (PARTITION BY a ORDER BY b) FROM (SELECT a, b FROM t ORDER BY a, b LIMIT 9)";
    let config = SessionConfig::new();
    let is_sane = |plan| {
        SanityCheckPlan::new()
            .optimize(plan, config.options())
            .is_ok()
    };
    assert!(is_sane(plan(sql).await?));
    let stages = stages(sql).await?;
    assert!(
        !stages.into_iter().all(is_sane),
        "right is that all are sane"
    );
    Ok(())
}

#[tokio::test]
async fn a_join_of_a_union_changes_sides() -> Result<()> {
    let all = plan("SELECT a FROM t").await?;
    let few = plan("SELECT a FROM t LIMIT 1").await?;
    let all = Arc::new(CoalescePartitionsExec::new(all));
    let join: Arc<dyn ExecutionPlan> = Arc::new(CrossJoinExec::new(all, few));
    let union = UnionExec::try_new(vec![Arc::clone(&join), join])?;
    let config = SessionConfig::new();
    let changed = JoinSelection::new().optimize(Arc::clone(&union), config.options())?;
    let shown = displayable(changed.as_ref()).indent(false).to_string();
    let before = displayable(union.as_ref()).indent(false).to_string();
    assert_ne!(shown, before, "right is that a union keeps its joins");
    Ok(())
}

#[test]
fn each_task_of_a_union_sorts_a_branch_of_one_partition() -> Result<()> {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let key = PhysicalSortExpr::new_default(col("a", &schema)?);
    let order = LexOrdering::new([key]).expect("a key");
    let branch: Arc<dyn ExecutionPlan> =
        Arc::new(SortExec::new(order, Arc::new(EmptyExec::new(schema))));
    let union = UnionExec::try_new(vec![Arc::clone(&branch), branch])?;
    let task = restrict_plan_to_partitions(union, &[1])?;
    let found = task.output_partitioning().partition_count();
    assert_eq!(found, 2, "right is 1");
    Ok(())
}

#[test]
fn a_table_in_memory_loses_its_limit() -> Result<()> {
    let schema = Arc::new(Schema::empty());
    let table = MemorySourceConfig::try_new_exec(&[vec![], vec![]], schema, None)?;
    let limited = table.with_fetch(Some(1)).unwrap();
    let task = restrict_plan_to_partitions(limited, &[0])?;
    assert_eq!(task.fetch(), None, "right is 1");
    Ok(())
}
