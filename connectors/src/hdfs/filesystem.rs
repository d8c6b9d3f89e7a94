//! The operations of HDFS that the store is made of, each tried once.
//!
//! The store and its tests share this interface: [`super::native`] implements it with the client
//! library, the tests with files in memory and faults at will.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::fault::Fault;

/// A file or folder as the NameNode knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// Absolute path.
    pub(super) path: String,
    pub(super) is_folder: bool,
    pub(super) version: Version,
    /// Copies of each block; `None` for folders.
    pub(super) replication: Option<u32>,
}

/// What differs between two files that stood under one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) length: u64,
    pub(super) modified_millis: u64,
}

/// The operations; none waits or tries again beyond what the client library does.
#[async_trait]
pub(super) trait FileSystem: fmt::Debug + Send + Sync + 'static {
    /// The file or folder at `path`.
    async fn status(&self, path: &str) -> Result<Status, Fault>;

    /// What is in the folder at `path`; for a file, the file itself.
    async fn list(&self, path: &str) -> Result<Vec<Status>, Fault>;

    /// Finds the blocks of the file at `path`.
    async fn open(&self, path: &str) -> Result<Arc<dyn Blocks>, Fault>;

    /// Creates a file at `path`, which must not exist, and the folders above.
    async fn create(&self, path: &str, replication: Option<u32>)
    -> Result<Box<dyn NewFile>, Fault>;

    /// Moves a file in one step; with `overwrite`, in the place of another.
    async fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<(), Fault>;

    /// Deletes a file or an empty folder; nothing where there is none.
    async fn delete(&self, path: &str) -> Result<(), Fault>;

    /// Creates the folder at `path` and those above.
    async fn make_folder(&self, path: &str) -> Result<(), Fault>;

    /// Asks for `replication` copies of the file at `path`, which HDFS makes in its own time.
    async fn set_replication(&self, path: &str, replication: u32) -> Result<(), Fault>;

    /// Uses new connections from now on, because a call was not answered.
    fn reconnect(&self);
}

/// A file whose blocks were found.
pub(super) trait Blocks: Send + Sync {
    /// Length of the file when it was opened.
    fn length(&self) -> u64;

    /// The bytes of `range`, which ends within the file.
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>>;
}

/// A file that is being written; nobody may rely on its content before it is closed.
#[async_trait]
pub(super) trait NewFile: Send {
    /// Appends `bytes`.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault>;

    /// Waits until all is stored.
    async fn close(&mut self) -> Result<(), Fault>;
}
