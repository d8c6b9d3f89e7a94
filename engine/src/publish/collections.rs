//! Results in MongoDB: a collection that is written beside the current one and then takes its name.

use std::collections::BTreeMap;
use std::sync::Arc;

use emporia_connectors::mongodb::{
    CollectionTarget, Staging, begin_overwrite, create, create_indexes, discard, publish_overwrite,
};
use emporia_connectors::stores::Stores;
use emporia_connectors::write::SinkSpec;
use emporia_core::catalog::TableDef;
use emporia_core::error::Result;
use emporia_core::job::OutputSpec;

use super::{Mode, Written, WrittenTable};
use crate::session::Session;

/// A run in collections of MongoDB.
pub(super) struct Collections {
    stores: Arc<Stores>,
    main: TableDef,
    specs: Vec<OutputSpec>,
    mode: Mode,
    run_id: String,
    /// Locations by output.
    locations: BTreeMap<String, String>,
    overwrites: Vec<Overwrite>,
}

/// A collection that is to be replaced.
struct Overwrite {
    output: String,
    staging: Staging,
}

impl Collections {
    pub(super) fn begin(
        session: &Session,
        main: &TableDef,
        specs: &[OutputSpec],
        mode: Mode,
        run_id: &str,
    ) -> Self {
        Self {
            stores: Arc::clone(session.stores()),
            main: main.clone(),
            specs: specs.to_vec(),
            mode,
            run_id: run_id.to_owned(),
            locations: BTreeMap::new(),
            overwrites: Vec::new(),
        }
    }

    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    pub(super) async fn sink(&mut self, output: &str) -> Result<SinkSpec> {
        let (mut table, key) = super::output_table(&self.main, &self.specs, output);
        if !key.is_empty() && !table.options.contains_key("key") {
            table.options.insert("key".to_owned(), key.join(", "));
        }
        let target = CollectionTarget::of(&table)?;
        self.locations.insert(output.to_owned(), table.location);
        if self.mode == Mode::Append {
            create(&self.stores, &target).await?;
            create_indexes(&self.stores, &target).await?;
            return Ok(SinkSpec::Collection(target));
        }
        let staging = begin_overwrite(&self.stores, &target, &self.run_id).await?;
        let sink = SinkSpec::Collection(staging.place_of_rows().clone());
        self.overwrites.push(Overwrite {
            output: output.to_owned(),
            staging,
        });
        Ok(sink)
    }

    pub(super) fn name_of(&self, output: &str) -> String {
        let location = self.locations.get(output);
        location.unwrap_or(&self.main.location).clone()
    }

    /// Switches the main collection last: who sees the new one finds the others in place.
    pub(super) async fn publish(mut self, written: &Written) -> Result<()> {
        while let Some(Overwrite { output, staging }) = self.overwrites.pop() {
            let rows = written.tables.get(&output).map_or(0, WrittenTable::rows);
            let switched = publish_overwrite(&self.stores, &staging, rows).await;
            if let Err(error) = switched {
                if let Err(left) = self.discard().await {
                    tracing::warn!(error = %left, "the failed run could not be removed");
                }
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) async fn discard(self) -> Result<()> {
        for overwrite in self.overwrites {
            discard(&overwrite.staging).await?;
        }
        Ok(())
    }
}
