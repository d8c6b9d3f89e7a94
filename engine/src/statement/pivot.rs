//! `PIVOT` and `UNPIVOT` as the groups and unions that they are short for.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ExprWithAlias, Ident, NullInclusion, PivotValueSource, Statement as Sql, TableFactor,
    Value, Visit, Visitor,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::syntax::name_of;
use crate::dialect::EmporiaDialect;

/// The query that the table is short for; `None` for any other table, and for forms that are not known.
pub(super) fn as_query(table: &TableFactor) -> Option<TableFactor> {
    let (text, alias) = match table {
        TableFactor::Pivot {
            table,
            aggregate_functions,
            value_column,
            value_source: PivotValueSource::List(values),
            default_on_null: None,
            alias,
        } => (
            pivoted(table, aggregate_functions, value_column, values)?,
            alias,
        ),
        TableFactor::Unpivot {
            table,
            value: Expr::Identifier(value),
            name,
            columns,
            null_inclusion,
            alias,
        } => (
            unpivoted(table, value, name, columns, null_inclusion.as_ref())?,
            alias,
        ),
        _ => return None,
    };
    let mut parsed = Parser::parse_sql(&EmporiaDialect, &text).ok()?;
    let Some(Sql::Query(query)) = parsed.pop() else {
        return None;
    };
    Some(TableFactor::Derived {
        lateral: false,
        subquery: query,
        alias: alias.clone(),
        sample: None,
    })
}

/// One row for all other columns, with an aggregate for each of the values.
fn pivoted(
    table: &TableFactor,
    aggregates: &[ExprWithAlias],
    columns: &[Expr],
    values: &[ExprWithAlias],
) -> Option<String> {
    let mut used: Vec<String> = columns.iter().filter_map(column_of).collect();
    if used.len() < columns.len() {
        return None;
    }
    for aggregate in aggregates {
        used.extend(columns_in(&aggregate.expr));
    }
    used.sort();
    used.dedup();
    let mut items = vec![format!("* EXCLUDE ({})", used.join(", "))];
    for value in values {
        let fields = match &value.expr {
            Expr::Tuple(fields) if columns.len() > 1 => fields.as_slice(),
            Expr::Nested(inner) if columns.len() == 1 => std::slice::from_ref(inner.as_ref()),
            other => std::slice::from_ref(other),
        };
        if fields.len() != columns.len() {
            return None;
        }
        let conditions = columns.iter().zip(fields);
        let conditions = conditions.map(|(c, v)| format!("{c} IS NOT DISTINCT FROM {v}"));
        let condition = conditions.collect::<Vec<_>>().join(" AND ");
        let of_value = match &value.alias {
            Some(alias) => name_of(alias),
            None => fields.iter().map(text_of).collect::<Vec<_>>().join("_"),
        };
        for aggregate in aggregates {
            let name = match (&aggregate.alias, aggregates.len()) {
                (Some(alias), 2..) => format!("{of_value}_{}", name_of(alias)),
                (None, 2..) => format!("{of_value}_{}", aggregate.expr),
                _ => of_value.clone(),
            };
            let name = Ident::with_quote('"', name);
            let function = &aggregate.expr;
            items.push(format!("{function} FILTER (WHERE {condition}) AS {name}"));
        }
    }
    Some(format!(
        "SELECT {} FROM {table} GROUP BY ALL",
        items.join(", ")
    ))
}

/// A row for each of the columns.
fn unpivoted(
    table: &TableFactor,
    value: &Ident,
    name: &Ident,
    columns: &[ExprWithAlias],
    nulls: Option<&NullInclusion>,
) -> Option<String> {
    let used: Vec<String> = columns.iter().filter_map(|c| column_of(&c.expr)).collect();
    if used.len() < columns.len() {
        return None;
    }
    let others = used.join(", ");
    let parts = columns.iter().zip(&used).map(|(column, own)| {
        let label = match &column.alias {
            Some(alias) => name_of(alias),
            None => text_of(&column.expr),
        };
        let label = Value::SingleQuotedString(label);
        let condition = match nulls {
            Some(NullInclusion::IncludeNulls) => String::new(),
            _ => format!(" WHERE {own} IS NOT NULL"),
        };
        format!(
            "SELECT * EXCLUDE ({others}), {label} AS {name}, {own} AS {value} FROM {table}{condition}"
        )
    });
    Some(parts.collect::<Vec<_>>().join(" UNION ALL "))
}

/// The name of a column, as it is written.
fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(name.to_string()),
        Expr::CompoundIdentifier(parts) => parts.last().map(Ident::to_string),
        Expr::Nested(inner) => column_of(inner),
        _ => None,
    }
}

fn columns_in(expr: &Expr) -> Vec<String> {
    struct Columns(Vec<String>);
    impl Visitor for Columns {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.0.extend(column_of(expr));
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns(Vec::new());
    let _ = expr.visit(&mut columns);
    columns.0
}

/// A value or a column as a name.
fn text_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name_of(name),
        Expr::CompoundIdentifier(parts) => parts.last().map(name_of).unwrap_or_default(),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}
