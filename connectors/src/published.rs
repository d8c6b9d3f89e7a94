//! Published result sets: how a job's outputs appear whole or not at all.
//!
//! ```text
//!   RESULT/run-<run id>/<output>/part-<attempt>.parquet    written by tasks, invisible
//!   RESULT/_current                                        JSON: the run and its files
//! ```
//!
//! A task writes files under names that no other attempt uses and reports them with its rows. Only
//! the report of the attempt that counted reaches the client, which then replaces `_current` in one
//! atomic put. Readers go through `_current`, so they see all outputs of one run or all of the run
//! before, and files of lost attempts never. The run before last is removed after the switch.

use std::collections::BTreeMap;

use datafusion::error::DataFusionError;
use emporia_core::error::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::hdfs::Fault;

/// Name of the pointer object in a result folder.
pub const POINTER: &str = "_current";

/// One file of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path relative to the result folder.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// One table of a result set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedOutput {
    /// `parquet`, `csv` or `json`.
    pub format: String,
    /// Name and Arrow type of each column, so that an output without files still has a schema.
    pub columns: Vec<(String, String)>,
    /// The files that make up the table; possibly none.
    pub files: Vec<DataFile>,
}

/// The content of `_current`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultSet {
    /// Identifies the run.
    pub run_id: String,
    /// The run that this one replaced; its files are kept for readers that started before.
    pub previous: Option<String>,
    /// Name of the main output.
    pub main: String,
    /// Tables by output name.
    pub outputs: BTreeMap<String, PublishedOutput>,
}

impl ResultSet {
    /// Reads the pointer of the result folder `base`, `None` where nothing was published.
    ///
    /// # Errors
    /// `Corrupt` where the pointer is not readable as one.
    pub async fn load(store: &dyn ObjectStore, base: &Path) -> Result<Option<Self>> {
        let pointer = base.clone().join(POINTER);
        let bytes = match store.get(&pointer).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            // `base` is a file.
            Err(error) if is_io(&error, std::io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(|e| storage_error("read", &pointer, e))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::new(
                ErrorKind::Corrupt,
                format!("`{pointer}` is not a result pointer"),
            )
            .with_hint("remove it to start anew, or restore it from a backup")
            .with_source(e)
        })
    }

    /// Makes this result set the current one of `base`, then removes files that nobody can reach
    /// any more: those of runs before the previous one and those of lost attempts.
    ///
    /// # Errors
    /// Where the pointer cannot be replaced; the old result is then still the current one.
    pub async fn publish(&self, store: &dyn ObjectStore, base: &Path) -> Result<()> {
        let pointer = base.clone().join(POINTER);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal("cannot write the result pointer").with_source(e))?;
        store
            .put(&pointer, text.into())
            .await
            .map_err(|e| storage_error("replace", &pointer, e))?;
        if let Err(error) = self.remove_unreachable(store, base).await {
            tracing::warn!(%error, result = %base, "old result files could not be removed");
        }
        Ok(())
    }

    async fn remove_unreachable(&self, store: &dyn ObjectStore, base: &Path) -> Result<()> {
        let current = format!("{base}/run-{}/", self.run_id);
        let previous = self
            .previous
            .as_ref()
            .map(|run| format!("{base}/run-{run}/"));
        let runs = format!("{base}/run-");
        let reachable = |location: &Path| {
            let location = location.as_ref();
            if location.starts_with(&current) {
                let files = self.outputs.values().flat_map(|output| &output.files);
                return files
                    .into_iter()
                    .any(|f| location == format!("{base}/{}", f.path));
            }
            previous.as_ref().is_some_and(|p| location.starts_with(p))
                || !location.starts_with(&runs)
        };
        let found: Vec<_> = store
            .list(Some(base))
            .try_collect()
            .await
            .map_err(|e| storage_error("list", base, e))?;
        for object in found.into_iter().filter(|o| !reachable(&o.location)) {
            store
                .delete(&object.location)
                .await
                .map_err(|e| storage_error("delete", &object.location, e))?;
        }
        let top = store.list_with_delimiter(Some(base)).await;
        let top = top.map_err(|e| storage_error("list", base, e))?;
        for folder in top.common_prefixes {
            let inside = format!("{folder}/");
            let is_read = inside == current || previous.as_ref() == Some(&inside);
            if inside.starts_with(&runs) && !is_read {
                remove_empty_folders(store, &folder).await;
            }
        }
        Ok(())
    }
}

/// Removes what a failed run left behind.
///
/// # Errors
/// Where the store cannot list or delete.
pub async fn discard_run(store: &dyn ObjectStore, base: &Path, run_id: &str) -> Result<()> {
    let folder = base.clone().join(format!("run-{run_id}"));
    let found: Vec<_> = store
        .list(Some(&folder))
        .try_collect()
        .await
        .map_err(|e| storage_error("list", &folder, e))?;
    for object in found {
        store
            .delete(&object.location)
            .await
            .map_err(|e| storage_error("delete", &object.location, e))?;
    }
    remove_empty_folders(store, &folder).await;
    Ok(())
}

/// Removes the folder of a run and those of its outputs from a store that has folders of their own;
/// one that is not empty, because a lost task wrote into it, stays.
async fn remove_empty_folders(store: &dyn ObjectStore, folder: &Path) {
    let inside = match store.list_with_delimiter(Some(folder)).await {
        Ok(inside) => inside.common_prefixes,
        Err(_) => Vec::new(),
    };
    for empty in inside.iter().chain([folder]) {
        if let Err(error) = store.delete(empty).await {
            tracing::debug!(%error, folder = %empty, "a folder stays behind");
        }
    }
}

/// An object store failure as an Emporia error.
pub fn storage_error(verb: &str, path: &Path, error: object_store::Error) -> Error {
    let text = format!("cannot {verb} `/{path}`");
    if let Some(fault) = Fault::of(&error) {
        return fault.explain(text);
    }
    let kind = match &error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        _ if is_disk_full(&error) => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, text).with_source(error)
}

/// Whether the chain of causes says that the device is full.
pub fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    is_io(error, std::io::ErrorKind::StorageFull)
}

fn is_io(error: &(dyn std::error::Error + 'static), kind: std::io::ErrorKind) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>().or_else(|| {
            match error.downcast_ref::<DataFusionError>() {
                Some(DataFusionError::IoError(io)) => Some(io),
                _ => None,
            }
        });
        if io.is_some_and(|io| io.kind() == kind) {
            return true;
        }
        cause = error.source();
    }
    false
}
