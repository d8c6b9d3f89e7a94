//! What runs: the trait that DataFrame jobs and SQL jobs implement, and what a run yields.

use async_trait::async_trait;
use datafusion::prelude::DataFrame;
use emporia_core::error::Result;
use emporia_core::job::{JobSpec, Params};

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
            outputs: vec![Output::Table { name: name.into(), frame }],
            notes: Vec::new(),
            checks: Vec::new(),
        }
    }
}
