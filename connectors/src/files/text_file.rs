//! A file of text as it was listed, for the connectors that cut files into ranges of bytes.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use serde::{Deserialize, Serialize};

use super::partitions::FolderValues;
use super::pinned::PinnedFile;
use super::version::FileVersion;

/// A file of a table of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFile {
    /// Path in its store.
    pub path: String,
    /// The version that was listed.
    pub version: FileVersion,
    /// The values in the names of its folders.
    pub folders: FolderValues,
}

impl TextFile {
    /// The file that a store or a listing describes.
    pub fn new(meta: &ObjectMeta, folders: FolderValues) -> Self {
        Self {
            path: meta.location.to_string(),
            version: FileVersion::of(meta),
            folders,
        }
    }

    /// Bytes, as stored.
    pub fn size(&self) -> u64 {
        self.version.size
    }

    /// The file in its store.
    ///
    /// # Errors
    /// Where the path is not one of a store.
    pub(crate) fn pinned(&self, store: &Arc<dyn ObjectStore>) -> Result<PinnedFile> {
        let path = Path::parse(&self.path).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(PinnedFile::new(
            Arc::clone(store),
            path,
            self.version.clone(),
        ))
    }
}
