//! From a catalog definition to a table provider, whatever the connector.

use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, Result, nearest};

use crate::stores::Stores;
use crate::{files, hbase, mongodb};

/// Names of the connectors.
pub const CONNECTORS: [&str; 5] = ["csv", "hbase", "json", "mongodb", "parquet"];

/// Checks that a connector of this name exists.
///
/// # Errors
/// `InvalidInput` with the nearest name.
pub fn check_connector(name: &str, table: &TableDef) -> Result<()> {
    let connector = table.connector.as_str();
    if CONNECTORS.contains(&connector) {
        return Ok(());
    }
    let error = Error::invalid(format!(
        "table `{name}` has the unknown connector `{connector}`"
    ));
    Err(match nearest(connector, CONNECTORS) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("connectors are {}", CONNECTORS.join(", "))),
    })
}

/// Makes the provider of a table; reads listings, regions or samples, so it needs the network.
///
/// # Errors
/// `NotFound` where there is no such table, `InvalidInput` where the definition is wrong, `Corrupt`
/// where stored data is not what it should be, `Unavailable` where the store cannot be reached.
pub async fn open(
    name: &str,
    table: &TableDef,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    check_connector(name, table)?;
    match table.connector.as_str() {
        "hbase" => hbase::open(name, table, &*Stores::of_session(state.config())?).await,
        "mongodb" => mongodb::open(name, table, &*Stores::of_session(state.config())?).await,
        _ => files::provider(name, table, state).await,
    }
}
