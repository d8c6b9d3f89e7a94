//! Queries that are used more than once and have the first of several rows.
//!
//! The planner puts the query of a WITH or of a view wherever it is named, and each use is computed by itself. Where
//! rows are equal in all keys of an order, chance says which of them come first: `ORDER BY amount LIMIT 10`, or
//! `row_number() OVER (ORDER BY day)`. Such an order gets all other columns as further keys, so that each use has the
//! same rows.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, not_impl_err};
use datafusion::logical_expr::{
    Distinct, Expr, Limit, LogicalPlan, Projection, Sort, SortExpr, SubqueryAlias, WindowFrameUnits,
};

use super::shared::Step;
use crate::rules::with_outputs;

/// Window functions whose value depends on the place of a row among equal ones.
const OF_PLACES: [&str; 4] = ["lag", "lead", "ntile", "row_number"];
/// Functions that pick or list values in an order.
const OF_ORDERS: [&str; 6] = [
    "any_value",
    "array_agg",
    "first_value",
    "last_value",
    "nth_value",
    "string_agg",
];

/// The plan with whole orders in all steps that are there twice. It has to be asked before any rule copied the plan.
///
/// # Errors
/// `NotImplemented` where the order cannot be made whole.
pub(super) fn broken(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut uses: HashMap<Step, usize> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if depends_on_order(node)? {
            *uses.entry(Step::of(node)).or_default() += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if uses.values().all(|n| *n < 2) {
        return Ok(plan);
    }
    plan.transform_down_with_subqueries(|node| {
        let is_shared = depends_on_order(&node)? && uses.get(&Step::of(&node)) > Some(&1);
        match is_shared {
            true => in_whole_order(node).map(Transformed::yes),
            false => Ok(Transformed::no(node)),
        }
    })
    .data()
}

fn depends_on_order(node: &LogicalPlan) -> Result<bool> {
    match node {
        LogicalPlan::Limit(_) | LogicalPlan::Distinct(Distinct::On(_)) => return Ok(true),
        LogicalPlan::Window(_) | LogicalPlan::Aggregate(_) => {}
        _ => return Ok(false),
    }
    let mut depends = false;
    node.apply_expressions(|expr| {
        depends |= expr.exists(|expr| Ok(picks(expr)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(depends)
}

/// Whether the value depends on the order of rows that are equal in all keys.
fn picks(expr: &Expr) -> bool {
    match expr {
        Expr::WindowFunction(call) => {
            let name = call.fun.name();
            OF_PLACES.contains(&name)
                || OF_ORDERS.contains(&name)
                || call.params.window_frame.units == WindowFrameUnits::Rows
                    && !call.params.order_by.is_empty()
        }
        Expr::AggregateFunction(call) => OF_ORDERS.contains(&call.func.name()),
        _ => false,
    }
}

fn in_whole_order(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Limit(limit) => {
            let input = match sorted(&limit.input)? {
                Some(input) => input,
                None => LogicalPlan::Sort(Sort {
                    expr: further(&[], limit.input.schema())?,
                    input: Arc::clone(&limit.input),
                    fetch: None,
                }),
            };
            let input = Arc::new(input);
            Ok(LogicalPlan::Limit(Limit { input, ..limit }))
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let keys = on.sort_expr.take().unwrap_or_default();
            let more = further(&keys, on.input.schema())?;
            // The order begins with the columns that are distinct.
            let first = match keys.is_empty() {
                true => on
                    .on_expr
                    .iter()
                    .map(|key| key.clone().sort(true, false))
                    .collect(),
                false => keys,
            };
            let more = more
                .into_iter()
                .filter(|key| !first.iter().any(|f| f.expr == key.expr));
            let more: Vec<SortExpr> = more.collect();
            on.sort_expr = Some(first.into_iter().chain(more).collect());
            Ok(LogicalPlan::Distinct(Distinct::On(on)))
        }
        node => {
            let inputs = node.inputs();
            let Some(schema) = inputs.first().map(|input| Arc::clone(input.schema())) else {
                return Ok(node);
            };
            with_outputs(
                node,
                |_| Ok(true),
                |expr| expr.transform_up(|expr| with_keys(expr, &schema)),
            )
            .data()
        }
    }
}

/// The rows in whole order, where they are in one.
fn sorted(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            let mut sort = sort.clone();
            let more = further(&sort.expr, sort.input.schema())?;
            sort.expr.extend(more);
            Some(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Projection(step) => match sorted(&step.input)? {
            Some(input) => Some(LogicalPlan::Projection(Projection::try_new(
                step.expr.clone(),
                Arc::new(input),
            )?)),
            None => None,
        },
        LogicalPlan::SubqueryAlias(alias) => match sorted(&alias.input)? {
            Some(input) => Some(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
                Arc::new(input),
                alias.alias.clone(),
            )?)),
            None => None,
        },
        _ => None,
    })
}

/// The columns that are no keys yet.
fn further(keys: &[SortExpr], schema: &DFSchema) -> Result<Vec<SortExpr>> {
    let columns = schema.iter().map(|(table, field)| {
        if matches!(field.data_type(), DataType::Map(..) | DataType::Union(..)) {
            return not_impl_err!(
                "the query of a WITH or a view that has the first rows of several is used more than once, and its \
                 column {} has no order, so that each use could have other rows; store its rows by CREATE TABLE … AS \
                 first",
                field.name()
            );
        }
        Ok(Expr::from((table, field)))
    });
    let columns = columns.collect::<Result<Vec<Expr>>>()?;
    let is_key = |column: &Expr| keys.iter().any(|key| key.expr == *column);
    let columns = columns.into_iter().filter(|column| !is_key(column));
    Ok(columns.map(|column| column.sort(true, false)).collect())
}

fn with_keys(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if !picks(&expr) {
        return Ok(Transformed::no(expr));
    }
    match expr {
        Expr::WindowFunction(mut call) => {
            let name = call.fun.name().to_owned();
            let frame = &call.params.window_frame;
            if frame.units != WindowFrameUnits::Rows && OF_ORDERS.contains(&name.as_str()) {
                // Further keys would make other frames of these.
                let is_whole = further(&call.params.order_by, schema)?.is_empty();
                let is_first = name == "first_value" && frame.start_bound.is_unbounded();
                if !is_whole && !is_first {
                    return not_impl_err!(
                        "the query of a WITH or a view that has {name} over a window of equal rows is used more than \
                         once, and each use could have another value; write ROWS and all columns that matter in its \
                         ORDER BY, or store its rows by CREATE TABLE … AS first"
                    );
                }
            }
            let more = further(&call.params.order_by, schema)?;
            call.params.order_by.extend(more);
            Ok(Transformed::yes(Expr::WindowFunction(call)))
        }
        Expr::AggregateFunction(mut call) => {
            let value = call.params.args.first().cloned();
            let is_key = |value: &Expr| call.params.order_by.iter().any(|key| key.expr == *value);
            let value = value.filter(|value| !is_key(value));
            if let Some(value) = value {
                call.params.order_by.push(value.sort(true, false));
            }
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        other => Ok(Transformed::no(other)),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn planned(sql: &str) -> Result<String> {
        let state = SessionContext::new().state();
        let plan = broken(state.create_logical_plan(sql).await?)?;
        // It can be run.
        state.optimize(&plan)?;
        Ok(plan.display_indent().to_string())
    }

    const ROWS: &str = "(VALUES (1, 'a', 2.5), (1, 'b', 2.5)) AS t(k, g, v)";

    #[tokio::test]
    async fn what_is_used_twice_is_in_whole_order() -> Result<()> {
        for (query, step) in [
            (
                "SELECT k, g FROM ROWS ORDER BY k DESC LIMIT 1",
                "Sort: t.k DESC NULLS FIRST, t.g ASC NULLS LAST",
            ),
            (
                "SELECT k, g FROM ROWS LIMIT 1",
                "Sort: t.k ASC NULLS LAST, t.g ASC NULLS LAST",
            ),
            (
                "SELECT g, row_number() OVER (PARTITION BY g ORDER BY k) AS n FROM ROWS",
                "ORDER BY [t.k ASC NULLS LAST, t.g ASC NULLS LAST, t.v ASC NULLS LAST]",
            ),
            (
                "SELECT k, first_value(g ORDER BY v) AS f FROM ROWS GROUP BY k",
                "ORDER BY [t.v ASC NULLS LAST, t.g ASC NULLS LAST]",
            ),
            (
                "SELECT k, string_agg(g, ',') AS f FROM ROWS GROUP BY k",
                "ORDER BY [t.g ASC NULLS LAST]",
            ),
        ] {
            let query = query.replace("ROWS", ROWS);
            let twice = format!("WITH a AS ({query}) SELECT * FROM a AS x CROSS JOIN a AS y");
            let plan = planned(&twice).await?;
            assert_eq!(plan.matches(step).count(), 2, "{plan}");
            let once = format!("WITH a AS ({query}) SELECT * FROM a");
            assert!(!planned(&once).await?.contains(step), "{query}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_cannot_be_in_whole_order_is_refused() {
        let query = format!("SELECT last_value(g) OVER (ORDER BY k) AS l FROM {ROWS}");
        let twice = format!("WITH a AS ({query}) SELECT * FROM a AS x CROSS JOIN a AS y");
        let error = planned(&twice).await;
        assert!(error.is_err_and(|e| e.to_string().contains("more than once")));
        let rank = format!(
            "SELECT rank() OVER (ORDER BY k) AS l, sum(v) OVER (ORDER BY k) AS s FROM {ROWS}"
        );
        let twice = format!("WITH a AS ({rank}) SELECT * FROM a AS x CROSS JOIN a AS y");
        assert!(planned(&twice).await.is_ok());
    }
}
