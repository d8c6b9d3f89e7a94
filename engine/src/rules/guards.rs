//! Conditions that guard others: `b <> 0 AND a / b > 1`.
//!
//! DataFusion computes both sides of AND and OR for all rows of a batch, unless the left one decides for
//! nearly all of them, and so divides by zero for rows that `b <> 0` leaves out. It also makes AND and OR
//! of a CASE. Here a side that may fail becomes a branch of a CASE, which is computed for its own rows
//! only. This comes last, right before the physical plan is made.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::{conjunction, disjunction, merge_schema};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, lit};

use super::fallible::{Risk, risk};
use super::with_outputs;

/// The plan with what may fail guarded by the conditions beside it.
pub(crate) fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        if matches!(plan, LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let condition = match &plan {
            LogicalPlan::Filter(filter) => Some(filter.predicate.clone()),
            LogicalPlan::Join(join) => join.filter.clone(),
            _ => None,
        };
        with_outputs(
            plan,
            |expr| Ok(may_be_guarded(expr)? && risk(expr, &schema)? > Risk::Never),
            |expr| {
                let is_condition = condition.as_ref() == Some(&expr);
                guard(expr, &schema, is_condition).map(Transformed::yes)
            },
        )
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
            let before = of_all(op, safe);
            let Some(last) = risky.pop() else {
                return Ok(before.unwrap_or_else(|| lit(op == Operator::And)));
            };
            let earlier: Vec<_> = before.iter().cloned().chain(risky).collect();
            let guarded = match earlier.is_empty() {
                true => last,
                false => joined(earlier, op, last, schema, is_condition)?,
            };
            Ok(match before {
                // What is safe stays a condition by which files can be left out.
                Some(before) if op == Operator::And && is_condition => before.and(guarded),
                _ => guarded,
            })
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

/// All of them, of which each is computed where none before it decides: branches of one CASE, for messages may not be
/// as deep as there may be conditions.
fn joined(
    earlier: Vec<Expr>,
    op: Operator,
    last: Expr,
    schema: &DFSchema,
    is_condition: bool,
) -> Result<Expr> {
    let is_two_valued = is_condition || !any_nullable(&earlier, schema)?;
    let decides = |part: Expr| match op {
        Operator::And if is_two_valued => part.is_not_true(),
        Operator::And => part.is_false(),
        _ => part,
    };
    let decided = lit(op != Operator::And);
    let branches = earlier.iter().cloned().map(|part| {
        let when = Box::new(decides(part));
        (when, Box::new(decided.clone()))
    });
    let branches = branches.collect();
    let rest = match is_two_valued {
        true => last,
        // An unknown one does not decide, and counts in the end.
        false => of_all(op, earlier.into_iter().chain([last])).unwrap_or(decided),
    };
    Ok(Expr::Case(Case::new(None, branches, Some(Box::new(rest)))))
}

fn any_nullable(parts: &[Expr], schema: &DFSchema) -> Result<bool> {
    for part in parts {
        if part.nullable(schema)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn of_all(op: Operator, parts: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    match op {
        Operator::And => conjunction(parts),
        _ => disjunction(parts),
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::tree_node::TreeNodeRecursion;
    use datafusion::logical_expr::col;

    use super::*;

    /// How many CASEs are one in the other.
    fn cases(expr: &Expr) -> Result<usize> {
        let mut deepest = 0;
        expr.apply_children(|child| {
            deepest = deepest.max(cases(child)?);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(deepest + usize::from(matches!(expr, Expr::Case(_))))
    }

    #[test]
    fn many_conditions_are_one_case() -> Result<()> {
        for is_nullable in [true, false] {
            let column = |name| Field::new(name, DataType::Int64, is_nullable);
            let schema = Schema::new(vec![column("a"), column("b")]);
            let schema = DFSchema::try_from(schema)?;
            let parts: Vec<_> = (1..=50)
                .map(|n| (lit(n) / (col("a") - lit(n))).gt(col("b")))
                .collect();
            for whole in [conjunction(parts.clone()), disjunction(parts)] {
                for is_condition in [true, false] {
                    let whole = whole.clone().unwrap_or_default();
                    assert_eq!(cases(&guard(whole, &schema, is_condition)?)?, 1);
                }
            }
        }
        Ok(())
    }
}
