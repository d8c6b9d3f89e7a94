//! The forms of subqueries that DataFusion joins rightly, with fewer steps than the general way.

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, FetchType, Filter, JoinType, LogicalPlan,
    Operator, Projection, SkipType, Subquery,
};

use super::{has_subquery, outer_columns};

/// Whether a condition of a filter is a semi or anti join.
pub(super) fn is_semi_join(condition: &Expr, outer: &DFSchema) -> Result<bool> {
    match condition {
        Expr::Not(inner) => match inner.as_ref() {
            Expr::Exists(_) => is_semi_join(inner, outer),
            Expr::InSubquery(inner) => is_in_join(inner, !inner.negated, outer),
            _ => Ok(false),
        },
        Expr::Exists(Exists { subquery, .. }) => {
            Ok(is_correlated(subquery) && is_plain(subquery, outer)?)
        }
        Expr::InSubquery(inner) => is_in_join(inner, inner.negated, outer),
        _ => Ok(false),
    }
}

fn is_in_join(condition: &InSubquery, negated: bool, outer: &DFSchema) -> Result<bool> {
    let InSubquery { expr, subquery, .. } = condition;
    if has_subquery(expr) || !matches!(*subquery.subquery, LogicalPlan::Projection(_)) {
        return Ok(false);
    }
    // A join for NOT IN that minds NULL must see all rows of the subquery in each task.
    let may_be_null = expr.nullable(outer)? || subquery.subquery.schema().field(0).is_nullable();
    if negated && may_be_null || !has_clear_outputs(subquery, outer) {
        return Ok(false);
    }
    Ok(!is_correlated(subquery) || is_plain(subquery, outer)?)
}

/// Whether EXISTS, anywhere in a condition of a filter, is a mark join with keys.
pub(super) fn is_mark_join(subquery: &Subquery, outer: &DFSchema) -> Result<bool> {
    Ok(is_correlated(subquery)
        && is_plain(subquery, outer)?
        && correlated_conditions(&subquery.subquery)
            .iter()
            .any(|c| is_key(c)))
}

/// Whether a value is a join with a grouped aggregate, or with a single row.
pub(super) fn is_value_join(subquery: &Subquery, outer: &DFSchema) -> Result<bool> {
    let plan = subquery.subquery.as_ref();
    if !is_correlated(subquery) {
        return Ok(has_at_most_one_row(plan) && has_clear_outputs(subquery, outer));
    }
    let (exprs, plan) = match plan {
        LogicalPlan::Projection(Projection { expr, input, .. }) => (expr.as_slice(), input),
        _ => return Ok(false),
    };
    let LogicalPlan::Aggregate(Aggregate {
        input,
        group_expr,
        aggr_expr,
        ..
    }) = plan.as_ref()
    else {
        return Ok(false);
    };
    let conditions = correlated_conditions(input);
    Ok(group_expr.is_empty()
        && !aggr_expr.iter().any(Expr::contains_outer)
        && exprs
            .iter()
            .all(|e| e.any_column_refs() && !e.contains_outer())
        && !conditions.is_empty()
        && conditions.iter().all(|c| is_key(c))
        && is_filtered(input)?
        && has_own_names(subquery, &conditions)
        && has_clear_outputs(subquery, outer)
        && is_resolved(subquery, outer)?)
}

/// Whether the outer columns stand in filters only, which are at the top of the plan.
fn is_plain(subquery: &Subquery, outer: &DFSchema) -> Result<bool> {
    let plan = subquery.subquery.as_ref();
    let conditions = correlated_conditions(plan);
    let (exprs, below) = match plan {
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            (expr.as_slice(), input.as_ref())
        }
        other => (&[][..], other),
    };
    Ok(!exprs.iter().any(Expr::contains_outer)
        && is_filtered(below)?
        && has_own_names(subquery, &conditions)
        && has_clear_outputs(subquery, outer)
        && is_resolved(subquery, outer)?)
}

/// Whether the plan is filters over what uses no outer column.
fn is_filtered(plan: &LogicalPlan) -> Result<bool> {
    match plan {
        LogicalPlan::Filter(Filter {
            predicate, input, ..
        }) => {
            let is_clear = split_conjunction(predicate)
                .into_iter()
                .all(|c| !(c.contains_outer() && has_subquery(c)));
            Ok(is_clear && is_filtered(input)?)
        }
        other => Ok(outer_columns(other)?.is_empty()),
    }
}

/// The conditions with outer columns of the filters at the top of a plan.
fn correlated_conditions(plan: &LogicalPlan) -> Vec<&Expr> {
    match plan {
        LogicalPlan::Projection(projection) => correlated_conditions(&projection.input),
        LogicalPlan::Filter(filter) => {
            let mut conditions = correlated_conditions(&filter.input);
            let own = split_conjunction(&filter.predicate);
            conditions.extend(own.into_iter().filter(|c| c.contains_outer()));
            conditions
        }
        _ => Vec::new(),
    }
}

/// Whether a condition is `column = <something of the outer row>`.
fn is_key(condition: &Expr) -> bool {
    let is_inner = |side: &Expr| match side {
        Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Column(_)),
        other => matches!(other, Expr::Column(_)),
    };
    let is_outer = |side: &Expr| side.contains_outer() && !side.any_column_refs();
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => is_inner(left) && is_outer(right) || is_outer(left) && is_inner(right),
        _ => false,
    }
}

/// Whether no output has the name of an outer column that is of no table, as the maximum in
/// `HAVING max(v) = (SELECT max(v) …)`: one would be taken for the other.
fn has_clear_outputs(subquery: &Subquery, outer: &DFSchema) -> bool {
    let outputs = subquery.subquery.schema().fields().iter();
    let mut names = outputs.map(|field| field.name());
    !names.any(|name| is_bare(name, outer))
}

fn is_bare(name: &str, outer: &DFSchema) -> bool {
    let mut columns = outer.iter();
    columns.any(|(of, field)| of.is_none() && field.name() == name)
}

/// Whether the columns by which the subquery is joined keep their names beside its output, and none of them has the
/// name of an outer column.
fn has_own_names(subquery: &Subquery, conditions: &[&Expr]) -> bool {
    let keys: Vec<&Column> = conditions.iter().flat_map(|c| c.column_refs()).collect();
    let is_apart = |key: &Column, other: &Column| key == other || key.name != other.name;
    let plan = subquery.subquery.as_ref();
    let exprs = match plan {
        LogicalPlan::Projection(projection) => projection.expr.as_slice(),
        _ => &[],
    };
    let outputs = plan.schema().columns();
    let is_outer = |key: &Column| conditions.iter().any(|c| uses_outer(c, key));
    keys.iter().all(|key| {
        let apart_from_outer = !is_outer(key);
        let apart_from_keys = keys.iter().all(|other| is_apart(key, other));
        // `SELECT o.id` of `o.id = …` is the key itself; `SELECT count(*) AS id` is not.
        let apart_from_outputs = outputs.iter().enumerate().all(|(i, output)| {
            let is_key_itself = match exprs.get(i) {
                Some(Expr::Column(column)) => column == *key,
                Some(_) => false,
                None => output == *key,
            };
            // A cast has the whole name of its column for a name.
            let is_apart = output.name != key.name && output.name != key.flat_name();
            is_key_itself || is_apart
        });
        apart_from_outer && apart_from_keys && apart_from_outputs
    })
}

/// Whether the condition uses an outer column of this name.
fn uses_outer(condition: &Expr, name: &Column) -> bool {
    let is_it = |expr: &Expr| match expr {
        Expr::OuterReferenceColumn(_, outer) => {
            outer == name || outer.relation.is_none() && outer.name == name.name
        }
        _ => false,
    };
    condition.exists(|expr| Ok(is_it(expr))).unwrap_or(true)
}

/// Whether all outer columns are of the query around, not of one further out.
fn is_resolved(subquery: &Subquery, outer: &DFSchema) -> Result<bool> {
    let columns = outer_columns(&subquery.subquery)?;
    Ok(columns.iter().all(|column| outer.has_column(column)))
}

fn is_correlated(subquery: &Subquery) -> bool {
    outer_columns(&subquery.subquery).is_ok_and(|columns| !columns.is_empty())
}

/// Whether the form of the plan says that it has one row at most.
pub(super) fn has_at_most_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => has_at_most_one_row(&filter.input),
        LogicalPlan::Projection(projection) => has_at_most_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_at_most_one_row(&alias.input),
        LogicalPlan::Sort(sort) => has_at_most_one_row(&sort.input),
        LogicalPlan::Window(window) => has_at_most_one_row(&window.input),
        LogicalPlan::Distinct(Distinct::All(input)) => has_at_most_one_row(input),
        LogicalPlan::Limit(limit) => {
            let is_one = matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1))));
            is_one || has_at_most_one_row(&limit.input)
        }
        LogicalPlan::Join(join) => {
            join.join_type == JoinType::Inner
                && has_at_most_one_row(&join.left)
                && has_at_most_one_row(&join.right)
        }
        LogicalPlan::EmptyRelation(_) => true,
        other => has_exactly_one_row(other),
    }
}

/// Whether the form of the plan says that it has exactly one row.
pub(super) fn has_exactly_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_exactly_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_exactly_one_row(&alias.input),
        LogicalPlan::Window(window) => has_exactly_one_row(&window.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && has_exactly_one_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Values(values) => values.values.len() == 1,
        LogicalPlan::Limit(limit) => {
            matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)))
                && match limit.get_fetch_type() {
                    Ok(FetchType::Literal(fetch)) => fetch != Some(0),
                    _ => false,
                }
                && has_exactly_one_row(&limit.input)
        }
        _ => false,
    }
}
