//! Random values that are computed once for each row.
//!
//! DataFusion computes the value of BETWEEN and of `coalesce` twice: `random() BETWEEN 0.3 AND 0.6` compares
//! two random numbers. Such a value becomes a column of the step below.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, not_impl_err};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, LogicalPlan, Operator, Projection};
use datafusion::optimizer::AnalyzerRule;

use super::subqueries::fresh;
use super::with_outputs;

/// Functions that are simplified to a CASE with their arguments in two places.
const REPEATING: [&str; 4] = ["coalesce", "ifnull", "nvl", "nvl2"];

/// Moves random values below what would compute them twice.
#[derive(Debug)]
pub(super) struct ComputeOnce;

impl AnalyzerRule for ComputeOnce {
    fn name(&self) -> &'static str {
        "compute_once"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        match is_random(&plan)? {
            true => plan.transform_up_with_subqueries(once).data(),
            false => Ok(plan),
        }
    }
}

fn is_random(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

fn once(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if matches!(plan, LogicalPlan::TableScan(_)) {
        return Ok(Transformed::no(plan));
    }
    let mut moved = Vec::new();
    let changed = with_outputs(
        plan,
        |_| Ok(true),
        |expr| expr.transform_down(|expr| split(expr, &mut moved)),
    )?;
    if moved.is_empty() {
        return Ok(changed);
    }
    let plan = changed.data;
    let [input] = plan.inputs()[..] else {
        return not_impl_err!(
            "a random value in BETWEEN, coalesce or FILTER of the condition of a join; compute it in a subquery"
        );
    };
    let columns = |plan: &LogicalPlan| -> Vec<Expr> {
        let columns = plan.schema().columns().into_iter();
        columns.map(Expr::Column).collect()
    };
    let outputs = columns(&plan);
    let mut exprs = columns(input);
    exprs.extend(moved);
    let input = Projection::try_new(exprs, Arc::new(input.clone()))?;
    let plan = plan.with_new_exprs(plan.expressions(), vec![LogicalPlan::Projection(input)])?;
    let plan = match columns(&plan) == outputs {
        true => plan,
        false => LogicalPlan::Projection(Projection::try_new(outputs, Arc::new(plan))?),
    };
    Ok(Transformed::yes(plan))
}

/// The expression with its random values as columns, which are added to `moved`.
fn split(expr: Expr, moved: &mut Vec<Expr>) -> Result<Transformed<Expr>> {
    let mut as_column = |value: Expr| match value.is_volatile() {
        true => {
            let name = fresh("value");
            moved.push(value.alias(&name));
            Expr::Column(Column::from_name(name))
        }
        false => value,
    };
    Ok(match expr {
        // The value is compared twice, also where it is a column that an outer step computes in its place.
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let value = as_column(*expr);
            let compared = |op, bound| {
                let value = Box::new(value.clone());
                Expr::BinaryExpr(BinaryExpr::new(value, op, bound))
            };
            let both = compared(Operator::GtEq, low).and(compared(Operator::LtEq, high));
            Transformed::yes(match negated {
                true => !both,
                false => both,
            })
        }
        Expr::ScalarFunction(mut call) if REPEATING.contains(&call.func.name()) => {
            let is_there = call.args.iter().any(Expr::is_volatile);
            call.args = call.args.into_iter().map(as_column).collect();
            Transformed::new_transformed(Expr::ScalarFunction(call), is_there)
        }
        Expr::AggregateFunction(mut call)
            if call.params.filter.as_ref().is_some_and(|f| f.is_volatile()) =>
        {
            let filter = call.params.filter.take();
            call.params.filter = filter.map(|filter| Box::new(as_column(*filter)));
            Transformed::yes(Expr::AggregateFunction(call))
        }
        other => Transformed::no(other),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::optimizer::Analyzer;
    use datafusion::prelude::SessionContext;

    use super::*;

    const N_ROWS: i64 = 20_000;

    async fn count(sql: &str, rule: Option<ComputeOnce>) -> Result<i64> {
        let mut rules = Analyzer::new().rules;
        rules.extend(rule.map(|rule| Arc::new(rule) as Arc<dyn AnalyzerRule + Send + Sync>));
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_analyzer_rules(rules)
            .build();
        let context = SessionContext::new_with_state(state);
        let rows = context.sql(sql).await?.collect().await?;
        Ok(rows[0].column(0).as_primitive::<Int64Type>().value(0))
    }

    fn is_about(found: i64, share: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a count of a test")]
        let found = found as f64 / N_ROWS as f64;
        (found - share).abs() < 0.03
    }

    #[tokio::test]
    async fn a_random_value_is_compared_once() -> Result<()> {
        let rows = format!("FROM generate_series(1, {N_ROWS})");
        for (sql, share) in [
            (
                format!("SELECT count(*) {rows} WHERE random() BETWEEN 0.3 AND 0.7"),
                0.4,
            ),
            (
                format!(
                    "SELECT sum(CASE WHEN random() NOT BETWEEN 0.3 AND 0.7 THEN 1 ELSE 0 END) {rows}"
                ),
                0.6,
            ),
            (
                format!("SELECT count(coalesce(CASE WHEN random() < 0.5 THEN 1 END, 0)) {rows}"),
                1.0,
            ),
            (
                format!("SELECT count(*) FILTER (WHERE random() < 0.5) {rows}"),
                0.5,
            ),
            (
                format!(
                    "SELECT count(*) FROM (SELECT r BETWEEN 0.3 AND 0.7 AS b FROM (SELECT random() AS r {rows})) WHERE b"
                ),
                0.4,
            ),
        ] {
            let found = count(&sql, Some(ComputeOnce)).await?;
            assert!(is_about(found, share), "{sql}: {found}");
        }
        let sql = format!("SELECT count(*) {rows} WHERE random() BETWEEN 0.3 AND 0.7");
        assert!(
            is_about(count(&sql, None).await?, 0.49),
            "upstream is right"
        );
        Ok(())
    }
}
