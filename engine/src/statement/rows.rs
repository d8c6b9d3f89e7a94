//! Row values: `(a, b) = (1, 2)`, `(a, b) < (c, d)`, `(a, b) IN ((1, 2), (3, 4))` and
//! `(a, b) IN (SELECT x, y …)`.
//!
//! The planner reads `(a, b)` as a struct, and for structs NULL equals NULL. In SQL a comparison of rows
//! is one of their fields, and unknown where a field that decides is NULL. So comparisons become
//! conditions about fields here; a row in a subquery becomes a struct in a subquery of structs, of which
//! `rules/row_values.rs` makes EXISTS.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, Statement as Sql, TableFactor, UnaryOperator,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::syntax::call;
use crate::dialect::EmporiaDialect;
use crate::rules::ROWS;

/// The condition about fields that the expression is short for; `None` if it compares no rows.
pub(super) fn by_fields(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op, right } => compared(row(left)?, op, row(right)?),
        Expr::IsDistinctFrom(left, right) => {
            let pairs = pairs(row(left)?, row(right)?)?;
            any(pairs.map(|(l, r)| Expr::IsDistinctFrom(boxed(l), boxed(r))))
        }
        Expr::IsNotDistinctFrom(left, right) => {
            let pairs = pairs(row(left)?, row(right)?)?;
            all(pairs.map(|(l, r)| Expr::IsNotDistinctFrom(boxed(l), boxed(r))))
        }
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let value = row(expr)?;
            let low = compared(value, &BinaryOperator::GtEq, row(low)?)?;
            let high = compared(value, &BinaryOperator::LtEq, row(high)?)?;
            Some(signed(all([low, high].into_iter())?, *negated))
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            let value = row(expr)?;
            let items = list
                .iter()
                .map(|item| compared(value, &BinaryOperator::Eq, row(item)?));
            let items: Option<Vec<_>> = items.collect();
            Some(signed(any(items?.into_iter())?, *negated))
        }
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => among(row(expr)?, subquery, *negated),
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => among(row(left)?, subquery(right)?, false),
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => among(row(left)?, subquery(right)?, true),
        _ => None,
    }
}

fn row(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(fields) if !fields.is_empty() => Some(fields),
        Expr::Nested(inner) => row(inner),
        _ => None,
    }
}

fn subquery(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Subquery(query) => Some(query),
        Expr::Nested(inner) => subquery(inner),
        _ => None,
    }
}

/// The fields side by side; `None` if one row has more of them.
fn pairs<'a>(
    left: &'a [Expr],
    right: &'a [Expr],
) -> Option<impl Iterator<Item = (&'a Expr, &'a Expr)>> {
    (left.len() == right.len()).then(|| left.iter().zip(right))
}

fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    let mut pairs = pairs(left, right)?;
    let strict = match op {
        BinaryOperator::Eq => return all(pairs.map(|(l, r)| binary(l, BinaryOperator::Eq, r))),
        BinaryOperator::NotEq => {
            return any(pairs.map(|(l, r)| binary(l, BinaryOperator::NotEq, r)));
        }
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
        BinaryOperator::Gt | BinaryOperator::GtEq => BinaryOperator::Gt,
        _ => return None,
    };
    let (first_left, first_right) = pairs.next()?;
    if left.len() == 1 {
        return Some(nested(binary(first_left, op.clone(), first_right)));
    }
    let same = binary(first_left, BinaryOperator::Eq, first_right);
    let others = compared(left.get(1..)?, op, right.get(1..)?)?;
    let is_before = binary(first_left, strict, first_right);
    any([is_before, all([same, others].into_iter())?].into_iter())
}

/// `struct(a, b) IN (SELECT struct(c0, c1) FROM (<subquery>) AS rows (c0, c1))`.
fn among(row: &[Expr], subquery: &Query, negated: bool) -> Option<Expr> {
    let names: Vec<String> = (0..row.len())
        .map(|at| format!("\"{ROWS}_{at}\""))
        .collect();
    let names = names.join(", ");
    let text = format!("SELECT struct({names}) FROM (SELECT 1) AS \"{ROWS}\" ({names})");
    let mut parsed = Parser::parse_sql(&EmporiaDialect, &text).ok()?;
    let Some(Sql::Query(mut query)) = parsed.pop() else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    let TableFactor::Derived { subquery: rows, .. } = &mut select.from.first_mut()?.relation else {
        return None;
    };
    **rows = subquery.clone();
    Some(Expr::InSubquery {
        expr: Box::new(call("struct", row.to_vec())),
        subquery: query,
        negated,
    })
}

fn all(parts: impl Iterator<Item = Expr>) -> Option<Expr> {
    joined(parts, BinaryOperator::And)
}

fn any(parts: impl Iterator<Item = Expr>) -> Option<Expr> {
    joined(parts, BinaryOperator::Or)
}

fn joined(parts: impl Iterator<Item = Expr>, op: BinaryOperator) -> Option<Expr> {
    let whole = parts.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    });
    whole.map(nested)
}

fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    // A field may be a row, too.
    let (left, right) = (left.clone(), right.clone());
    let whole = Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    };
    by_fields(&whole).unwrap_or(whole)
}

fn signed(expr: Expr, negated: bool) -> Expr {
    match negated {
        true => nested(Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(expr),
        }),
        false => expr,
    }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn boxed(expr: &Expr) -> Box<Expr> {
    Box::new(expr.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_by_their_fields() {
        for (text, expected) in [
            ("(a, b) = (1, 2)", "(a = 1 AND b = 2)"),
            ("(a, b) <> (1, 2)", "(a <> 1 OR b <> 2)"),
            ("(a, b) < (c, d)", "(a < c OR (a = c AND (b < d)))"),
            (
                "(a, b, c) >= (1, 2, 3)",
                "(a > 1 OR (a = 1 AND (b > 2 OR (b = 2 AND (c >= 3)))))",
            ),
            (
                "(a, b) NOT IN ((1, 2), (3, 4))",
                "(NOT ((a = 1 AND b = 2) OR (a = 3 AND b = 4)))",
            ),
            (
                "(a, b) IS DISTINCT FROM (1, NULL)",
                "(a IS DISTINCT FROM 1 OR b IS DISTINCT FROM NULL)",
            ),
            (
                "(a, b) NOT IN (SELECT 1, 2)",
                "struct(a, b) NOT IN (SELECT STRUCT(\"__emporia_row_0\", \"__emporia_row_1\") FROM \
                 (SELECT 1, 2) AS \"__emporia_row\" (\"__emporia_row_0\", \"__emporia_row_1\"))",
            ),
        ] {
            let parser = Parser::new(&EmporiaDialect).try_with_sql(text);
            let expr = parser.unwrap().parse_expr().unwrap();
            let found = by_fields(&expr).map(|expr| expr.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn rows_of_other_lengths_stay() {
        for text in [
            "(a, b) = (1, 2, 3)",
            "(a, b) IN ((1, 2), 3)",
            "a = 1",
            "(a) = (1)",
        ] {
            let parser = Parser::new(&EmporiaDialect).try_with_sql(text);
            let expr = parser.unwrap().parse_expr().unwrap();
            assert!(by_fields(&expr).is_none(), "{text}");
        }
    }
}
