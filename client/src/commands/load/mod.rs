//! `emporia load`: puts a table into HBase or MongoDB.

mod logged;
mod nested;
mod target;

use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::lit;
use datafusion::prelude::DataFrame;
use emporia_connectors::write::FileFormat;
use emporia_core::catalog::absolute_uri;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::OutputSpec;
use emporia_core::text::grouped;
use emporia_engine::job::JobRun;
use emporia_engine::publish::{Destination, Mode, Report, publish};
use emporia_engine::{Session, query_error};

use super::entry;
use super::submit::say_published;
use crate::args::LoadArgs;
use crate::interrupt::guarded;
use crate::progress::Progress;
use crate::settings::Context;
use crate::target::Connection;

/// Runs the command; prints the catalog entry of the loaded table.
pub(super) async fn run(args: &LoadArgs, context: &Context) -> Result<()> {
    let mut catalog = context.catalog()?;
    let declared = catalog.tables.get(&args.to).cloned();
    let name = match &args.name {
        Some(_) if declared.is_some() => {
            let text = format!("`{}` is a table of the catalog and has an entry", args.to);
            return Err(Error::invalid(text).with_hint("leave out --as"));
        }
        Some(name) => {
            entry::check_new(&catalog, name)?;
            name
        }
        None => &args.table,
    };
    // Before the files are declared that are read.
    let known = catalog.clone();
    let nests = nested::has_page_views(&catalog, &args.table);
    if let Some(from) = &args.from {
        logged::declare(&mut catalog, &args.table, from)?;
    }
    let connection = Connection::open(context, catalog).await?;
    let session = &connection.session;
    let progress = Progress::watch(context.console, session, &connection.url)?;
    let work = async {
        let start = Instant::now();
        let rejects = match &args.rejected {
            Some(folder) => Some(write_rejected(session, folder).await?),
            None => None,
        };
        let rows = rows(session, args, nests).await?;
        let note = match &rejects {
            Some(rejects) => check_rejects(session, args, rejects, rows.clone()).await?,
            None => None,
        };
        let is_declared = declared.is_some();
        let table = match declared {
            Some(table) => table,
            None => target::definition(args, rows.schema().inner())?,
        };
        let specs = [OutputSpec {
            name: args.table.clone(),
            key: target::key(args),
        }];
        let destination = Destination::Table {
            table: table.clone(),
            mode: Mode::Append,
        };
        let run = JobRun::table(args.table.as_str(), rows);
        let report = publish(session, run, &specs, &destination).await?;
        drop(progress);
        for report in rejects.iter().chain([&report]) {
            say_published(context.console, report, start);
        }
        if let Some(first) = note {
            context.console.say(format!("note: {first}"));
        }
        if report.tables.iter().all(|table| table.rows == 0) {
            let source = args.from.as_ref().unwrap_or(&args.table);
            return Err(Error::new(
                ErrorKind::Failed,
                format!("`{source}` has no rows to load"),
            ));
        }
        if is_declared {
            return Ok(());
        }
        entry::note_taken(
            context.console,
            &known,
            name,
            "name the loaded one with --as, or take the old entry out",
        );
        entry::print([(name.clone(), table)].into())
    };
    guarded(Some(session), context.settings.timeout, work).await
}

/// Writes the lines that are no sessions to a folder.
async fn write_rejected(session: &Session, folder: &str) -> Result<Report> {
    let rejected = session.sql(&logged::rejected()).await?;
    let specs = [OutputSpec {
        name: "rejected".to_owned(),
        key: vec!["source".to_owned(), "position".to_owned()],
    }];
    let destination = Destination::Folder {
        location: absolute_uri(folder, None)?,
        format: FileFormat::Json,
    };
    publish(
        session,
        JobRun::table("rejected", rejected),
        &specs,
        &destination,
    )
    .await
}

/// Says which lines are the first that are no session, and fails if they are too many; they are written by then.
async fn check_rejects(
    session: &Session,
    args: &LoadArgs,
    rejects: &Report,
    rows: DataFrame,
) -> Result<Option<String>> {
    let rejected = rejects.tables.iter().map(|table| table.rows).sum::<u64>();
    if rejected == 0 {
        return Ok(None);
    }
    let first = first_rejects(session).await?;
    let counted = rows
        .aggregate(Vec::new(), vec![count(lit(1)).alias("n")])
        .map_err(query_error)?;
    let taken = session.collect(counted).await?.first().map_or(0, |batch| {
        let n = batch.column(0).as_primitive_opt::<Int64Type>();
        n.filter(|n| !n.is_empty()).map_or(0, |n| n.value(0))
    });
    let taken = u64::try_from(taken).unwrap_or(0);
    if taken > 0 && !args.max_rejects.is_exceeded(rejected, taken) {
        return Ok(Some(first));
    }
    let folder = args.rejected.as_deref().unwrap_or_default();
    Err(Error::new(
        ErrorKind::Failed,
        format!(
            "{} of {} lines are not sessions, which is more than {:.1} %",
            grouped(rejected),
            grouped(rejected + taken),
            args.max_rejects.percent()
        ),
    )
    .with_hint(format!(
        "nothing was loaded; {first}; all are in `{folder}`; --max-rejects allows more"
    )))
}

/// The places and faults of the first rejected lines.
async fn first_rejects(session: &Session) -> Result<String> {
    let first = session.sql(&logged::first_rejected()).await?;
    let mut shown = Vec::new();
    for batch in session.collect(first).await? {
        let texts = batch.column(0).as_string_opt::<i32>();
        shown.extend(
            texts
                .iter()
                .flat_map(|t| t.iter().flatten())
                .map(str::to_owned),
        );
    }
    Ok(format!("the first rejects: {}", shown.join(", ")))
}

async fn rows(session: &Session, args: &LoadArgs, nests: bool) -> Result<DataFrame> {
    if args.from.is_some() {
        return session
            .sql(&logged::sessions(args.rejected.is_some()))
            .await;
    }
    if nests {
        return session.sql(nested::SESSIONS).await;
    }
    session.table(&args.table).await
}
