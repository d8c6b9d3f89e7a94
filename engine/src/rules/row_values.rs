//! A row in a subquery, `(a, b) IN (SELECT x, y …)`, as EXISTS.
//!
//! The statement's text has become `struct(a, b) IN (SELECT struct(x, y) …)` by now
//! (`statement/rows.rs`), which would compare NULL with NULL. It is true if all fields are equal to those
//! of a row, else unknown if none of them differs from those of a row, else false.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Filter, LogicalPlan, Projection, SubqueryAlias, lit, when,
};
use datafusion::optimizer::analyzer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use super::subqueries::{as_outer, exists};
use super::with_outputs;

/// The name of the rows of such a subquery; with a number behind it, of their fields.
pub(crate) const ROWS: &str = "__emporia_row";

/// Turns rows in subqueries into EXISTS. It has to come before the types of a struct are made the same.
#[derive(Debug)]
pub(super) struct RowsAsExists;

impl AnalyzerRule for RowsAsExists {
    fn name(&self) -> &'static str {
        "rows_as_exists"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let is_row = |expr: &Expr| Ok(membership(expr)?.is_some());
            let schema = merge_schema(&plan.inputs());
            let is_filter = matches!(plan, LogicalPlan::Filter(_));
            with_outputs(
                plan,
                |expr| expr.exists(is_row),
                |expr| {
                    let parts = match is_filter {
                        true => split_conjunction_owned(expr),
                        false => vec![expr],
                    };
                    let parts = parts.into_iter().map(|part| match is_filter {
                        true => condition(part, &schema),
                        false => value(part, &schema),
                    });
                    let parts = parts.collect::<Result<Vec<_>>>()?;
                    let whole = conjunction(parts).unwrap_or_else(|| lit(true));
                    Ok(Transformed::yes(whole))
                },
            )
        })
        .data()
    }
}

/// A row, and the subquery that it may be in.
struct Membership {
    fields: Vec<Expr>,
    items: Vec<Expr>,
    rows: Arc<LogicalPlan>,
    subquery: InSubquery,
}

fn membership(expr: &Expr) -> Result<Option<Membership>> {
    let Expr::InSubquery(subquery) = expr else {
        return Ok(None);
    };
    let LogicalPlan::Projection(Projection { expr, input, .. }) = &*subquery.subquery.subquery
    else {
        return Ok(None);
    };
    let LogicalPlan::SubqueryAlias(SubqueryAlias { alias, .. }) = input.as_ref() else {
        return Ok(None);
    };
    let (Expr::ScalarFunction(row), [Expr::ScalarFunction(items)]) =
        (subquery.expr.as_ref(), expr.as_slice())
    else {
        return Ok(None);
    };
    if alias.table() != ROWS {
        return Ok(None);
    }
    if row.args.len() != items.args.len() {
        return plan_err!(
            "a row of {} values is compared with rows of {}",
            row.args.len(),
            items.args.len()
        );
    }
    Ok(Some(Membership {
        fields: row.args.clone(),
        items: items.args.clone(),
        rows: Arc::clone(input),
        subquery: subquery.clone(),
    }))
}

/// A condition of a filter, where unknown is as good as false.
fn condition(expr: Expr, outer: &DFSchema) -> Result<Expr> {
    let (inner, is_not) = match expr {
        Expr::Not(inner) => (*inner, true),
        other => (other, false),
    };
    match membership(&inner)? {
        Some(row) if row.subquery.negated == is_not => row.exists(outer, false),
        Some(row) => Ok(!row.exists(outer, true)?),
        None if is_not => value(!inner, outer),
        None => value(inner, outer),
    }
}

/// The expression with its three values.
fn value(expr: Expr, outer: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| {
        let Some(row) = membership(&expr)? else {
            return Ok(Transformed::no(expr));
        };
        let is_true = row.exists(outer, false)?;
        let is_in = match row.may_be_unknown(outer)? {
            true => when(is_true, lit(true))
                .when(row.exists(outer, true)?, lit(ScalarValue::Boolean(None)))
                .otherwise(lit(false))?,
            false => is_true,
        };
        Ok(Transformed::yes(match row.subquery.negated {
            true => !is_in,
            false => is_in,
        }))
    })
    .data()
}

impl Membership {
    /// Whether a row is equal or, if `or_unknown`, may be.
    fn exists(&self, outer: &DFSchema, or_unknown: bool) -> Result<Expr> {
        let parts = self.fields.iter().zip(&self.items).map(|(field, item)| {
            let may_be_null = self.is_nullable(field, item, outer)?;
            let equal = as_outer(field.clone(), outer)?.eq(item.clone());
            Ok(match or_unknown && may_be_null {
                true => equal.is_not_false(),
                false => equal,
            })
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let equal = conjunction(parts).unwrap_or_else(|| lit(true));
        let rows = Filter::try_new(equal, Arc::clone(&self.rows))?;
        Ok(exists(
            LogicalPlan::Filter(rows),
            self.subquery.subquery.spans.clone(),
        ))
    }

    fn may_be_unknown(&self, outer: &DFSchema) -> Result<bool> {
        let mut fields = self.fields.iter().zip(&self.items);
        fields.try_fold(false, |found, (field, item)| {
            Ok(found || self.is_nullable(field, item, outer)?)
        })
    }

    fn is_nullable(&self, field: &Expr, item: &Expr, outer: &DFSchema) -> Result<bool> {
        Ok(field.nullable(outer)? || item.nullable(self.rows.schema())?)
    }
}
