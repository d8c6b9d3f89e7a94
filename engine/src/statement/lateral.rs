//! `FROM t, UNNEST(t.list) AS u(x)`: the elements of a list beside the row that has it.
//!
//! DataFusion plans such a relation as a subquery that reads the row beside it, and has no way to run
//! one. Where the subquery is made of projections and UNNEST only, they are put on top of the row.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::{
    Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias,
};

/// The plan without lateral UNNEST.
pub(super) fn unnested(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => match beside(&join)? {
            Some(plan) => Ok(Transformed::yes(plan)),
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// A join with a subquery that only unnests; `None` for any other.
fn beside(join: &Join) -> Result<Option<LogicalPlan>> {
    if join.join_type != JoinType::Inner || !join.on.is_empty() {
        return Ok(None);
    }
    let (alias, subquery) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            (Some(alias), input.as_ref())
        }
        other => (None, other),
    };
    let LogicalPlan::Subquery(subquery) = subquery else {
        return Ok(None);
    };
    let LogicalPlan::Projection(top) = subquery.subquery.as_ref() else {
        return Ok(None);
    };
    if !unnests(&top.input) {
        return Ok(None);
    }
    let Some(input) = on_top_of(&join.left, &top.input)? else {
        return Ok(None);
    };
    let mut columns = columns_of(&join.left);
    for (expr, name) in named(top) {
        let Some(expr) = of_row(&join.left, expr)? else {
            return Ok(None);
        };
        columns.push(expr.alias_qualified(alias.cloned(), name));
    }
    let mut plan = LogicalPlanBuilder::from(input).project(columns)?;
    if let Some(filter) = &join.filter {
        plan = plan.filter(filter.clone())?;
    }
    plan.build().map(Some)
}

/// Whether there is an UNNEST, and nothing but projections around it.
fn unnests(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Unnest(_) => true,
        LogicalPlan::Projection(projection) => unnests(&projection.input),
        _ => false,
    }
}

/// The steps of `plan`, with the rows of `left` in the place of the one row that it begins with.
fn on_top_of(left: &Arc<LogicalPlan>, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => {
            Ok(Some(left.as_ref().clone()))
        }
        LogicalPlan::Projection(projection) => {
            let Some(input) = on_top_of(left, &projection.input)? else {
                return Ok(None);
            };
            let mut columns = columns_of(left);
            for (expr, name) in named(projection) {
                let Some(expr) = of_row(left, expr)? else {
                    return Ok(None);
                };
                columns.push(expr.alias(name));
            }
            let plan = LogicalPlanBuilder::from(input).project(columns)?;
            plan.build().map(Some)
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(input) = on_top_of(left, &unnest.input)? else {
                return Ok(None);
            };
            let (columns, options) = (unnest.exec_columns.clone(), unnest.options.clone());
            let plan = LogicalPlanBuilder::from(input);
            plan.unnest_columns_with_options(columns, options)?
                .build()
                .map(Some)
        }
        _ => Ok(None),
    }
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect()
}

fn named(projection: &Projection) -> impl Iterator<Item = (&Expr, &String)> {
    let names = projection.schema.fields().iter().map(|field| field.name());
    projection.expr.iter().map(without_alias).zip(names)
}

fn without_alias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => &alias.expr,
        other => other,
    }
}

/// The expression with columns of the row where it reads the outer query; `None` where it reads
/// another one.
fn of_row(left: &LogicalPlan, expr: &Expr) -> Result<Option<Expr>> {
    let mut is_known = true;
    let expr = expr.clone().transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) if left.schema().has_column(&column) => {
            Ok(Transformed::yes(Expr::Column(column)))
        }
        Expr::OuterReferenceColumn(..) => {
            is_known = false;
            Ok(Transformed::no(expr))
        }
        other => Ok(Transformed::no(other)),
    });
    let expr = expr.data()?;
    Ok(is_known.then_some(expr))
}
