//! `ORDER BY 1` where the first output is computed from groups.
//!
//! The planner takes such an output for a column that the groups do not have, unless it has a name or the
//! expression is written out.

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, OrderByKind, Query, SelectItem, SetExpr, Value,
};

/// Writes out the outputs by whose place rows are ordered.
pub(super) fn write_out(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return;
    };
    let has_groups = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
    };
    let Some(order) = query.order_by.as_mut().filter(|_| has_groups) else {
        return;
    };
    let OrderByKind::Expressions(keys) = &mut order.kind else {
        return;
    };
    for key in keys {
        let place = match &key.expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, false) => digits.parse::<usize>().ok(),
                _ => None,
            },
            _ => None,
        };
        let Some(at) = place.and_then(|place| place.checked_sub(1)) else {
            continue;
        };
        let is_one = |item: &SelectItem| {
            matches!(
                item,
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
            )
        };
        let is_known = select.projection.iter().take(at).all(is_one);
        if let Some(SelectItem::UnnamedExpr(expr)) = select.projection.get(at)
            && is_known
            && !matches!(
                expr,
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)
            )
        {
            key.expr = expr.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement as Sql;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::dialect::EmporiaDialect;

    #[test]
    fn computed_outputs_are_written_out() {
        for (text, expected) in [
            (
                "SELECT coalesce(g, 'all'), h FROM t GROUP BY g, h ORDER BY 2, 1 DESC",
                "SELECT coalesce(g, 'all'), h FROM t GROUP BY g, h ORDER BY 2, coalesce(g, 'all') DESC",
            ),
            (
                "SELECT f(g) AS x FROM t GROUP BY g ORDER BY 1",
                "SELECT f(g) AS x FROM t GROUP BY g ORDER BY 1",
            ),
            (
                "SELECT *, f(g) FROM t GROUP BY g ORDER BY 2",
                "SELECT *, f(g) FROM t GROUP BY g ORDER BY 2",
            ),
            (
                "SELECT f(g) FROM t ORDER BY 1",
                "SELECT f(g) FROM t ORDER BY 1",
            ),
        ] {
            let mut parsed = Parser::parse_sql(&EmporiaDialect, text).unwrap();
            let Some(Sql::Query(mut query)) = parsed.pop() else {
                panic!("{text}");
            };
            write_out(&mut query);
            assert_eq!(query.to_string(), expected);
        }
    }
}
