//! Intervals that are equal by their length, where values are grouped or looked up: `1 day` and `24 hours`.
//!
//! Arrow compares their months, days and nanoseconds. Where only the comparison counts, the length stands in for
//! them. Where one of several equal intervals would be in the result, they are refused.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, NullEquality, Result, not_impl_err};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::floats::COMPARING;
use super::misread::is_comparison;
use super::walk;
use crate::functions::{MODE, interval_length, is_quantified};

/// Takes intervals of one length for one value, or refuses them.
#[derive(Debug)]
pub(super) struct OneLength;

impl AnalyzerRule for OneLength {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, compared, step)
    }

    fn name(&self) -> &str {
        "one_length"
    }
}

/// Aggregates that compare their values.
const AS_VALUES: [&str; 4] = ["approx_distinct", "max", "min", MODE];

fn compared(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_changed = match &mut expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
            for side in [&binary.left, &binary.right] {
                refuse(side, schema, "a comparison")?;
            }
            false
        }
        Expr::InList(list) => {
            let items = list.list.iter_mut();
            lengths(items.chain([list.expr.as_mut()]), schema)
        }
        Expr::InSubquery(subquery) => {
            refuse(&subquery.expr, schema, "IN with a subquery")?;
            false
        }
        Expr::Case(case) => match &mut case.expr {
            Some(value) => {
                let whens = case.when_then_expr.iter_mut();
                let whens = whens.map(|(when, _)| when.as_mut());
                lengths(whens.chain([value.as_mut()]), schema)
            }
            None => false,
        },
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            if COMPARING.contains(&name) || is_quantified(name) {
                for argument in &call.args {
                    refuse(argument, schema, name)?;
                }
            }
            false
        }
        Expr::AggregateFunction(call) => {
            let name = call.func.name().to_owned();
            let has_values = call.func.supports_within_group_clause();
            let params = &mut call.params;
            let keys = params.order_by.iter_mut().map(|key| &mut key.expr);
            if name == "count" && params.distinct {
                lengths(params.args.iter_mut().chain(keys), schema)
            } else if params.distinct || has_values || AS_VALUES.contains(&name.as_str()) {
                for argument in params.args.iter().chain(keys.map(|key| &*key)) {
                    refuse(argument, schema, &name)?;
                }
                false
            } else {
                lengths(keys, schema)
            }
        }
        Expr::WindowFunction(call) => {
            let name = call.fun.name().to_owned();
            let params = &mut call.params;
            let compares = AS_VALUES.contains(&name.as_str());
            if compares || params.distinct && name != "count" {
                for argument in &params.args {
                    refuse(argument, schema, &name)?;
                }
            }
            let is_counted = params.distinct && lengths(&mut params.args, schema);
            let is_parted = lengths(&mut params.partition_by, schema);
            let keys = params.order_by.iter_mut().map(|key| &mut key.expr);
            let is_ordered = lengths(keys, schema);
            is_counted || is_parted || is_ordered
        }
        _ => false,
    };
    Ok(Transformed::new_transformed(expr, is_changed))
}

fn step(plan: LogicalPlan, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(mut join) => {
            let mut is_changed = false;
            for (left, right) in &mut join.on {
                if join.null_equality == NullEquality::NullEqualsNull {
                    refuse(left, join.left.schema(), "INTERSECT or EXCEPT")?;
                }
                is_changed |= lengths([left], join.left.schema());
                is_changed |= lengths([right], join.right.schema());
            }
            Ok(Transformed::new_transformed(
                LogicalPlan::Join(join),
                is_changed,
            ))
        }
        LogicalPlan::Distinct(distinct) => {
            match &distinct {
                Distinct::All(input) => refuse_rows(input.schema(), "DISTINCT or UNION")?,
                Distinct::On(on) => {
                    for key in &on.on_expr {
                        refuse(key, schema, "DISTINCT ON")?;
                    }
                }
            }
            Ok(Transformed::no(LogicalPlan::Distinct(distinct)))
        }
        LogicalPlan::Aggregate(aggregate) => {
            for key in &aggregate.group_expr {
                match key {
                    Expr::GroupingSet(sets) => {
                        for key in sets.distinct_expr() {
                            refuse(key, schema, "GROUP BY")?;
                        }
                    }
                    key => refuse(key, schema, "GROUP BY")?,
                }
            }
            Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)))
        }
        LogicalPlan::RecursiveQuery(query) => {
            if query.is_distinct {
                refuse_rows(query.static_term.schema(), "UNION")?;
            }
            Ok(Transformed::no(LogicalPlan::RecursiveQuery(query)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Puts lengths in the place of intervals, and says whether there were some.
fn lengths<'a>(exprs: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let mut is_changed = false;
    for expr in exprs {
        if matches!(expr.get_type(schema), Ok(DataType::Interval(_))) {
            *expr = interval_length().call(vec![std::mem::take(expr)]);
            is_changed = true;
        }
    }
    is_changed
}

fn refuse(expr: &Expr, schema: &DFSchema, place: &str) -> Result<()> {
    match expr.get_type(schema) {
        Ok(data_type) => refuse_type(&data_type, place),
        Err(_) => Ok(()),
    }
}

fn refuse_rows(schema: &DFSchema, place: &str) -> Result<()> {
    let mut fields = schema.fields().iter();
    fields.try_for_each(|field| refuse_type(field.data_type(), place))
}

fn refuse_type(data_type: &DataType, place: &str) -> Result<()> {
    if !has_intervals(data_type) {
        return Ok(());
    }
    not_impl_err!(
        "{place} of intervals is not supported; take their seconds by date_part('epoch', …), which are the same for \
         1 day and 24 hours"
    )
}

fn has_intervals(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_intervals(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_intervals(f.data_type())),
        other => matches!(other, DataType::Interval(_)),
    }
}
