//! What runs: the trait that DataFrame jobs and SQL jobs implement, and what a run yields.

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::lit;
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result};
use emporia_core::job::{JobSpec, Params};

use crate::failure::query_error;
use crate::session::Session;

/// A batch job over the tables of a session's catalog.
#[async_trait]
pub trait Job: Send + Sync {
    /// Name, parameters, inputs and outputs.
    fn spec(&self) -> &JobSpec;

    /// Plans the job's outputs, running on the cluster whatever the plan depends on (for example a
    /// fit). Nothing is written here: the caller shows or publishes the outputs.
    ///
    /// # Errors
    /// Of kind `NotFound` or `InvalidInput` where an input or parameter is wrong, else those of the
    /// queries that the job ran.
    async fn run(&self, session: &Session, params: &Params) -> Result<JobRun>;
}

/// What a job made, not yet executed.
pub struct JobRun {
    /// Outputs in the order of [`JobSpec::outputs`]; the first one is the main one.
    pub outputs: Vec<Output>,
    /// One-line remarks for the user, for example that a fit is weak.
    pub notes: Vec<String>,
    /// Conditions that must hold for the outputs to be published.
    pub checks: Vec<Check>,
    /// Counts over the rows of the split, and the outputs that are made of them.
    pub tally: Option<Tally>,
}

/// Counts that the pass over a split yields on the way, so that a job need not read its input a
/// second time to say how many rows went where.
pub struct Tally {
    /// Integer columns of the split by whose values its rows are counted.
    pub columns: Vec<String>,
    /// Makes further outputs and notes of the counts.
    pub finish: Box<dyn FnOnce(Vec<TallyRow>) -> Result<Settled> + Send>,
}

/// How many rows have these values in the columns of the tally; null counts as 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyRow {
    /// Values in the order of the columns.
    pub values: Vec<i64>,
    /// Number of rows.
    pub rows: u64,
}

/// What a tally adds to its run.
pub struct Settled {
    /// Further outputs.
    pub outputs: Vec<Output>,
    /// Further remarks.
    pub notes: Vec<String>,
}

/// One or several tables that come from one plan.
pub enum Output {
    /// A plan whose rows are the table.
    Table {
        /// Name as in [`JobSpec::outputs`].
        name: String,
        /// The lazy result.
        frame: DataFrame,
    },
    /// A plan whose rows go to several tables in one pass, for jobs that would otherwise read
    /// their input once per output.
    Split {
        /// The lazy result; holds the columns of all branches and the route column.
        frame: DataFrame,
        /// Name of an `Int32` column: the index in `branches` of the table that a row belongs to;
        /// rows with another value (or null) are counted as dropped.
        route: String,
        /// The tables.
        branches: Vec<Branch>,
    },
}

/// One table of an [`Output::Split`].
pub struct Branch {
    /// Name as in [`JobSpec::outputs`].
    pub name: String,
    /// Columns of the frame that the table keeps, with the names that they get.
    pub columns: Vec<(String, String)>,
}

/// Something that must be true of the row counts of a run, checked before anything is published.
pub enum Check {
    /// Rows of all branches and the dropped rows of the split together are this many.
    SplitBalances {
        /// Rows that the job read.
        rows_in: u64,
    },
}

impl JobRun {
    /// A run with one table and nothing to remark.
    pub fn table(name: impl Into<String>, frame: DataFrame) -> Self {
        Self {
            outputs: vec![Output::Table {
                name: name.into(),
                frame,
            }],
            notes: Vec::new(),
            checks: Vec::new(),
            tally: None,
        }
    }

    /// Counts the rows of the split by a query of its own and adds the outputs that are made of the
    /// counts; for runs that are shown and not published.
    ///
    /// # Errors
    /// Of the query.
    pub async fn settle(&mut self, session: &Session) -> Result<()> {
        let Some(tally) = self.tally.take() else {
            return Ok(());
        };
        let split = self.outputs.iter().find_map(|output| match output {
            Output::Split { frame, .. } => Some(frame.clone()),
            Output::Table { .. } => None,
        });
        let Some(split) = split else {
            return Err(Error::internal("a tally needs a split to count"));
        };
        let groups = tally.columns.iter().map(ident).collect();
        let counted = split.aggregate(groups, vec![count(lit(1)).alias("tally_rows")]);
        let mut rows = Vec::new();
        for batch in session.collect(counted.map_err(query_error)?).await? {
            let columns = batch
                .columns()
                .iter()
                .map(|column| cast(column, &DataType::Int64))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| Error::internal("a tally column is no integer").with_source(e))?;
            let value = |column: &ArrayRef, row: usize| {
                let column = column.as_primitive::<Int64Type>();
                if column.is_null(row) {
                    0
                } else {
                    column.value(row)
                }
            };
            for row in 0..batch.num_rows() {
                let mut values: Vec<i64> = columns.iter().map(|c| value(c, row)).collect();
                let n = values
                    .pop()
                    .and_then(|n| u64::try_from(n).ok())
                    .unwrap_or(0);
                rows.push(TallyRow { values, rows: n });
            }
        }
        let settled = (tally.finish)(rows)?;
        self.outputs.extend(settled.outputs);
        self.notes.extend(settled.notes);
        Ok(())
    }
}
