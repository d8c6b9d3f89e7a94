//! `INSERT INTO`, `INSERT OVERWRITE` and `COPY … TO`: queries whose rows go to a table or a folder.
//!
//! The statement is planned by DataFusion and written by [`publish`]: every task writes its own
//! partition, and an overwrite shows whole or not at all.

use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{LogicalPlan, WriteOp};
use datafusion::prelude::DataFrame;
use emporia_connectors::write::FileFormat;
use emporia_core::catalog::{TableDef, absolute_uri};
use emporia_core::error::{Error, Result};
use emporia_core::job::OutputSpec;

use crate::job::JobRun;
use crate::publish::{Destination, Mode, Report, publish};
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
        location: String,
        format: FileFormat,
    },
}

/// Takes a planned statement apart; `None` where it only reads.
///
/// # Errors
/// `NotImplemented` for statements that change rows in place.
pub fn insertion(frame: &DataFrame) -> DfResult<Option<Insertion>> {
    let (state, plan) = frame.clone().into_parts();
    match plan {
        LogicalPlan::Dml(dml) => match dml.op {
            WriteOp::Insert(op) => Ok(Some(Insertion {
                output: dml.table_name.table().to_owned(),
                rows: DataFrame::new(state, dml.input.as_ref().clone()),
                target: Target::Table(op),
            })),
            other => Err(DataFusionError::NotImplemented(format!(
                "{} is not supported; INSERT OVERWRITE replaces a table",
                other.name()
            ))),
        },
        LogicalPlan::Copy(copy) => {
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
                    location: absolute_uri(&copy.output_url, None),
                    format,
                },
            }))
        }
        _ => Ok(None),
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
        Target::Folder { location, format } => Destination::Folder { location, format },
        Target::Table(op) => table_destination(session, &output, op)?,
    };
    let specs = [OutputSpec {
        name: output.clone(),
        key: Vec::new(),
    }];
    publish(session, JobRun::table(output, rows), &specs, &destination).await
}

fn table_destination(session: &Session, name: &str, op: InsertOp) -> Result<Destination> {
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
    if mode == Mode::Append {
        return Err(Error::invalid(format!(
            "rows cannot be added to table `{name}`, which is a set of files"
        ))
        .with_hint("INSERT OVERWRITE replaces it whole; a table in HBase or MongoDB takes rows"));
    }
    let last = table.location.rsplit('/').next().unwrap_or_default();
    if last.contains('.') {
        return Err(Error::invalid(format!("table `{name}` is a single file"))
            .with_hint("make its location a folder, which can hold the files of many tasks"));
    }
    Ok(Destination::Folder {
        location: table.location.clone(),
        format: FileFormat::of_connector(&table.connector),
    })
}

fn is_file_table(table: &TableDef) -> bool {
    !["hbase", "mongodb"].contains(&table.connector.as_str())
}
