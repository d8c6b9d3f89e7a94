//! `emporia sql`: statements from the command line, a file or a prompt.

use std::io::{self, IsTerminal};
use std::time::Instant;

use datafusion::error::DataFusionError;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::insert::{Insertion, insert};
use emporia_engine::statement::Command;
use emporia_engine::{Session, Statement, StatementError, query_error};
use emporia_sql::{Source, SqlStatement, describe_error, table_names};

use super::describe;
use super::repl;
use super::rows::Printer;
use super::script::Script;
use super::submit::say_published;
use crate::args::{Format, SqlArgs};
use crate::console::Console;
use crate::interrupt::guarded;
use crate::output::Display;
use crate::progress::Progress;
use crate::settings::Context;
use crate::target::Connection;

const NO_CATALOG: &str =
    "there is no catalog: pass --catalog FILE, or run it where there is an emporia.toml";

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
        let result = repl::run(runner, context).await;
        close(&connection.session).await;
        return result;
    };
    let result = {
        let work = runner.run_all(&script, &statements);
        guarded(Some(&connection.session), context.settings.timeout, work).await
    };
    close(&connection.session).await;
    result
}

/// Ends the session; what it leaves behind is no reason to fail.
async fn close(session: &Session) {
    if let Err(error) = session.close().await {
        tracing::warn!(%error, "the temporary tables could not be removed");
    }
}

/// The statements to run; `None` where the user is to be asked for them.
fn script(args: &SqlArgs) -> Result<Option<Script>> {
    match Script::given(&args.execute, args.file.as_deref())? {
        Some(script) => Ok(Some(script)),
        None if io::stdin().is_terminal() => Ok(None),
        None => Script::of_stdin().map(Some),
    }
}

/// Runs single statements.
pub(super) struct Runner<'a> {
    pub(super) connection: &'a Connection,
    pub(super) printer: Printer,
    pub(super) console: Console,
}

impl Runner<'_> {
    /// Runs the statements of a script up to the first one that fails.
    pub(super) async fn run_all(&self, script: &Script, statements: &[SqlStatement]) -> Result<()> {
        for (index, statement) in statements.iter().enumerate() {
            let done = self.run(&script.source(statement), &statement.text).await;
            if statements.len() == 1 {
                return done;
            }
            done.map_err(|e| in_script(e, index + 1, statement.line))?;
        }
        Ok(())
    }

    /// Runs one statement and prints its rows; a statement without columns prints nothing.
    pub(super) async fn run(&self, source: &Source<'_>, text: &str) -> Result<()> {
        let session = &self.connection.session;
        if describe::is_show_tables(text) {
            let tables = describe::tables(session).await?;
            return self.printer.print_batch(&tables.batch()?);
        }
        let statement = session.statement(text).await;
        let frame = match statement.map_err(|e| described(session, source, e))? {
            Statement::Query(frame) => frame,
            Statement::Write(insertion) => return self.insert(insertion).await,
            Statement::Command(command) => return self.command(source, command).await,
        };
        if let Some(columns) = describe::described(frame.logical_plan()) {
            return self.printer.print_batch(&columns.batch()?);
        }
        let progress = Progress::watch(self.console, session, &self.connection.url)?;
        self.printer.print(session, frame, Some(progress)).await
    }

    /// Runs a statement that writes.
    async fn insert(&self, insertion: Insertion) -> Result<()> {
        let session = &self.connection.session;
        let start = Instant::now();
        let progress = Progress::watch(self.console, session, &self.connection.url)?;
        let report = insert(session, insertion).await?;
        drop(progress);
        say_published(self.console, &report, start);
        Ok(())
    }

    /// Runs a statement without rows.
    async fn command(&self, source: &Source<'_>, command: Command) -> Result<()> {
        let session = &self.connection.session;
        let start = Instant::now();
        let progress = Progress::watch(self.console, session, &self.connection.url)?;
        let done = session.run(command).await;
        drop(progress);
        let done = done.map_err(|e| described(session, source, e))?;
        if let Some(report) = &done.report {
            say_published(self.console, report, start);
        }
        self.console.say(done.said);
        Ok(())
    }
}

/// Says which statement of a script failed.
fn in_script(error: Error, number: usize, line: usize) -> Error {
    let text = format!("statement {number}, line {line}: {}", error.message());
    let hint = error.hint().map(str::to_owned);
    let told = Error::new(error.kind(), text).with_source(error);
    hint.into_iter().fold(told, Error::with_hint)
}

/// The error of a statement with its place in the text.
pub(super) fn described(session: &Session, source: &Source<'_>, error: StatementError) -> Error {
    match error {
        StatementError::Other(error) => error,
        StatementError::Text(error) => {
            let mut tables = table_names(session.context());
            tables.extend(session.catalog().tables.keys().cloned());
            let described = describe_error(*source, &error, &tables);
            let has_no_tables = session.catalog().tables.is_empty() && tables.is_empty();
            let is_of_table = described.kind() == ErrorKind::NotFound
                && described.message().contains("no table `");
            if has_no_tables && is_of_table {
                return described.with_hint(NO_CATALOG);
            }
            planning_error(described, error)
        }
    }
}

/// An error of planning: nothing was started. A failure to reach what a plan needs keeps its kind.
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
