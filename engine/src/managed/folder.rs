//! The folder with the tables of one session, which ends with it.

use std::sync::{Mutex, PoisonError};

use datafusion::catalog::Session;
use emporia_connectors::files::Location;
use emporia_connectors::published::storage_error;
use emporia_core::catalog::absolute_uri;
use emporia_core::error::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use tempfile::TempDir;

/// A folder of this machine, or one in the warehouse, where all processes see it.
#[derive(Debug)]
pub(super) struct SessionFolder {
    location: String,
    /// Removes a folder of this machine when it is dropped.
    local: Mutex<Option<TempDir>>,
}

impl SessionFolder {
    /// Makes one.
    pub(super) fn make(warehouse: Option<&str>) -> Result<Self> {
        if let Some(warehouse) = warehouse {
            let id = uuid::Uuid::now_v7().simple();
            return Ok(Self {
                location: format!("{warehouse}/_session-{id}"),
                local: Mutex::new(None),
            });
        }
        let folder = tempfile::Builder::new().prefix("emporia-tables-").tempdir();
        let folder = folder.map_err(|e| {
            let text = "cannot make a folder for the tables of this session";
            Error::new(ErrorKind::Failed, text)
                .with_hint("set `warehouse` in the catalog file to a folder for tables")
                .with_source(e)
        })?;
        Ok(Self {
            location: absolute_uri(&folder.path().display().to_string(), None)?,
            local: Mutex::new(Some(folder)),
        })
    }

    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Removes it with all that is in it.
    pub(super) async fn remove(&self, state: &dyn Session) -> Result<()> {
        let local = self
            .local
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(folder) = local {
            // The last table that was dropped may have taken the folder along.
            return match folder.close() {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    let text = format!("cannot remove `{}`", self.location);
                    Err(Error::new(ErrorKind::Failed, text).with_source(e))
                }
                _ => Ok(()),
            };
        }
        let place = Location::parse(&self.location)?;
        let store = place.open(state)?;
        let found: Vec<_> = match store.list(Some(&place.path)).try_collect().await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(storage_error("list", &place.path, error)),
        };
        for object in found {
            store
                .delete(&object.location)
                .await
                .map_err(|e| storage_error("delete", &object.location, e))?;
        }
        let mut folders = vec![place.path.clone()];
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            next += 1;
            if let Ok(inside) = store.list_with_delimiter(Some(&folder)).await {
                folders.extend(inside.common_prefixes);
            }
        }
        for folder in folders.iter().rev() {
            // A store without folders has none to remove.
            if let Err(error) = store.delete(folder).await {
                tracing::debug!(%error, %folder, "a folder stays behind");
            }
        }
        Ok(())
    }
}
