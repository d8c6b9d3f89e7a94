//! From a definition in the catalog to a table provider; asks HBase what only it knows.

use std::sync::Arc;

use datafusion::catalog::{TableProvider, view::ViewTable};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::ident;
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, ErrorKind, Result, nearest};
use emporia_hbase::Client;

use super::cuts::{cuts, first_key};
use super::definition::{Definition, ScanOptions, table_of_location};
use super::error::store_error;
use super::publication::published_table;
use super::result::{ROW_KEY, is_declared};
use super::snapshot::Snapshot;
use super::table::HBaseTable;
use crate::stores::Stores;

/// Makes the provider of a table in HBase.
///
/// # Errors
/// `NotFound` where HBase has no such table or family, `InvalidInput` where the definition is
/// wrong, `Unavailable` where no gateway answers.
pub async fn open(name: &str, table: &TableDef, stores: &Stores) -> Result<Arc<dyn TableProvider>> {
    let client = stores.hbase()?;
    if !is_declared(table) {
        return open_result(name, table, client).await;
    }
    let definition = Definition::parse(name, table)?;
    let looked_up = tokio::task::spawn_blocking(move || look_up(&client, definition, None)).await;
    let table = looked_up
        .map_err(|e| Error::internal("the look at an hbase table was not finished").with_source(e))?
        .map_err(|e| {
            let error = Error::new(e.kind(), format!("table `{name}`: {}", e.message()));
            e.hint().into_iter().fold(error, Error::with_hint)
        })?;
    Ok(Arc::new(table))
}

/// A table of a result: its marker row says what the columns are.
async fn open_result(
    name: &str,
    table: &TableDef,
    client: Client,
) -> Result<Arc<dyn TableProvider>> {
    let located = table_of_location(&table.location)?;
    let scan = ScanOptions::of(table)?;
    let looked_up = tokio::task::spawn_blocking(move || {
        let Some((result, snapshot)) = published_table(&client, &located)? else {
            return Err(
                Error::not_found(format!("`hbase:{located}` holds no published result"))
                    .with_hint("run the job that writes it, or declare the columns of the table"),
            );
        };
        let mapping = result.mapping;
        let table = look_up(&client, Definition { mapping, scan }, Some(snapshot))?;
        Ok((table, !result.text_key.is_empty()))
    });
    let (table, hides_key) = looked_up
        .await
        .map_err(|e| Error::internal("the look at an hbase table was not finished").with_source(e))?
        .map_err(|e| {
            let error = Error::new(e.kind(), format!("table `{name}`: {}", e.message()));
            e.hint().into_iter().fold(error, Error::with_hint)
        })?;
    if hides_key {
        return without_key(name, Arc::new(table))
            .map_err(|e| Error::internal("cannot make the view of a result").with_source(e));
    }
    Ok(Arc::new(table))
}

/// The columns of the result, without the key that was made of them.
fn without_key(
    name: &str,
    table: Arc<dyn TableProvider>,
) -> datafusion::common::Result<Arc<dyn TableProvider>> {
    let columns = table.schema();
    let columns = columns.fields().iter().map(|f| f.name());
    let shown = columns.filter(|c| *c != ROW_KEY).map(ident);
    let shown: Vec<_> = shown.collect();
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?
        .project(shown)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Asks HBase for what the definition does not say. `snapshot` is given where the definition was
/// read together with it: another run may be published by now, and have other columns.
fn look_up(
    client: &Client,
    definition: Definition,
    snapshot: Option<Snapshot>,
) -> Result<HBaseTable> {
    let Definition { mapping, scan } = definition;
    let table = mapping.table();
    let families = client.families(table).map_err(store_error)?;
    for family in mapping.families() {
        if families.contains(&family) {
            continue;
        }
        let error = Error::new(
            ErrorKind::NotFound,
            format!("`hbase:{table}` has no column family `{family}`"),
        );
        return Err(
            match nearest(&family, families.iter().map(String::as_str)) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("its families are {}", families.join(", "))),
            },
        );
    }
    let snapshot = match snapshot {
        Some(snapshot) => Some(snapshot),
        None => Snapshot::load(client, table, &families)?,
    };
    let regions = client.regions(table).map_err(store_error)?;
    let cuts = cuts(&regions, &mapping.key, scan.splits, |range| {
        first_key(client, table, range)
    });
    Ok(HBaseTable {
        mapping: Arc::new(mapping),
        scan,
        cuts,
        snapshot,
    })
}
