//! `WITH RECURSIVE` with an ORDER BY, a LIMIT or a WITH of its own behind or in front of the UNION.
//!
//! The planner takes the UNION of every query of such a WITH apart and drops the rest of the query. A query that
//! does not name itself is put in parentheses, which it takes as a whole; another one is refused.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Diagnostic, Result, Span};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Cte, ObjectName, Query, SetExpr, SetOperator, SetQuantifier, VisitorMut, visit_relations,
};

use super::syntax::{name_of, query_of, visit_mut};

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
