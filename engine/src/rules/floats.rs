//! Floating numbers that are equal and have other bits: -0.0 and 0.0, and NaN, which may have a sign and is one
//! value here, the greatest of all.
//!
//! DataFusion and Arrow compare bits in most places: `=` and `<`, IN, CASE with a value, DISTINCT, groups, the keys of
//! joins, orders and windows, `min` and `max`, and the functions of lists.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, LogicalPlan, Projection, SortExpr,
};
use datafusion::optimizer::AnalyzerRule;

use super::misread::is_comparison;
use super::walk;
use crate::functions::{COMPARABLE, MODE, comparable, has_floats, is_quantified};

/// Makes one of the floating numbers that are equal, wherever they are compared.
#[derive(Debug)]
pub(super) struct OneForm;

impl AnalyzerRule for OneForm {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, |expr, schema| Ok(compared(expr, schema)), step)
    }

    fn name(&self) -> &str {
        "one_form"
    }
}

/// Functions that compare their arguments, or what is in them.
pub(super) const COMPARING: [&str; 26] = [
    "array_distinct",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_max",
    "array_min",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_sort",
    "array_union",
    "arrays_overlap",
    "greatest",
    "least",
    "make_map",
    "map",
    "map_extract",
    "nullif",
    "element_at",
];

/// Aggregates that compare their values.
const EXTREMES: [&str; 2] = ["max", "min"];

fn compared(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_changed = match &mut expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
            one_form_of_all([binary.left.as_mut(), binary.right.as_mut()], schema)
        }
        Expr::Between(between) => {
            let sides = [&mut between.expr, &mut between.low, &mut between.high];
            one_form_of_all(sides.map(Box::as_mut), schema)
        }
        Expr::Case(case) => match &mut case.expr {
            Some(value) => {
                let whens = case.when_then_expr.iter_mut();
                let whens = whens.map(|(when, _)| when.as_mut());
                one_form_of_all(whens.chain([value.as_mut()]), schema)
            }
            None => false,
        },
        Expr::InList(list) => {
            let items = list.list.iter_mut().chain([list.expr.as_mut()]);
            one_form_of_all(items, schema)
        }
        Expr::InSubquery(subquery) => one_form(&mut subquery.expr, schema),
        Expr::ScalarFunction(call)
            if COMPARING.contains(&call.func.name()) || is_quantified(call.func.name()) =>
        {
            one_form_of_all(&mut call.args, schema)
        }
        Expr::AggregateFunction(call) => {
            let name = call.func.name().to_owned();
            let params = &mut call.params;
            let compares = params.distinct || name == MODE || EXTREMES.contains(&name.as_str());
            let is_changed = compares && one_form_of_all(&mut params.args, schema);
            // An aggregate over values that WITHIN GROUP orders says itself what NaN is.
            let has_keys = params.distinct || !call.func.supports_within_group_clause();
            let keys = params.order_by.iter_mut().map(|key| &mut key.expr);
            has_keys && one_form_of_all(keys, schema) || is_changed
        }
        Expr::WindowFunction(call) => {
            let name = call.fun.name().to_owned();
            let params = &mut call.params;
            let compares = params.distinct || name == MODE || EXTREMES.contains(&name.as_str());
            let is_compared = compares && one_form_of_all(&mut params.args, schema);
            let is_parted = one_form_of_all(&mut params.partition_by, schema);
            let keys = params.order_by.iter_mut().map(|key| &mut key.expr);
            let is_ordered = one_form_of_all(keys, schema);
            is_compared || is_parted || is_ordered
        }
        _ => false,
    };
    Transformed::new_transformed(expr, is_changed)
}

fn step(plan: LogicalPlan, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Sort(mut sort) => {
            let is_changed = keys(&mut sort.expr, schema);
            Transformed::new_transformed(LogicalPlan::Sort(sort), is_changed)
        }
        LogicalPlan::Join(mut join) => {
            let mut is_changed = false;
            for (left, right) in &mut join.on {
                is_changed |= one_form(left, join.left.schema());
                is_changed |= one_form(right, join.right.schema());
            }
            Transformed::new_transformed(LogicalPlan::Join(join), is_changed)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            match columns_of_one_form(&input, |_| true, Vec::new())? {
                Some(input) => {
                    Transformed::yes(LogicalPlan::Distinct(Distinct::All(Arc::new(input))))
                }
                None => Transformed::no(LogicalPlan::Distinct(Distinct::All(input))),
            }
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let is_changed = one_form_of_all(&mut on.on_expr, schema);
            let is_ordered = on.sort_expr.as_mut().is_some_and(|sort| keys(sort, schema));
            Transformed::new_transformed(
                LogicalPlan::Distinct(Distinct::On(on)),
                is_changed || is_ordered,
            )
        }
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate, schema)?,
        other => Transformed::no(other),
    })
}

/// Groups by numbers of one form, which are made in a step below.
fn grouped(aggregate: Aggregate, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let mut columns: Vec<Column> = Vec::new();
    let mut computed: Vec<Expr> = Vec::new();
    let keys = aggregate.group_expr.iter().map(|key| {
        let key = key.clone().transform_down(|expr| {
            if matches!(expr, Expr::GroupingSet(_)) {
                return Ok(Transformed::no(expr));
            }
            let expr = match needs_form(&expr, schema) {
                true => below(expr, &mut columns, &mut computed),
                false => expr,
            };
            Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump))
        });
        key.data()
    });
    let keys: Vec<Expr> = keys.collect::<Result<_>>()?;
    let input = columns_of_one_form(
        &aggregate.input,
        |column| columns.contains(column),
        computed,
    )?;
    let Some(input) = input else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    let aggregate = Aggregate::try_new(Arc::new(input), keys, aggregate.aggr_expr)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// The column that a key of a group is in the step below.
fn below(key: Expr, columns: &mut Vec<Column>, computed: &mut Vec<Expr>) -> Expr {
    if let Expr::Column(column) = &key {
        columns.push(column.clone());
        return key;
    }
    let (table, name) = key.qualified_name();
    let column = Expr::Column(Column::new(table.clone(), name.clone()));
    let value = comparable().call(vec![key.unalias()]);
    let value = value.alias_qualified(table, name);
    if !computed.contains(&value) {
        computed.push(value);
    }
    column
}

/// The rows with those of their columns in one form that are picked, and further columns; `None` where there are none.
fn columns_of_one_form(
    input: &Arc<LogicalPlan>,
    is_picked: impl Fn(&Column) -> bool,
    further: Vec<Expr>,
) -> Result<Option<LogicalPlan>> {
    let mut is_changed = !further.is_empty();
    let schema = input.schema();
    let columns = schema
        .columns()
        .into_iter()
        .enumerate()
        .map(|(at, column)| {
            let has_floats = has_floats(schema.field(at).data_type());
            if !has_floats || !is_picked(&column) || is_of_one_form(input, at) {
                return Expr::Column(column);
            }
            is_changed = true;
            let (table, name) = (column.relation.clone(), column.name.clone());
            let value = comparable().call(vec![Expr::Column(column)]);
            value.alias_qualified(table, name)
        });
    let mut columns: Vec<Expr> = columns.collect();
    if !is_changed {
        return Ok(None);
    }
    columns.extend(further);
    let rows = Projection::try_new(columns, Arc::clone(input))?;
    Ok(Some(LogicalPlan::Projection(rows)))
}

/// Whether a step makes the column itself in one form.
fn is_of_one_form(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Projection(step) => {
            let value = step.expr.get(column);
            value.is_some_and(|value| is_call(unaliased(value)))
        }
        _ => false,
    }
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn is_call(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == COMPARABLE)
}

fn keys(keys: &mut [SortExpr], schema: &DFSchema) -> bool {
    one_form_of_all(keys.iter_mut().map(|key| &mut key.expr), schema)
}

fn one_form_of_all<'a>(exprs: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let mut is_changed = false;
    for expr in exprs {
        is_changed |= one_form(expr, schema);
    }
    is_changed
}

/// Makes the value one of the form by which it is compared, and says whether it is another one now.
fn one_form(expr: &mut Expr, schema: &DFSchema) -> bool {
    if !needs_form(expr, schema) {
        return false;
    }
    *expr = comparable().call(vec![std::mem::take(expr)]);
    true
}

fn needs_form(expr: &Expr, schema: &DFSchema) -> bool {
    !has_form(expr, schema) && expr.get_type(schema).is_ok_and(|t| has_floats(&t))
}

/// Whether the value can have one form only.
fn has_form(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Alias(alias) => has_form(&alias.expr, schema),
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => {
            !number.is_nan() && number.to_bits() != (-0.0_f64).to_bits()
        }
        Expr::Literal(value, _) => value.is_null(),
        // Other numbers have no NaN and one zero.
        Expr::Cast(cast) => cast
            .expr
            .get_type(schema)
            .is_ok_and(|t| t.is_integer() || t.is_decimal()),
        other => is_call(other),
    }
}
