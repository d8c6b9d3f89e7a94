//! `SHOW TABLES` and `DESCRIBE`: statements about tables, which the client answers itself. The
//! cluster has no plan for them, and DataFusion would list the tables about its own settings too.

use datafusion::arrow::datatypes::Fields;
use datafusion::logical_expr::LogicalPlan;
use emporia_core::error::Result;
use emporia_engine::Session;

use super::text_table::TextTable;
use crate::type_name::type_name;

/// Whether the statement is `SHOW TABLES`.
pub(super) fn is_show_tables(text: &str) -> bool {
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    words == ["show", "tables"]
}

/// The answer to `SHOW TABLES`: the tables of the catalog, then those that statements made.
pub(super) async fn tables(session: &Session) -> Result<TextTable<2>> {
    let mut table = TextTable::new(["table", "kind"]);
    for name in session.catalog().tables.keys() {
        table.row([name, "table"]);
    }
    for made in session.made().await? {
        table.row([&made.name, made.kind]);
    }
    Ok(table)
}

/// The answer to `DESCRIBE`; `None` where the plan is that of another statement.
pub(super) fn described(plan: &LogicalPlan) -> Option<TextTable<3>> {
    match plan {
        LogicalPlan::DescribeTable(table) => Some(columns(table.schema.fields())),
        _ => None,
    }
}

/// Columns with their types.
pub(super) fn columns(fields: &Fields) -> TextTable<3> {
    let mut table = TextTable::new(["column", "type", "nullable"]);
    for field in fields {
        let is_nullable = if field.is_nullable() { "yes" } else { "no" };
        table.row([field.name(), &type_name(field.data_type()), is_nullable]);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use emporia_core::catalog::{Catalog, TableDef};
    use emporia_engine::{EngineOptions, Target};

    use super::*;

    fn session() -> Result<Session> {
        let mut catalog = Catalog::default();
        let orders = TableDef::new("parquet", "file:///gone/orders/");
        catalog.tables.insert("orders".into(), orders);
        let options = EngineOptions::default();
        Session::open(catalog, Target::SingleProcess, &options, &Arc::default())
    }

    #[test]
    fn show_tables_is_known_in_any_case() {
        assert!(is_show_tables("SHOW TABLES"));
        assert!(is_show_tables("show\n  Tables"));
        assert!(!is_show_tables("SHOW TABLES LIKE 'x'"));
        assert!(!is_show_tables("SELECT 1"));
    }

    #[tokio::test]
    async fn tables_are_those_of_the_catalog_and_of_the_session() -> Result<()> {
        let session = session()?;
        session.sql("CREATE VIEW v AS SELECT 1 AS n").await?;
        session.sql("CREATE TABLE t AS SELECT 2 AS n").await?;
        let rows = tables(&session).await?.into_rows();
        let expected = [["orders", "table"], ["t", "table"], ["v", "view"]];
        assert_eq!(rows, expected.map(|row| row.map(str::to_owned)));
        Ok(())
    }

    #[tokio::test]
    async fn a_described_table_has_the_types_of_the_catalog_file() -> Result<()> {
        let session = session()?;
        let view = "CREATE VIEW v AS SELECT 'a' AS name, CAST(1 AS DECIMAL(18,2)) AS price";
        session.sql(view).await?;
        let frame = session.sql("DESCRIBE v").await?;
        let rows = described(frame.logical_plan()).map(TextTable::into_rows);
        let expected = [["name", "string", "no"], ["price", "decimal(18,2)", "no"]];
        assert_eq!(
            rows,
            Some(expected.map(|row| row.map(str::to_owned)).to_vec())
        );
        let query = session.sql("SELECT 1").await?;
        assert!(described(query.logical_plan()).is_none());
        Ok(())
    }
}
