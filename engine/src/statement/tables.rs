//! Forms of queries that the planner does not know: MINUS, `FROM t` without SELECT, and `LATERAL unnest(…)`.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, GroupByExpr, JoinConstraint, JoinOperator,
    Select, SelectFlavor, SelectItem, SetExpr, SetOperator, TableFactor, Value,
    WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::dialect::EmporiaDialect;

/// Rewrites the body of a query: MINUS is EXCEPT.
pub(super) fn rewrite_body(body: &mut SetExpr) {
    // A query inside is visited as one.
    if let SetExpr::SetOperation {
        op, left, right, ..
    } = body
    {
        if *op == SetOperator::Minus {
            *op = SetOperator::Except;
        }
        rewrite_body(left);
        rewrite_body(right);
    }
}

/// Rewrites a SELECT: `FROM t` alone has all columns, `GROUP BY ()` is one group, and lists are unnested.
pub(super) fn rewrite_select(select: &mut Select) {
    if select.flavor != SelectFlavor::Standard {
        select.flavor = SelectFlavor::Standard;
        if select.projection.is_empty() {
            let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
            select.projection.push(all);
        }
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        let is_empty = |key: &Expr| matches!(key, Expr::Tuple(fields) if fields.is_empty());
        let n_keys = keys.len();
        keys.retain(|key| !is_empty(key));
        if keys.is_empty() && n_keys > 0 {
            keys.push(Expr::GroupingSets(vec![Vec::new()]));
        }
    }
    for table in &mut select.from {
        as_unnest(&mut table.relation);
        for join in &mut table.joins {
            as_unnest(&mut join.relation);
            let is_left = match &join.join_operator {
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => is_always(on),
                _ => false,
            };
            if let TableFactor::UNNEST { array_exprs, .. } = &mut join.relation
                && is_left
                && let [list] = array_exprs.as_mut_slice()
                && let Some(filled) = filled(list)
            {
                *list = filled;
                join.join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
            }
        }
    }
}

/// `LATERAL unnest(…)` is `UNNEST(…)`, which is always lateral.
fn as_unnest(table: &mut TableFactor) {
    let TableFactor::Function {
        lateral: true,
        name,
        args,
        with_ordinality,
        alias,
    } = table
    else {
        return;
    };
    if !name.to_string().eq_ignore_ascii_case("unnest") {
        return;
    }
    let lists = args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(list)) => Some(list.clone()),
        _ => None,
    });
    if let Some(array_exprs) = lists.collect() {
        *table = TableFactor::UNNEST {
            alias: alias.clone(),
            array_exprs,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: *with_ordinality,
        };
    }
}

fn is_always(on: &JoinConstraint) -> bool {
    match on {
        JoinConstraint::On(Expr::Value(value)) => value.value == Value::Boolean(true),
        JoinConstraint::On(Expr::Nested(inner)) => {
            is_always(&JoinConstraint::On(inner.as_ref().clone()))
        }
        _ => false,
    }
}

/// The list, or one with a NULL where it has no element: the row of a left join without a partner.
fn filled(list: &Expr) -> Option<Expr> {
    if let Expr::Function(Function { over: Some(_), .. }) = list {
        return None;
    }
    let text = format!("CASE WHEN cardinality({list}) > 0 THEN {list} ELSE [NULL] END");
    let parser = Parser::new(&EmporiaDialect).try_with_sql(&text);
    parser.ok()?.parse_expr().ok()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use datafusion::sql::sqlparser::ast::{Query, VisitMut, VisitorMut};

    use super::*;
    use crate::dialect::parse_statement;

    struct Rewrite;

    impl VisitorMut for Rewrite {
        type Break = ();

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            rewrite_body(&mut query.body);
            ControlFlow::Continue(())
        }

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            rewrite_select(select);
            ControlFlow::Continue(())
        }
    }

    #[test]
    fn forms_become_those_of_the_planner() {
        for (text, expected) in [
            ("TABLE t ORDER BY a", "SELECT * FROM t ORDER BY a"),
            ("FROM t", "SELECT * FROM t"),
            ("FROM t SELECT a", "SELECT a FROM t"),
            ("SELECT 1 MINUS SELECT 2", "SELECT 1 EXCEPT SELECT 2"),
            (
                "SELECT 1 FROM t GROUP BY ()",
                "SELECT 1 FROM t GROUP BY GROUPING SETS (())",
            ),
            (
                "SELECT a FROM t GROUP BY a, ()",
                "SELECT a FROM t GROUP BY a",
            ),
            (
                "SELECT u FROM t CROSS JOIN LATERAL unnest(xs) AS s (u)",
                "SELECT u FROM t CROSS JOIN UNNEST(xs) AS s (u)",
            ),
            (
                "SELECT u FROM t LEFT JOIN LATERAL unnest(xs) AS s (u) ON true",
                "SELECT u FROM t CROSS JOIN UNNEST(CASE WHEN cardinality(xs) > 0 THEN xs ELSE [NULL] END) AS s (u)",
            ),
        ] {
            let mut statement = match parse_statement(text, 50).unwrap() {
                datafusion::sql::parser::Statement::Statement(sql) => *sql,
                other => panic!("{other}"),
            };
            let _ = statement.visit(&mut Rewrite);
            assert_eq!(statement.to_string(), expected, "{text}");
        }
    }
}
