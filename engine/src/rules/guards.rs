//! Conditions that guard others: `b <> 0 AND a / b > 1`.
//!
//! DataFusion computes both sides of AND and OR for all rows of a batch, unless the left one decides for
//! nearly all of them, and so divides by zero for rows that `b <> 0` leaves out. It also makes AND and OR
//! of a CASE. Here a side that may fail becomes a branch of a CASE, which is computed for its own rows
//! only. This comes last, right before the physical plan is made.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, disjunction, merge_schema};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, lit, when,
};

use super::fallible::{Risk, risk};

/// The plan with what may fail guarded by the conditions beside it.
pub(crate) fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        if matches!(plan, LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        let schema = merge_schema(&plan.inputs());
        let condition = match &plan {
            LogicalPlan::Filter(filter) => Some(filter.predicate.clone()),
            LogicalPlan::Join(join) => join.filter.clone(),
            _ => None,
        };
        plan.map_expressions(|expr| {
            if !may_be_guarded(&expr)? || risk(&expr, &schema)? == Risk::Never {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            let is_condition = condition.as_ref() == Some(&expr);
            let expr = guard(expr, &schema, is_condition)?;
            Ok(Transformed::yes(name.restore(expr)))
        })
    })
    .data()
}

fn may_be_guarded(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::BinaryExpr(binary) if matches!(binary.op, Operator::And | Operator::Or)
        ))
    })
}

/// The expression with its guards. Of a condition, unknown is as good as false.
fn guard(expr: Expr, schema: &DFSchema, is_condition: bool) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let whole = Expr::BinaryExpr(BinaryExpr { left, op, right });
            let (mut safe, mut risky) = (Vec::new(), Vec::new());
            for part in operands(whole, op) {
                match risk(&part, schema)? {
                    Risk::Never => safe.push(part),
                    Risk::Overflow | Risk::Value => risky.push(guard(part, schema, is_condition)?),
                }
            }
            let before = match op {
                Operator::And => conjunction(safe),
                _ => disjunction(safe),
            };
            let mut parts = risky.into_iter().rev();
            let Some(mut rest) = parts.next() else {
                return Ok(before.unwrap_or_else(|| lit(op == Operator::And)));
            };
            for before in parts {
                rest = joined(before, op, rest, schema, is_condition)?;
            }
            match before {
                // What is safe stays a condition by which files can be left out.
                Some(before) if op == Operator::And && is_condition => {
                    let own = joined(before.clone(), op, rest, schema, is_condition)?;
                    Ok(before.and(own))
                }
                Some(before) => joined(before, op, rest, schema, is_condition),
                None => Ok(rest),
            }
        }
        Expr::Case(Case {
            expr: None,
            when_then_expr,
            else_expr,
        }) => {
            let branches = when_then_expr.into_iter().map(|(when, then)| {
                let when = guard(*when, schema, true)?;
                Ok((
                    Box::new(when),
                    Box::new(guard(*then, schema, is_condition)?),
                ))
            });
            let when_then_expr = branches.collect::<Result<_>>()?;
            let else_expr = else_expr.map(|expr| guard(*expr, schema, is_condition));
            let else_expr = else_expr.transpose()?.map(Box::new);
            Ok(Expr::Case(Case {
                expr: None,
                when_then_expr,
                else_expr,
            }))
        }
        other => of_children(other, schema),
    }
}

fn of_children(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.map_children(|child| guard(child, schema, false).map(Transformed::yes))
        .data()
}

/// Both sides, of which the second is computed where the first does not decide.
fn joined(
    before: Expr,
    op: Operator,
    after: Expr,
    schema: &DFSchema,
    is_condition: bool,
) -> Result<Expr> {
    let is_two_valued = is_condition || !before.nullable(schema)?;
    match op {
        Operator::And if is_two_valued => when(before, after).otherwise(lit(false)),
        Operator::And => when(before.clone().is_false(), lit(false)).otherwise(before.and(after)),
        _ if is_two_valued => when(before, lit(true)).otherwise(after),
        _ => when(before.clone(), lit(true)).otherwise(before.or(after)),
    }
}

/// The operands of a chain of the same operator, from the left.
fn operands(expr: Expr, op: Operator) -> Vec<Expr> {
    let mut found = Vec::new();
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        match expr {
            Expr::BinaryExpr(binary) if binary.op == op => {
                left.push(*binary.right);
                left.push(*binary.left);
            }
            other => found.push(other),
        }
    }
    found
}
