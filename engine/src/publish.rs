//! Runs a job's outputs into files and publishes them as one result set.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::prelude::DataFrame;
use emporia_connectors::codec::schema_to_names;
use emporia_connectors::files::Location;
use emporia_connectors::published::{DataFile, PublishedOutput, ResultSet, discard_run};
use emporia_connectors::write::{
    FileFormat, StagedWrite, StagedWriteNode, WriteBranch, WrittenFile,
};
use emporia_core::error::{Error, ErrorKind, Result};

use crate::failure::query_error;
use crate::job::{Check, JobRun, Output, TallyRow};
use crate::session::Session;

/// What a published run consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Identifies the run.
    pub run_id: String,
    /// Result folder.
    pub location: String,
    /// Tables in the order of the job.
    pub tables: Vec<TableReport>,
    /// Rows that went to no table.
    pub dropped: u64,
    /// Remarks that became known with the rows.
    pub notes: Vec<String>,
}

/// One published table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// Name of the output.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Size of its files.
    pub bytes: u64,
    /// Number of its files.
    pub files: usize,
}

/// Writes all outputs of `run` below `location` and, once all are complete, makes them current.
///
/// # Errors
/// Those of the queries and of the store; the result that was current before stays so, and the
/// files of this run are removed.
pub async fn publish(
    session: &Session,
    run: JobRun,
    location: &str,
    format: FileFormat,
) -> Result<Report> {
    let place = Location::parse(location)?;
    let store = place.open(&session.context().state())?;
    let previous = ResultSet::load(store.as_ref(), &place.path)
        .await?
        .map(|r| r.run_id);
    let run_id = uuid::Uuid::now_v7().simple().to_string();
    let base = StagedWrite {
        store: place.store.as_str().to_owned(),
        base: place.path.to_string(),
        run_id: run_id.clone(),
        format,
        route: None,
        tally: Vec::new(),
        branches: Vec::new(),
    };
    match write_all(session, run, &base).await {
        Ok(written) => {
            let results = ResultSet {
                run_id: run_id.clone(),
                previous,
                main: written.order.first().cloned().unwrap_or_default(),
                outputs: written.outputs,
            };
            results.publish(store.as_ref(), &place.path).await?;
            let tables = written.order.iter().filter_map(|name| {
                let output = results.outputs.get(name)?;
                Some(TableReport {
                    name: name.clone(),
                    rows: output.files.iter().map(|f| f.rows).sum(),
                    bytes: output.files.iter().map(|f| f.bytes).sum(),
                    files: output.files.len(),
                })
            });
            let tables = tables.collect();
            Ok(Report {
                run_id,
                location: location.to_owned(),
                tables,
                dropped: written.dropped,
                notes: written.notes,
            })
        }
        Err(error) => {
            if let Err(left) = discard_run(store.as_ref(), &place.path, &run_id).await {
                tracing::warn!(error = %left, run_id, "files of the failed run could not be removed");
            }
            Err(error)
        }
    }
}

#[derive(Default)]
struct Written {
    order: Vec<String>,
    outputs: BTreeMap<String, PublishedOutput>,
    dropped: u64,
    tally: BTreeMap<Vec<i64>, u64>,
    notes: Vec<String>,
}

async fn write_all(session: &Session, run: JobRun, base: &StagedWrite) -> Result<Written> {
    let mut written = Written::default();
    let mut n_split_rows = 0;
    let mut outputs: VecDeque<Output> = run.outputs.into();
    let mut tally = run.tally;
    while let Some(output) = outputs.pop_front() {
        let mut write = base.clone();
        let frame = match output {
            Output::Table { name, frame } => {
                let columns = frame.schema().fields().iter();
                let columns = columns
                    .map(|f| (f.name().clone(), f.name().clone()))
                    .collect();
                write.branches = vec![WriteBranch {
                    output: name,
                    columns,
                }];
                frame
            }
            Output::Split {
                frame,
                route,
                branches,
            } => {
                write.route = Some(route);
                write.tally = tally
                    .as_ref()
                    .map(|t| t.columns.clone())
                    .unwrap_or_default();
                write.branches = branches
                    .into_iter()
                    .map(|b| WriteBranch {
                        output: b.name,
                        columns: b.columns,
                    })
                    .collect();
                frame
            }
        };
        let is_split = write.route.is_some();
        let before = written.dropped;
        let n_rows = write_output(session, frame, write, &mut written).await?;
        if is_split {
            n_split_rows += n_rows + written.dropped - before;
            if let Some(tally) = tally.take() {
                let counts = std::mem::take(&mut written.tally).into_iter();
                let counts = counts
                    .map(|(values, rows)| TallyRow { values, rows })
                    .collect();
                let settled = (tally.finish)(counts)?;
                outputs.extend(settled.outputs);
                written.notes.extend(settled.notes);
            }
        }
    }
    for Check::SplitBalances { rows_in } in run.checks {
        if n_split_rows != rows_in {
            return Err(Error::new(
                ErrorKind::Failed,
                format!("{rows_in} rows were read but {n_split_rows} are accounted for"),
            )
            .with_hint("the input changed while the job ran; submit it again"));
        }
    }
    Ok(written)
}

/// Writes one output; returns how many rows it has.
async fn write_output(
    session: &Session,
    frame: DataFrame,
    write: StagedWrite,
    written: &mut Written,
) -> Result<u64> {
    let (state, plan) = frame.into_parts();
    let schema = Arc::clone(plan.schema().inner());
    let mut outputs: Vec<PublishedOutput> = Vec::new();
    for branch in &write.branches {
        let names = schema_to_names(&schema);
        let columns = branch.columns.iter().filter_map(|(column, name)| {
            let data_type = names.iter().find(|(n, _)| n == column)?.1.clone();
            Some((name.clone(), data_type))
        });
        outputs.push(PublishedOutput {
            format: write.format.as_str().to_owned(),
            columns: columns.collect(),
            files: Vec::new(),
        });
    }
    let names: Vec<_> = write.branches.iter().map(|b| b.output.clone()).collect();
    let node = StagedWriteNode::try_new(write, plan).map_err(query_error)?;
    let plan = LogicalPlan::Extension(Extension {
        node: Arc::new(node),
    });
    let mut n_rows = 0;
    for batch in session.collect(DataFrame::new(state, plan)).await? {
        for file in WrittenFile::from_batch(&batch).map_err(query_error)? {
            match file.branch.and_then(|b| outputs.get_mut(b)) {
                Some(output) => {
                    n_rows += file.rows;
                    output.files.push(DataFile {
                        path: file.path,
                        rows: file.rows,
                        bytes: file.bytes,
                    });
                }
                None if file.path.is_empty() => written.dropped += file.rows,
                None => {
                    let values = file
                        .path
                        .split(',')
                        .filter_map(|v| v.parse().ok())
                        .collect();
                    *written.tally.entry(values).or_default() += file.rows;
                }
            }
        }
    }
    for (name, mut output) in names.into_iter().zip(outputs) {
        output.files.sort_by(|a, b| a.path.cmp(&b.path));
        written.order.push(name.clone());
        written.outputs.insert(name, output);
    }
    Ok(n_rows)
}
