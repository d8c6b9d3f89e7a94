//! Unit tests of `describe`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::empty::EmptyTable;
use datafusion::prelude::SessionConfig;

use super::*;

type TestResult = Result<(), DataFusionError>;

fn context() -> Result<SessionContext, DataFusionError> {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.collect_spans = true;
    let context = SessionContext::new_with_config(config);
    let fields = vec![
        Field::new("user_id", DataType::Utf8, true),
        Field::new("total", DataType::Decimal128(18, 2), false),
    ];
    for table in ["transactions", "refunds"] {
        let schema = Arc::new(Schema::new(fields.clone()));
        context.register_table(table, Arc::new(EmptyTable::new(schema)))?;
    }
    Ok(context)
}

/// What a user sees for a wrong statement.
async fn describe(sql: &str) -> Result<Error, DataFusionError> {
    let context = context()?;
    match context.sql(sql).await {
        Ok(_) => Err(DataFusionError::Plan(format!("`{sql}` was planned"))),
        Err(error) => Ok(describe_error(sql, &error, &table_names(&context))),
    }
}

#[tokio::test]
async fn an_unknown_column_is_marked_and_the_nearest_is_named() -> TestResult {
    let error = describe("SELECT user_id,\n       totl\nFROM transactions").await?;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.message(),
        "2:8: no column `totl`\n2 |        totl\n  |        ^^^^"
    );
    assert_eq!(error.hint(), Some("did you mean `total`?"));
    Ok(())
}

#[tokio::test]
async fn an_unlike_column_gets_the_list_of_columns() -> TestResult {
    let error = describe("SELECT t.zzzzzz FROM transactions AS t").await?;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("no column `t.zzzzzz`"), "{error}");
    assert_eq!(error.hint(), Some("columns are `user_id`, `total`"));
    Ok(())
}

#[tokio::test]
async fn an_unknown_column_of_an_order_is_marked() -> TestResult {
    let error = describe("SELECT user_id FROM transactions ORDER BY zzzzzz").await?;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let message = error.message();
    assert!(message.starts_with("1:43: no column `zzzzzz`"), "{message}");
    assert_eq!(error.hint(), Some("columns are `user_id`, `total`"));
    Ok(())
}

#[tokio::test]
async fn an_unknown_table_is_marked_and_the_nearest_is_named() -> TestResult {
    let error = describe("SELECT * FROM transaction").await?;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.message(),
        "1:15: no table `transaction`\n1 | SELECT * FROM transaction\n  |               ^^^^^^^^^^^"
    );
    assert_eq!(error.hint(), Some("did you mean `transactions`?"));
    Ok(())
}

#[tokio::test]
async fn an_unknown_function_is_not_found() -> TestResult {
    let error = describe("SELECT summ(total) FROM transactions").await?;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.message().starts_with("1:8: no function `summ`"),
        "{error}"
    );
    assert_eq!(error.hint(), Some("did you mean `sum`?"));
    Ok(())
}

#[tokio::test]
async fn a_syntax_error_is_invalid_input_at_its_place() -> TestResult {
    let error = describe("SELECT *\nFROM transactions WHERE").await?;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.message(),
        "2:24: expected: an expression, found: EOF\n\
         2 | FROM transactions WHERE\n  |                        ^"
    );
    Ok(())
}

#[tokio::test]
async fn a_missing_group_by_column_is_invalid_input() -> TestResult {
    let error = describe("SELECT user_id, total FROM transactions GROUP BY user_id").await?;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().starts_with("1:17: "), "{error}");
    Ok(())
}

#[tokio::test]
async fn arguments_of_other_types_get_the_forms_of_the_function() -> TestResult {
    let error = describe("SELECT sum(user_id) FROM transactions").await?;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), "no function fits `sum(Utf8)`");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("`sum(Decimal)`, `sum(UInt64)`"), "{hint}");
    Ok(())
}

#[tokio::test]
async fn types_that_do_not_fit_are_named() -> TestResult {
    let error = describe("SELECT user_id + 1 FROM transactions").await?;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().starts_with("1:8: "), "{error}");
    assert!(error.message().contains("Utf8 + Int64"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_ambiguous_column_asks_for_its_table() -> TestResult {
    let sql =
        "SELECT total FROM transactions JOIN refunds ON transactions.user_id = refunds.user_id";
    let error = describe(sql).await?;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.hint(), Some("write `<table>.total`"));
    Ok(())
}

#[tokio::test]
async fn a_statement_of_a_script_keeps_its_place() -> TestResult {
    let script = "SELECT 1;\n\n  SELECT * FROM refund";
    let context = context()?;
    let statements =
        crate::split_statements(script).map_err(|e| DataFusionError::External(Box::new(e)))?;
    let Some(second) = statements.get(1) else {
        return Err(DataFusionError::Plan("one statement".to_owned()));
    };
    let Err(error) = context.sql(&second.text).await else {
        return Err(DataFusionError::Plan("planned".to_owned()));
    };
    let error = describe_error(second, &error, &table_names(&context));
    assert!(
        error.message().starts_with("3:17: no table `refund`"),
        "{error}"
    );
    Ok(())
}

#[test]
fn own_errors_keep_their_kind_and_hint() {
    let own = Error::new(ErrorKind::Unavailable, "no connection").with_hint("try later");
    let error = describe_error("SELECT 1", &DataFusionError::External(Box::new(own)), &[]);
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Unavailable, "no connection")
    );
    assert_eq!(error.hint(), Some("try later"));
}

#[test]
fn exhausted_resources_are_told_apart() {
    let error = DataFusionError::ResourcesExhausted("Memory pool is full.".to_owned());
    let error = describe_error("SELECT 1", &error, &[]);
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(error.message(), "memory pool is full");
}
