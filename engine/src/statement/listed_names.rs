//! `WITH t (n, path) AS (SELECT k, CAST(k AS VARCHAR) …)`: columns whose names a list gives, and which may have the same name in
//! the query itself.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, TableAlias, TableFactor,
};

/// What the names begin with that columns have until the list names them.
const PREFIX: &str = "__emporia_listed_";

/// Tells the columns apart of queries whose columns the query names.
pub(super) fn tell_apart(query: &mut Query) {
    let with = query.with.iter_mut();
    for table in with.flat_map(|with| &mut with.cte_tables) {
        in_query(&mut table.query, &table.alias);
    }
}

/// The same, where the query is one of FROM.
pub(super) fn tell_apart_table(table: &mut TableFactor) {
    if let TableFactor::Derived {
        subquery,
        alias: Some(alias),
        ..
    } = table
    {
        in_query(subquery, alias);
    }
}

fn in_query(query: &mut Query, alias: &TableAlias) {
    let mut body = query.body.as_mut();
    let select = loop {
        body = match body {
            SetExpr::Select(select) => break select,
            SetExpr::SetOperation { left, .. } => left,
            SetExpr::Query(query) => query.body.as_mut(),
            _ => return,
        };
    };
    let mut seen = BTreeSet::new();
    let listed = select.projection.iter_mut().take(alias.columns.len());
    for (at, item) in listed.enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        // The planner calls a cast what is cast.
        let is_cast = matches!(expr, Expr::Cast { .. });
        if seen.insert(expr.to_string()) && !is_cast {
            continue;
        }
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', format!("{PREFIX}{at}")),
        };
    }
}
