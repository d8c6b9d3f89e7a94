//! The stores that a process may reach, and its connections to them.
//!
//! Addresses and credentials belong to the process: they come from the section `[stores]` of its
//! configuration and never travel in a plan. A session's configuration carries the one [`Stores`]
//! of the process as an extension, so that a scan finds it on the executor.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::execution::TaskContext;
use datafusion::prelude::SessionConfig;
use emporia_core::config::StoreSettings;
use emporia_core::error::{Error, Result};
use emporia_hbase::Client as HBase;
use mongodb::Client as MongoDb;

/// Settings of the stores and the connections that were opened so far.
#[derive(Default)]
pub struct Stores {
    settings: StoreSettings,
    hbase: OnceLock<HBase>,
    mongodb: tokio::sync::OnceCell<MongoDb>,
}

impl fmt::Debug for Stores {
    /// Without settings, because some are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

impl Stores {
    /// Stores reached as `settings` say; nothing is connected yet.
    pub fn new(settings: StoreSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            ..Self::default()
        })
    }

    /// The stores of the process that `config` was made in.
    ///
    /// # Errors
    /// `Internal` where the session was not built by `emporia-engine`.
    pub fn of_session(config: &SessionConfig) -> Result<Arc<Self>> {
        config
            .get_extension::<Self>()
            .ok_or_else(|| Error::internal("the session has no stores"))
    }

    /// The stores of the process that runs the task.
    ///
    /// # Errors
    /// As of [`Stores::of_session`].
    pub fn of_task(context: &TaskContext) -> Result<Arc<Self>> {
        Self::of_session(context.session_config())
    }

    /// How the stores are reached.
    pub fn settings(&self) -> &StoreSettings {
        &self.settings
    }

    /// The client of the HBase gateways; opens no connection.
    ///
    /// # Errors
    /// `InvalidInput` where no gateway is configured.
    pub fn hbase(&self) -> Result<HBase> {
        if let Some(client) = self.hbase.get() {
            return Ok(client.clone());
        }
        let client = crate::hbase::connect(&self.settings)?;
        Ok(self.hbase.get_or_init(|| client).clone())
    }

    /// The client of MongoDB.
    ///
    /// # Errors
    /// `InvalidInput` where no server is configured or the password file cannot be read.
    pub async fn mongodb(&self) -> Result<&MongoDb> {
        self.mongodb
            .get_or_try_init(|| crate::mongodb::connect(&self.settings))
            .await
    }
}
