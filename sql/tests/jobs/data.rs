//! Tables in memory and results as text.

use std::error::Error;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::json::ReaderBuilder;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::{DataFrame, SessionContext};
use emporia_core::contract;
use emporia_core::job::Params;
use emporia_sql::{SqlJob, builtin_jobs, plan};

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A context with one table per entry: name and rows, one JSON object per line. The table has the
/// schema that the contract gives to its name; absent columns are null.
pub(crate) fn context(tables: &[(&str, &str)]) -> TestResult<SessionContext> {
    let context = SessionContext::new();
    for (name, rows) in tables {
        // `orders` are the raw orders after cleaning.
        let contract_name = if *name == "orders" {
            "orders_raw"
        } else {
            name
        };
        let schema = contract::schema(contract_name).ok_or("not a table of the contract")?;
        let reader = ReaderBuilder::new(Arc::clone(&schema)).build(rows.as_bytes())?;
        let batches = reader.collect::<Result<Vec<RecordBatch>, _>>()?;
        // One partition per batch and an empty one, as a cluster would have.
        let table = MemTable::try_new(schema, vec![batches, Vec::new()])?;
        context.register_table(*name, Arc::new(table))?;
    }
    Ok(context)
}

/// The built-in job of a name.
pub(crate) fn job(name: &str) -> TestResult<SqlJob> {
    let job = builtin_jobs()?
        .into_iter()
        .find(|job| job.spec().name == name);
    Ok(job.ok_or_else(|| format!("no job `{name}`"))?)
}

/// Plans a built-in job with parameters in text form.
pub(crate) async fn frame(
    context: &SessionContext,
    name: &str,
    given: &[(&str, &str)],
) -> TestResult<DataFrame> {
    let job = job(name)?;
    let given: Vec<_> = given
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    let params = Params::bind(job.spec(), &given)?;
    Ok(plan(context, &job, &params).await?)
}

/// Runs a built-in job and returns the given columns of its rows, see [`rows`].
pub(crate) async fn run(
    context: &SessionContext,
    name: &str,
    given: &[(&str, &str)],
    columns: &[&str],
) -> TestResult<Vec<String>> {
    rows(frame(context, name, given).await?, columns).await
}

/// The given columns as `a|b|c`; null is `-`, floats have four decimals.
pub(crate) async fn rows(frame: DataFrame, columns: &[&str]) -> TestResult<Vec<String>> {
    let frame = frame.select_columns(columns)?;
    let mut rows = Vec::new();
    for batch in frame.collect().await? {
        for row_idx in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .map(|column| cell(column.as_ref(), row_idx));
            rows.push(cells.collect::<TestResult<Vec<_>>>()?.join("|"));
        }
    }
    Ok(rows)
}

fn cell(column: &dyn Array, row_idx: usize) -> TestResult<String> {
    if column.is_null(row_idx) {
        return Ok("-".to_owned());
    }
    if *column.data_type() == DataType::Float64 {
        return Ok(format!(
            "{:.4}",
            column.as_primitive::<Float64Type>().value(row_idx)
        ));
    }
    let formatter = ArrayFormatter::try_new(column, &FormatOptions::default())?;
    Ok(formatter.value(row_idx).to_string())
}
