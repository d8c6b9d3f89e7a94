//! `emporia explain`: the plan of a query or job, as the scheduler would run it.

use datafusion::prelude::DataFrame;
use emporia_core::error::{Error, Result};
use emporia_core::job::Params;
use emporia_engine::job::{Job, Output};
use emporia_engine::{Session, query_error};
use emporia_sql::{Source, SqlJob};

use super::rows::Printer;
use super::sql;
use crate::args::{ExplainArgs, Format};
use crate::console::write_line;
use crate::interrupt::guarded;
use crate::output::Display;
use crate::progress::Progress;
use crate::registry;
use crate::settings::Context;
use crate::target::Connection;

/// What is explained.
enum Subject {
    Job {
        job: std::sync::Arc<dyn Job>,
        params: Params,
        is_sql: bool,
    },
    Query {
        text: String,
        origin: Option<String>,
    },
}

/// Runs the command.
pub(super) async fn run(args: &ExplainArgs, context: &Context) -> Result<()> {
    let subject = subject(args)?;
    let connection = Connection::open(context, context.catalog()?).await?;
    let session = &connection.session;
    let printer = Printer {
        format: Format::Table,
        display: Display::default(),
        console: context.console.silent(),
        has_time: false,
    };
    let work = async {
        for (name, frame) in frames(session, &subject).await? {
            if let Some(name) = name {
                write_line(&format!("-- output {name}"));
            }
            let plan = frame.explain(false, args.analyze).map_err(query_error)?;
            let progress = Progress::watch(context.console, session, &connection.url)?;
            printer.print(session, plan, Some(progress)).await?;
        }
        Ok(())
    };
    guarded(Some(session), context.settings.timeout, work).await
}

fn subject(args: &ExplainArgs) -> Result<Subject> {
    if let Some(path) = &args.file {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::not_found(format!("cannot read the SQL file `{origin}`")).with_source(e)
        })?;
        if text.lines().any(|line| line.starts_with("-- name:")) {
            let job = SqlJob::parse(origin, text)?;
            let params = Params::bind(job.spec(), &args.params)?;
            return Ok(Subject::Job {
                job: std::sync::Arc::new(job),
                params,
                is_sql: true,
            });
        }
        return Ok(Subject::Query {
            text,
            origin: Some(origin),
        });
    }
    let query = args.query.as_deref().unwrap_or_default();
    if query.trim().contains(char::is_whitespace) {
        return Ok(Subject::Query {
            text: query.to_owned(),
            origin: None,
        });
    }
    let entry = registry::find(query)?;
    let params = Params::bind(entry.job.spec(), &args.params)?;
    Ok(Subject::Job {
        job: entry.job,
        params,
        is_sql: entry.is_sql,
    })
}

/// The frames of the subject, those of a job with their names.
async fn frames(session: &Session, subject: &Subject) -> Result<Vec<(Option<String>, DataFrame)>> {
    match subject {
        Subject::Query { text, origin } => {
            let text = text.trim().trim_end_matches(';');
            let source = Source::new(text);
            let source = origin
                .as_deref()
                .map_or(source, |origin| source.named(origin));
            Ok(vec![(None, sql::plan(session, &source, text).await?)])
        }
        Subject::Job {
            job,
            params,
            is_sql,
        } => {
            if *is_sql {
                session
                    .prepare(job.spec().inputs.iter().map(String::as_str))
                    .await?;
            }
            let run = job.run(session, params).await?;
            Ok(run.outputs.into_iter().map(named).collect())
        }
    }
}

fn named(output: Output) -> (Option<String>, DataFrame) {
    match output {
        Output::Table { name, frame } => (Some(name), frame),
        Output::Split {
            frame, branches, ..
        } => {
            let names: Vec<_> = branches.into_iter().map(|branch| branch.name).collect();
            (Some(names.join(", ")), frame)
        }
    }
}
