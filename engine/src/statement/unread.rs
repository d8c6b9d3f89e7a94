//! Clauses that the parser reads and the planner does not: it would answer as if they were not there, or
//! mean something else. They are refused, with the way to write what they ask for.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem,
    TableFactor, TableWithJoins, Visitor, WildcardAdditionalOptions, WindowType,
};

use super::syntax::visit;

/// Refuses a statement with such a clause.
///
/// # Errors
/// `NotImplemented`, with the clause and what to write.
pub(super) fn check(parsed: &Parsed) -> Result<()> {
    match visit(parsed, &mut Unread) {
        ControlFlow::Break(text) => Err(DataFusionError::NotImplemented(text)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Unread;

type Found = ControlFlow<String>;

fn refuse(is_there: bool, clause: &str, instead: &str) -> Found {
    match is_there {
        true => ControlFlow::Break(format!("{clause} is not supported; {instead}")),
        false => ControlFlow::Continue(()),
    }
}

impl Visitor for Unread {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> Found {
        refuse(query.for_clause.is_some(), "FOR", "leave it out")?;
        refuse(query.settings.is_some(), "SETTINGS", "use SET")?;
        refuse(
            query.format_clause.is_some(),
            "FORMAT",
            "use the option --format",
        )?;
        let Some(order) = &query.order_by else {
            return ControlFlow::Continue(());
        };
        let is_filled = match &order.kind {
            OrderByKind::Expressions(keys) => keys.iter().any(|key| key.with_fill.is_some()),
            OrderByKind::All(_) => false,
        };
        refuse(
            is_filled || order.interpolate.is_some(),
            "WITH FILL",
            "join with generate_series",
        )
    }

    fn pre_visit_select(&mut self, select: &Select) -> Found {
        let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) =
            &select.group_by;
        refuse(
            !modifiers.is_empty(),
            "GROUP BY … WITH",
            "write GROUP BY ROLLUP (…) or CUBE (…)",
        )?;
        refuse(select.prewhere.is_some(), "PREWHERE", "write WHERE")?;
        refuse(
            select.into.is_some(),
            "INTO inside of a query",
            "write CREATE TABLE … AS, and the query",
        )?;
        refuse(
            !select.connect_by.is_empty(),
            "CONNECT BY",
            "write WITH RECURSIVE",
        )?;
        refuse(
            select.value_table_mode.is_some(),
            "SELECT AS STRUCT or VALUE",
            "write struct(…)",
        )?;
        for item in &select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item
            {
                let WildcardAdditionalOptions { opt_ilike, .. } = options;
                refuse(opt_ilike.is_some(), "* ILIKE", "name the columns")?;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Found {
        let (sample, with_ordinality, is_cut) = match table {
            TableFactor::Table {
                sample,
                with_ordinality,
                partitions,
                version,
                json_path,
                ..
            } => (
                sample.is_some(),
                *with_ordinality,
                !partitions.is_empty() || version.is_some() || json_path.is_some(),
            ),
            TableFactor::Derived { sample, .. } => (sample.is_some(), false, false),
            TableFactor::Function {
                with_ordinality, ..
            } => (false, *with_ordinality, false),
            TableFactor::UNNEST {
                with_offset,
                with_ordinality,
                ..
            } => (false, *with_offset || *with_ordinality, false),
            _ => (false, false, false),
        };
        refuse(
            sample,
            "TABLESAMPLE",
            "write WHERE random() < 0.1, or a condition on a hash of a key",
        )?;
        refuse(
            with_ordinality,
            "WITH ORDINALITY",
            "use row_number() OVER (ORDER BY …)",
        )?;
        refuse(
            is_cut,
            "a part or a version of a table after its name",
            "write WHERE",
        )
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Found {
        let is_based = match expr {
            Expr::Function(call) => match &call.over {
                Some(WindowType::WindowSpec(window)) => window.window_name.is_some(),
                _ => false,
            },
            _ => false,
        };
        refuse(
            is_based,
            "OVER (w …) with the name of a window",
            "write OVER w, or the whole window",
        )?;
        refuse(
            matches!(expr, Expr::SimilarTo { .. }),
            "SIMILAR TO",
            "write x ~ '^(…)$' with a regular expression",
        )
    }
}

/// Refuses joins with common columns that were not written out (`using.rs`), where the planner would take
/// those of a side that has no row.
///
/// # Errors
/// `NotImplemented`, with what to write.
pub(super) fn check_joins(parsed: &Parsed) -> Result<()> {
    match visit(parsed, &mut Joins) {
        ControlFlow::Break(text) => Err(DataFusionError::NotImplemented(text)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Joins;

impl Visitor for Joins {
    type Break = String;

    fn pre_visit_select(&mut self, select: &Select) -> Found {
        let has_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
        let has_all = select.projection.iter().any(has_all);
        let mut tables = select.from.iter();
        tables.try_for_each(|table| joins(table, has_all))
    }
}

fn joins(table: &TableWithJoins, has_all: bool) -> Found {
    if let TableFactor::NestedJoin {
        table_with_joins, ..
    } = &table.relation
    {
        joins(table_with_joins, has_all)?;
    }
    for join in &table.joins {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = &join.relation
        {
            joins(table_with_joins, has_all)?;
        }
        let (on, is_left) = match &join.join_operator {
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (on, true),
            JoinOperator::Right(on)
            | JoinOperator::RightOuter(on)
            | JoinOperator::FullOuter(on) => (on, false),
            _ => continue,
        };
        if !matches!(on, JoinConstraint::Using(_) | JoinConstraint::Natural) {
            continue;
        }
        refuse(
            !is_left,
            "USING or NATURAL with a RIGHT or FULL JOIN",
            "write ON a.id = b.id, and coalesce(a.id, b.id) AS id for the common column",
        )?;
        refuse(
            has_all,
            "* over a LEFT JOIN with USING or NATURAL",
            "name the columns, or write ON a.id = b.id",
        )?;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParserBuilder;

    use super::*;
    use crate::dialect::EmporiaDialect;

    fn refused(text: &str) -> Option<String> {
        let mut parser = DFParserBuilder::new(text)
            .with_dialect(&EmporiaDialect)
            .build()
            .unwrap();
        let parsed = parser.parse_statement().unwrap();
        check(&parsed)
            .and_then(|()| check_joins(&parsed))
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn clauses_without_effect_are_refused() {
        for text in [
            "SELECT g, count(*) FROM t GROUP BY g WITH ROLLUP",
            "SELECT g, count(*) FROM t GROUP BY g WITH TOTALS",
            "SELECT * FROM t TABLESAMPLE BERNOULLI (0)",
            "SELECT count(*) FROM t PREWHERE id = 1",
            "SELECT a FROM t START WITH a = 1 CONNECT BY PRIOR a = b",
            "SELECT * ILIKE '%id%' FROM t",
            "SELECT * FROM generate_series(1, 5) WITH ORDINALITY",
            "SELECT * FROM t, LATERAL unnest(xs) WITH ORDINALITY",
            "SELECT 'x' SIMILAR TO '_'",
            "SELECT * FROM (SELECT a INTO u FROM t) s",
            "SELECT sum(v) OVER (w) FROM t WINDOW w AS (PARTITION BY g)",
            "SELECT sum(v) OVER (w ORDER BY v) FROM t WINDOW w AS (PARTITION BY g)",
            "SELECT id, p, s FROM a FULL JOIN b USING (id)",
            "SELECT p FROM a NATURAL RIGHT JOIN b",
            "SELECT * FROM a LEFT JOIN b USING (id)",
            "EXPLAIN SELECT 1 WHERE EXISTS (SELECT 1 FROM a FULL JOIN b USING (id))",
            "CREATE TABLE n AS SELECT * FROM t TABLESAMPLE (1 ROWS)",
        ] {
            let error = refused(text);
            assert!(
                error.is_some_and(|e| e.contains("is not supported; ")),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_read_is_taken() {
        for text in [
            "SELECT a, count(*) FROM t GROUP BY ROLLUP (a)",
            "SELECT sum(v) OVER w FROM t WINDOW w AS (PARTITION BY g)",
            "SELECT id, p, s FROM a LEFT JOIN b USING (id)",
            "SELECT * FROM a JOIN b USING (id)",
            "SELECT * FROM a FULL JOIN b ON a.id = b.id",
            "SELECT * EXCLUDE (a) FROM t ORDER BY a LIMIT 3",
            "SELECT * FROM generate_series(1, 5) AS s(n), UNNEST([1, 2]) AS u(x)",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
    }
}
