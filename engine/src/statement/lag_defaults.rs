//! `lag(x, n, y)` and `lead(x, n, y)` with a `y` that each row has for itself. The planner takes constants only.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, NullTreatment, Value,
    visit_expressions,
};

use super::other_names::{arguments, formed, nested, plain_name};

/// The call without its third argument, beside a test of whether there is such a row; `None` for any other expression.
pub(super) fn written_out(expr: &Expr) -> Option<Expr> {
    let Expr::Function(call) = expr else {
        return None;
    };
    if call.over.is_none() || !["lag", "lead"].contains(&plain_name(call)?.as_str()) {
        return None;
    }
    let arguments = arguments(call)?;
    let [value, offset, default] = arguments.as_slice() else {
        return None;
    };
    if is_constant(default) {
        return None;
    }
    let found = with_arguments(call.clone(), [value, offset])?;
    let default = nested((*default).clone());
    if call.null_treatment == Some(NullTreatment::IgnoreNulls) {
        return formed("coalesce(a, b)", &[("a", &found), ("b", &default)]);
    }
    let there = with_arguments(call.clone(), [&Expr::value(Value::Boolean(true)), offset])?;
    formed(
        "CASE WHEN a IS NULL THEN b ELSE c END",
        &[("a", &there), ("b", &default), ("c", &found)],
    )
}

/// Whether the expression has the same value for all rows.
fn is_constant(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::CompoundFieldAccess { .. }
        | Expr::Function(_)
        | Expr::Subquery(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_continue()
}

fn with_arguments(mut call: Function, arguments: [&Expr; 2]) -> Option<Expr> {
    let FunctionArguments::List(list) = &mut call.args else {
        return None;
    };
    let unnamed = |expr: &Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr.clone()));
    list.args = arguments.map(unnamed).to_vec();
    Some(Expr::Function(call))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::dialect::EmporiaDialect;

    #[test]
    fn defaults_of_rows_are_written_out() {
        for (text, expected) in [
            (
                "lag(a, 1, b) OVER w",
                Some("CASE WHEN lag(true, 1) OVER w IS NULL THEN (b) ELSE lag(a, 1) OVER w END"),
            ),
            (
                "lead(a, 2, t.b + 1) IGNORE NULLS OVER w",
                Some("coalesce(lead(a, 2) IGNORE NULLS OVER w, (t.b + 1))"),
            ),
            ("lag(a, 1, -1) OVER w", None),
            ("lag(a, 1, DATE '2024-01-01') OVER w", None),
            ("lag(a, 1) OVER w", None),
            ("lag(a, 1, b)", None),
            ("nth_value(a, 1, b) OVER w", None),
        ] {
            let mut parser = Parser::new(&EmporiaDialect).try_with_sql(text).unwrap();
            let expr = parser.parse_expr().unwrap();
            let found = written_out(&expr).map(|expr| expr.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
