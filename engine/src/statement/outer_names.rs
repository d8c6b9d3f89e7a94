//! `c.id` in a subquery, where `c` is a table of the query around it and also a column of its own.
//!
//! The planner looks for a field `id` of the column first. Names of tables are more than fields of columns, so
//! the schema is put in front of them: `public.c.id`.

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, TableFactor, TableWithJoins, VisitorMut,
};

use super::syntax::{name_of, visit_mut};

/// Whether the planner took a table for a column, which is no struct or has no such field.
pub(super) fn is_cause_of(error: &DataFusionError) -> bool {
    let text = error.find_root().message().to_lowercase();
    let refusals = ["cannot access field", "not found in struct"];
    refusals.iter().any(|refusal| text.contains(refusal))
}

/// Writes the schema in front of the tables of outer queries.
pub(super) fn spell_out(parsed: &mut Parsed, schema: &str) {
    let mut names = Names {
        schema,
        selects: Vec::new(),
    };
    let _ = visit_mut(parsed, &mut names);
}

struct Names<'a> {
    schema: &'a str,
    selects: Vec<Tables>,
}

/// The tables of a SELECT.
struct Tables {
    names: Vec<String>,
    /// Whether the query at hand is among them, so that it does not see the others.
    is_hidden: bool,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.selects.push(Tables {
            names: select.from.iter().flat_map(tables_in).collect(),
            is_hidden: false,
        });
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.selects.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let (TableFactor::Derived { lateral: false, .. }, Some(tables)) =
            (table, self.selects.last_mut())
        {
            tables.is_hidden = true;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let (TableFactor::Derived { lateral: false, .. }, Some(tables)) =
            (table, self.selects.last_mut())
        {
            tables.is_hidden = false;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::CompoundIdentifier(parts) = expr else {
            return ControlFlow::Continue(());
        };
        let ([table, _], Some((own, outer))) = (parts.as_slice(), self.selects.split_last()) else {
            return ControlFlow::Continue(());
        };
        let name = name_of(table);
        let mut outer = outer.iter().filter(|tables| !tables.is_hidden);
        if !own.names.contains(&name) && outer.any(|tables| tables.names.contains(&name)) {
            parts.insert(0, Ident::with_quote('"', self.schema));
        }
        ControlFlow::Continue(())
    }
}

fn tables_in(tables: &TableWithJoins) -> Vec<String> {
    let joined = tables.joins.iter().map(|join| &join.relation);
    let all = std::iter::once(&tables.relation).chain(joined);
    let mut names = Vec::new();
    for table in all {
        match table {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => names.extend(tables_in(table_with_joins)),
            TableFactor::Table {
                alias: Some(alias), ..
            }
            | TableFactor::Derived {
                alias: Some(alias), ..
            }
            | TableFactor::UNNEST {
                alias: Some(alias), ..
            }
            | TableFactor::Function {
                alias: Some(alias), ..
            }
            | TableFactor::NestedJoin {
                alias: Some(alias), ..
            } => names.push(name_of(&alias.name)),
            TableFactor::Table { name, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident());
                names.extend(last.map(name_of));
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse_statement;

    #[test]
    fn only_tables_of_outer_queries_get_their_schema() {
        for (text, expected) in [
            (
                "SELECT c.id FROM c WHERE EXISTS (SELECT 1 FROM o WHERE o.c = c.id)",
                "SELECT c.id FROM c WHERE EXISTS (SELECT 1 FROM o WHERE o.c = \"public\".c.id)",
            ),
            (
                "SELECT 1 FROM t AS C, LATERAL (SELECT c.id) AS l",
                "SELECT 1 FROM t AS C, LATERAL (SELECT \"public\".c.id) AS l",
            ),
            // A derived table does not see the tables beside it.
            (
                "SELECT 1 FROM c, (SELECT c.id FROM s) AS d",
                "SELECT 1 FROM c, (SELECT c.id FROM s) AS d",
            ),
            (
                "SELECT (SELECT c.x FROM c) FROM c",
                "SELECT (SELECT c.x FROM c) FROM c",
            ),
        ] {
            let mut parsed = parse_statement(text, 50).unwrap();
            spell_out(&mut parsed, "public");
            assert_eq!(parsed.to_string(), expected);
        }
    }
}
