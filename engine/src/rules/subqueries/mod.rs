//! Subqueries as joins, wherever an expression may stand.
//!
//! DataFusion joins only some forms of subqueries, and gives wrong rows for others: an aggregate in
//! EXISTS, NOT IN beside other conditions, a value of several rows. This rule leaves to it the forms
//! that it plans well ([`simple`]), and joins all others itself, in the way of Neumann and Kemper
//! ("Unnesting Arbitrary Queries", 2015): a subquery is computed for every distinct value of the outer
//! columns that it uses ([`push`]), and the result is joined to the outer rows ([`attach`]).

mod attach;
mod comparisons;
mod push;
mod simple;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result, not_impl_err, plan_err};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, LogicalPlan, Projection, Sort, SortExpr, Subquery, Window,
};
use datafusion::optimizer::analyzer::AnalyzerRule;

use super::fallible::{Risk, risk};
use attach::{Attached, Place};
pub(super) use comparisons::{as_outer, exists};

/// Turns subqueries into joins.
#[derive(Debug)]
pub(super) struct Unnest;

impl AnalyzerRule for Unnest {
    fn name(&self) -> &'static str {
        "unnest_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = comparisons::as_exists(plan)?;
        let plan = rewrite(plan, Extent::Needed)?;
        check(&plan)?;
        Ok(plan)
    }
}

/// Which subqueries become joins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Those that DataFusion does not plan well.
    Needed,
    /// All of them: the plan is to be computed for many outer values.
    All,
}

fn rewrite(plan: LogicalPlan, extent: Extent) -> Result<LogicalPlan> {
    plan.transform_up(|node| rewrite_node(node, extent)).data()
}

fn rewrite_node(node: LogicalPlan, extent: Extent) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Join(join) = &node
        && contains_lateral(&join.right)?
    {
        return attach::lateral(join).map(Transformed::yes);
    }
    if !node.expressions().iter().any(has_subquery) {
        return Ok(Transformed::no(node));
    }
    let node = node.map_subqueries(|plan| inner(plan, extent))?.data;
    let keeps_schema = node.schema().columns();
    let rewritten = match node {
        LogicalPlan::Filter(filter) => rewrite_filter(filter, extent)?,
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let (expr, input) = replaced(expr, &input, Place::Value, extent)?;
            LogicalPlan::Projection(Projection::try_new(expr, Arc::new(input))?)
        }
        LogicalPlan::Aggregate(Aggregate {
            input,
            mut group_expr,
            aggr_expr,
            ..
        }) => {
            let n_groups = group_expr.len();
            group_expr.extend(aggr_expr);
            let (mut exprs, input) = replaced(group_expr, &input, Place::Other, Extent::All)?;
            let aggr_expr = exprs.split_off(n_groups);
            LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), exprs, aggr_expr)?)
        }
        LogicalPlan::Window(Window {
            input, window_expr, ..
        }) => {
            let (exprs, input) = replaced(window_expr, &input, Place::Other, Extent::All)?;
            let window = LogicalPlan::Window(Window::try_new(exprs, Arc::new(input))?);
            only(window, keeps_schema)?
        }
        LogicalPlan::Sort(Sort { expr, input, fetch }) => {
            let input = with_outer_columns(&expr, input)?;
            let mut attached = Attached::new(&input);
            let expr = expr.into_iter().map(|mut key| {
                key.expr = attached.replace(key.expr, Place::Other, Extent::All)?;
                Ok(key)
            });
            let expr = expr.collect::<Result<_>>()?;
            let input = Arc::new(attached.into_plan());
            only(LogicalPlan::Sort(Sort { expr, input, fetch }), keeps_schema)?
        }
        LogicalPlan::Join(join) => return rewrite_join(join, extent).map(Transformed::yes),
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(rewritten))
}

/// The input of a sort, with the columns that subqueries in its keys take from below a SELECT list.
fn with_outer_columns(keys: &[SortExpr], input: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    let LogicalPlan::Projection(list) = input.as_ref() else {
        return Ok(input);
    };
    let mut exprs = list.expr.clone();
    for key in keys {
        key.expr.apply(|expr| {
            for column in used_columns(expr)?.unwrap_or_default() {
                let is_below = list.input.schema().has_column(&column);
                let expr = Expr::Column(column.clone());
                if is_below && !input.schema().has_column(&column) && !exprs.contains(&expr) {
                    exprs.push(expr);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let plan = Projection::try_new(exprs, Arc::clone(&list.input))?;
    Ok(Arc::new(LogicalPlan::Projection(plan)))
}

/// The plan of a subquery, with its own subqueries as joins.
fn inner(plan: LogicalPlan, extent: Extent) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Subquery(subquery) = plan else {
        return Ok(Transformed::no(plan));
    };
    let plan = rewrite(subquery.subquery.as_ref().clone(), extent)?;
    Ok(Transformed::yes(LogicalPlan::Subquery(Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: subquery.spans,
    })))
}

fn rewrite_filter(filter: Filter, extent: Extent) -> Result<LogicalPlan> {
    let schema = Arc::clone(filter.input.schema());
    let may_fail = |part: &Expr| risk(part, &schema).is_ok_and(|risk| risk == Risk::Value);
    let (with, without): (Vec<_>, Vec<_>) = split_conjunction_owned(filter.predicate)
        .into_iter()
        .partition(|part| has_subquery(part) || part.is_volatile() || may_fail(part));
    let columns = filter.input.schema().columns();
    // What needs no subquery and cannot fail comes first: it makes a join of a product, and rows fewer.
    let input = match conjunction(without) {
        Some(predicate) => Arc::new(LogicalPlan::Filter(Filter::try_new(
            predicate,
            filter.input,
        )?)),
        None => filter.input,
    };
    let mut attached = Attached::new(&input);
    let parts = with
        .into_iter()
        .map(|part| attached.replace(part, Place::Condition, extent));
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let has_grown = attached.has_grown();
    let plan = attached.into_plan();
    let Some(predicate) = conjunction(parts) else {
        return Ok(plan);
    };
    let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?);
    if has_grown {
        only(plan, columns)
    } else {
        Ok(plan)
    }
}

/// The expressions with columns in the place of subqueries, over the plan that has these columns.
fn replaced(
    exprs: Vec<Expr>,
    input: &Arc<LogicalPlan>,
    place: Place,
    extent: Extent,
) -> Result<(Vec<Expr>, LogicalPlan)> {
    let names = NamePreserver::new_for_projection();
    let mut attached = Attached::new(input);
    let exprs = exprs.into_iter().map(|expr| {
        if !has_subquery(&expr) {
            return Ok(expr);
        }
        let name = names.save(&expr);
        Ok(name.restore(attached.replace(expr, place, extent)?))
    });
    let exprs = exprs.collect::<Result<_>>()?;
    Ok((exprs, attached.into_plan()))
}

fn rewrite_join(join: Join, extent: Extent) -> Result<LogicalPlan> {
    let columns = join.schema.columns();
    let parts = join.filter.clone().map(split_conjunction_owned);
    let (with, without): (Vec<_>, Vec<_>) = parts
        .unwrap_or_default()
        .into_iter()
        .partition(has_subquery);
    if join.join_type == JoinType::Inner {
        let filter = conjunction(without);
        let inner = with_parts(
            &join,
            Arc::clone(&join.left),
            Arc::clone(&join.right),
            filter,
        )?;
        return match conjunction(with) {
            Some(predicate) => rewrite_filter(Filter::try_new(predicate, Arc::new(inner))?, extent),
            None => Ok(inner),
        };
    }
    if !matches!(
        join.join_type,
        JoinType::Left | JoinType::Right | JoinType::Full
    ) {
        return not_impl_err!("a subquery in the condition of a {} join", join.join_type);
    }
    let (mut left, mut right) = (Attached::new(&join.left), Attached::new(&join.right));
    let mut parts = without;
    for part in with {
        let part = part.transform_down(|expr| {
            let Some(used) = used_columns(&expr)? else {
                return Ok(Transformed::no(expr));
            };
            let is_in = |schema: &DFSchema| used.iter().all(|c| schema.has_column(c));
            let side = if is_in(join.left.schema()) {
                &mut left
            } else if is_in(join.right.schema()) {
                &mut right
            } else {
                return not_impl_err!(
                    "a subquery in the condition of an outer join that uses columns of both sides"
                );
            };
            let column = side.replace(expr, Place::Other, Extent::All)?;
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        });
        parts.push(part.data()?);
    }
    let left = Arc::new(left.into_plan());
    let right = Arc::new(right.into_plan());
    only(with_parts(&join, left, right, conjunction(parts))?, columns)
}

/// The join over other sides and with another condition.
fn with_parts(
    join: &Join,
    left: Arc<LogicalPlan>,
    right: Arc<LogicalPlan>,
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Join(Join::try_new(
        left,
        right,
        join.on.clone(),
        filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?))
}

/// The columns that a subquery and what is compared with it take from the outer rows; `None` if the
/// expression is no subquery.
fn used_columns(expr: &Expr) -> Result<Option<Vec<Column>>> {
    let (mut used, plan): (Vec<Column>, _) = match expr {
        Expr::Exists(Exists { subquery, .. }) | Expr::ScalarSubquery(subquery) => {
            (Vec::new(), &subquery.subquery)
        }
        Expr::InSubquery(InSubquery { expr, subquery, .. }) => (
            expr.column_refs().into_iter().cloned().collect(),
            &subquery.subquery,
        ),
        _ => return Ok(None),
    };
    used.extend(outer_columns(plan)?);
    Ok(Some(used))
}

/// The columns that a plan takes from the queries around it.
fn outer_columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    collect_outer(plan, &mut columns)?;
    Ok(columns)
}

fn collect_outer(plan: &LogicalPlan, columns: &mut Vec<Column>) -> Result<()> {
    let inputs = plan.inputs();
    let mut add = |column: &Column| {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    };
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            match expr {
                Expr::OuterReferenceColumn(_, column) => add(column),
                Expr::Exists(Exists { subquery, .. })
                | Expr::InSubquery(InSubquery { subquery, .. })
                | Expr::ScalarSubquery(subquery) => {
                    let is_here = |c: &Column| inputs.iter().any(|i| i.schema().has_column(c));
                    let used = outer_columns(&subquery.subquery)?;
                    used.iter().filter(|c| !is_here(c)).for_each(&mut add);
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    match plan {
        LogicalPlan::Join(join) if contains_lateral(&join.right)? => {
            collect_outer(&join.left, columns)?;
            let used = outer_columns(&join.right)?;
            for column in used {
                if !join.left.schema().has_column(&column) && !columns.contains(&column) {
                    columns.push(column);
                }
            }
            Ok(())
        }
        _ => inputs
            .into_iter()
            .try_for_each(|input| collect_outer(input, columns)),
    }
}

/// Whether the expression holds a subquery.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    let is_subquery = |expr: &Expr| {
        matches!(
            expr,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_)
        )
    };
    expr.exists(|expr| Ok(is_subquery(expr))).unwrap_or(true)
}

/// Whether the side of a join is computed for each row of the other side.
fn contains_lateral(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Subquery(_))))
}

/// The plan with these columns only.
fn only(plan: LogicalPlan, columns: Vec<Column>) -> Result<LogicalPlan> {
    let columns = columns.into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns,
        Arc::new(plan),
    )?))
}

/// A column name that no other plan of this process has.
pub(crate) fn fresh(what: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("__emporia_{what}_{number}")
}

/// Refuses a column of an outer query that no outer query has at this place.
fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| match expr {
                Expr::OuterReferenceColumn(_, column) => plan_err!(
                    "a subquery uses `{column}`, which the query around it does not have at this \
                     place; a grouped query has the columns of its GROUP BY only"
                ),
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })
    .map(|_| ())
}
