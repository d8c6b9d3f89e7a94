//! `emporia sql`: statements from the command line, a file or a prompt.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::{Session, query_error};
use emporia_sql::{Source, SqlStatement, describe_error, split_statements, table_names};

use super::repl;
use super::rows::Printer;
use crate::args::{Format, SqlArgs};
use crate::console::Console;
use crate::interrupt::guarded;
use crate::output::Display;
use crate::progress::Progress;
use crate::settings::Context;
use crate::target::Connection;

/// Runs the command.
pub(super) async fn run(args: &SqlArgs, context: &Context) -> Result<()> {
    let printer = Printer {
        format: args.display.format.unwrap_or(Format::Table),
        display: Display::from(&args.display),
        console: context.console,
        has_time: true,
    };
    let script = script(args)?;
    // A mistake in the text of one statement should not show after the others ran.
    let statements = script.as_ref().map(Script::statements).transpose()?;
    let connection = Connection::open(context, context.catalog()?).await?;
    let runner = Runner {
        connection: &connection,
        printer,
        console: context.console,
    };
    let (Some(script), Some(statements)) = (script, statements) else {
        return repl::run(runner, context).await;
    };
    let work = async {
        for statement in &statements {
            runner
                .run(&script.source(statement), &statement.text)
                .await?;
        }
        Ok(())
    };
    guarded(Some(&connection.session), context.settings.timeout, work).await
}

/// A text with statements and the file that it comes from.
struct Script {
    text: String,
    origin: Option<String>,
}

impl Script {
    fn statements(&self) -> Result<Vec<SqlStatement>> {
        let in_file = |e: Error| match &self.origin {
            Some(origin) => Error::new(e.kind(), format!("{origin}:{e}")),
            None => e,
        };
        split_statements(&self.text).map_err(in_file)
    }

    fn source<'a>(&'a self, statement: &'a SqlStatement) -> Source<'a> {
        let source = Source::from(statement);
        match &self.origin {
            Some(origin) => source.named(origin),
            None => source,
        }
    }
}

/// The statements to run; `None` where the user is to be asked for them.
fn script(args: &SqlArgs) -> Result<Option<Script>> {
    if !args.execute.is_empty() {
        return Ok(Some(Script {
            text: args.execute.join(";\n"),
            origin: None,
        }));
    }
    match &args.file {
        Some(path) if path != Path::new("-") => {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| {
                Error::not_found(format!("cannot read the SQL file `{origin}`")).with_source(e)
            })?;
            Ok(Some(Script {
                text,
                origin: Some(origin),
            }))
        }
        None if io::stdin().is_terminal() => Ok(None),
        _ => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|e| {
                Error::invalid("cannot read SQL from the standard input").with_source(e)
            })?;
            Ok(Some(Script { text, origin: None }))
        }
    }
}

/// Runs single statements.
pub(super) struct Runner<'a> {
    pub(super) connection: &'a Connection,
    pub(super) printer: Printer,
    pub(super) console: Console,
}

impl Runner<'_> {
    /// Runs one statement and prints its rows; a statement without columns prints nothing.
    pub(super) async fn run(&self, source: &Source<'_>, text: &str) -> Result<()> {
        let session = &self.connection.session;
        let frame = plan(session, source, text).await?;
        if frame.schema().fields().is_empty() {
            self.console.say("done");
            return Ok(());
        }
        let progress = Progress::watch(self.console, session, &self.connection.url)?;
        self.printer.print(session, frame, Some(progress)).await
    }
}

/// Plans one statement over the catalog's tables; an error shows its place in the text.
pub(super) async fn plan(session: &Session, source: &Source<'_>, text: &str) -> Result<DataFrame> {
    let context = session.context();
    let describe = |error| {
        let mut tables = table_names(context);
        tables.extend(session.catalog().tables.keys().cloned());
        planning_error(describe_error(*source, &error, &tables), error)
    };
    let names = session.tables_in(text).map_err(describe)?;
    if describes_catalog(text) {
        prepare_all(session).await;
    } else {
        session.prepare(names.iter().map(String::as_str)).await?;
    }
    session.plan(text).await.map_err(describe)
}

/// An error of planning: nothing was started, except where a statement such as CREATE TABLE AS ran
/// a query, whose failure has a kind of its own.
fn planning_error(described: Error, error: DataFusionError) -> Error {
    if described.kind() != ErrorKind::Failed {
        return described;
    }
    let failure = query_error(error);
    match failure.kind() {
        ErrorKind::Failed => Error::invalid(failure.message()),
        _ => failure,
    }
}

/// Whether the statement is about the tables, not about their rows.
fn describes_catalog(text: &str) -> bool {
    let text = text.trim_start().to_lowercase();
    text.starts_with("show") || text.starts_with("desc") || text.contains("information_schema")
}

/// Makes all tables known whose files can be read.
async fn prepare_all(session: &Session) {
    for name in session.catalog().tables.keys() {
        if let Err(error) = session.prepare([name.as_str()]).await {
            tracing::debug!(table = name, %error, "table is left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_a_file_keep_their_lines() -> Result<()> {
        let script = Script {
            text: "SELECT 1;\n\nSELECT 2".into(),
            origin: Some("a.sql".into()),
        };
        let lines: Vec<_> = script.statements()?.iter().map(|s| s.line).collect();
        assert_eq!(lines, [1, 3]);
        let broken = Script {
            text: "SELECT 'x".into(),
            origin: Some("a.sql".into()),
        };
        let message = broken
            .statements()
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(message.starts_with("a.sql:1:"), "{message}");
        Ok(())
    }

    #[test]
    fn statements_about_the_catalog_are_known() {
        assert!(describes_catalog(" SHOW TABLES"));
        assert!(describes_catalog("describe users"));
        assert!(!describes_catalog("SELECT * FROM users"));
    }
}
