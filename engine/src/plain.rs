//! DataFusion as it is, without our rules and functions, for tests that show its faults.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{SessionConfig, SessionContext};

/// Four rows with a NULL.
pub(crate) const TABLE: &str =
    "CREATE TABLE t AS SELECT * FROM (VALUES (1, 10), (2, 10), (3, NULL), (4, 20)) AS v(id, k); ";

/// A session as Ballista sets it, with these settings.
pub(crate) fn session(settings: &[(&str, &str)]) -> SessionContext {
    let mut config = SessionConfig::new();
    config
        .options_mut()
        .optimizer
        .enable_physical_uncorrelated_scalar_subquery = false;
    for (name, value) in settings {
        config = config.set_str(name, value);
    }
    SessionContext::new_with_config(config)
}

/// The rows of the last of the statements, which semicolons divide, or what is said against one of them.
pub(crate) async fn batches(
    context: &SessionContext,
    statements: &str,
) -> Result<Vec<RecordBatch>, String> {
    let mut rows = Vec::new();
    for statement in statements.split(';') {
        let done = async { context.sql(statement).await?.collect().await };
        rows = done.await.map_err(|error| error.to_string())?;
    }
    Ok(rows)
}

/// The rows of batches as text: `1 a, 2 NULL`.
pub(crate) fn text(batches: &[RecordBatch]) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let rows = batches.iter().flat_map(|batch| {
        let columns = batch.columns().iter();
        let columns = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns: Vec<_> = columns.map(Result::unwrap).collect();
        (0..batch.num_rows()).map(move |row| {
            let values = columns.iter().map(|column| column.value(row).to_string());
            values.collect::<Vec<_>>().join(" ")
        })
    });
    rows.collect::<Vec<_>>().join(", ")
}

/// The rows of the last statement as text, in a session of one partition.
pub(crate) async fn shown(statements: &str) -> Result<String, String> {
    let context = session(&[("datafusion.execution.target_partitions", "1")]);
    Ok(text(&batches(&context, statements).await?))
}

/// What is said against one of the statements.
pub(crate) async fn said(statements: &str) -> String {
    shown(statements).await.unwrap_err()
}
