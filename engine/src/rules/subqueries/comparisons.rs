//! `x < ANY (SELECT …)` and `x < ALL (SELECT …)` as EXISTS.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result, Spans};
use datafusion::logical_expr::expr::{Exists, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Subquery, lit, when};
use datafusion::scalar::ScalarValue;

/// The plan without `ANY` and `ALL`.
pub(super) fn as_exists(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        let schema = merge_schema(&plan.inputs());
        plan.map_expressions(|expr| {
            let is_comparison = |e: &Expr| Ok(matches!(e, Expr::SetComparison(_)));
            if !expr.exists(is_comparison)? {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| match expr {
                Expr::SetComparison(comparison) => {
                    compared(comparison, &schema).map(Transformed::yes)
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
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
    let item = Expr::from(subquery.subquery.schema().qualified_field(0));
    let value = as_outer(*expr, outer)?;
    let holds = Expr::BinaryExpr(BinaryExpr::new(Box::new(value), op, Box::new(item)));
    let wanted = match quantifier {
        SetQuantifier::Any => holds,
        SetQuantifier::All => !holds,
    };
    let is_true = exists_where(&subquery, wanted.clone())?;
    let is_unknown = exists_where(&subquery, wanted.is_null())?;
    let any = when(is_true, lit(true))
        .when(is_unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    Ok(match quantifier {
        SetQuantifier::Any => any,
        SetQuantifier::All => !any,
    })
}

fn exists_where(subquery: &Subquery, condition: Expr) -> Result<Expr> {
    let plan = Filter::try_new(condition, Arc::clone(&subquery.subquery))?;
    Ok(exists(LogicalPlan::Filter(plan), subquery.spans.clone()))
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
