//! `INSERT INTO`, `INSERT OVERWRITE` and `COPY … TO`: queries whose rows go to a table or a folder.
//!
//! The rows are written by [`publish`]: every task writes its own partition, and what goes to files
//! shows whole or not at all.

use std::collections::HashMap;

use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::prelude::DataFrame;
use emporia_connectors::files::Location as Stored;
use emporia_connectors::provider;
use emporia_connectors::published::Head;
use emporia_connectors::write::FileFormat;
use emporia_core::catalog::{TableDef, absolute_uri};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::OutputSpec;
use emporia_core::location::Location;

use crate::job::JobRun;
use crate::publish::{Change, Destination, Mode, RESULT_OUTPUT, Report, publish};
use crate::session::Session;

/// Name of the output that a `COPY` makes.
const COPIED: &str = "rows";

/// A statement that writes.
pub struct Insertion {
    output: String,
    rows: DataFrame,
    target: Target,
}

enum Target {
    Table(InsertOp),
    Folder {
        /// As in the statement.
        location: String,
        format: FileFormat,
    },
}

impl Insertion {
    /// Rows for a table, in its columns.
    pub(crate) fn into_table(table: String, rows: DataFrame, op: InsertOp) -> Self {
        Self {
            output: table,
            rows,
            target: Target::Table(op),
        }
    }
}

/// Takes a planned `COPY` apart; `None` where the statement is another one.
///
/// # Errors
/// `NotImplemented` for what it does not do.
pub(crate) fn copy(frame: &DataFrame) -> DfResult<Option<Insertion>> {
    let (state, plan) = frame.clone().into_parts();
    match plan {
        LogicalPlan::Copy(copy) => {
            if !copy.partition_by.is_empty() {
                return Err(DataFusionError::NotImplemented(
                    "COPY with PARTITIONED BY is not supported".to_owned(),
                ));
            }
            check_options(&copy.options)?;
            let format = match copy.file_type.get_ext().as_str() {
                "csv" => FileFormat::Csv,
                "json" => FileFormat::Json,
                "parquet" => FileFormat::Parquet,
                other => {
                    return Err(DataFusionError::NotImplemented(format!(
                        "COPY writes csv, json and parquet, not {other}"
                    )));
                }
            };
            Ok(Some(Insertion {
                output: COPIED.to_owned(),
                rows: DataFrame::new(state, copy.input.as_ref().clone()),
                target: Target::Folder {
                    location: copy.output_url.clone(),
                    format,
                },
            }))
        }
        _ => Ok(None),
    }
}

/// Refuses what would be ignored. Files with a header are what is written anyway.
fn check_options(options: &HashMap<String, String>) -> DfResult<()> {
    let is_known = |key: &str, value: &str| key == "format.has_header" && value == "true";
    match options.iter().find(|(key, value)| !is_known(key, value)) {
        None => Ok(()),
        Some((key, _)) => Err(DataFusionError::NotImplemented(format!(
            "COPY does not know the option `{}`",
            key.strip_prefix("format.").unwrap_or(key)
        ))),
    }
}

/// Runs a statement that writes.
///
/// # Errors
/// Those of [`publish`]; `InvalidInput` where the table cannot be written to this way.
pub async fn insert(session: &Session, insertion: Insertion) -> Result<Report> {
    let Insertion {
        output,
        rows,
        target,
    } = insertion;
    let destination = match target {
        Target::Folder { location, format } => Destination::Folder {
            location: absolute_uri(&location, None)?,
            format,
        },
        Target::Table(op) => table_destination(session, &output, op).await?,
    };
    let output = match destination {
        Destination::Published { .. } => RESULT_OUTPUT.to_owned(),
        _ => output,
    };
    let specs = [OutputSpec {
        name: output.clone(),
        key: Vec::new(),
    }];
    publish(session, JobRun::table(output, rows), &specs, &destination).await
}

async fn table_destination(session: &Session, name: &str, op: InsertOp) -> Result<Destination> {
    if let Some(table) = session.managed_table(name).await? {
        let change = match op {
            InsertOp::Append => Change::Append,
            InsertOp::Overwrite => Change::Overwrite,
            InsertOp::Replace => return Err(no_keys(name)),
        };
        let location = table.location;
        return Ok(Destination::Published { location, change });
    }
    let table = session
        .definition(name)
        .ok_or_else(|| session.unknown_table(name))?;
    let mode = match op {
        InsertOp::Append | InsertOp::Replace => Mode::Append,
        InsertOp::Overwrite => Mode::Overwrite,
    };
    if !is_file_table(&table) {
        return Ok(Destination::Table { table, mode });
    }
    if table.options.contains_key("partitions") {
        return Err(Error::invalid(format!(
            "rows cannot be written to table `{name}`, whose folders have values of columns"
        ))
        .with_hint("CREATE TABLE … AS and COPY … TO write rows with all of their columns"));
    }
    if op == InsertOp::Replace {
        return Err(no_keys(name));
    }
    let place = Stored::parse(&table.location)?;
    let store = place.open(&session.context().state())?;
    let head = Head::load(store.as_ref(), &place.path).await?;
    if mode == Mode::Append && head.result().is_some() {
        let (location, change) = (table.location, Change::Append);
        return Ok(Destination::Published { location, change });
    }
    if mode == Mode::Append && !has_no_files(session, name, &table).await? {
        return Err(Error::invalid(format!(
            "rows cannot be added to table `{name}`, which is a set of files"
        ))
        .with_hint(
            "INSERT OVERWRITE replaces it whole; tables of CREATE TABLE, of HBase and of MongoDB \
             take rows",
        ));
    }
    let location = Location::parse(&table.location, None)?;
    if location.ending().is_some() {
        return Err(Error::invalid(format!("table `{name}` is a single file"))
            .with_hint("make its location a folder, which can hold the files of many tasks"));
    }
    Ok(Destination::Folder {
        location: location.to_string(),
        format: FileFormat::of_connector(&table.connector),
    })
}

/// Whether the first rows of a table may become a result: its folder holds nothing.
async fn has_no_files(session: &Session, name: &str, table: &TableDef) -> Result<bool> {
    match provider::open(name, table, &session.context().state()).await {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn no_keys(name: &str) -> Error {
    Error::invalid(format!(
        "table `{name}` has no keys by which rows could be replaced"
    ))
    .with_hint("INSERT INTO adds rows, INSERT OVERWRITE replaces all")
}

fn is_file_table(table: &TableDef) -> bool {
    !["hbase", "mongodb"].contains(&table.connector.as_str())
}
