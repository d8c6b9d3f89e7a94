//! `string_agg` in several orders at once.
//!
//! DataFusion sorts the rows of an aggregate once, in the order that a `string_agg` asks for, and refuses a query
//! with another order. Lists are sorted each for itself, so that the texts are collected in lists and joined.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_nested::string::array_to_string;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr,
};
use datafusion::optimizer::AnalyzerRule;

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

/// The `string_agg … ORDER BY` that an expression is.
fn ordered(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::Alias(alias) => ordered(&alias.expr),
        Expr::AggregateFunction(call)
            if call.func.name() == "string_agg" && !call.params.order_by.is_empty() =>
        {
            Some(call)
        }
        _ => None,
    }
}

fn has_orders(aggregate: &Aggregate) -> bool {
    let mut orders: Vec<&Vec<SortExpr>> = Vec::new();
    for call in aggregate.aggr_expr.iter().filter_map(ordered) {
        if !orders.contains(&&call.params.order_by) {
            orders.push(&call.params.order_by);
        }
    }
    orders.len() > 1
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
        let Some([_, separator]) = call.map(|call| call.params.args.as_slice()) else {
            return Ok(column);
        };
        let separator = separator.clone().cast_to(&DataType::Utf8, input_schema)?;
        let text = array_to_string(column, separator);
        let text = text.cast_to(field.data_type(), &lists.schema)?;
        Ok(text.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(lists))
        .project(columns)?
        .build()
}

/// The texts of a `string_agg` as a list; NULL where there is none.
fn list(call: &AggregateFunction, schema: &DFSchema) -> Result<Expr> {
    let mut call = call.clone();
    let mut arguments = call.params.args.into_iter();
    let text = arguments.next().unwrap_or_default();
    let text = text.cast_to(&DataType::Utf8, schema)?;
    let is_text = text.clone().is_not_null();
    call.params.filter = Some(Box::new(match call.params.filter {
        Some(filter) => filter.and(is_text),
        None => is_text,
    }));
    call.params.args = vec![text];
    call.func = array_agg_udaf();
    Ok(Expr::AggregateFunction(call))
}
