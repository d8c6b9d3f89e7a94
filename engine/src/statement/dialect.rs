//! Forms that the parser reads and the planner does not, in those that it knows.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr, JoinOperator, LimitClause, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Value, VisitorMut,
};

use super::syntax::visit_mut;
use super::{
    grouping_sets, lag_defaults, listed_names, moments, other_names, pivot, positions, quantified,
    rows, tables,
};

/// Rewrites the queries of a statement.
pub(super) fn translate(parsed: &mut Parsed) {
    let _ = visit_mut(parsed, &mut Forms);
}

struct Forms;

impl VisitorMut for Forms {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        fetch_as_limit(query);
        all_as_places(query);
        positions::write_out(query);
        listed_names::tell_apart(query);
        tables::rewrite_body(&mut query.body);
        joins(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        tables::rewrite_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        listed_names::tell_apart_table(table);
        if let Some(query) = pivot::as_query(table) {
            *table = query;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        moments::make_readable(expr);
        let spelled_out = rows::by_fields(expr)
            .or_else(|| grouping_sets::spelled_out(expr))
            .or_else(|| quantified::as_call(expr))
            .or_else(|| other_names::as_ours(expr))
            .or_else(|| lag_defaults::written_out(expr));
        if let Some(other) = spelled_out {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// `ORDER BY ALL` is `ORDER BY 1, 2, …`; the planner knows what `*` stands for.
fn all_as_places(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return;
    };
    let is_one = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
        )
    };
    if !select.projection.iter().all(is_one) {
        return;
    }
    let Some(order) = &mut query.order_by else {
        return;
    };
    if let OrderByKind::All(options) = order.kind {
        let places = 1..=select.projection.len();
        let keys = places.map(|place| OrderByExpr {
            expr: Expr::value(Value::Number(place.to_string(), false)),
            options,
            with_fill: None,
        });
        order.kind = OrderByKind::Expressions(keys.collect());
    }
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
fn fetch_as_limit(query: &mut Query) {
    let is_plain = query
        .fetch
        .as_ref()
        .is_some_and(|f| !f.with_ties && !f.percent);
    if !is_plain {
        return;
    }
    let offset = match &query.limit_clause {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset,
            limit_by,
        }) if limit_by.is_empty() => offset.clone(),
        // Two limits: the planner says what it thinks of them.
        Some(_) => return,
    };
    let Some(fetch) = query.fetch.take() else {
        return;
    };
    let one = || Expr::value(Value::Number("1".to_owned(), false));
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(fetch.quantity.unwrap_or_else(one)),
        offset,
        limit_by: Vec::new(),
    });
}

/// `SEMI JOIN` is `LEFT SEMI JOIN`.
fn joins(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => select.from.iter_mut().for_each(joins_of),
        SetExpr::SetOperation { left, right, .. } => {
            joins(left);
            joins(right);
        }
        // A query inside is visited as one.
        _ => {}
    }
}

fn joins_of(table: &mut TableWithJoins) {
    joins_in(&mut table.relation);
    for join in &mut table.joins {
        joins_in(&mut join.relation);
        join.join_operator = match join.join_operator.clone() {
            JoinOperator::Semi(on) => JoinOperator::LeftSemi(on),
            JoinOperator::Anti(on) => JoinOperator::LeftAnti(on),
            other => other,
        };
    }
}

fn joins_in(table: &mut TableFactor) {
    if let TableFactor::NestedJoin {
        table_with_joins, ..
    } = table
    {
        joins_of(table_with_joins);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    fn translated(text: &str) -> String {
        let mut statement = DFParser::parse_sql(text).unwrap().pop_front().unwrap();
        translate(&mut statement);
        statement.to_string()
    }

    #[test]
    fn forms_have_the_same_meaning() {
        for (text, expected) in [
            (
                "SELECT a FROM t FETCH FIRST 2 ROWS ONLY",
                "SELECT a FROM t LIMIT 2",
            ),
            (
                "SELECT a FROM t FETCH NEXT ROW ONLY",
                "SELECT a FROM t LIMIT 1",
            ),
            (
                "SELECT a FROM t OFFSET 3 ROWS FETCH NEXT 2 ROWS ONLY",
                "SELECT a FROM t LIMIT 2 OFFSET 3 ROWS",
            ),
            (
                "SELECT * FROM (SELECT a FROM t SEMI JOIN u ON t.b = u.b) AS s",
                "SELECT * FROM (SELECT a FROM t LEFT SEMI JOIN u ON t.b = u.b) AS s",
            ),
            (
                "EXPLAIN SELECT a FROM t ANTI JOIN u USING (b)",
                "EXPLAIN SELECT a FROM t LEFT ANTI JOIN u USING(b)",
            ),
        ] {
            assert_eq!(translated(text), expected);
        }
        let ties = "SELECT a FROM t ORDER BY a FETCH FIRST 2 ROWS WITH TIES";
        assert_eq!(translated(ties), ties);
    }
}
