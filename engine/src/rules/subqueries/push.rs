//! Computes a subquery for all values of the outer columns that it uses, at once.
//!
//! The distinct values are joined where the outer columns are used, and every operator above keeps
//! the rows of different values apart: it groups, numbers and partitions by them.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{
    Column, DFSchema, JoinConstraint, JoinType, NullEquality, Result, not_impl_err,
};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, ExprFunctionExt, ExprSchemable, FetchType, Filter, Join,
    Limit, LogicalPlan, LogicalPlanBuilder, Projection, SkipType, Sort, SortExpr, SubqueryAlias,
    Union, Unnest, Values, Window, lit,
};

use super::{fresh, outer_columns};
use crate::functions::row_number;

/// The distinct values of the outer columns.
pub(super) struct Domain {
    plan: Arc<LogicalPlan>,
    outer: Vec<Column>,
}

/// A plan that has the rows of all values of the outer columns, and columns with these values.
#[derive(Debug, Clone)]
pub(super) struct Pushed {
    pub(super) plan: LogicalPlan,
    pub(super) outer: Vec<Column>,
    /// The columns with the values of `outer`.
    pub(super) keys: Vec<Column>,
}

impl Pushed {
    /// A plan that uses no outer columns.
    pub(super) fn uncorrelated(plan: LogicalPlan) -> Self {
        Self {
            plan,
            outer: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// The expression with this plan's columns for the outer ones.
    fn inner(&self, expr: Expr) -> Result<Expr> {
        expr.transform(|expr| {
            let place = match &expr {
                Expr::OuterReferenceColumn(_, column) => {
                    self.outer.iter().position(|outer| outer == column)
                }
                _ => None,
            };
            Ok(match place.and_then(|at| self.keys.get(at)) {
                Some(key) => Transformed::yes(Expr::Column(key.clone())),
                None => Transformed::no(expr),
            })
        })
        .data()
    }

    /// As [`Pushed::inner`], under the name that the expression had.
    fn named(&self, expr: Expr) -> Result<Expr> {
        let name = NamePreserver::new_for_projection().save(&expr);
        Ok(name.restore(self.inner(expr)?))
    }

    fn all_named(&self, exprs: &[Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.named(expr.clone())).collect()
    }

    fn sort_keys(&self, keys: &[SortExpr]) -> Result<Vec<SortExpr>> {
        let keys = keys.iter().cloned().map(|mut key| {
            key.expr = self.inner(key.expr)?;
            Ok(key)
        });
        keys.collect()
    }

    fn key_exprs(&self) -> impl Iterator<Item = Expr> {
        self.keys.iter().cloned().map(Expr::Column)
    }
}

impl Domain {
    /// The distinct values that the columns have in the outer rows; it may have more.
    pub(super) fn new(base: &Arc<LogicalPlan>, outer: Vec<Column>) -> Result<Self> {
        let columns = outer.iter().cloned().map(Expr::Column).collect();
        let base = without_limits(base.as_ref().clone())?;
        let distinct = Aggregate::try_new(Arc::new(base), columns, Vec::new())?;
        Ok(Self {
            plan: Arc::new(LogicalPlan::Aggregate(distinct)),
            outer,
        })
    }

    /// The values under names that no other plan has.
    fn values(&self) -> Result<Pushed> {
        let keys: Vec<Column> = self
            .outer
            .iter()
            .map(|_| Column::from_name(fresh("outer")))
            .collect();
        let exprs = self.outer.iter().zip(&keys);
        let exprs = exprs.map(|(outer, key)| Expr::Column(outer.clone()).alias(&key.name));
        let plan = Projection::try_new(exprs.collect(), Arc::clone(&self.plan))?;
        Ok(self.pushed(LogicalPlan::Projection(plan), keys))
    }

    fn pushed(&self, plan: LogicalPlan, keys: Vec<Column>) -> Pushed {
        Pushed {
            plan,
            outer: self.outer.clone(),
            keys,
        }
    }

    fn is_used_in<'a>(&self, mut exprs: impl Iterator<Item = &'a Expr>) -> Result<bool> {
        let is_outer = |expr: &Expr| match expr {
            Expr::OuterReferenceColumn(_, column) => self.outer.contains(column),
            _ => false,
        };
        exprs.try_fold(false, |found, expr| {
            Ok(found || expr.exists(|expr| Ok(is_outer(expr)))?)
        })
    }

    fn is_used_by(&self, plan: &LogicalPlan) -> Result<bool> {
        let used = outer_columns(plan)?;
        Ok(used.iter().any(|column| self.outer.contains(column)))
    }
}

/// The rows with those that a LIMIT leaves out: which ones it takes may differ from one time to the
/// next, and the outer rows are computed twice.
fn without_limits(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down(|mut node| {
        let mut is_changed = false;
        while let LogicalPlan::Limit(limit) = node {
            node = limit.input.as_ref().clone();
            is_changed = true;
        }
        // More rows below give more rows above, not others.
        let goes_on = match &node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Sort(_) => true,
            LogicalPlan::Join(join) => join.join_type == JoinType::Inner,
            _ => false,
        };
        let next = if goes_on {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Jump
        };
        Ok(Transformed::new(node, is_changed, next))
    })
    .data()
}

/// The rows of `plan` for every value of the domain.
pub(super) fn push(plan: &LogicalPlan, domain: &Domain) -> Result<Pushed> {
    if !domain.is_used_by(plan)? {
        return crossed(plan, domain);
    }
    let pushed = match plan {
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let input = push(input, domain)?;
            let mut exprs = input.all_named(expr)?;
            exprs.extend(input.key_exprs());
            let plan = Projection::try_new(exprs, Arc::new(input.plan))?;
            domain.pushed(LogicalPlan::Projection(plan), input.keys)
        }
        LogicalPlan::Filter(filter) => {
            let input = push(&filter.input, domain)?;
            let predicate = input.inner(filter.predicate.clone())?;
            let plan = Filter::try_new(predicate, Arc::new(input.plan))?;
            domain.pushed(LogicalPlan::Filter(plan), input.keys)
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let input = push(input, domain)?;
            let keys = input.keys.into_iter();
            let keys = keys.map(|key| Column::new(Some(alias.clone()), key.name));
            let keys = keys.collect();
            let plan = SubqueryAlias::try_new(Arc::new(input.plan), alias.clone())?;
            domain.pushed(LogicalPlan::SubqueryAlias(plan), keys)
        }
        LogicalPlan::Aggregate(aggregate) => push_aggregate(aggregate, domain)?,
        LogicalPlan::Window(Window {
            input, window_expr, ..
        }) => {
            let input = push(input, domain)?;
            let exprs = window_expr.iter().map(|expr| partitioned(expr, &input));
            let exprs = exprs.collect::<Result<_>>()?;
            let plan = Window::try_new(exprs, Arc::new(input.plan))?;
            domain.pushed(LogicalPlan::Window(plan), input.keys)
        }
        LogicalPlan::Sort(sort) => push_sort(sort, domain)?,
        LogicalPlan::Limit(limit) => push_limit(limit, domain)?,
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = push(input, domain)?;
            let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(input.plan)));
            domain.pushed(plan, input.keys)
        }
        LogicalPlan::Distinct(Distinct::On(distinct)) => push_distinct_on(distinct, domain)?,
        LogicalPlan::Join(join) => push_join(join, domain)?,
        LogicalPlan::Union(union) => push_union(union, domain)?,
        LogicalPlan::Values(values) => push_values(values, domain)?,
        LogicalPlan::Unnest(Unnest {
            input,
            exec_columns,
            options,
            ..
        }) => {
            let input = push(input, domain)?;
            let plan = LogicalPlanBuilder::from(input.plan)
                .unnest_columns_with_options(exec_columns.clone(), options.clone())?
                .build()?;
            domain.pushed(plan, input.keys)
        }
        // A table of FROM that uses columns, such as UNNEST.
        LogicalPlan::Subquery(subquery) => push(&subquery.subquery, domain)?,
        other => {
            let name = other.display().to_string();
            let name = name.split([':', ' ']).next().unwrap_or_default();
            return not_impl_err!("{name} over columns of an outer query");
        }
    };
    Ok(pushed)
}

/// The plan for each value, which does not matter for it.
fn crossed(plan: &LogicalPlan, domain: &Domain) -> Result<Pushed> {
    let values = domain.values()?;
    if let LogicalPlan::EmptyRelation(empty) = plan
        && empty.produce_one_row
        && empty.schema.fields().is_empty()
    {
        return Ok(values);
    }
    let plan = LogicalPlanBuilder::from(plan.clone())
        .cross_join(values.plan)?
        .build()?;
    Ok(domain.pushed(plan, values.keys))
}

fn push_aggregate(aggregate: &Aggregate, domain: &Domain) -> Result<Pushed> {
    let groups = &aggregate.group_expr;
    if groups.iter().any(|g| matches!(g, Expr::GroupingSet(_))) {
        return not_impl_err!("GROUPING SETS, ROLLUP or CUBE over columns of an outer query");
    }
    if aggregate.aggr_expr.iter().any(is_of_outer_rows) {
        return not_impl_err!(
            "an aggregate over columns of an outer query alone, which is one of that query"
        );
    }
    let input = push(&aggregate.input, domain)?;
    if !groups.is_empty() {
        let mut groups = input.all_named(groups)?;
        groups.extend(input.key_exprs());
        let values = input.all_named(&aggregate.aggr_expr)?;
        let plan = Aggregate::try_new(Arc::new(input.plan), groups, values)?;
        return Ok(domain.pushed(LogicalPlan::Aggregate(plan), input.keys));
    }
    // There is a result also for the values without a row: of no rows, as each aggregate has it.
    let is_row = fresh("is_row");
    let mut columns: Vec<Expr> = input
        .plan
        .schema()
        .columns()
        .into_iter()
        .map(Expr::from)
        .collect();
    columns.push(lit(true).alias(&is_row));
    let names = NamePreserver::new_for_projection();
    let is_row = Expr::Column(Column::from_name(is_row)).is_not_null();
    let exprs = aggregate.aggr_expr.iter().map(|expr| {
        let name = names.save(expr);
        let expr = input.inner(expr.clone())?;
        Ok(name.restore(filtered(expr, &is_row)?))
    });
    let exprs = exprs.collect::<Result<_>>()?;
    let rows = Projection::try_new(columns, Arc::new(input.plan))?;
    let values = domain.values()?;
    let groups = values.key_exprs().collect();
    let on = values.key_exprs();
    let on = on.zip(input.keys.into_iter().map(Expr::Column)).collect();
    let joined = Join::try_new(
        Arc::new(values.plan),
        Arc::new(LogicalPlan::Projection(rows)),
        on,
        None,
        JoinType::Left,
        JoinConstraint::On,
        NullEquality::NullEqualsNull,
        false,
    )?;
    let plan = Aggregate::try_new(Arc::new(LogicalPlan::Join(joined)), groups, exprs)?;
    Ok(domain.pushed(LogicalPlan::Aggregate(plan), values.keys))
}

/// Whether an aggregate sees nothing of the rows of its own query.
fn is_of_outer_rows(expr: &Expr) -> bool {
    let is_outer = |expr: &Expr| match expr {
        Expr::AggregateFunction(aggregate) => {
            let args = &aggregate.params.args;
            args.iter().any(Expr::contains_outer) && !args.iter().any(Expr::any_column_refs)
        }
        _ => false,
    };
    expr.exists(|expr| Ok(is_outer(expr))).unwrap_or(true)
}

/// The aggregate over the rows of which `condition` holds.
fn filtered(expr: Expr, condition: &Expr) -> Result<Expr> {
    expr.transform(|expr| {
        Ok(match expr {
            Expr::AggregateFunction(mut aggregate) => {
                let own = aggregate.params.filter.take().map(|filter| *filter);
                let both = conjunction(std::iter::once(condition.clone()).chain(own));
                aggregate.params.filter = both.map(Box::new);
                Transformed::yes(Expr::AggregateFunction(aggregate))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}

/// The window function within the rows of one value.
fn partitioned(expr: &Expr, input: &Pushed) -> Result<Expr> {
    let name = NamePreserver::new_for_projection().save(expr);
    let expr = input.inner(expr.clone())?.transform(|expr| {
        Ok(match expr {
            Expr::WindowFunction(mut window) => {
                window.params.partition_by.extend(input.key_exprs());
                Transformed::yes(Expr::WindowFunction(window))
            }
            other => Transformed::no(other),
        })
    });
    Ok(name.restore(expr.data()?))
}

fn push_sort(sort: &Sort, domain: &Domain) -> Result<Pushed> {
    if let Some(fetch) = sort.fetch {
        return first_rows(&sort.input, &sort.expr, 0, Some(fetch), domain);
    }
    let input = push(&sort.input, domain)?;
    let plan = LogicalPlan::Sort(Sort {
        expr: input.sort_keys(&sort.expr)?,
        input: Arc::new(input.plan),
        fetch: None,
    });
    Ok(domain.pushed(plan, input.keys))
}

fn push_limit(limit: &Limit, domain: &Domain) -> Result<Pushed> {
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
        (limit.get_skip_type()?, limit.get_fetch_type()?)
    else {
        return not_impl_err!(
            "a LIMIT or OFFSET that is not a number, over columns of an outer query"
        );
    };
    let within = |input: &Arc<LogicalPlan>| {
        Arc::new(LogicalPlan::Limit(Limit {
            input: Arc::clone(input),
            ..limit.clone()
        }))
    };
    match limit.input.as_ref() {
        // The order is below what makes columns of each row.
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let plan = Projection::try_new(expr.clone(), within(input))?;
            push(&LogicalPlan::Projection(plan), domain)
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let plan = SubqueryAlias::try_new(within(input), alias.clone())?;
            push(&LogicalPlan::SubqueryAlias(plan), domain)
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            first_rows(&sort.input, &sort.expr, skip, fetch, domain)
        }
        _ => first_rows(&limit.input, &[], skip, fetch, domain),
    }
}

/// The first rows of each value.
fn first_rows(
    input: &LogicalPlan,
    order: &[SortExpr],
    skip: usize,
    fetch: Option<usize>,
    domain: &Domain,
) -> Result<Pushed> {
    let input = push(input, domain)?;
    let columns: Vec<Expr> = input
        .plan
        .schema()
        .columns()
        .into_iter()
        .map(Expr::from)
        .collect();
    let mut number = row_number().partition_by(input.key_exprs().collect());
    let order = input.sort_keys(order)?;
    if !order.is_empty() {
        number = number.order_by(order);
    }
    let name = fresh("number");
    let number = number.build()?.alias(&name);
    let numbered = Window::try_new(vec![number], Arc::new(input.plan))?;
    let number = || Expr::Column(Column::from_name(&name));
    let rows = |n: usize| lit(i64::try_from(n).unwrap_or(i64::MAX));
    let last = fetch.map(|fetch| number().lt_eq(rows(skip.saturating_add(fetch))));
    let wanted = number().gt(rows(skip));
    let wanted = conjunction(std::iter::once(wanted).chain(last)).unwrap_or_else(|| lit(true));
    let rows = Filter::try_new(wanted, Arc::new(LogicalPlan::Window(numbered)))?;
    let plan = Projection::try_new(columns, Arc::new(LogicalPlan::Filter(rows)))?;
    Ok(domain.pushed(LogicalPlan::Projection(plan), input.keys))
}

fn push_distinct_on(distinct: &DistinctOn, domain: &Domain) -> Result<Pushed> {
    let input = push(&distinct.input, domain)?;
    let mut on: Vec<Expr> = input.key_exprs().collect();
    for expr in &distinct.on_expr {
        on.push(input.inner(expr.clone())?);
    }
    let mut columns = input.all_named(&distinct.select_expr)?;
    columns.extend(input.key_exprs());
    let order = distinct.sort_expr.as_ref().map(|order| {
        let mut keys: Vec<SortExpr> = input.key_exprs().map(|e| e.sort(true, false)).collect();
        keys.extend(input.sort_keys(order)?);
        Ok::<_, datafusion::error::DataFusionError>(keys)
    });
    let plan = DistinctOn::try_new(on, columns, order.transpose()?, Arc::new(input.plan))?;
    Ok(domain.pushed(LogicalPlan::Distinct(Distinct::On(plan)), input.keys))
}

fn push_join(join: &Join, domain: &Domain) -> Result<Pushed> {
    let of_left = join.on.iter().map(|(left, _)| left);
    let of_right = join.on.iter().map(|(_, right)| right);
    let used_left = domain.is_used_by(&join.left)? || domain.is_used_in(of_left)?;
    let used_right = domain.is_used_by(&join.right)? || domain.is_used_in(of_right)?;
    // A side whose rows may come without a partner needs the values itself.
    let (needs_left, needs_right) = match join.join_type {
        JoinType::Inner => (used_left || !used_right, used_right),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            (true, used_right)
        }
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            (used_left, true)
        }
        JoinType::Full => (true, true),
    };
    let side = |plan: &Arc<LogicalPlan>, needs: bool| {
        if needs {
            push(plan, domain)
        } else {
            Ok(Pushed::uncorrelated(plan.as_ref().clone()))
        }
    };
    let left = side(&join.left, needs_left)?;
    let right = side(&join.right, needs_right)?;
    let (left_keys, right_keys) = (left.keys.clone(), right.keys.clone());
    let is_left_kept = matches!(
        join.join_type,
        JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
            | JoinType::Full
            | JoinType::Inner
    );
    let of_values = if needs_left && (is_left_kept || !needs_right) {
        &left
    } else {
        &right
    };
    let filter = join.filter.clone().map(|filter| of_values.inner(filter));
    let filter = filter.transpose()?;
    let keys = of_values.keys.clone();
    let same = left_keys.iter().zip(&right_keys);
    let same = same.map(|(l, r)| (Expr::Column(l.clone()), Expr::Column(r.clone())));
    let on = join
        .on
        .iter()
        .map(|(l, r)| Ok((left.inner(l.clone())?, right.inner(r.clone())?)));
    let mut on = on.collect::<Result<Vec<_>>>()?;
    let mut filter = filter;
    let mut null_equality = join.null_equality;
    if needs_left && needs_right {
        if null_equality == NullEquality::NullEqualsNothing {
            // NULL is a value of an outer column, but none of a key of the query's own.
            let own = on.drain(..).map(|(l, r)| l.eq(r)).collect::<Vec<_>>();
            filter = conjunction(own.into_iter().chain(filter));
            null_equality = NullEquality::NullEqualsNull;
        }
        on.extend(same);
    }
    let plan = LogicalPlan::Join(Join::try_new(
        Arc::new(left.plan),
        Arc::new(right.plan),
        on,
        filter,
        join.join_type,
        JoinConstraint::On,
        null_equality,
        join.null_aware,
    )?);
    if join.join_type != JoinType::Full {
        return Ok(domain.pushed(plan, keys));
    }
    let mut exprs: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .map(Expr::from)
        .collect();
    let mut keys = Vec::new();
    for (left, right) in left_keys.into_iter().zip(right_keys) {
        let name = fresh("outer");
        let either = coalesce(vec![Expr::Column(left), Expr::Column(right)]);
        exprs.push(either.alias(&name));
        keys.push(Column::from_name(name));
    }
    let plan = Projection::try_new(exprs, Arc::new(plan))?;
    Ok(domain.pushed(LogicalPlan::Projection(plan), keys))
}

fn push_union(union: &Union, domain: &Domain) -> Result<Pushed> {
    let names: Vec<String> = domain.outer.iter().map(|_| fresh("outer")).collect();
    let inputs = union.inputs.iter().map(|plan| {
        let columns = plan.schema().columns();
        let input = push(plan, domain)?;
        let mut exprs: Vec<Expr> = columns.into_iter().map(Expr::from).collect();
        let keys = input.key_exprs().zip(&names);
        exprs.extend(keys.map(|(key, name)| key.alias(name)));
        let plan = Projection::try_new(exprs, Arc::new(input.plan))?;
        Ok(Arc::new(LogicalPlan::Projection(plan)))
    });
    let inputs = inputs.collect::<Result<_>>()?;
    let plan = LogicalPlan::Union(Union::try_new(inputs)?);
    // Under the names that the union had.
    let columns = plan.schema().columns().into_iter();
    let old = union
        .schema
        .iter()
        .map(|(of, field)| (of.cloned(), field.name().clone()));
    let new = names.iter().map(|name| (None, name.clone()));
    let exprs = columns.zip(old.chain(new)).map(|(column, (of, name))| {
        let is_same = column.relation == of && column.name == name;
        let expr = Expr::Column(column);
        if is_same {
            expr
        } else {
            expr.alias_qualified(of, name)
        }
    });
    let plan = Projection::try_new(exprs.collect(), Arc::new(plan))?;
    let keys = names.into_iter().map(Column::from_name).collect();
    Ok(domain.pushed(LogicalPlan::Projection(plan), keys))
}

fn push_values(values: &Values, domain: &Domain) -> Result<Pushed> {
    let names: Vec<String> = domain.outer.iter().map(|_| fresh("outer")).collect();
    let rows = values.values.iter().map(|row| {
        let input = domain.values()?;
        let mut exprs = Vec::new();
        for (expr, field) in row.iter().zip(values.schema.fields()) {
            let expr = input.inner(expr.clone())?;
            let schema: &DFSchema = input.plan.schema();
            exprs.push(expr.cast_to(field.data_type(), schema)?.alias(field.name()));
        }
        let keys = input.key_exprs().zip(&names);
        exprs.extend(keys.map(|(key, name)| key.alias(name)));
        let plan = Projection::try_new(exprs, Arc::new(input.plan))?;
        Ok(Arc::new(LogicalPlan::Projection(plan)))
    });
    let mut rows = rows.collect::<Result<Vec<_>>>()?;
    let plan = match (rows.pop(), rows.is_empty()) {
        (Some(only), true) => only.as_ref().clone(),
        (Some(last), false) => {
            rows.push(last);
            LogicalPlan::Union(Union::try_new(rows)?)
        }
        (None, _) => return not_impl_err!("VALUES without a row"),
    };
    let keys = names.into_iter().map(Column::from_name).collect();
    Ok(domain.pushed(plan, keys))
}
