//! Conditions that stay unknown for NULL while they are simplified.
//!
//! DataFusion merges the lists of `a IN (1) AND a IN (2)` and `a NOT IN (1) OR a NOT IN (2)`, and makes false and true of a list that
//! is then empty, although both are unknown if `a` is NULL. It makes `b` of `a ^ b ^ a`, also where `a` is NULL. So it does not see
//! that the two `a` are the same.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::OptimizerConfig;

use super::bounds::{Rule, with_bounds};
use super::with_outputs;
use crate::functions::typed_as_argument;

/// The rule of DataFusion that simplifies expressions.
const SIMPLIFIES: &str = "simplify_expressions";

/// What is left of the stack when another piece of it is taken, and the size of a piece, in bytes.
const STACK: (usize, usize) = (128 * 1024, 1024 * 1024);

/// The rule, kept from what it would merge if it simplifies expressions.
pub(super) fn bounded(rule: Rule) -> Rule {
    match rule.name() {
        SIMPLIFIES => with_bounds(rule, simplified),
        _ => rule,
    }
}

fn simplified(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let is_filter = matches!(plan, LogicalPlan::Filter(_));
    let mut marks = Marks(0);
    let marked = with_outputs(plan, may_merge, |expr| {
        if !is_filter {
            return marks.put(expr);
        }
        // A filter takes unknown for false: what its conditions are together does not matter.
        let parts = split_conjunction_owned(expr).into_iter();
        let parts = parts.map(|part| marks.put(part).data());
        let all = conjunction(parts.collect::<Result<Vec<_>>>()?);
        Ok(Transformed::yes(all.unwrap_or_else(|| lit(true))))
    })?;
    let simple = rule.rewrite(marked.data, config)?;
    if marks.0 == 0 {
        return Ok(simple);
    }
    let is_changed = simple.transformed;
    let plan = with_outputs(
        simple.data,
        |_| Ok(true),
        |expr| expr.transform_up(unmarked),
    )?;
    Ok(Transformed::new(plan.data, is_changed, plan.tnr))
}

/// Whether there is something to look for.
fn may_merge(expr: &Expr) -> Result<bool> {
    let mut n_lists = 0;
    let mut has_xor = false;
    expr.apply(|e| {
        n_lists += usize::from(membership(e).is_some());
        has_xor |= is_xor(e);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(n_lists > 1 || has_xor)
}

fn is_xor(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(binary) if binary.op == Operator::BitwiseXor)
}

/// A condition that says of a subject which values it has, or has not.
fn membership(expr: &Expr) -> Option<(&Expr, Signs)> {
    match expr {
        Expr::InList(list) => Some((without_casts(&list.expr), Signs::of(list.negated))),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let signs = match op {
                Operator::Eq => Signs::of(false),
                Operator::NotEq => Signs::of(true),
                _ => return None,
            };
            match (left.any_column_refs(), right.any_column_refs()) {
                (true, false) => Some((without_casts(left), signs)),
                (false, true) => Some((without_casts(right), signs)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Casts of columns may be taken off, so that two subjects become the same.
fn without_casts(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => without_casts(&cast.expr),
        Expr::Alias(alias) => without_casts(&alias.expr),
        other => other,
    }
}

/// Which conditions there are about a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signs {
    has_plain: bool,
    has_negated: bool,
}

impl Signs {
    const BOTH: Self = Self {
        has_plain: true,
        has_negated: true,
    };

    fn of(negated: bool) -> Self {
        Self {
            has_plain: !negated,
            has_negated: negated,
        }
    }

    fn flipped(self) -> Self {
        Self {
            has_plain: self.has_negated,
            has_negated: self.has_plain,
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            has_plain: self.has_plain || other.has_plain,
            has_negated: self.has_negated || other.has_negated,
        }
    }

    /// Whether lists of the two would be intersected, or one be taken from the other.
    fn are_merged(self, op: Operator, other: Self) -> bool {
        match op {
            Operator::And => self.has_plain || other.has_plain,
            _ => self.has_negated && other.has_negated,
        }
    }
}

type Members<'a> = HashMap<&'a Expr, Signs>;

/// The conditions within an expression by their subjects. Those that would be merged are added to `merged`.
fn members<'a>(expr: &'a Expr, merged: &mut HashSet<Expr>) -> Members<'a> {
    stacker::maybe_grow(STACK.0, STACK.1, || match expr {
        Expr::Not(inner) => {
            let mut members = members(inner, merged);
            members
                .values_mut()
                .for_each(|signs| *signs = signs.flipped());
            members
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let (left, right) = (members(left, merged), members(right, merged));
            let (mut most, others) = match left.len() < right.len() {
                true => (right, left),
                false => (left, right),
            };
            for (subject, signs) in others {
                let Some(all) = most.get_mut(subject) else {
                    most.insert(subject, signs);
                    continue;
                };
                if signs.are_merged(*op, *all) {
                    merged.insert(subject.clone());
                }
                *all = all.with(signs);
            }
            most
        }
        _ => {
            let mut found: Members<'_> = membership(expr).into_iter().collect();
            let _ = expr.apply_children(|child| {
                let within = members(child, merged).into_keys();
                found.extend(within.map(|subject| (subject, Signs::BOTH)));
                Ok(TreeNodeRecursion::Continue)
            });
            found
        }
    })
}

/// How many marks there are.
struct Marks(i64);

impl Marks {
    /// The expression with marks at what would be merged.
    fn put(&mut self, expr: Expr) -> Result<Transformed<Expr>> {
        let mut merged = HashSet::new();
        members(&expr, &mut merged);
        expr.transform_up(|mut expr| {
            if let Some((subject, _)) = membership(&expr)
                && merged.contains(subject)
            {
                match &mut expr {
                    Expr::InList(list) => self.mark(&mut list.expr),
                    Expr::BinaryExpr(binary) if binary.left.any_column_refs() => {
                        self.mark(&mut binary.left);
                    }
                    Expr::BinaryExpr(binary) => self.mark(&mut binary.right),
                    _ => return Ok(Transformed::no(expr)),
                }
                return Ok(Transformed::yes(expr));
            }
            match &mut expr {
                Expr::BinaryExpr(binary) if binary.op == Operator::BitwiseXor => {
                    self.mark(&mut binary.left);
                    self.mark(&mut binary.right);
                    Ok(Transformed::yes(expr))
                }
                _ => Ok(Transformed::no(expr)),
            }
        })
    }

    fn mark(&mut self, expr: &mut Expr) {
        if expr.any_column_refs() {
            self.0 += 1;
            *expr = MARKED.call(vec![std::mem::take(expr), lit(self.0)]);
        }
    }
}

fn unmarked(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarFunction(mut call) if call.func.inner().is::<Marked>() => {
            Transformed::yes(call.args.swap_remove(0))
        }
        other => Transformed::no(other),
    })
}

static MARKED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Marked {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// `marked(value, number)`: the value. No plan has it but while it is simplified.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Marked {
    signature: Signature,
}

impl ScalarUDFImpl for Marked {
    fn name(&self) -> &'static str {
        "marked"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args.first() {
            Some(value) => Ok(value.schema_name().to_string()),
            None => exec_err!("marked takes a value"),
        }
    }

    typed_as_argument!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => exec_err!("marked takes a value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::col;
    use datafusion::optimizer::Optimizer;

    use super::*;

    #[test]
    fn the_rule_within_bounds_exists() {
        let rules = Optimizer::new().rules;
        assert!(rules.iter().any(|rule| rule.name() == SIMPLIFIES));
    }

    #[test]
    fn what_would_be_merged_is_marked() {
        let list = |values: &[i32], negated| {
            let values = values.iter().map(|value| lit(*value));
            col("a").in_list(values.collect(), negated)
        };
        let (one, two) = (|| list(&[1], false), || list(&[2], false));
        let not_one = || list(&[1], true);
        for (expr, n_marks) in [
            (one().and(two()), 2),
            (one().or(two()), 0),
            (!(one().or(two())), 0),
            ((!one()).or(!two()), 2),
            (not_one().and(!two()), 0),
            (not_one().and(two()), 2),
            (not_one().or(two()), 0),
            (one().and(col("b").eq(lit(1)).or(col("c").and(two()))), 2),
            (one().and(lit(2).eq(col("a"))), 2),
            (col("b").and(one().and(two()).is_null()).or(one()), 3),
            (one().and(col("b").eq(lit(1))), 0),
        ] {
            let mut marks = Marks(0);
            let marked = marks.put(expr.clone()).unwrap().data;
            assert_eq!(marks.0, n_marks, "{expr}");
            let plain = marked.transform_up(unmarked).unwrap().data;
            assert_eq!(plain, expr);
        }
    }
}
