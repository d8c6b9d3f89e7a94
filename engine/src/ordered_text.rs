//! `string_agg`, `array_agg(…)[n]` and `array_agg(DISTINCT …)` in several orders at once.
//!
//! DataFusion sorts the rows of an aggregate once, in the order that such an aggregate asks for, and refuses a query
//! with another order. Lists are sorted each for itself, so that the values are collected in lists, and then joined or picked.
//! DataFusion reads `array_agg(x ORDER BY y)[n]` as `nth_value(x, n ORDER BY y)`. Values that are there once each come in
//! the order of another aggregate, so that they are sorted after they were collected.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_nested::extract::array_element;
use datafusion::functions_nested::sort::array_sort;
use datafusion::functions_nested::string::array_to_string;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr, lit,
};
use datafusion::optimizer::AnalyzerRule;

const TEXT: &str = "string_agg";
const NTH: &str = "nth_value";
const LIST: &str = "array_agg";

/// Replaces such aggregates.
#[derive(Debug)]
pub(crate) struct OrderedText;

impl AnalyzerRule for OrderedText {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) if has_orders(&aggregate) => {
                collected(&aggregate).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "ordered_text"
    }
}

/// The aggregate of sorted rows that an expression is.
fn ordered(expr: &Expr) -> Option<&AggregateFunction> {
    let needs_order = |call: &&AggregateFunction| {
        let is_one = match call.func.name() {
            TEXT | NTH => true,
            LIST => call.params.distinct,
            _ => false,
        };
        is_one && !call.params.order_by.is_empty()
    };
    call(expr).filter(needs_order)
}

fn call(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::Alias(alias) => call(&alias.expr),
        Expr::AggregateFunction(call) => Some(call),
        _ => None,
    }
}

/// Whether the rows would have to be sorted in several ways. Texts that are there once each come in the order of any
/// other aggregate, so that they need a list of their own beside it.
fn has_orders(aggregate: &Aggregate) -> bool {
    let needed: Vec<_> = aggregate.aggr_expr.iter().filter_map(ordered).collect();
    let is_distinct = needed.iter().any(|call| call.params.distinct);
    match is_distinct {
        true => n_orders(aggregate.aggr_expr.iter().filter_map(call)) > 1,
        false => n_orders(needed.into_iter()) > 1,
    }
}

fn n_orders<'a>(calls: impl Iterator<Item = &'a AggregateFunction>) -> usize {
    let mut orders: Vec<&Vec<SortExpr>> = Vec::new();
    for call in calls {
        let order = &call.params.order_by;
        if !order.is_empty() && !orders.contains(&order) {
            orders.push(order);
        }
    }
    orders.len()
}

fn collected(aggregate: &Aggregate) -> Result<LogicalPlan> {
    let input_schema = aggregate.input.schema();
    let aggregates = aggregate.aggr_expr.iter().map(|expr| match ordered(expr) {
        Some(call) => {
            list(call, input_schema).map(|list| list.alias(expr.schema_name().to_string()))
        }
        None => Ok(expr.clone()),
    });
    let aggregates = aggregates.collect::<Result<Vec<_>>>()?;
    let lists = Aggregate::try_new(
        Arc::clone(&aggregate.input),
        aggregate.group_expr.clone(),
        aggregates,
    )?;
    let n_groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let columns = lists.schema.iter().zip(aggregate.schema.iter()).enumerate();
    let columns = columns.map(|(at, (list, (qualifier, field)))| {
        let column = Expr::Column(Column::from(list));
        let call = at.checked_sub(n_groups);
        let call = call.and_then(|at| ordered(aggregate.aggr_expr.get(at)?));
        let Some(call) = call else {
            return Ok(column);
        };
        let list = match order_of_itself(call) {
            Some(order) => sorted(column, order),
            None => column,
        };
        let value = match (call.func.name(), call.params.args.as_slice()) {
            (NTH, [_, n]) => array_element(list, n.clone()),
            (TEXT, [_, separator]) => {
                let separator = separator.clone().cast_to(&DataType::Utf8, input_schema)?;
                array_to_string(list, separator)
            }
            _ => list,
        };
        let value = value.cast_to(field.data_type(), &lists.schema)?;
        Ok(value.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(lists))
        .project(columns)?
        .build()
}

/// The order of values that are there once each.
fn order_of_itself(call: &AggregateFunction) -> Option<&SortExpr> {
    match (call.params.order_by.as_slice(), call.params.args.first()) {
        ([order], Some(value)) if call.params.distinct && order.expr == *value => Some(order),
        _ => None,
    }
}

fn sorted(list: Expr, order: &SortExpr) -> Expr {
    let direction = if order.asc { "ASC" } else { "DESC" };
    let nulls = match order.nulls_first {
        true => "NULLS FIRST",
        false => "NULLS LAST",
    };
    array_sort(list, lit(direction), lit(nulls))
}

/// The values of such an aggregate as a list; NULL where there is none.
fn list(call: &AggregateFunction, schema: &DFSchema) -> Result<Expr> {
    let mut call = call.clone();
    let is_text = call.func.name() == TEXT;
    if order_of_itself(&call).is_some() {
        call.params.order_by.clear();
    }
    call.func = array_agg_udaf();
    let mut arguments = call.params.args.into_iter();
    let text = arguments.next().unwrap_or_default();
    if !is_text {
        call.params.args = vec![text];
        return Ok(Expr::AggregateFunction(call));
    }
    let text = text.cast_to(&DataType::Utf8, schema)?;
    let is_text = text.clone().is_not_null();
    call.params.filter = Some(Box::new(match call.params.filter {
        Some(filter) => filter.and(is_text),
        None => is_text,
    }));
    call.params.args = vec![text];
    Ok(Expr::AggregateFunction(call))
}
