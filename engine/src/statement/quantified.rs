//! `x = ANY(list)` and `x <> ALL(list)` with a list in the place of a subquery: a condition of three values.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName,
};

use crate::functions::{Quantifier, quantified_name};

/// The call of a function that the comparison is, or `IN` where the items are written out; `None` if it is none.
pub(super) fn as_call(expr: &Expr) -> Option<Expr> {
    let (left, operator, right, quantifier) = match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op, right, Quantifier::Any),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op, right, Quantifier::All),
        _ => return None,
    };
    let list = unnested(right);
    if matches!(list, Expr::Subquery(_)) || matches!(unnested(left), Expr::Tuple(_)) {
        return None;
    }
    if let Some(items) = items(list) {
        match (operator, quantifier) {
            (BinaryOperator::Eq, Quantifier::Any) => return Some(among(left, items, false)),
            (BinaryOperator::NotEq, Quantifier::All) => return Some(among(left, items, true)),
            _ => {}
        }
    }
    let name = quantified_name(operator, quantifier)?;
    let argument = |expr: &Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr.clone()));
    Some(Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![argument(left), argument(right)],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// The items of a list that is written out and has some.
fn items(list: &Expr) -> Option<&[Expr]> {
    let is_list = |item: &Expr| matches!(unnested(item), Expr::Array(_));
    match list {
        Expr::Array(array) if !array.elem.is_empty() && !array.elem.iter().any(is_list) => {
            Some(&array.elem)
        }
        _ => None,
    }
}

fn among(value: &Expr, items: &[Expr], negated: bool) -> Expr {
    Expr::Nested(Box::new(Expr::InList {
        expr: Box::new(Expr::Nested(Box::new(value.clone()))),
        list: items.to_vec(),
        negated,
    }))
}
