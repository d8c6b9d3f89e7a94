//! Joins the results of subqueries to the rows that they are for.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality, Result, not_impl_err};
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, FetchType, Filter, Join, LogicalPlan, LogicalPlanBuilder,
    Projection, SkipType, Subquery, lit, when,
};
use datafusion::scalar::ScalarValue;

use super::push::{Domain, Pushed, push};
use super::simple;
use super::{Extent, fresh, only, outer_columns, rewrite};
use crate::functions::single_row;

/// Where an expression stands, which decides what DataFusion can do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A condition of a filter: unknown is as good as false.
    Condition,
    /// A value of a row, or a part of a condition.
    Value,
    /// Elsewhere, where DataFusion joins no subquery.
    Other,
}

/// Outer rows and what was joined to them.
pub(super) struct Attached {
    base: Arc<LogicalPlan>,
    plan: LogicalPlan,
    has_grown: bool,
}

/// The result of a subquery: one row, or one for each value of the outer columns.
struct Rows {
    plan: LogicalPlan,
    /// Pairs of an outer expression and a column of the plan that are the same in rows that belong
    /// together.
    keys: Vec<(Expr, Expr)>,
}

impl Attached {
    pub(super) fn new(base: &Arc<LogicalPlan>) -> Self {
        Self {
            base: Arc::clone(base),
            plan: base.as_ref().clone(),
            has_grown: false,
        }
    }

    pub(super) fn into_plan(self) -> LogicalPlan {
        self.plan
    }

    /// Whether the plan has more columns than the outer rows.
    pub(super) fn has_grown(&self) -> bool {
        self.has_grown
    }

    /// The expression with columns in the place of its subqueries, but for those that are left to
    /// DataFusion.
    pub(super) fn replace(&mut self, expr: Expr, place: Place, extent: Extent) -> Result<Expr> {
        let outer = Arc::clone(self.base.schema());
        let may_leave = extent == Extent::Needed;
        let is_whole = place == Place::Condition;
        if may_leave && is_whole && simple::is_semi_join(&expr, &outer)? {
            return Ok(expr);
        }
        // Of a condition's top only; what is below may be negated.
        if let Expr::InSubquery(InSubquery {
            expr: value,
            subquery,
            negated: false,
        }) = expr
        {
            let value = self.replace(*value, Place::Other, Extent::All)?;
            return if is_whole {
                self.is_found(value, &subquery)
            } else {
                self.is_in(value, &subquery)
            };
        }
        let in_filter = is_whole;
        expr.transform_down(|expr| {
            let replaced = match expr {
                Expr::Exists(Exists { subquery, negated }) => {
                    if may_leave && in_filter && simple::is_mark_join(&subquery, &outer)? {
                        return Ok(left_alone(Expr::Exists(Exists { subquery, negated })));
                    }
                    let exists = self.exists(&subquery)?;
                    if negated { !exists } else { exists }
                }
                Expr::InSubquery(InSubquery {
                    expr,
                    subquery,
                    negated,
                }) => {
                    let value = self.replace(*expr, Place::Other, Extent::All)?;
                    let is_in = self.is_in(value, &subquery)?;
                    if negated { !is_in } else { is_in }
                }
                Expr::ScalarSubquery(subquery) => {
                    let may_leave = may_leave && place != Place::Other;
                    if may_leave && simple::is_value_join(&subquery, &outer)? {
                        return Ok(left_alone(Expr::ScalarSubquery(subquery)));
                    }
                    self.value(&subquery)?
                }
                other => return Ok(Transformed::no(other)),
            };
            Ok(Transformed::new(replaced, true, TreeNodeRecursion::Jump))
        })
        .data()
    }

    /// Whether the subquery has a row.
    fn exists(&mut self, subquery: &Subquery) -> Result<Expr> {
        let plan = rewrite(subquery.subquery.as_ref().clone(), Extent::All)?;
        let Some((plan, skipped)) = counted_rows(&plan)? else {
            return Ok(lit(false));
        };
        if simple::has_exactly_one_row(plan) {
            return Ok(lit(skipped == 0));
        }
        let n_rows = fresh("rows");
        let counted = vec![(count(lit(1_i64)), n_rows.clone())];
        let n_rows = Expr::Column(Column::from_name(n_rows));
        let skipped = i64::try_from(skipped).unwrap_or(i64::MAX);
        match self.pushed(plan)? {
            Some(pushed) => {
                let rows = grouped(pushed, counted)?;
                self.left_join(rows)?;
                let has_any = n_rows.clone().is_not_null();
                Ok(match skipped {
                    0 => has_any,
                    skipped => has_any.and(n_rows.gt(lit(skipped))),
                })
            }
            None => {
                let wanted = usize::try_from(skipped).unwrap_or(usize::MAX);
                let first = LogicalPlanBuilder::from(plan.clone())
                    .limit(0, wanted.checked_add(1))?
                    .build()?;
                self.cross_join(aggregated(first, counted)?)?;
                Ok(n_rows.gt(lit(skipped)))
            }
        }
    }

    /// The value of the subquery's only row; NULL if it has none.
    fn value(&mut self, subquery: &Subquery) -> Result<Expr> {
        let plan = rewrite(subquery.subquery.as_ref().clone(), Extent::All)?;
        let is_single = simple::has_at_most_one_row(&plan);
        let (value, n_rows) = (fresh("value"), fresh("rows"));
        let column = |name: &str| Expr::Column(Column::from_name(name));
        let first = |of: &LogicalPlan| {
            let of = Expr::from(of.schema().qualified_field(0));
            vec![(first_value(of, Vec::new()), value.clone())]
        };
        let counted = (count(lit(1_i64)), n_rows.clone());
        match self.pushed(&plan)? {
            Some(pushed) if is_single => {
                let result = Expr::from(pushed.plan.schema().qualified_field(0));
                let rows = ungrouped(pushed, result.alias(&value))?;
                self.left_join(rows)?;
            }
            Some(pushed) => {
                let mut values = first(&pushed.plan);
                values.push(counted);
                self.left_join(grouped(pushed, values)?)?;
            }
            None if simple::has_exactly_one_row(&plan) => {
                let result = Expr::from(plan.schema().qualified_field(0)).alias(&value);
                let plan = Projection::try_new(vec![result], Arc::new(plan))?;
                self.cross_join(LogicalPlan::Projection(plan))?;
            }
            None => {
                let mut values = first(&plan);
                if !is_single {
                    values.push(counted);
                }
                self.cross_join(aggregated(plan, values)?)?;
            }
        }
        Ok(if is_single {
            column(&value)
        } else {
            single_row().call(vec![column(&value), column(&n_rows)])
        })
    }

    /// Whether the value is in the subquery; false if that is unknown.
    fn is_found(&mut self, value: Expr, subquery: &Subquery) -> Result<Expr> {
        let plan = rewrite(subquery.subquery.as_ref().clone(), Extent::All)?;
        let pushed = self.pushed(&plan)?;
        self.found(value, pushed.unwrap_or_else(|| Pushed::uncorrelated(plan)))
    }

    /// A column that is not NULL if the value is among the rows.
    fn found(&mut self, value: Expr, rows: Pushed) -> Result<Expr> {
        let item = Expr::from(rows.plan.schema().qualified_field(0));
        let known = Filter::try_new(item.clone().is_not_null(), Arc::new(rows.plan))?;
        let (name, n_rows) = (fresh("item"), fresh("rows"));
        let rows = Pushed {
            plan: LogicalPlan::Filter(known),
            ..rows
        };
        let mut rows = grouped_also_by(
            rows,
            Some((item, name.clone())),
            vec![(count(lit(1_i64)), n_rows.clone())],
        )?;
        rows.keys
            .push((value, Expr::Column(Column::from_name(name))));
        self.left_join(rows)?;
        Ok(Expr::Column(Column::from_name(n_rows)).is_not_null())
    }

    /// Whether the value is in the subquery: unknown if no row says yes, and one may be meant by NULL.
    fn is_in(&mut self, value: Expr, subquery: &Subquery) -> Result<Expr> {
        let plan = rewrite(subquery.subquery.as_ref().clone(), Extent::All)?;
        let value_may_be_null = value.nullable(self.plan.schema())?;
        let pushed = self.pushed(&plan)?;
        let is_correlated = pushed.is_some();
        let rows = pushed.unwrap_or_else(|| Pushed::uncorrelated(plan));
        let item_may_be_null = rows.plan.schema().field(0).is_nullable();
        let found = self.found(value.clone(), rows.clone())?;
        if !value_may_be_null && !item_may_be_null {
            return Ok(found);
        }
        let item = Expr::from(rows.plan.schema().qualified_field(0));
        let (n_rows, n_known) = (fresh("rows"), fresh("known"));
        let counted = vec![
            (count(lit(1_i64)), n_rows.clone()),
            (count(item), n_known.clone()),
        ];
        if is_correlated {
            self.left_join(grouped(rows, counted)?)?;
        } else {
            self.cross_join(aggregated(rows.plan, counted)?)?;
        }
        let n_rows = Expr::Column(Column::from_name(n_rows));
        let n_known = Expr::Column(Column::from_name(n_known));
        let unknown = || lit(ScalarValue::Boolean(None));
        let has_none = n_rows.clone().is_null().or(n_rows.clone().eq(lit(0_i64)));
        when(has_none, lit(false))
            .when(value.is_null(), unknown())
            .when(found, lit(true))
            .when(n_rows.gt(n_known), unknown())
            .otherwise(lit(false))
    }

    /// The plan for every distinct value of the outer columns that it uses; `None` if it uses none of
    /// these rows.
    fn pushed(&self, plan: &LogicalPlan) -> Result<Option<Pushed>> {
        let mut outer = outer_columns(plan)?;
        outer.retain(|column| self.base.schema().has_column(column));
        if outer.is_empty() {
            return Ok(None);
        }
        push(plan, &Domain::new(&self.base, outer)?).map(Some)
    }

    fn cross_join(&mut self, one_row: LogicalPlan) -> Result<()> {
        let plan = std::mem::take(&mut self.plan);
        self.plan = LogicalPlanBuilder::from(plan)
            .cross_join(one_row)?
            .build()?;
        self.has_grown = true;
        Ok(())
    }

    fn left_join(&mut self, rows: Rows) -> Result<()> {
        let plan = std::mem::take(&mut self.plan);
        self.plan = joined(plan, rows, None, JoinType::Left)?;
        self.has_grown = true;
        Ok(())
    }
}

/// The rows to count to know whether there is one, and how many of them are left out; `None` if all
/// are.
fn counted_rows(plan: &LogicalPlan) -> Result<Option<(&LogicalPlan, usize)>> {
    let plan = as_many_rows(plan);
    let LogicalPlan::Limit(limit) = plan else {
        return Ok(Some((plan, 0)));
    };
    Ok(match (limit.get_skip_type()?, limit.get_fetch_type()?) {
        (_, FetchType::Literal(Some(0))) => None,
        (SkipType::Literal(skip), FetchType::Literal(_)) => {
            Some((as_many_rows(&limit.input), skip))
        }
        _ => Some((plan, 0)),
    })
}

/// The plan below what changes neither the number of rows nor which there are.
fn as_many_rows(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Projection(projection) => as_many_rows(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => as_many_rows(&alias.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => as_many_rows(&sort.input),
        other => other,
    }
}

fn left_alone(expr: Expr) -> Transformed<Expr> {
    Transformed::new(expr, false, TreeNodeRecursion::Jump)
}

/// A join by keys for which NULL is equal to NULL.
fn joined(
    left: LogicalPlan,
    rows: Rows,
    filter: Option<Expr>,
    join_type: JoinType,
) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Join(Join::try_new(
        Arc::new(left),
        Arc::new(rows.plan),
        rows.keys,
        filter,
        join_type,
        JoinConstraint::On,
        NullEquality::NullEqualsNull,
        false,
    )?))
}

/// Aggregates over all rows.
fn aggregated(plan: LogicalPlan, values: Vec<(Expr, String)>) -> Result<LogicalPlan> {
    let values = values.into_iter().map(|(expr, name)| expr.alias(name));
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(
        Arc::new(plan),
        Vec::new(),
        values.collect(),
    )?))
}

/// Aggregates for each value of the outer columns.
fn grouped(pushed: Pushed, values: Vec<(Expr, String)>) -> Result<Rows> {
    grouped_also_by(pushed, None, values)
}

fn grouped_also_by(
    pushed: Pushed,
    by: Option<(Expr, String)>,
    values: Vec<(Expr, String)>,
) -> Result<Rows> {
    let mut groups = Vec::new();
    let mut keys = Vec::new();
    for (outer, key) in pushed.outer.into_iter().zip(pushed.keys) {
        let name = fresh("key");
        groups.push(Expr::Column(key).alias(&name));
        keys.push((Expr::Column(outer), Expr::Column(Column::from_name(name))));
    }
    groups.extend(by.map(|(expr, name)| expr.alias(name)));
    let values = values.into_iter().map(|(expr, name)| expr.alias(name));
    let plan = Aggregate::try_new(Arc::new(pushed.plan), groups, values.collect())?;
    Ok(Rows {
        plan: LogicalPlan::Aggregate(plan),
        keys,
    })
}

/// One value for each value of the outer columns, of a plan that has one.
fn ungrouped(pushed: Pushed, value: Expr) -> Result<Rows> {
    let mut exprs = vec![value];
    let mut keys = Vec::new();
    for (outer, key) in pushed.outer.into_iter().zip(pushed.keys) {
        let name = fresh("key");
        exprs.push(Expr::Column(key).alias(&name));
        keys.push((Expr::Column(outer), Expr::Column(Column::from_name(name))));
    }
    let plan = Projection::try_new(exprs, Arc::new(pushed.plan))?;
    Ok(Rows {
        plan: LogicalPlan::Projection(plan),
        keys,
    })
}

/// A join whose right side is computed for each row of the left.
pub(super) fn lateral(join: &Join) -> Result<LogicalPlan> {
    let columns = join.schema.columns();
    let right = join.right.as_ref().clone().transform_up(|node| {
        Ok(match node {
            LogicalPlan::Subquery(subquery) => Transformed::yes(subquery.subquery.as_ref().clone()),
            other => Transformed::no(other),
        })
    });
    let right = rewrite(right.data()?, Extent::All)?;
    let own = join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
    let condition = conjunction(own.chain(join.filter.clone()));
    let attached = Attached::new(&join.left);
    let left = join.left.as_ref().clone();
    let Some(pushed) = attached.pushed(&right)? else {
        let right = Arc::new(right);
        return super::with_parts(join, Arc::new(left), right, join.filter.clone());
    };
    let keys = pushed.outer.into_iter().zip(pushed.keys);
    let rows = Rows {
        keys: keys
            .map(|(outer, key)| (Expr::Column(outer), Expr::Column(key)))
            .collect(),
        plan: pushed.plan,
    };
    let plan = match (join.join_type, condition) {
        (JoinType::Inner, Some(condition)) => {
            let plan = joined(left, rows, None, JoinType::Inner)?;
            LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?)
        }
        (JoinType::Inner | JoinType::Left, condition) => {
            joined(left, rows, condition, join.join_type)?
        }
        (other, _) => return not_impl_err!("LATERAL on the right of a {other} join"),
    };
    only(plan, columns)
}
