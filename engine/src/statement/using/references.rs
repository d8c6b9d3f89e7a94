//! The names of common columns, where a SELECT uses them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, ExcludeSelectItem, Expr, Ident, OrderBy, OrderByKind, Query, Select,
    SelectItem, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use super::super::syntax::name_of;
use super::columns::Scope;

/// Writes out `*` and the common columns of a SELECT; `None` where it has a form of `*` that is not known.
pub(super) fn in_select(select: &mut Select, scope: &Scope) -> Option<()> {
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) => items.extend(all(&options, scope)?),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                items.push(item_of(name.clone(), Expr::Identifier(name), scope));
            }
            other => items.push(other),
        }
    }
    select.projection = items;
    let mut names = CommonNames { scope, depth: 0 };
    let _ = select.visit(&mut names);
    Some(())
}

/// Writes out the common columns by which rows are ordered, but for the outputs of the SELECT.
pub(super) fn in_order(order: &mut OrderBy, select: &Select, scope: &Scope) {
    let OrderByKind::Expressions(keys) = &mut order.kind else {
        return;
    };
    let outputs: Vec<String> = select.projection.iter().filter_map(output).collect();
    for key in keys {
        let is_output = match &key.expr {
            Expr::Identifier(name) => outputs.contains(&name_of(name)),
            _ => false,
        };
        if !is_output {
            let mut names = CommonNames { scope, depth: 0 };
            let _ = key.expr.visit(&mut names);
        }
    }
}

/// The name of an output, where it is plain to see.
fn output(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(name_of(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name_of(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(name_of),
        _ => None,
    }
}

/// The items that `*` is short for.
fn all(options: &WildcardAdditionalOptions, scope: &Scope) -> Option<Vec<SelectItem>> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return None;
    };
    let mut left_out = match opt_exclude {
        None => Vec::new(),
        Some(ExcludeSelectItem::Single(name)) => vec![last(name)?],
        Some(ExcludeSelectItem::Multiple(names)) => {
            names.iter().map(last).collect::<Option<Vec<_>>>()?
        }
    };
    if let Some(ExceptSelectItem {
        first_element,
        additional_elements,
    }) = opt_except
    {
        left_out.push(name_of(first_element));
        left_out.extend(additional_elements.iter().map(name_of));
    }
    let is_there = |name: &String| scope.columns.iter().any(|column| column.name == *name);
    if !left_out.iter().all(is_there) {
        // The planner says which column is not there.
        return None;
    }
    let replaced = opt_replace.iter().flat_map(|replace| &replace.items);
    let replaced: Vec<_> = replaced
        .map(|item| (name_of(&item.column_name), &item.expr))
        .collect();
    if !replaced.iter().all(|(name, _)| is_there(name)) {
        return None;
    }
    let columns = scope.columns.iter();
    let columns = columns.filter(|column| !left_out.contains(&column.name));
    let items = columns.map(|column| {
        let name = Ident::with_quote('"', column.name.clone());
        let other = replaced.iter().find(|(name, _)| *name == column.name);
        match other {
            Some((_, expr)) => SelectItem::ExprWithAlias {
                expr: (*expr).clone(),
                alias: name,
            },
            None => match &column.value {
                Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(column.value.clone()),
                value => SelectItem::ExprWithAlias {
                    expr: value.clone(),
                    alias: name,
                },
            },
        }
    });
    Some(items.collect())
}

fn last(name: &datafusion::sql::sqlparser::ast::ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(name_of)
}

/// A column alone in the list; a common one that is computed keeps its name.
fn item_of(name: Ident, expr: Expr, scope: &Scope) -> SelectItem {
    let column = scope.only(&name_of(&name)).filter(|c| c.is_common);
    match column.map(|column| &column.value) {
        Some(Expr::CompoundIdentifier(parts)) => {
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts.clone()))
        }
        Some(value) => SelectItem::ExprWithAlias {
            expr: value.clone(),
            alias: name,
        },
        None => SelectItem::UnnamedExpr(expr),
    }
}

/// Writes out names of common columns, but not in queries inside, where they may mean others.
struct CommonNames<'a> {
    scope: &'a Scope,
    depth: usize,
}

impl VisitorMut for CommonNames<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        if let Expr::Identifier(name) = expr
            && let Some(column) = self.scope.only(&name_of(name))
            && column.is_common
        {
            *expr = column.value.clone();
        }
        ControlFlow::Continue(())
    }
}
