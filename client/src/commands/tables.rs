//! `emporia tables`: the tables of the catalog, or the columns of one.

use emporia_connectors::provider::check_connector;
use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::Result;
use emporia_engine::{EngineOptions, Made, Session, Target};

use super::describe;
use super::text_table::TextTable;
use crate::args::TablesArgs;
use crate::settings::Context;

/// Runs the command; reads file headers only, so it needs no cluster.
pub(super) async fn run(args: &TablesArgs, context: &Context) -> Result<()> {
    let catalog = context.catalog()?;
    let session = Session::open(
        catalog,
        Target::SingleProcess,
        &EngineOptions::default(),
        &context.stores,
    )?;
    if let Some(name) = &args.name {
        return columns(&session, name).await?.print(args.format);
    }
    let list = list(session.catalog(), &session.made().await?)?;
    match context.catalog_file() {
        Some(file) => context.console.say(format!("catalog {}", file.display())),
        None => context
            .console
            .say("there is no catalog: pass --catalog FILE, or make ./emporia.toml"),
    }
    list.print(args.format)
}

/// The tables of the catalog, those of its warehouse, and what a session made.
///
/// # Errors
/// `InvalidInput` where a connector is unknown: no statement could read that table.
pub(super) fn list(catalog: &Catalog, made: &[Made]) -> Result<TextTable<4>> {
    let mut table = TextTable::new(["table", "connector", "schema", "location"]);
    for (name, definition) in &catalog.tables {
        check_connector(name, definition)?;
        table.row([
            name,
            &definition.connector,
            &schema(definition),
            &definition.location,
        ]);
    }
    for made in made {
        match &made.location {
            Some(location) => table.row([&made.name, "parquet", "managed", location]),
            None => table.row([&made.name, "", made.kind, "this session"]),
        }
    }
    Ok(table)
}

/// The columns of a table.
pub(super) async fn columns(session: &Session, name: &str) -> Result<TextTable<3>> {
    let frame = session.table(name).await?;
    Ok(describe::columns(frame.schema().fields()))
}

fn schema(definition: &TableDef) -> String {
    match &definition.contract {
        Some(contract) => format!("contract {contract}"),
        None if !definition.columns.is_empty() => format!("{} columns", definition.columns.len()),
        None if ["hbase", "mongodb"].contains(&definition.connector.as_str()) => {
            "of the rows".to_owned()
        }
        None => "of the files".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use emporia_core::error::Error;

    use super::*;

    #[test]
    fn the_list_has_the_catalog_and_the_session() -> Result<()> {
        let mut catalog = Catalog::default();
        let orders = TableDef::new("parquet", "file:///data/orders/");
        catalog.tables.insert("orders".into(), orders);
        let made = |name: &str, kind, location: Option<&str>| Made {
            name: name.into(),
            kind,
            location: location.map(str::to_owned),
        };
        let lasting = made("sums", "table", Some("file:///tables/sums"));
        let rows = list(&catalog, &[lasting, made("v", "view", None)])?.into_rows();
        let expected = [
            ["orders", "parquet", "of the files", "file:///data/orders/"],
            ["sums", "parquet", "managed", "file:///tables/sums"],
            ["v", "", "view", "this session"],
        ];
        assert_eq!(rows, expected.map(|row| row.map(str::to_owned)));
        Ok(())
    }

    #[test]
    fn an_unknown_connector_is_refused() {
        let mut catalog = Catalog::default();
        let orders = TableDef::new("parket", "file:///data/orders/");
        catalog.tables.insert("orders".into(), orders);
        let error = list(&catalog, &[]).err();
        assert_eq!(
            error.as_ref().and_then(Error::hint),
            Some("did you mean `parquet`?")
        );
    }
}
