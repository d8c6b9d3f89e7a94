//! `emporia load`: puts a table into HBase or MongoDB.

mod logged;
mod target;

use std::time::Instant;

use datafusion::prelude::DataFrame;
use emporia_core::catalog::Catalog;
use emporia_core::error::Result;
use emporia_core::job::OutputSpec;
use emporia_engine::Session;
use emporia_engine::job::JobRun;
use emporia_engine::publish::{Destination, Mode, publish};

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
    if let Some(from) = &args.from {
        logged::declare(&mut catalog, &args.table, from)?;
    }
    let connection = Connection::open(context, catalog).await?;
    let session = &connection.session;
    let progress = Progress::watch(context.console, session, &connection.url)?;
    let work = async {
        let start = Instant::now();
        let rows = rows(session, args).await?;
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
        say_published(context.console, &report, start);
        print_entry(args, table)
    };
    guarded(Some(session), context.settings.timeout, work).await
}

async fn rows(session: &Session, args: &LoadArgs) -> Result<DataFrame> {
    if args.from.is_some() {
        return session.sql(&logged::query()).await;
    }
    session.table(&args.table).await
}

/// The entry goes to standard output, so that it can be appended to a catalog file.
fn print_entry(args: &LoadArgs, table: emporia_core::catalog::TableDef) -> Result<()> {
    let name = args.table.clone();
    let entry = Catalog {
        tables: [(name, table)].into(),
    };
    crate::output::print_line(entry.to_toml()?.trim_end())
}
