//! Output columns that have the name of a column by which rows are ordered.
//!
//! In `SELECT o.amount * 2 AS amount … ORDER BY o.amount` the planner takes the output column and the
//! table's column along until the rows are in order, and finds the name ambiguous. Such an output
//! column gets a name of its own until then.

use std::ops::ControlFlow;

use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, GroupByExpr, Ident, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr,
    Statement as SqlAst, Visit, visit_expressions,
};

/// What a name of ours begins with.
const PREFIX: &str = "__emporia_";

/// Renames output columns of the query that would be ambiguous in its ORDER BY.
pub(crate) fn set_apart(statement: &mut Statement) {
    if let Statement::Statement(ast) = statement
        && let SqlAst::Query(query) = ast.as_mut()
    {
        set_apart_in(query);
    }
}

fn set_apart_in(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let Some(order) = query.order_by.as_mut() else {
        return;
    };
    let OrderByKind::Expressions(keys) = &mut order.kind else {
        return;
    };
    if select.distinct.is_some() {
        return;
    }
    let group_uses = |name: &Ident| match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => exprs.iter().any(|expr| uses(expr, name)),
        GroupByExpr::All(_) => true,
    };
    let others_use = |name: &Ident| {
        let others = [&select.having, &select.qualify];
        group_uses(name) || others.into_iter().flatten().any(|expr| uses(expr, name))
    };
    let mut renamed = Vec::new();
    for item in &select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else {
            continue;
        };
        // The name within an expression is that of a column, to which the planner has to look.
        let is_clear = keys
            .iter()
            .all(|key| is_name(&key.expr, alias) || !uses(&key.expr, alias));
        if keys.iter().any(|key| meets(key, expr, alias)) && is_clear && !others_use(alias) {
            renamed.push(alias.clone());
        }
    }
    for alias in renamed {
        let apart = Ident::with_quote('"', format!("{PREFIX}{}", name_of(&alias)));
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { alias: own, .. } = item
                && *own == alias
            {
                *own = apart.clone();
            }
        }
        for key in keys.iter_mut().filter(|key| is_name(&key.expr, &alias)) {
            key.expr = SqlExpr::Identifier(apart.clone());
        }
    }
}

/// The plan's columns under the names that the query gave them.
///
/// # Errors
/// None for a plan of a query.
pub(crate) fn restored(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_ours = |name: &String| name.starts_with(PREFIX);
    if !plan.schema().fields().iter().any(|f| is_ours(f.name())) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().map(|(of, field)| {
        let column = Expr::Column(Column::new(of.cloned(), field.name()));
        match field.name().strip_prefix(PREFIX) {
            Some(name) => column.alias(name),
            None => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The name as the planner reads it.
fn name_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn is_name(expr: &SqlExpr, name: &Ident) -> bool {
    matches!(expr, SqlExpr::Identifier(ident) if name_of(ident) == name_of(name))
}

/// Whether the expression holds the bare name.
fn uses(expr: &impl Visit, name: &Ident) -> bool {
    found(expr, |expr| is_name(expr, name))
}

/// Whether a key orders by a table's column of that name, which is not the output column itself.
fn meets(key: &OrderByExpr, output: &SqlExpr, name: &Ident) -> bool {
    found(&key.expr, |expr| match expr {
        SqlExpr::CompoundIdentifier(parts) => {
            let last = parts.last().map(name_of);
            last == Some(name_of(name)) && expr != output
        }
        _ => false,
    })
}

fn found(expr: &impl Visit, is_it: impl Fn(&SqlExpr) -> bool) -> bool {
    let walk = visit_expressions(expr, |expr| {
        if is_it(expr) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    walk.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse_statement;

    fn apart(text: &str) -> Result<String> {
        let mut statement = parse_statement(text, 50)?;
        set_apart(&mut statement);
        Ok(statement.to_string())
    }

    #[test]
    fn only_what_would_be_ambiguous_is_renamed() -> Result<()> {
        assert_eq!(
            apart("SELECT o.a * 2 AS A, o.b FROM o ORDER BY o.a, a")?,
            r#"SELECT o.a * 2 AS "__emporia_a", o.b FROM o ORDER BY o.a, "__emporia_a""#
        );
        for text in [
            "SELECT o.a * 2 AS a FROM o ORDER BY a",
            "SELECT o.a AS a FROM o ORDER BY o.a",
            "SELECT o.a * 2 AS b FROM o ORDER BY o.a",
            "SELECT o.a * 2 AS a FROM o ORDER BY o.a, a + 1",
            "SELECT DISTINCT o.a * 2 AS a FROM o ORDER BY o.a",
        ] {
            assert_eq!(apart(text)?, text);
        }
        Ok(())
    }
}
