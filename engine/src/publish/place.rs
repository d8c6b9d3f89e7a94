//! The store that a run writes to, behind one set of calls.

use datafusion::arrow::datatypes::Schema;
use emporia_connectors::write::{FileFormat, SinkSpec};
use emporia_core::error::{Error, Result};
use emporia_core::job::OutputSpec;

use super::collections::Collections;
use super::files::Files;
use super::hbase::HBaseTables;
use super::{Destination, Written};
use crate::session::Session;

/// A run's place in its store.
pub(super) enum Place {
    Files(Files),
    HBase(HBaseTables),
    Collections(Collections),
}

impl Place {
    /// Makes everything ready that can be made ready before the first row.
    pub(super) async fn begin(
        session: &Session,
        destination: &Destination,
        specs: &[OutputSpec],
    ) -> Result<Self> {
        let (table, mode) = match destination {
            Destination::Folder { location, format } => {
                let files = Files::begin(session, location, None, *format).await?;
                return Ok(Self::Files(files));
            }
            Destination::Published { location, change } => {
                let change = Some(change.clone());
                let format = FileFormat::Parquet;
                let files = Files::begin(session, location, change, format).await?;
                return Ok(Self::Files(files));
            }
            Destination::Table { table, mode } => (table, *mode),
        };
        let run_id = uuid::Uuid::now_v7().simple().to_string();
        match table.connector.as_str() {
            "hbase" => {
                let tables = HBaseTables::begin(session, table, specs, mode, &run_id).await?;
                Ok(Self::HBase(tables))
            }
            "mongodb" => {
                let collections = Collections::begin(session, table, specs, mode, &run_id);
                Ok(Self::Collections(collections))
            }
            other => Err(Error::invalid(format!(
                "a result cannot be written to a table of the connector `{other}`"
            ))),
        }
    }

    /// Identifies the run.
    pub(super) fn run_id(&self) -> &str {
        match self {
            Self::Files(files) => files.run_id(),
            Self::HBase(tables) => tables.run_id(),
            Self::Collections(collections) => collections.run_id(),
        }
    }

    /// Checks that the place can hold rows of this schema.
    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        match self {
            Self::Files(files) => files.check(schema),
            Self::HBase(_) | Self::Collections(_) => Ok(()),
        }
    }

    /// Where the rows of `output` go; `columns` are names and Arrow types.
    pub(super) async fn sink(
        &mut self,
        output: &str,
        columns: &[(String, String)],
    ) -> Result<SinkSpec> {
        match self {
            Self::Files(files) => Ok(files.sink()),
            Self::HBase(tables) => tables.sink(output, columns).await,
            Self::Collections(collections) => collections.sink(output).await,
        }
    }

    /// What a user calls the place of `output`.
    pub(super) fn name_of(&self, output: &str) -> String {
        match self {
            Self::Files(files) => files.name_of(output),
            Self::HBase(tables) => tables.name_of(output),
            Self::Collections(collections) => collections.name_of(output),
        }
    }

    /// Makes the run the current result.
    pub(super) async fn publish(self, written: &Written) -> Result<()> {
        match self {
            Self::Files(files) => files.publish(written).await,
            Self::HBase(tables) => tables.publish(written).await,
            Self::Collections(collections) => collections.publish(written).await,
        }
    }

    /// Why the run failed, where `error` may follow from something else.
    pub(super) async fn reason(&self, error: Error) -> Error {
        match self {
            Self::Files(files) => files.reason(error).await,
            Self::HBase(_) | Self::Collections(_) => error,
        }
    }

    /// Removes what the failed run left.
    pub(super) async fn discard(self) -> Result<()> {
        match self {
            Self::Files(files) => files.discard().await,
            // Its cells are not seen, and the next run removes them.
            Self::HBase(_) => Ok(()),
            Self::Collections(collections) => collections.discard().await,
        }
    }
}
