//! `WITH RECURSIVE` with an ORDER BY, a LIMIT or a WITH of its own behind or in front of the UNION, and with columns
//! whose types are not those of the first query.
//!
//! The planner takes the UNION of every query of such a WITH apart and drops the rest of the query. A query that
//! does not name itself is put in parentheses, which it takes as a whole; another one is refused.
//!
//! It casts the rows of each round to the types of the first query. Where that loses something, the query is refused.
//! Casts that the user wrote are doubled, so that they differ in a plan from those of the planner.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Diagnostic, Result, Span, not_impl_err};
use datafusion::logical_expr::{Expr as Planned, ExprSchemable, LogicalPlan, RecursiveQuery};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    CastKind, Cte, Expr, ObjectName, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, Value,
    VisitorMut, visit_relations,
};

use super::syntax::{name_of, query_of, visit_mut};
use crate::functions::shown;

/// Keeps all of the queries that a `WITH RECURSIVE` names.
///
/// # Errors
/// `NotImplemented` for a query that names itself and has such a clause.
pub(super) fn keep_whole(parsed: &mut Parsed) -> Result<()> {
    match visit_mut(parsed, &mut Recursive) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Recursive;

impl VisitorMut for Recursive {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let Some(with) = query.with.as_mut().filter(|with| with.recursive) else {
            return ControlFlow::Continue(());
        };
        with.cte_tables.iter_mut().try_for_each(keep)
    }
}

fn keep(table: &mut Cte) -> ControlFlow<DataFusionError> {
    let SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier,
        ..
    } = table.query.body.as_ref()
    else {
        return ControlFlow::Continue(());
    };
    let quantifier = *set_quantifier;
    let is_plain = |query: &Query| {
        query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.pipe_operators.is_empty()
    };
    let is_by_name = matches!(
        quantifier,
        SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName
    );
    if is_plain(&table.query) && !is_by_name {
        if let SetExpr::SetOperation { right, .. } = table.query.body.as_mut() {
            double_casts(right);
        }
        return ControlFlow::Continue(());
    }
    if !names_itself(table) {
        *table.query = query_of(SetExpr::Query(table.query.clone()));
        return ControlFlow::Continue(());
    }
    let name = &table.alias.name;
    let text = format!(
        "a WITH, ORDER BY, LIMIT or BY NAME in the recursive query `{name}` is not supported; write ORDER BY and \
         LIMIT in the query that reads `{name}`, and a WITH in front of it"
    );
    let mark = Diagnostic::new_error(text.clone(), Span::try_from_sqlparser_span(name.span));
    ControlFlow::Break(DataFusionError::NotImplemented(text).with_diagnostic(mark))
}

/// Writes each cast that makes a column twice.
fn double_casts(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                {
                    double_cast(expr);
                }
            }
        }
        SetExpr::Query(query) => double_casts(&mut query.body),
        _ => {}
    }
}

fn double_cast(expr: &mut Expr) {
    match expr {
        Expr::Nested(inner) => double_cast(inner),
        Expr::Cast {
            kind: kind @ (CastKind::Cast | CastKind::DoubleColon),
            data_type,
            array: false,
            format: None,
            ..
        } => {
            let (kind, data_type) = (kind.clone(), data_type.clone());
            let inner = std::mem::replace(expr, Expr::value(Value::Null));
            *expr = Expr::Cast {
                kind,
                expr: Box::new(inner),
                data_type,
                array: false,
                format: None,
            };
        }
        _ => {}
    }
}

/// Refuses a recursive query of which the planner casts a column with loss. It has to be asked before any rule
/// changed the plan.
///
/// # Errors
/// `NotImplemented`, with the column and both types.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::RecursiveQuery(query) = node {
            check_types(query)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn check_types(query: &RecursiveQuery) -> Result<()> {
    let LogicalPlan::Projection(rounds) = query.recursive_term.as_ref() else {
        return Ok(());
    };
    for (column, expr) in query.static_term.schema().fields().iter().zip(&rounds.expr) {
        let Planned::Cast(cast) = unaliased(expr) else {
            continue;
        };
        // A text that is written out is read as the other type, or is an error.
        let is_text = matches!(cast.expr.as_ref(), Planned::Literal(value, _) if value.data_type().is_string());
        let (from, to) = (
            cast.expr.get_type(rounds.input.schema())?,
            column.data_type(),
        );
        if is_text || keeps(&from, to) {
            continue;
        }
        return not_impl_err!(
            "column `{}` of the recursive query `{}` is {} in the first query and {} in the other one; cast the \
             column in the first query to {}",
            column.name(),
            query.name,
            shown(to),
            shown(&from),
            shown(&from)
        );
    }
    Ok(())
}

fn unaliased(expr: &Planned) -> &Planned {
    match expr {
        Planned::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// Whether a cast keeps each value, or fails.
fn keeps(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Date64, Dictionary, LargeList, List, Null, Timestamp};
    if from.equals_datatype(to) {
        return true;
    }
    let scale = |data_type: &DataType| match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale),
        integer if integer.is_integer() => Some(0),
        _ => None,
    };
    // What does not fit is an error.
    if let (Some(from), Some(to)) = (scale(from), scale(to)) {
        return from <= to;
    }
    match (from, to) {
        (Null, _) => true,
        (_, DataType::Float64) => from.is_numeric(),
        (Date32 | Date64, Timestamp(_, None)) => true,
        (Timestamp(from, zone), Timestamp(to, other)) => zone == other && from <= to,
        (Dictionary(_, from), to) => keeps(from, to),
        (from, Dictionary(_, to)) => keeps(from, to),
        (List(from) | LargeList(from), List(to) | LargeList(to)) => {
            keeps(from.data_type(), to.data_type())
        }
        (from, to) => to.is_string() && (from.is_string() || from.is_integer()),
    }
}

/// Whether the query reads a table of its own name.
fn names_itself(table: &Cte) -> bool {
    let own = name_of(&table.alias.name);
    let is_own = |relation: &ObjectName| match relation.0.as_slice() {
        [part] => part.as_ident().is_some_and(|name| name_of(name) == own),
        _ => false,
    };
    visit_relations(table.query.as_ref(), |relation| match is_own(relation) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })
    .is_break()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse_statement;

    fn kept(text: &str) -> Result<String> {
        let mut parsed = parse_statement(text, 50)?;
        keep_whole(&mut parsed)?;
        Ok(parsed.to_string())
    }

    #[test]
    fn a_query_that_does_not_name_itself_is_whole() -> Result<()> {
        assert_eq!(
            kept("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT 2 ORDER BY 1 LIMIT 1) SELECT 1")?,
            "WITH RECURSIVE a AS ((SELECT 1 UNION ALL SELECT 2 ORDER BY 1 LIMIT 1)) SELECT 1"
        );
        for same in [
            "WITH a AS (SELECT 1 UNION ALL SELECT 2 ORDER BY 1 LIMIT 1) SELECT 1",
            "WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT n FROM a LIMIT 2",
            "WITH RECURSIVE a AS (SELECT 1 ORDER BY 1 LIMIT 1) SELECT 1",
        ] {
            assert_eq!(kept(same)?, same);
        }
        Ok(())
    }

    #[test]
    fn casts_of_rounds_are_doubled() -> Result<()> {
        assert_eq!(
            kept(
                "WITH RECURSIVE a AS (SELECT CAST(1 AS INT) AS n UNION ALL SELECT CAST(n AS INT) FROM a) SELECT n FROM a"
            )?,
            "WITH RECURSIVE a AS (SELECT CAST(1 AS INT) AS n UNION ALL SELECT CAST(CAST(n AS INT) AS INT) FROM a) SELECT n FROM a"
        );
        Ok(())
    }

    #[test]
    fn casts_that_lose_something_are_known() {
        use DataType::{Decimal128, Float64, Int32, Int64, Utf8, Utf8View};
        for (from, to, expected) in [
            (Int64, Int32, true),
            (Float64, Int64, false),
            (Decimal128(12, 5), Decimal128(10, 2), false),
            (Decimal128(12, 2), Decimal128(10, 2), true),
            (Int64, Float64, true),
            (Utf8, Utf8View, true),
            (Utf8, Int64, false),
            (Int64, DataType::Null, false),
        ] {
            assert_eq!(keeps(&from, &to), expected, "{from} as {to}");
        }
    }

    #[test]
    fn a_recursive_query_has_nothing_behind_it() {
        for text in [
            "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a LIMIT 3) SELECT * FROM a",
            "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM A ORDER BY 1) SELECT * FROM a",
            "WITH RECURSIVE a AS (WITH b AS (SELECT 1 AS n) SELECT n FROM b UNION ALL SELECT n + 1 FROM a) SELECT * FROM a",
            "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL BY NAME SELECT n + 1 AS n FROM a) SELECT * FROM a",
        ] {
            let error = kept(text).err().map(|error| error.to_string());
            assert!(
                error.is_some_and(|error| error.contains("is not supported")),
                "{text}"
            );
        }
    }
}
