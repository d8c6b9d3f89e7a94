//! Expressions that differ and have the same name: `sum(f)` and `sum(CAST(f AS INT))`, `sum(a - b - c)` and
//! `sum(a - (b - c))`, aggregates over two subqueries.
//!
//! The planner leaves casts, parentheses and subqueries out of the names of what a query computes, and refuses groups,
//! aggregates and windows of the same name, or takes one for the other. Then the statement is planned again, with
//! all of these in these names until its outputs get their own back.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, SchemaError, TableReference};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    CastKind, Expr as SqlExpr, Query, Select, SetExpr, Value, VisitMut, VisitorMut,
    visit_expressions,
};

use super::is_query;
use super::syntax::{call, visit_mut};
use crate::functions::{TOLD_APART, without_marks};

/// What the table begins with that each of two outputs of the same name seems to be from.
const PREFIX: &str = "__emporia_same_";

/// Whether a plan, or its failure, is one of expressions that have the same name.
pub(super) fn is_cause_of(plan: &Result<LogicalPlan>) -> Result<bool> {
    match plan {
        Ok(plan) => has_same_groups(plan),
        Err(error) => Ok(match error.find_root() {
            DataFusionError::SchemaError(refused, _) => {
                matches!(
                    refused.as_ref(),
                    SchemaError::DuplicateUnqualifiedField { .. }
                )
            }
            DataFusionError::Plan(text) => {
                text.starts_with("Windows require unique expression names")
            }
            _ => false,
        }),
    }
}

/// Whether groups and aggregates beside each other differ and have the same name.
fn has_same_groups(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else {
            return Ok(TreeNodeRecursion::Continue);
        };
        let mut exprs = grouping_set_to_exprlist(&aggregate.group_expr)?;
        exprs.extend(&aggregate.aggr_expr);
        let mut seen: BTreeMap<String, &Expr> = BTreeMap::new();
        for expr in exprs {
            let other = seen.insert(expr.schema_name().to_string(), expr);
            found |= other.is_some_and(|other| other != expr);
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Marks casts, parentheses and subqueries of all that the queries of a statement compute; not of their conditions, which have
/// no names, and which a store may answer.
pub(super) fn set_apart(parsed: &mut Parsed) {
    let _ = visit_mut(parsed, &mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut marks = Marks { depth: 0 };
        let _ = query.order_by.visit(&mut marks);
        in_body(&mut query.body, &mut marks);
        ControlFlow::Continue(())
    }
}

fn in_body(body: &mut SetExpr, marks: &mut Marks) {
    match body {
        SetExpr::Select(select) => in_select(select, marks),
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left, marks);
            in_body(right, marks);
        }
        _ => {}
    }
}

fn in_select(select: &mut Select, marks: &mut Marks) {
    let _ = select.distinct.visit(marks);
    let _ = select.projection.visit(marks);
    let _ = select.group_by.visit(marks);
    let _ = select.having.visit(marks);
    let _ = select.qualify.visit(marks);
}

/// Marks expressions, but none in the queries within them.
struct Marks {
    depth: usize,
}

impl VisitorMut for Marks {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            SqlExpr::Cast {
                kind, data_type, ..
            } => {
                let fails = matches!(kind, CastKind::Cast | CastKind::DoubleColon);
                let word = if fails { "as" } else { "as, if it is one," };
                let mark = format!("{word} {data_type}").to_lowercase();
                mark_with(expr, mark);
            }
            SqlExpr::BinaryOp { left, right, .. } => {
                mark_parentheses(left);
                mark_parentheses(right);
            }
            SqlExpr::UnaryOp { expr: operand, .. } => mark_parentheses(operand),
            SqlExpr::Exists { .. } | SqlExpr::InSubquery { .. } | SqlExpr::Subquery(_) => {
                let mark = expr.to_string();
                tell_apart(expr, mark);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn mark_parentheses(operand: &mut SqlExpr) {
    let is_compound = match &*operand {
        SqlExpr::Nested(inner) => !matches!(
            inner.as_ref(),
            SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) | SqlExpr::Function(_)
        ),
        _ => false,
    };
    if is_compound {
        mark_with(operand, "()".to_owned());
    }
}

/// Marks the expression, unless it is a constant, which the planner may have to know.
fn mark_with(expr: &mut SqlExpr, mark: String) {
    let has_column = visit_expressions(&*expr, |expr| match expr {
        SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if has_column.is_break() {
        tell_apart(expr, mark);
    }
}

fn tell_apart(expr: &mut SqlExpr, mark: String) {
    let value = std::mem::replace(expr, SqlExpr::value(Value::Null));
    let mark = SqlExpr::value(Value::SingleQuotedString(mark));
    *expr = call(TOLD_APART, vec![value, mark]);
}

/// The plan with the names that its columns would have without marks. Two columns may have the same name then, which
/// differ in the table that they seem to be from.
///
/// # Errors
/// None for a plan of the planner.
pub(super) fn restored(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !is_query(&plan) {
        let plan = plan.map_children(|input| restored(input).map(Transformed::yes));
        return plan.data();
    }
    let schema = plan.schema();
    let names = schema.fields().iter().map(|f| without_marks(f.name()));
    let names: Vec<Option<String>> = names.collect();
    if names.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let names = names.into_iter().zip(schema.fields());
    let names = names.map(|(plain, field)| plain.unwrap_or_else(|| field.name().clone()));
    let names: Vec<String> = names.collect();
    let columns = schema.iter().zip(&names).enumerate();
    let columns = columns.map(|(at, ((of, field), name))| {
        let column = Expr::Column(Column::new(of.cloned(), field.name()));
        if names.iter().filter(|other| *other == name).count() > 1 {
            let table = TableReference::bare(format!("{PREFIX}{at}"));
            return column.alias_qualified(Some(table), name);
        }
        match field.name() == name {
            true => column,
            false => column.alias_qualified(of.cloned(), name),
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse_statement;

    fn apart(text: &str) -> Result<String> {
        let mut parsed = parse_statement(text, 50)?;
        set_apart(&mut parsed);
        Ok(parsed.to_string())
    }

    #[test]
    fn casts_parentheses_and_subqueries_are_marked_where_they_make_names() -> Result<()> {
        assert_eq!(
            apart("SELECT sum(CAST(f AS INT)) FROM t WHERE f::INT > 1 ORDER BY f::TEXT")?,
            "SELECT sum(told_apart(CAST(f AS INT), 'as int')) FROM t WHERE f::INT > 1 \
             ORDER BY told_apart(f::TEXT, 'as text')"
        );
        assert_eq!(
            apart("SELECT a - (b - c), -(a + b) FROM t GROUP BY a - (b - c)")?,
            "SELECT a - told_apart((b - c), '()'), -told_apart((a + b), '()') FROM t \
             GROUP BY a - told_apart((b - c), '()')"
        );
        assert_eq!(
            apart("SELECT x IN (SELECT f::INT FROM t WHERE f::INT > 1) FROM u WHERE x::INT = 1")?,
            "SELECT told_apart(x IN (SELECT told_apart(f::INT, 'as int') FROM t WHERE f::INT > 1), \
             'x IN (SELECT f::INT FROM t WHERE f::INT > 1)') FROM u WHERE x::INT = 1"
        );
        for text in [
            "SELECT CAST('2024-01-01' AS DATE), (1 - 2) * a, (a) + (b), (sum(a)) + 1 FROM t",
            "SELECT a FROM t WHERE a - (b - c) = 1",
        ] {
            assert_eq!(apart(text)?, text);
        }
        Ok(())
    }
}
