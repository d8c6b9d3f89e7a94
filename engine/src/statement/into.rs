//! `SELECT … INTO t …` is `CREATE TABLE t AS SELECT …`.

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{SetExpr, Statement as Sql};
use datafusion::sql::sqlparser::parser::Parser;

use crate::dialect::EmporiaDialect;

/// The statement, or the CREATE TABLE that it is short for.
pub(super) fn as_create_table(mut parsed: Parsed) -> Parsed {
    let Parsed::Statement(sql) = &mut parsed else {
        return parsed;
    };
    let Sql::Query(query) = sql.as_mut() else {
        return parsed;
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return parsed;
    };
    // What is not logged is another kind of table elsewhere.
    let Some(into) = select.into.take_if(|into| !into.unlogged) else {
        return parsed;
    };
    let shell = Parser::parse_sql(&EmporiaDialect, "CREATE TABLE t AS SELECT 1");
    match shell.ok().and_then(|mut statements| statements.pop()) {
        Some(Sql::CreateTable(mut create)) => {
            create.name = into.name;
            create.temporary = into.temporary;
            create.query = Some(query.clone());
            Parsed::Statement(Box::new(Sql::CreateTable(create)))
        }
        _ => parsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse_statement;

    #[test]
    fn select_into_makes_a_table() {
        for (text, expected) in [
            (
                "SELECT a INTO b FROM t ORDER BY a LIMIT 1",
                "CREATE TABLE b AS SELECT a FROM t ORDER BY a LIMIT 1",
            ),
            (
                "SELECT * INTO TEMPORARY TABLE b FROM t",
                "CREATE TEMPORARY TABLE b AS SELECT * FROM t",
            ),
            (
                "WITH c AS (SELECT 1 AS x) SELECT x INTO b FROM c",
                "CREATE TABLE b AS WITH c AS (SELECT 1 AS x) SELECT x FROM c",
            ),
            ("SELECT a FROM t", "SELECT a FROM t"),
        ] {
            let parsed = parse_statement(text, 50).unwrap();
            assert_eq!(as_create_table(parsed).to_string(), expected);
        }
    }
}
