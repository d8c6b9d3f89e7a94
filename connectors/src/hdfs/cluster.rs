//! One HDFS: its operations with patience, and what is known about it.

use std::sync::Arc;
use std::time::Duration;

use super::fault::{Fault, FaultKind};
use super::filesystem::{Blocks, FileSystem, Status, Version};
use super::open_files::OpenFiles;
use super::placement::Placement;
use super::retry::{Patience, within};

/// A cluster and what its store shares between all readers and writers of the process.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) files: Arc<dyn FileSystem>,
    pub(super) patience: Patience,
    pub(super) placement: Placement,
    open: OpenFiles,
}

impl Cluster {
    /// A cluster that messages call `name`; new files get `replication` copies, or as many as the
    /// cluster is used to.
    pub(super) fn new(
        files: Arc<dyn FileSystem>,
        name: &str,
        patience: Duration,
        replication: Option<u32>,
    ) -> Self {
        Self {
            files,
            patience: Patience {
                cluster: name.into(),
                limit: patience,
            },
            placement: Placement::new(replication),
            open: OpenFiles::default(),
        }
    }

    /// Makes one call, which changes nothing or may be repeated, until it is answered.
    pub(super) async fn call<T, F>(
        &self,
        path: &str,
        mut call: impl FnMut() -> F + Send,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        self.patience.retry(path, || self.once(call())).await
    }

    /// Makes one call once.
    pub(super) async fn once<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let answer = within(self.patience.call_limit(), call).await;
        if answer
            .as_ref()
            .is_err_and(|f| f.kind() == FaultKind::Silent)
        {
            self.files.reconnect();
        }
        answer
    }

    /// The file at `path`.
    pub(super) async fn file(&self, path: &str) -> Result<Status, Fault> {
        let status = self.call(path, || self.files.status(path)).await?;
        if status.is_folder {
            let text = format!("`{path}` is a folder");
            return Err(Fault::new(FaultKind::NotFound, text));
        }
        Ok(status)
    }

    /// Whether there is something at `path`.
    pub(super) async fn exists(&self, path: &str) -> Result<bool, Fault> {
        match self.call(path, || self.files.status(path)).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.kind() == FaultKind::NotFound => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// What is in the folder at `path`; nothing where it does not exist or is a file.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Status>, Fault> {
        match self.call(path, || self.files.list(path)).await {
            Ok(mut found) => {
                found.retain(|status| status.path != path);
                Ok(found)
            }
            Err(fault) if fault.kind() == FaultKind::NotFound => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    /// The blocks of `version` of the file at `path`, looked up once for reads that follow each
    /// other. One try.
    pub(super) async fn blocks(
        &self,
        path: &str,
        version: Version,
    ) -> Result<Arc<dyn Blocks>, Fault> {
        if let Some(blocks) = self.open.get(path, version) {
            return Ok(blocks);
        }
        let blocks = self.once(self.files.open(path)).await?;
        if blocks.length() < version.length {
            return Err(Fault::new(
                FaultKind::Truncated,
                format!(
                    "`{path}` has {} bytes, but {} were expected",
                    blocks.length(),
                    version.length
                ),
            ));
        }
        self.open.put(path, version, &blocks);
        Ok(blocks)
    }

    /// Forgets what is known about the blocks of the file at `path`, because they moved or broke.
    pub(super) fn forget_blocks(&self, path: &str) {
        self.open.forget(path);
    }
}
