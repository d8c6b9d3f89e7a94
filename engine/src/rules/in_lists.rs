//! Conditions over IN lists that stay unknown for NULL.
//!
//! DataFusion merges the lists of `a IN (1) AND a IN (2)` and `a NOT IN (1) OR a NOT IN (2)`, and
//! makes false and true of a list that is then empty, although both are unknown if `a` is NULL. It
//! also merges lists that hold columns or NULL as if two values with different texts were different.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::{
    conjunction, disjunction, merge_schema, split_conjunction_owned,
};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::analyzer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use super::with_outputs;

/// Guards conditions that DataFusion would merge wrongly.
#[derive(Debug)]
pub(super) struct KeepUnknown;

impl AnalyzerRule for KeepUnknown {
    fn name(&self) -> &'static str {
        "keep_unknown"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let mut schema = merge_schema(&plan.inputs());
            schema.merge(plan.schema());
            let is_filter = matches!(plan, LogicalPlan::Filter(_));
            with_outputs(
                plan,
                |expr| Ok(count_lists(expr)? > 1),
                |expr| {
                    let guarded = if is_filter {
                        // A filter takes unknown for false: what its conditions are together does not
                        // matter, and a plain condition is one that a store can answer.
                        let parts = split_conjunction_owned(expr);
                        let parts = parts.into_iter().map(|part| guarded(part, &schema));
                        conjunction(parts.collect::<Result<Vec<_>>>()?).unwrap_or_else(|| lit(true))
                    } else {
                        guarded(expr, &schema)?
                    };
                    Ok(Transformed::yes(guarded))
                },
            )
        })
        .data()
    }
}

fn guarded(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| Ok(with_plain_list(e)))?
        .transform_data(|e| e.transform_up(|e| with_guard(e, schema)))
        .data()
}

fn count_lists(expr: &Expr) -> Result<usize> {
    let mut found = 0;
    expr.apply(|e| {
        found += usize::from(matches!(e, Expr::InList(_)) || compared(e).is_some());
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// An IN list whose values are known and not NULL: whatever else it holds is compared outside of it.
fn with_plain_list(expr: Expr) -> Transformed<Expr> {
    let Expr::InList(InList {
        expr,
        list,
        negated,
    }) = expr
    else {
        return Transformed::no(expr);
    };
    let is_plain = |item: &Expr| matches!(item, Expr::Literal(value, _) if !value.is_null());
    if list.iter().all(is_plain) || expr.is_volatile() {
        return Transformed::no(Expr::InList(InList::new(expr, list, negated)));
    }
    let (plain, others): (Vec<_>, Vec<_>) = list.into_iter().partition(is_plain);
    let mut parts = Vec::new();
    if !plain.is_empty() {
        parts.push(Expr::InList(InList::new(expr.clone(), plain, false)));
    }
    parts.extend(
        others
            .into_iter()
            .map(|item| expr.as_ref().clone().eq(item)),
    );
    let any = disjunction(parts).unwrap_or_else(|| lit(false));
    Transformed::yes(if negated { !any } else { any })
}

/// A condition over one subject that is unknown exactly if the subject is NULL, in the forms that
/// DataFusion takes for an IN list.
#[derive(Debug, Clone, Copy)]
struct Membership<'a> {
    subject: &'a Expr,
    is_list: bool,
    is_negated: bool,
}

fn membership(expr: &Expr) -> Option<Membership<'_>> {
    match expr {
        Expr::InList(list) => Some(Membership {
            subject: without_casts(&list.expr),
            is_list: true,
            is_negated: list.negated,
        }),
        Expr::Not(inner) => membership(inner).map(|inner| Membership {
            is_negated: !inner.is_negated,
            ..inner
        }),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => combined(left, *op, right),
            _ => compared(expr),
        },
        _ => None,
    }
}

/// A comparison with one value.
fn compared(expr: &Expr) -> Option<Membership<'_>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return None;
    };
    let is_negated = match op {
        Operator::Eq => false,
        Operator::NotEq => true,
        _ => return None,
    };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Literal(..), Expr::Literal(..)) => None,
        (side, Expr::Literal(value, _)) | (Expr::Literal(value, _), side) if !value.is_null() => {
            Some(Membership {
                subject: without_casts(side),
                is_list: false,
                is_negated,
            })
        }
        _ => None,
    }
}

fn combined<'a>(left: &'a Expr, op: Operator, right: &'a Expr) -> Option<Membership<'a>> {
    // What changes nothing is taken away before lists are merged.
    let is_neutral = |side: &Expr| *side == lit(op == Operator::And);
    if is_neutral(left) {
        return membership(right);
    }
    if is_neutral(right) {
        return membership(left);
    }
    let (left, right) = (membership(left)?, membership(right)?);
    let is_negated = match (op, left.is_negated, right.is_negated) {
        (Operator::And, true, true) | (Operator::Or, true, true) => true,
        (Operator::Or, false, false) | (Operator::And, _, _) => false,
        _ => return None,
    };
    (left.subject == right.subject).then_some(Membership {
        subject: left.subject,
        is_list: true,
        is_negated,
    })
}

/// Casts of columns may be taken off later, so that two subjects become the same.
fn without_casts(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => without_casts(&cast.expr),
        Expr::Alias(alias) => without_casts(&alias.expr),
        other => other,
    }
}

/// Whether DataFusion intersects the two lists.
fn is_intersection(op: Operator, left: Membership<'_>, right: Membership<'_>) -> bool {
    let is_same = left.subject == right.subject && left.is_list && right.is_list;
    is_same
        && match op {
            Operator::And => !(left.is_negated && right.is_negated),
            _ => left.is_negated && right.is_negated,
        }
}

/// Says beside an intersection of lists what it is if the subject is NULL.
fn with_guard(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: op @ (Operator::And | Operator::Or),
        right,
    }) = &expr
    else {
        return Ok(Transformed::no(expr));
    };
    let (Some(of_left), Some(of_right)) = (membership(left), membership(right)) else {
        return Ok(Transformed::no(expr));
    };
    let subject = of_left.subject;
    if !is_intersection(*op, of_left, of_right)
        || subject.is_volatile()
        || !subject.nullable(schema).unwrap_or(true)
    {
        return Ok(Transformed::no(expr));
    }
    let subject = subject.clone();
    let unknown = lit(ScalarValue::Boolean(None));
    Ok(Transformed::yes(if *op == Operator::And {
        subject.is_null().and(unknown).or(expr)
    } else {
        subject.is_not_null().or(unknown).and(expr)
    }))
}
