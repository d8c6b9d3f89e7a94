//! Runs a job's outputs into files or tables and publishes them as one result.

mod collections;
mod files;
mod fit;
mod hbase;
mod place;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::prelude::DataFrame;
use emporia_connectors::codec::schema_to_names;
use emporia_connectors::published::DataFile;
use emporia_connectors::write::{
    FileFormat, StagedWrite, StagedWriteNode, WriteBranch, WrittenPart, written_type,
};
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::OutputSpec;

use crate::failure::query_error;
use crate::job::{Check, JobRun, Output, TallyRow};
use crate::session::Session;
use files::Files;
pub use fit::{check_destination, check_file};
use place::Place;

/// Name of the only output of a table that a statement makes.
pub(crate) const RESULT_OUTPUT: &str = "rows";

/// Where a result goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// To a folder, one folder in it per output.
    Folder {
        /// Path or URI of the folder.
        location: String,
        /// Format of the files.
        format: FileFormat,
    },
    /// To the main table of a published result, or to a new one.
    Published {
        /// URI of the folder.
        location: String,
        /// What becomes of the table.
        change: Change,
    },
    /// To tables of a store: the main output to the one that the definition names, any other to
    /// one whose name has the name of the output behind a point.
    Table {
        /// The table of the main output.
        table: TableDef,
        /// What becomes of the rows that are there.
        mode: Mode,
    },
}

/// What a run does to the main table of a published result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes a table of Parquet files.
    Create {
        /// Columns that take no null.
        required: Vec<String>,
        /// What becomes of a table that is there.
        existing: Existing,
    },
    /// Replaces the rows; the columns stay what they were declared to be.
    Overwrite,
    /// Replaces the rows by others that were made of them.
    Rewrite {
        /// The run whose rows were read.
        of: String,
    },
    /// Adds rows, which appear all at once.
    Append,
}

/// What becomes of the table that stands where a new one shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and there is no new one.
    Keep,
    /// It is replaced when the new one is complete.
    Replace,
}

/// What becomes of the rows that a table of a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are replaced, all at once, when the run is complete.
    Overwrite,
    /// They stay, but for those whose key is written anew. Rows appear as they are written; a run
    /// that failed can be repeated.
    Append,
}

/// What a published run consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Identifies the run.
    pub run_id: String,
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
    /// Where it is.
    pub place: String,
    /// Name and Arrow type of each column.
    pub columns: Vec<(String, String)>,
    /// Its rows.
    pub rows: u64,
    /// Size of its files or cells.
    pub bytes: u64,
    /// Number of its files; 0 for a table of a store.
    pub files: usize,
}

/// Writes all outputs of `run` to `destination` and, once all are complete, makes them current.
/// `specs` declare the outputs.
///
/// # Errors
/// Those of [`check_destination`], of the queries and of the store; the result that was current before stays so, and what
/// this run wrote is removed or never seen.
pub async fn publish(
    session: &Session,
    run: JobRun,
    specs: &[OutputSpec],
    destination: &Destination,
) -> Result<Report> {
    check_destination(session, destination, &tables_read(&run)?).await?;
    let mut place = Place::begin(session, destination, specs).await?;
    let run_id = place.run_id().to_owned();
    match write_all(session, run, &run_id, &mut place).await {
        Ok(written) => {
            let tables = written.order.iter().filter_map(|name| {
                let table = written.tables.get(name)?;
                Some(TableReport {
                    name: name.clone(),
                    place: place.name_of(name),
                    columns: table.columns.clone(),
                    rows: table.rows(),
                    bytes: table.parts.iter().map(|p| p.bytes).sum(),
                    files: table.parts.iter().filter(|p| !p.path.is_empty()).count(),
                })
            });
            let tables = tables.collect();
            place.publish(&written).await?;
            Ok(Report {
                run_id,
                tables,
                dropped: written.dropped,
                notes: written.notes,
            })
        }
        Err(error) => {
            let error = place.reason(error).await;
            if let Err(left) = place.discard().await {
                tracing::warn!(error = %left, run_id, "the failed run could not be removed");
            }
            Err(error)
        }
    }
}

/// Makes or empties a published table without a query.
///
/// # Errors
/// As of [`publish`].
pub(crate) async fn publish_no_rows(
    session: &Session,
    location: &str,
    change: Change,
    schema: &Schema,
) -> Result<()> {
    let files = Files::begin(session, location, Some(change), FileFormat::Parquet).await?;
    let table = WrittenTable {
        columns: schema_to_names(schema),
        parts: Vec::new(),
    };
    let output = RESULT_OUTPUT.to_owned();
    let written = Written {
        order: vec![output.clone()],
        tables: [(output, table)].into(),
        ..Written::default()
    };
    files.publish(&written).await
}

/// The names of the tables that the run reads.
fn tables_read(run: &JobRun) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for output in &run.outputs {
        let (Output::Table { frame, .. } | Output::Split { frame, .. }) = output;
        let visited = frame.logical_plan().apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                names.insert(scan.table_name.table().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        visited.map_err(query_error)?;
    }
    Ok(names)
}

/// The table and the key of `output`: what the user declared for the main one, and one beside it
/// for any other.
fn output_table(main: &TableDef, specs: &[OutputSpec], output: &str) -> (TableDef, Vec<String>) {
    let position = specs.iter().position(|s| s.name == output);
    let key = position.and_then(|p| specs.get(p)).map(|s| s.key.clone());
    let table = match position {
        Some(0) => main.clone(),
        _ => TableDef::new(
            main.connector.as_str(),
            format!("{}.{output}", main.location),
        ),
    };
    (table, key.unwrap_or_default())
}

/// What a run wrote.
#[derive(Default)]
struct Written {
    order: Vec<String>,
    tables: BTreeMap<String, WrittenTable>,
    dropped: u64,
    tally: BTreeMap<Vec<i64>, u64>,
    notes: Vec<String>,
}

/// One output as it was written.
#[derive(Default)]
struct WrittenTable {
    /// Name and Arrow type of each column.
    columns: Vec<(String, String)>,
    /// Files, or what each task sent to a table.
    parts: Vec<DataFile>,
}

impl WrittenTable {
    fn rows(&self) -> u64 {
        self.parts.iter().map(|p| p.rows).sum()
    }
}

async fn write_all(
    session: &Session,
    run: JobRun,
    run_id: &str,
    place: &mut Place,
) -> Result<Written> {
    let mut written = Written::default();
    let mut n_split_rows = 0;
    let mut outputs: VecDeque<Output> = run.outputs.into();
    let mut tally = run.tally;
    while let Some(output) = outputs.pop_front() {
        let is_split = matches!(output, Output::Split { .. });
        let counted = if is_split { tally.as_ref() } else { None };
        let counted = counted.map(|t| t.columns.clone()).unwrap_or_default();
        let before = written.dropped;
        let plan = OutputPlan::of(output, counted);
        let n_rows = write_output(session, plan, run_id, place, &mut written).await?;
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

/// The tables that one plan makes: name, and the columns with the names that they get.
struct OutputPlan {
    frame: DataFrame,
    route: Option<String>,
    tally: Vec<String>,
    branches: Vec<(String, Vec<(String, String)>)>,
}

impl OutputPlan {
    fn of(output: Output, tally: Vec<String>) -> Self {
        match output {
            Output::Table { name, frame } => {
                let columns = frame.schema().fields().iter();
                let columns = columns
                    .map(|f| (f.name().clone(), f.name().clone()))
                    .collect();
                Self {
                    frame,
                    route: None,
                    tally,
                    branches: vec![(name, columns)],
                }
            }
            Output::Split {
                frame,
                route,
                branches,
            } => Self {
                frame,
                route: Some(route),
                tally,
                branches: branches.into_iter().map(|b| (b.name, b.columns)).collect(),
            },
        }
    }
}

/// The columns of a plan with the types that its files hold.
///
/// # Errors
/// If the types of the plan do not fit together.
pub(crate) fn written_schema(state: &SessionState, plan: &LogicalPlan) -> Result<Schema> {
    // Types are made the same only here: before, a UNION has those of its first branch, such as Null.
    let analyzed = state
        .analyzer()
        .execute_and_check(plan.clone(), state.config_options(), |_, _| {})
        .map_err(query_error)?;
    let types = analyzed.schema().fields().iter();
    let fields = plan.schema().fields().iter().zip(types);
    let fields = fields.map(|(field, analyzed)| {
        let written = written_type(analyzed.data_type());
        field.as_ref().clone().with_data_type(written)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns that go to one of the tables.
fn kept(schema: &Schema, branches: &[(String, Vec<(String, String)>)]) -> Schema {
    let is_kept = |name: &str| {
        let mut columns = branches.iter().flat_map(|(_, columns)| columns);
        columns.any(|(column, _)| column == name)
    };
    let fields = schema.fields().iter().filter(|f| is_kept(f.name()));
    Schema::new(fields.cloned().collect::<Vec<_>>())
}

/// Writes the tables of one plan; returns how many rows they have.
async fn write_output(
    session: &Session,
    output: OutputPlan,
    run_id: &str,
    place: &mut Place,
    written: &mut Written,
) -> Result<u64> {
    let (state, plan) = output.frame.into_parts();
    let schema = written_schema(&state, &plan)?;
    let types = schema_to_names(&schema);
    place.check(&kept(&schema, &output.branches))?;
    let mut branches = Vec::with_capacity(output.branches.len());
    let mut tables = Vec::with_capacity(output.branches.len());
    for (name, columns) in output.branches {
        let typed = columns.iter().filter_map(|(column, name)| {
            let data_type = types.iter().find(|(n, _)| n == column)?.1.clone();
            Some((name.clone(), data_type))
        });
        let typed: Vec<_> = typed.collect();
        let sink = place.sink(&name, &typed).await?;
        tables.push(WrittenTable {
            columns: typed,
            parts: Vec::new(),
        });
        branches.push(WriteBranch {
            output: name,
            columns,
            sink,
        });
    }
    let names: Vec<_> = branches.iter().map(|b| b.output.clone()).collect();
    let write = StagedWrite {
        run_id: run_id.to_owned(),
        route: output.route,
        tally: output.tally,
        branches,
    };
    let node = StagedWriteNode::try_new(write, plan).map_err(query_error)?;
    let plan = LogicalPlan::Extension(Extension {
        node: Arc::new(node),
    });
    let mut n_rows = 0;
    for batch in session.collect(DataFrame::new(state, plan)).await? {
        for part in WrittenPart::from_batch(&batch).map_err(query_error)? {
            match part.branch.and_then(|b| tables.get_mut(b)) {
                Some(table) => {
                    n_rows += part.rows;
                    table.parts.push(DataFile {
                        path: part.path,
                        rows: part.rows,
                        bytes: part.bytes,
                    });
                }
                None if part.path.is_empty() => written.dropped += part.rows,
                None => {
                    let values = part
                        .path
                        .split(',')
                        .filter_map(|v| v.parse().ok())
                        .collect();
                    *written.tally.entry(values).or_default() += part.rows;
                }
            }
        }
    }
    for (name, mut table) in names.into_iter().zip(tables) {
        table.parts.sort_by(|a, b| a.path.cmp(&b.path));
        written.order.push(name.clone());
        written.tables.insert(name, table);
    }
    Ok(n_rows)
}
