//! Queries with random values that are used more than once.
//!
//! The planner puts the query of a WITH or of a view wherever it is named. One that calls a function such as
//! `random` would have other rows in each place, so that it is refused.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, not_impl_err};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Refuses a plan in which a step with random values is there twice. It has to be asked before any rule
/// copied the plan.
///
/// # Errors
/// `NotImplemented`, with the expression.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let mut seen: Vec<Step> = Vec::new();
    plan.apply_with_subqueries(|node| {
        let mut random = None;
        node.apply_expressions(|expr| {
            if expr.is_volatile() {
                random = Some(expr.clone());
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let Some(random) = random else {
            return Ok(TreeNodeRecursion::Continue);
        };
        let step = Step::of(node);
        if seen.contains(&step) {
            return not_impl_err!(
                "the query of a WITH or a view that has {random} is used more than once, and each use would have \
                 other values; store its rows by CREATE TABLE … AS first"
            );
        }
        seen.push(step);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// What a step of a plan has in common with its copies only: copies of a plan share the schemas in it.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Step {
    /// Where the schema is in memory.
    schema: usize,
    exprs: Vec<Expr>,
}

impl Step {
    pub(super) fn of(node: &LogicalPlan) -> Self {
        Self {
            schema: Arc::as_ptr(node.schema()).addr(),
            exprs: node.expressions(),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn checked(sql: &str) -> Result<()> {
        let state = SessionContext::new().state();
        check(&state.create_logical_plan(sql).await?)
    }

    #[tokio::test]
    async fn random_rows_are_not_used_twice() {
        for sql in [
            "WITH a AS (SELECT random() AS r) SELECT * FROM a AS x JOIN a AS y ON x.r = y.r",
            "WITH a AS (VALUES (random())) SELECT * FROM a UNION ALL SELECT * FROM a",
            "WITH a AS (SELECT random() AS r), b AS (SELECT r + 1 FROM a) SELECT * FROM b AS x, b AS y",
            "WITH a AS (SELECT 1 AS n WHERE random() < 0.5) SELECT (SELECT n FROM a), (SELECT max(n) FROM a)",
        ] {
            let error = checked(sql).await;
            assert!(
                error.is_err_and(|e| e.to_string().contains("more than once")),
                "{sql}"
            );
        }
        for sql in [
            "WITH a AS (SELECT random() AS r) SELECT r, r AS again FROM a",
            "WITH a AS (SELECT now() AS r) SELECT * FROM a AS x JOIN a AS y ON x.r = y.r",
            "SELECT random() AS r UNION ALL SELECT random()",
            "SELECT random(), 1 AS n WHERE random() < 0.5",
        ] {
            let found = checked(sql).await;
            assert!(found.is_ok(), "{sql}: {found:?}");
        }
    }
}
