//! Results in HBase: tables whose cells of one run count together.

use std::collections::BTreeMap;

use emporia_connectors::codec::schema_from_names;
use emporia_connectors::hbase::{
    Client, Publication, ResultTable, deletes_nulls, table_spec, upsert_sink,
};
use emporia_connectors::write::SinkSpec;
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, Result};
use emporia_core::job::OutputSpec;

use super::{Mode, Written};
use crate::failure::query_error;
use crate::session::Session;

/// A run in tables of HBase.
pub(super) struct HBaseTables {
    client: Client,
    main: TableDef,
    specs: Vec<OutputSpec>,
    run_id: String,
    /// The run that the tables switch to at the end, where they are overwritten.
    publication: Option<Publication>,
    names: BTreeMap<String, String>,
}

impl HBaseTables {
    pub(super) async fn begin(
        session: &Session,
        main: &TableDef,
        specs: &[OutputSpec],
        mode: Mode,
        run_id: &str,
    ) -> Result<Self> {
        let client = session.stores().hbase()?;
        let publication = match mode {
            Mode::Append => None,
            Mode::Overwrite => {
                let (client, spec) = (client.clone(), table_spec(main)?);
                let run_id = run_id.to_owned();
                let begun = blocking(move || Publication::begin(client, &spec, &run_id)).await?;
                Some(begun)
            }
        };
        Ok(Self {
            client,
            main: main.clone(),
            specs: specs.to_vec(),
            run_id: run_id.to_owned(),
            publication,
            names: BTreeMap::new(),
        })
    }

    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    pub(super) async fn sink(
        &mut self,
        output: &str,
        columns: &[(String, String)],
    ) -> Result<SinkSpec> {
        let (table, key) = super::output_table(&self.main, &self.specs, output);
        let schema = schema_from_names(columns).map_err(query_error)?;
        let deletes_nulls = deletes_nulls(&table)?;
        let table = ResultTable::complete(output, &table, &schema, &key)?;
        self.names
            .insert(output.to_owned(), table.spec.name.clone());
        let client = self.client.clone();
        let publication = self.publication.take();
        let (publication, sink) = blocking(move || match publication {
            None => Ok((None, upsert_sink(&client, &table, deletes_nulls)?)),
            Some(mut publication) => {
                let sink = publication.add(table)?;
                Ok((Some(publication), sink))
            }
        })
        .await?;
        self.publication = publication;
        Ok(SinkSpec::HBase(sink))
    }

    pub(super) fn name_of(&self, output: &str) -> String {
        match self.names.get(output) {
            Some(table) => format!("hbase:{table}"),
            None => self.main.location.clone(),
        }
    }

    pub(super) async fn publish(self, written: &Written) -> Result<()> {
        let Some(publication) = self.publication else {
            return Ok(());
        };
        let rows = written.tables.iter().filter_map(|(output, table)| {
            let name = self.names.get(output)?;
            Some((name.clone(), table.rows()))
        });
        let rows: BTreeMap<_, _> = rows.collect();
        blocking(move || publication.publish(&rows)).await
    }
}

/// Runs calls that block on a thread for such.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Error::internal("a call to HBase broke off").with_source(e)))
}
