//! Reads of one version of a file.
//!
//! Files are listed once, when a query is planned, and read later, in pieces, by several processes. A
//! file that is replaced in between must not give old rows beside new ones, so whoever opens it
//! compares it with what was listed. An object store reports the version of what it opened with every
//! read, so that costs no further call.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use emporia_core::error::{Error, ErrorKind};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt, coalesce_ranges,
};
use tokio::task::spawn_blocking;

use super::version::FileVersion;
use crate::error::causes;

/// Ranges of a file in a remote store that are this close are read as one.
const COALESCE: u64 = 1024 * 1024;

/// A file cannot be read as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFault {
    /// It is another version.
    Changed {
        /// Path in its store.
        path: String,
    },
    /// This process does not see it.
    Gone {
        /// Path in its store.
        path: String,
    },
}

impl ReadFault {
    /// What to do where no program writes there.
    pub(crate) const HINT: &str = "submit again; if nothing writes there, check that all processes see the same \
                                   files, with the same times";

    /// The error of an action, with the way out.
    pub(crate) fn explain(&self, text: String) -> Error {
        Error::new(ErrorKind::Failed, text)
            .with_hint("another program writes there; run the query again")
            .with_source(self.clone())
    }

    /// The fault among the causes of `error`.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { path } => write!(
                f,
                "the file `/{path}` is not the one that was listed when the query was planned"
            ),
            Self::Gone { path } => write!(
                f,
                "the file `/{path}` was there when the query was planned, and this process does not find it"
            ),
        }
    }
}

impl std::error::Error for ReadFault {}

impl From<ReadFault> for ParquetError {
    fn from(fault: ReadFault) -> Self {
        Self::External(Box::new(fault))
    }
}

/// Why a file could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    Fault(ReadFault),
    Store(object_store::Error),
    Io(std::io::Error),
    /// The thread that read it ended early.
    Thread(tokio::task::JoinError),
}

impl From<ReadError> for ParquetError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Fault(fault) => fault.into(),
            ReadError::Store(error) => Self::External(Box::new(error)),
            ReadError::Io(error) => Self::External(Box::new(error)),
            ReadError::Thread(error) => Self::External(Box::new(error)),
        }
    }
}

impl From<ReadError> for DataFusionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Fault(fault) => Self::External(Box::new(fault)),
            ReadError::Store(error) => Self::ObjectStore(Box::new(error)),
            ReadError::Io(error) => Self::IoError(error),
            ReadError::Thread(error) => Self::External(Box::new(error)),
        }
    }
}

type Result<T, E = ReadError> = std::result::Result<T, E>;

/// A file as it was listed.
#[derive(Debug, Clone)]
pub(crate) struct PinnedFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    version: FileVersion,
}

impl PinnedFile {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path, version: FileVersion) -> Self {
        Self {
            store,
            path,
            version,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes, as stored.
    pub(crate) fn size(&self) -> u64 {
        self.version.size
    }

    pub(crate) fn version(&self) -> &FileVersion {
        &self.version
    }

    /// The bytes of the ranges.
    pub(super) async fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let Some(first) = ranges.first() else {
            return Ok(Vec::new());
        };
        match self.open(first.clone()).await? {
            // A store of files gives the file, from which all ranges are read.
            GetResultPayload::File(file, _) => self.read_file(file, ranges.to_vec()).await,
            GetResultPayload::Stream(_) => {
                coalesce_ranges(ranges, |range| self.read_one(range), COALESCE).await
            }
        }
    }

    /// The bytes of a range.
    pub(crate) async fn read_one(&self, range: Range<u64>) -> Result<Bytes> {
        let length = range.end - range.start;
        if length == 0 {
            // No store reads nothing.
            return self.look().await.map(|()| Bytes::new());
        }
        let bytes = match self.open(range.clone()).await? {
            GetResultPayload::File(file, _) => {
                let mut pieces = self.read_file(file, vec![range]).await?;
                pieces.pop().unwrap_or_default()
            }
            GetResultPayload::Stream(stream) => object_store::collect_bytes(stream, Some(length))
                .await
                .map_err(|e| self.fault(e))?,
        };
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(self.changed()),
        }
    }

    /// Looks whether the file is still the same.
    async fn look(&self) -> Result<()> {
        match self.store.head(&self.path).await {
            Ok(found) if self.version.is(&FileVersion::of(&found)) => Ok(()),
            Ok(_) => Err(self.changed()),
            Err(error) => Err(self.fault(error)),
        }
    }

    /// Opens the file for a range of it, if it is still the same.
    async fn open(&self, range: Range<u64>) -> Result<GetResultPayload> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let opened = match self.store.get_opts(&self.path, options).await {
            Ok(opened) => opened,
            Err(error) => return Err(self.explained(error).await),
        };
        let found = match &opened.payload {
            GetResultPayload::File(file, _) => version_of(file).map_err(ReadError::Io)?,
            GetResultPayload::Stream(_) => FileVersion::of(&opened.meta),
        };
        match self.version.is(&found) {
            true => Ok(opened.payload),
            false => Err(self.changed()),
        }
    }

    /// Reads the ranges from a file that is open, and looks again whether it is still the same: it
    /// may be written over in its place.
    async fn read_file(&self, mut file: File, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let read = spawn_blocking(move || {
            let mut pieces = Vec::with_capacity(ranges.len());
            for range in ranges {
                let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                let mut piece = vec![0; length];
                file.seek(SeekFrom::Start(range.start))?;
                file.read_exact(&mut piece)?;
                pieces.push(Bytes::from(piece));
            }
            Ok::<_, std::io::Error>((pieces, version_of(&file)?))
        });
        let (pieces, found) = match read.await.map_err(ReadError::Thread)? {
            Ok(read) => read,
            // The file was cut after it was opened.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(self.changed());
            }
            Err(error) => return Err(ReadError::Io(error)),
        };
        match self.version.is(&found) {
            true => Ok(pieces),
            false => Err(self.changed()),
        }
    }

    /// The error where the file is not the one that was listed.
    pub(crate) fn changed(&self) -> ReadError {
        let path = self.path.to_string();
        ReadError::Fault(ReadFault::Changed { path })
    }

    fn fault(&self, error: object_store::Error) -> ReadError {
        let path = self.path.to_string();
        match error {
            object_store::Error::NotFound { .. } => ReadError::Fault(ReadFault::Gone { path }),
            object_store::Error::Precondition { .. } => self.changed(),
            other => ReadError::Store(other),
        }
    }

    /// As [`Self::fault`], where the reason may be that the file became shorter than the range.
    async fn explained(&self, error: object_store::Error) -> ReadError {
        if let object_store::Error::Generic { .. } = error
            && let Ok(now) = self.store.head(&self.path).await
            && !self.version.is(&FileVersion::of(&now))
        {
            return self.changed();
        }
        self.fault(error)
    }
}

/// The version of a file that is open.
fn version_of(file: &File) -> std::io::Result<FileVersion> {
    FileVersion::of_local(&file.metadata()?)
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::*;

    const RANGES: [Range<u64>; 3] = [2..5, 0..1, 7..10];

    async fn pinned(store: Arc<dyn ObjectStore>) -> PinnedFile {
        let path = Path::from("file");
        store.put(&path, "0123456789".into()).await.unwrap();
        let opened = store.get(&path).await.unwrap();
        let version = match &opened.payload {
            GetResultPayload::File(file, _) => version_of(file).unwrap(),
            GetResultPayload::Stream(_) => FileVersion::of(&opened.meta),
        };
        PinnedFile::new(store, path, version)
    }

    async fn check(store: Arc<dyn ObjectStore>) {
        let file = pinned(Arc::clone(&store)).await;
        let read = file.read(&RANGES).await.unwrap();
        assert_eq!(read, ["234", "0", "789"]);
        let path = Path::from("file");
        // As long.
        store.put(&path, "abcdefghij".into()).await.unwrap();
        let error = ParquetError::from(file.read(&RANGES).await.unwrap_err());
        let changed = ReadFault::Changed {
            path: "file".to_owned(),
        };
        assert_eq!(ReadFault::of(&error), Some(&changed));
        // Too short for the ranges.
        store.put(&path, "abc".into()).await.unwrap();
        let error = file
            .read_one(Range { start: 7, end: 10 })
            .await
            .unwrap_err();
        let error = DataFusionError::from(error);
        assert_eq!(ReadFault::of(&error), Some(&changed));
        store.delete(&path).await.unwrap();
        let error = ParquetError::from(file.read(&RANGES).await.unwrap_err());
        let gone = ReadFault::Gone {
            path: "file".to_owned(),
        };
        assert_eq!(ReadFault::of(&error), Some(&gone));
    }

    #[tokio::test]
    async fn only_the_listed_version_is_read() {
        check(Arc::new(InMemory::new())).await;
        let folder = std::env::temp_dir().join(format!("pinned-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        check(Arc::new(LocalFileSystem::new_with_prefix(&folder).unwrap())).await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
