//! Sessions over small tables, for the tests of the jobs.

use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::lit;
use datafusion::prelude::{DataFrame, ident};
use emporia_core::catalog::Catalog;
use emporia_core::contract;
use emporia_core::job::{JobSpec, Params};
use emporia_engine::job::{JobRun, Output};
use emporia_engine::{EngineOptions, Session, Target};

/// A session in this process without tables.
pub(crate) fn session() -> Session {
    Session::open(
        Catalog::default(),
        Target::SingleProcess,
        &EngineOptions::default(),
        &Arc::default(),
    )
    .expect("a session")
}

/// Registers a table.
pub(crate) fn register(session: &Session, name: &str, batch: RecordBatch) {
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a table");
    session
        .context()
        .register_table(name, Arc::new(table))
        .expect("a new name");
}

/// Registers a table of the contract from lines of comma-separated values; empty is null.
pub(crate) fn contract_table(session: &Session, name: &str, lines: &str) {
    let schema = contract::schema(name).expect("a table of the contract");
    register(session, name, parse(schema, lines));
}

/// Parses lines of comma-separated values; leading blanks are ignored.
pub(crate) fn parse(schema: SchemaRef, lines: &str) -> RecordBatch {
    let lines: Vec<&str> = lines
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let text = lines.join("\n");
    let reader = ReaderBuilder::new(Arc::clone(&schema))
        .build(text.as_bytes())
        .expect("a reader");
    let batches = reader
        .collect::<Result<Vec<_>, _>>()
        .expect("well-formed lines");
    concat_batches(&schema, &batches).expect("one batch")
}

/// Parameters of a job, with defaults for those that are not given.
pub(crate) fn params(spec: &JobSpec, given: &[(&str, &str)]) -> Params {
    let given: Vec<_> = given
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    Params::bind(spec, &given).expect("valid parameters")
}

/// The frame of an output.
pub(crate) fn frame(run: &JobRun, wanted: &str) -> DataFrame {
    for output in &run.outputs {
        match output {
            Output::Table { name, frame } if name == wanted => return frame.clone(),
            Output::Split {
                frame,
                route,
                branches,
            } => {
                for (at, branch) in (0_i32..).zip(branches) {
                    if branch.name == wanted {
                        let columns = branch
                            .columns
                            .iter()
                            .map(|(from, to)| ident(from).alias(to));
                        let here = ident(route).eq(lit(at));
                        let rows = frame.clone().filter(here).expect("a route");
                        return rows
                            .select(columns.collect::<Vec<_>>())
                            .expect("the columns");
                    }
                }
            }
            Output::Table { .. } => {}
        }
    }
    panic!("no output {wanted}")
}

/// The rows of the columns as lines of text, sorted; null is `-`.
pub(crate) async fn lines(frame: DataFrame, columns: &[&str]) -> Vec<String> {
    let columns = columns.iter().map(|name| ident(*name)).collect::<Vec<_>>();
    let batches = frame
        .select(columns)
        .expect("columns")
        .collect()
        .await
        .expect("rows");
    let options = FormatOptions::new()
        .with_null("-")
        .with_date_format(Some("%Y-%m-%d"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S"));
    let mut lines = Vec::new();
    for batch in &batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|array| ArrayFormatter::try_new(array, &options).expect("a formatter"))
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|c| c.value(row).to_string()).collect();
            lines.push(values.join(" "));
        }
    }
    lines.sort();
    lines
}
