//! A job that is one SQL query.

use async_trait::async_trait;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;
use emporia_core::error::{Error, Result, nearest};
use emporia_core::job::{JobSpec, Params};
use emporia_engine::job::{Job, JobRun};
use emporia_engine::session::Session;

use crate::describe::{describe_error, table_names};
use crate::header::{self, Header};
use crate::source::Source;
use crate::{bind, query};

/// A job that is one SQL query, parsed and checked.
#[derive(Debug, Clone)]
pub struct SqlJob {
    origin: String,
    text: String,
    header: Header,
    statement: Statement,
}

impl SqlJob {
    /// Parses the text of a job file; `origin` names the file in errors.
    ///
    /// # Errors
    /// `InvalidInput` with file and line: for the header, for anything but one query, for a
    /// placeholder or table that is used but not declared or declared but not used.
    pub fn parse(origin: impl Into<String>, text: impl Into<String>) -> Result<Self> {
        let (origin, text) = (origin.into(), text.into());
        let source = Source::new(&text).named(&origin);
        let header = header::parse(&source)?;
        let statement = query::parse(&source, &header)?;
        Ok(Self {
            origin,
            text,
            header,
            statement,
        })
    }

    /// Name, parameters, inputs and outputs.
    pub fn spec(&self) -> &JobSpec {
        &self.header.spec
    }

    /// The file that the job comes from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The whole text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn source(&self) -> Source<'_> {
        Source::new(&self.text).named(&self.origin)
    }
}

#[async_trait]
impl Job for SqlJob {
    fn spec(&self) -> &JobSpec {
        &self.header.spec
    }

    async fn run(&self, session: &Session, params: &Params) -> Result<JobRun> {
        let frame = plan(session.context(), self, params).await?;
        let outputs = &self.header.spec.outputs;
        let name = outputs
            .first()
            .map_or(self.header.spec.name.as_str(), |o| o.name.as_str());
        Ok(JobRun {
            notes: params.notes(&self.header.spec),
            ..JobRun::table(name, frame)
        })
    }
}

/// Plans a job over the tables of a context; the parameters become typed literals of the plan.
///
/// # Errors
/// `NotFound` for an unknown table or column and `InvalidInput` for what does not type-check, both
/// with the place in the job's file.
pub async fn plan(context: &SessionContext, job: &SqlJob, params: &Params) -> Result<DataFrame> {
    let values = bind::values(&job.header, params)?;
    let describe = |error| describe_error(job.source(), &error, &table_names(context));
    let mut state = context.state();
    state.config_mut().options_mut().sql_parser.collect_spans = true;
    let plan = state
        .statement_to_plan(job.statement.clone())
        .await
        .map_err(describe)?;
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    read_only.verify_plan(&plan).map_err(describe)?;
    let plan = plan.with_param_values(values).map_err(describe)?;
    let frame = DataFrame::new(context.state(), plan);
    check_key(job, &frame)?;
    Ok(frame)
}

/// Makes sure that the key columns of the output are there.
fn check_key(job: &SqlJob, frame: &DataFrame) -> Result<()> {
    let columns = || frame.schema().fields().iter().map(|f| f.name().as_str());
    for key in job
        .header
        .spec
        .outputs
        .iter()
        .flat_map(|output| &output.key)
    {
        if columns().any(|column| column == key) {
            continue;
        }
        let message = format!("the query has no column `{key}`, which the header names as key");
        let error = Error::invalid(job.source().prefix(&message));
        return Err(match nearest(key, columns()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("name it in the select list with AS"),
        });
    }
    Ok(())
}
