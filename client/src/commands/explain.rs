//! `emporia explain`: the plan of queries or of a job, as the scheduler would run them.

use datafusion::prelude::DataFrame;
use emporia_core::error::{Error, Result};
use emporia_core::job::Params;
use emporia_engine::job::{Job, Output};
use emporia_engine::statement::is_query;
use emporia_engine::{Session, Statement, query_error};
use emporia_sql::{SqlJob, SqlStatement};

use super::rows::Printer;
use super::script::Script;
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
    Script {
        script: Script,
        statements: Vec<SqlStatement>,
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
        for (title, frame) in frames(session, &subject).await? {
            if let Some(title) = title {
                write_line(&format!("-- {title}"));
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
    if let Some(script) = Script::given(&args.execute, args.file.as_deref())? {
        if !script
            .text()
            .lines()
            .any(|line| line.starts_with("-- name:"))
        {
            return query(script, args);
        }
        let origin = script.origin().unwrap_or("the text");
        let job = SqlJob::parse(origin, script.text())?;
        let params = Params::bind(job.spec(), &args.params)?;
        return Ok(Subject::Job {
            job: std::sync::Arc::new(job),
            params,
            is_sql: true,
        });
    }
    let wanted = args.query.as_deref().unwrap_or_default();
    if wanted.trim().contains(char::is_whitespace) {
        return query(Script::typed(wanted), args);
    }
    let entry = registry::find(wanted)?;
    let params = Params::bind(entry.job.spec(), &args.params)?;
    Ok(Subject::Job {
        job: entry.job,
        params,
        is_sql: entry.is_sql,
    })
}

fn query(script: Script, args: &ExplainArgs) -> Result<Subject> {
    if let Some((name, _)) = args.params.first() {
        return Err(Error::invalid(format!("a query has no parameter `{name}`"))
            .with_hint("parameters belong to a job: its name, or a file with its header"));
    }
    let statements = script.statements()?;
    Ok(Subject::Script { script, statements })
}

/// The frames of the subject, with a title where there may be several.
async fn frames(session: &Session, subject: &Subject) -> Result<Vec<(Option<String>, DataFrame)>> {
    match subject {
        Subject::Script { script, statements } => {
            let mut frames = Vec::new();
            for (index, statement) in statements.iter().enumerate() {
                let source = script.source(statement);
                let described = |e| sql::described(session, &source, e);
                let planned = session.statement(&statement.text).await;
                match planned.map_err(described)? {
                    Statement::Query(frame) if is_query(frame.logical_plan()) => {
                        let title =
                            (statements.len() > 1).then(|| format!("statement {}", index + 1));
                        frames.push((title, frame));
                    }
                    // Later statements may need it.
                    Statement::Command(command) if command.is_declaration() => {
                        session.run(command).await.map_err(described)?;
                    }
                    _ => {
                        return Err(Error::invalid(format!(
                            "statement {} is not a query",
                            index + 1
                        ))
                        .with_hint("only a query has a plan to explain"));
                    }
                }
            }
            if frames.is_empty() {
                return Err(Error::invalid("there is no query to explain"));
            }
            Ok(frames)
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
        Output::Table { name, frame } => (Some(format!("output {name}")), frame),
        Output::Split {
            frame, branches, ..
        } => {
            let names: Vec<_> = branches.into_iter().map(|branch| branch.name).collect();
            (Some(format!("output {}", names.join(", "))), frame)
        }
    }
}
