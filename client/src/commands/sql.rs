//! `emporia sql`: statements from the command line, a file or a prompt.

use std::io::{self, IsTerminal};
use std::time::Instant;

use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::insert::{Insertion, insert, insertion};
use emporia_engine::{Session, query_error};
use emporia_sql::{Source, describe_error, table_names};

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
    /// Runs one statement and prints its rows; a statement without columns prints nothing.
    pub(super) async fn run(&self, source: &Source<'_>, text: &str) -> Result<()> {
        let session = &self.connection.session;
        if describe::is_show_tables(text) {
            let tables = describe::tables(session).await;
            return self.printer.print_batch(&tables.batch()?);
        }
        let frame = plan(session, source, text).await?;
        if let Some(insertion) = insertion(&frame).map_err(query_error)? {
            return self.insert(insertion).await;
        }
        if let Some(columns) = describe::described(frame.logical_plan()) {
            return self.printer.print_batch(&columns.batch()?);
        }
        if frame.schema().fields().is_empty() {
            self.console.say("done");
            return Ok(());
        }
        let progress = Progress::watch(self.console, session, &self.connection.url)?;
        self.printer.print(session, frame, Some(progress)).await
    }
}

impl Runner<'_> {
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
    } else if is_insert(text) {
        session
            .prepare_to_write(names.iter().map(String::as_str))
            .await?;
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

/// Whether the statement writes to a table, which need not be there yet.
fn is_insert(text: &str) -> bool {
    let word = text.trim_start().get(..6);
    word.is_some_and(|word| word.eq_ignore_ascii_case("insert"))
}

/// Whether the statement is about all tables, not about the rows of some.
fn describes_catalog(text: &str) -> bool {
    let text = text.trim_start().to_lowercase();
    text.starts_with("show") || text.contains("information_schema")
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
    fn statements_about_the_catalog_are_known() {
        assert!(describes_catalog(" SHOW COLUMNS FROM users"));
        assert!(describes_catalog("SELECT * FROM information_schema.tables"));
        assert!(!describes_catalog("describe users"));
        assert!(!describes_catalog("SELECT * FROM users"));
    }
}
