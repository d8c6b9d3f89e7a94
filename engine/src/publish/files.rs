//! Results in files: a folder with a pointer to the current run.

use std::sync::Arc;
use std::time::Duration;

use emporia_connectors::files::Location;
use emporia_connectors::published::{PublishedOutput, ResultSet, discard_run};
use emporia_connectors::write::{FileFormat, FileSink, SinkSpec};
use emporia_core::error::Result;
use object_store::ObjectStore;

use super::Written;
use crate::session::Session;

/// Pauses before the files of a failed run are removed, again and again: a task that was told to stop
/// may just have been closing its file.
const PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];

/// A run in a result folder.
pub(super) struct Files {
    location: String,
    place: Location,
    store: Arc<dyn ObjectStore>,
    format: FileFormat,
    run_id: String,
    previous: Option<String>,
}

impl Files {
    pub(super) async fn begin(
        session: &Session,
        location: &str,
        format: FileFormat,
        run_id: &str,
    ) -> Result<Self> {
        let place = Location::parse(location)?;
        let store = place.open(&session.context().state())?;
        let previous = ResultSet::load(store.as_ref(), &place.path).await?;
        Ok(Self {
            location: location.trim_end_matches('/').to_owned(),
            place,
            store,
            format,
            run_id: run_id.to_owned(),
            previous: previous.map(|r| r.run_id),
        })
    }

    pub(super) fn sink(&self) -> SinkSpec {
        SinkSpec::Files(FileSink {
            store: self.place.store.as_str().to_owned(),
            base: self.place.path.to_string(),
            format: self.format,
        })
    }

    pub(super) fn name_of(&self, output: &str) -> String {
        format!("{}/{output}", self.location)
    }

    pub(super) async fn publish(self, written: &Written) -> Result<()> {
        let output = |table: &super::WrittenTable| PublishedOutput {
            format: self.format.as_str().to_owned(),
            columns: table.columns.clone(),
            files: table.parts.clone(),
        };
        let tables = written.tables.iter();
        let results = ResultSet {
            run_id: self.run_id,
            previous: self.previous,
            main: written.order.first().cloned().unwrap_or_default(),
            outputs: tables.map(|(n, t)| (n.clone(), output(t))).collect(),
        };
        results.publish(self.store.as_ref(), &self.place.path).await
    }

    pub(super) async fn discard(self) -> Result<()> {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            discard_run(self.store.as_ref(), &self.place.path, &self.run_id).await?;
        }
        Ok(())
    }
}
