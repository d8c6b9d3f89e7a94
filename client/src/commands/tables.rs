//! `emporia tables`: the tables of the catalog, or the columns of one.

use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::Result;
use emporia_engine::{EngineOptions, Session, Target};

use super::text_table::TextTable;
use crate::args::{Format, TablesArgs};
use crate::settings::Context;

/// Runs the command; reads file headers only, so it needs no cluster.
pub(super) async fn run(args: &TablesArgs, context: &Context) -> Result<()> {
    let catalog = context.catalog()?;
    if let Some(name) = &args.name {
        let session = Session::open(catalog, Target::SingleProcess, &EngineOptions::default())?;
        return columns(&session, name, args.format).await;
    }
    match context.catalog_file() {
        Some(file) => context.console.say(format!("catalog {}", file.display())),
        None => context
            .console
            .say("there is no catalog: pass --catalog FILE, or make ./emporia.toml"),
    }
    list(&catalog, args.format)
}

/// Prints the tables.
pub(super) fn list(catalog: &Catalog, format: Format) -> Result<()> {
    let mut table = TextTable::new(["table", "connector", "schema", "location"]);
    for (name, definition) in &catalog.tables {
        table.row([
            name,
            &definition.connector,
            &schema(definition),
            &definition.location,
        ]);
    }
    table.print(format)
}

/// Prints the columns of a table.
pub(super) async fn columns(session: &Session, name: &str, format: Format) -> Result<()> {
    let frame = session.table(name).await?;
    let mut table = TextTable::new(["column", "type", "nullable"]);
    for field in frame.schema().fields() {
        let is_nullable = if field.is_nullable() { "yes" } else { "no" };
        table.row([field.name(), &field.data_type().to_string(), is_nullable]);
    }
    table.print(format)
}

fn schema(definition: &TableDef) -> String {
    match &definition.contract {
        Some(contract) => format!("contract {contract}"),
        None if definition.columns.is_empty() => "of the files".to_owned(),
        None => format!("{} columns", definition.columns.len()),
    }
}
