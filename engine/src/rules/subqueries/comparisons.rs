//! `x < ANY (SELECT …)` and `x < ALL (SELECT …)` as EXISTS.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result, Spans};
use datafusion::logical_expr::expr::{Exists, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, Subquery, SubqueryAlias, lit, when,
};
use datafusion::scalar::ScalarValue;

use super::fresh;
use crate::rules::with_outputs;

/// The plan without `ANY` and `ALL`.
pub(super) fn as_exists(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let is_comparison = |e: &Expr| Ok(matches!(e, Expr::SetComparison(_)));
        with_outputs(
            plan,
            |expr| expr.exists(is_comparison),
            |expr| {
                expr.transform_up(|expr| match expr {
                    Expr::SetComparison(comparison) => {
                        compared(comparison, &schema).map(Transformed::yes)
                    }
                    other => Ok(Transformed::no(other)),
                })
            },
        )
    })
    .data()
}

/// True if it is true of a row, else unknown if it is unknown of a row; ALL is the same of the
/// contrary.
fn compared(comparison: SetComparison, outer: &DFSchema) -> Result<Expr> {
    let SetComparison {
        expr,
        subquery,
        op,
        quantifier,
    } = comparison;
    let rows = renamed(&subquery)?;
    let item = Expr::from(rows.schema().qualified_field(0));
    let value = as_outer(*expr, outer)?;
    let holds = Expr::BinaryExpr(BinaryExpr::new(Box::new(value), op, Box::new(item)));
    let wanted = match quantifier {
        SetQuantifier::Any => holds,
        SetQuantifier::All => !holds,
    };
    let is_true = exists_where(&rows, wanted.clone(), &subquery.spans)?;
    let is_unknown = exists_where(&rows, wanted.is_null(), &subquery.spans)?;
    let any = when(is_true, lit(true))
        .when(is_unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    Ok(match quantifier {
        SetQuantifier::Any => any,
        SetQuantifier::All => !any,
    })
}

/// The rows of the subquery under a name that nothing else has: they may be those of a table of the query around,
/// whose columns would then be taken for theirs.
fn renamed(subquery: &Subquery) -> Result<Arc<LogicalPlan>> {
    let rows = SubqueryAlias::try_new(Arc::clone(&subquery.subquery), fresh("compared"))?;
    Ok(Arc::new(LogicalPlan::SubqueryAlias(rows)))
}

fn exists_where(rows: &Arc<LogicalPlan>, condition: Expr, spans: &Spans) -> Result<Expr> {
    let plan = Filter::try_new(condition, Arc::clone(rows))?;
    Ok(exists(LogicalPlan::Filter(plan), spans.clone()))
}

/// Whether the plan of a subquery has a row.
pub(in crate::rules) fn exists(plan: LogicalPlan, spans: Spans) -> Expr {
    Expr::Exists(Exists {
        subquery: Subquery {
            outer_ref_columns: plan.all_out_ref_exprs(),
            subquery: Arc::new(plan),
            spans,
        },
        negated: false,
    })
}

/// The expression as one within a subquery.
pub(in crate::rules) fn as_outer(expr: Expr, outer: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::Column(column) => {
                let field = Arc::clone(outer.field_from_column(&column)?);
                Transformed::yes(Expr::OuterReferenceColumn(field, column))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}

#[cfg(test)]
mod tests {
    use datafusion::common::tree_node::TreeNodeRecursion;
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn the_rows_that_a_value_is_compared_with_have_a_name_of_their_own() -> Result<()> {
        let query = "WITH t AS (SELECT 1 AS v) SELECT v = ANY (SELECT v FROM t) AS r FROM t \
                     WHERE v > ALL (SELECT v FROM t WHERE v = ANY (SELECT v FROM t))";
        let plan = SessionContext::new().sql(query).await?;
        let plan = as_exists(plan.into_unoptimized_plan())?;
        let mut n_filters = 0;
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Filter(filter) = node
                && filter.predicate.contains_outer()
            {
                n_filters += 1;
                assert!(matches!(*filter.input, LogicalPlan::SubqueryAlias(_)));
                filter.predicate.apply(|expr| {
                    if let Expr::OuterReferenceColumn(_, column) = expr {
                        assert!(!filter.input.schema().has_column(column), "{filter:?}");
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        // Two for each comparison, of which one is within the subquery that another one has twice.
        assert_eq!(n_filters, 8, "{plan}");
        Ok(())
    }
}
