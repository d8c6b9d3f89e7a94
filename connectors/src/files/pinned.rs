//! Reads of one version of a file.
//!
//! Files are listed once, when a query is planned, and read later, in pieces, by several processes. A
//! file that is replaced in between must not give old rows beside new ones, so whoever opens it
//! compares it with what was listed. An object store reports size and time of what it opened with
//! every read, so that costs no further call.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use datafusion::parquet::errors::ParquetError;
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt,
    coalesce_ranges,
};
use tokio::task::spawn_blocking;

/// Ranges of a file in a remote store that are this close are read as one.
const COALESCE: u64 = 1024 * 1024;

/// A file cannot be read as it was listed.
#[derive(Clone, PartialEq, Eq)]
pub enum ReadFault {
    /// It has another size or time.
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
    /// The fault among the causes of `error`.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(fault) = error.downcast_ref::<Self>() {
                return Some(fault);
            }
            // Parquet's error passes over the error that it was made of.
            let inner = match error.downcast_ref::<ParquetError>() {
                Some(ParquetError::External(inner)) => Some(inner.as_ref() as _),
                _ => None,
            };
            cause = inner.or_else(|| error.source());
        }
        None
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

impl fmt::Debug for ReadFault {
    /// The message as an argument: errors cross the wire in their debug form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadFault").field(&self.to_string()).finish()
    }
}

impl std::error::Error for ReadFault {}

impl From<ReadFault> for ParquetError {
    fn from(fault: ReadFault) -> Self {
        Self::External(Box::new(fault))
    }
}

/// A file as it was listed.
#[derive(Debug, Clone)]
pub(super) struct PinnedFile {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl PinnedFile {
    pub(super) fn new(store: Arc<dyn ObjectStore>, meta: ObjectMeta) -> Self {
        Self { store, meta }
    }

    pub(super) fn size(&self) -> u64 {
        self.meta.size
    }

    /// The bytes of the ranges.
    pub(super) async fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ParquetError> {
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

    async fn read_one(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let length = range.end - range.start;
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

    /// Opens the file for a range of it, if it is still the same.
    async fn open(&self, range: Range<u64>) -> Result<GetResultPayload, ParquetError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let location = &self.meta.location;
        let opened = match self.store.get_opts(location, options).await {
            Ok(opened) => opened,
            Err(error) => return Err(self.explained(error).await),
        };
        match self.is_same(opened.meta.size, opened.meta.last_modified) {
            true => Ok(opened.payload),
            false => Err(self.changed()),
        }
    }

    /// Reads the ranges from a file that is open, and looks again whether it is still the same: it
    /// may be written over in its place.
    async fn read_file(
        &self,
        mut file: File,
        ranges: Vec<Range<u64>>,
    ) -> Result<Vec<Bytes>, ParquetError> {
        let read = spawn_blocking(move || {
            let mut pieces = Vec::with_capacity(ranges.len());
            for range in ranges {
                let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                let mut piece = vec![0; length];
                file.seek(SeekFrom::Start(range.start))?;
                file.read_exact(&mut piece)?;
                pieces.push(Bytes::from(piece));
            }
            let metadata = file.metadata()?;
            Ok::<_, std::io::Error>((pieces, metadata.len(), metadata.modified()?))
        });
        let read = read.await.map_err(|e| ParquetError::External(e.into()))?;
        let (pieces, size, modified) = match read {
            Ok(read) => read,
            // The file was cut after it was opened.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(self.changed());
            }
            Err(error) => return Err(ParquetError::External(error.into())),
        };
        match self.is_same(size, DateTime::<Utc>::from(modified)) {
            true => Ok(pieces),
            false => Err(self.changed()),
        }
    }

    /// Entity tags are not compared: that of a local file holds its inode, which differs between
    /// mounts of one file system.
    fn is_same(&self, size: u64, modified: DateTime<Utc>) -> bool {
        size == self.meta.size && modified == self.meta.last_modified
    }

    fn changed(&self) -> ParquetError {
        let path = self.meta.location.to_string();
        ReadFault::Changed { path }.into()
    }

    fn fault(&self, error: object_store::Error) -> ParquetError {
        let path = self.meta.location.to_string();
        match error {
            object_store::Error::NotFound { .. } => ReadFault::Gone { path }.into(),
            object_store::Error::Precondition { .. } => ReadFault::Changed { path }.into(),
            other => ParquetError::External(Box::new(other)),
        }
    }

    /// As [`Self::fault`], where the reason may be that the file became shorter than the range.
    async fn explained(&self, error: object_store::Error) -> ParquetError {
        if let object_store::Error::Generic { .. } = error
            && let Ok(now) = self.store.head(&self.meta.location).await
            && !self.is_same(now.size, now.last_modified)
        {
            return self.changed();
        }
        self.fault(error)
    }
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;

    const RANGES: [Range<u64>; 3] = [2..5, 0..1, 7..10];

    async fn pinned(store: Arc<dyn ObjectStore>) -> PinnedFile {
        let path = Path::from("file");
        store.put(&path, "0123456789".into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        PinnedFile::new(store, meta)
    }

    async fn check(store: Arc<dyn ObjectStore>) {
        let file = pinned(Arc::clone(&store)).await;
        let read = file.read(&RANGES).await.unwrap();
        assert_eq!(read, ["234", "0", "789"]);
        let path = Path::from("file");
        // As long, with another time.
        store.put(&path, "abcdefghij".into()).await.unwrap();
        let error = file.read(&RANGES).await.unwrap_err();
        let changed = ReadFault::Changed {
            path: "file".to_owned(),
        };
        assert_eq!(ReadFault::of(&error), Some(&changed));
        // Too short for the ranges.
        store.put(&path, "abc".into()).await.unwrap();
        let error = file.read(&[Range { start: 7, end: 10 }]).await.unwrap_err();
        assert_eq!(ReadFault::of(&error), Some(&changed));
        store.delete(&path).await.unwrap();
        let error = file.read(&RANGES).await.unwrap_err();
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

    #[test]
    fn the_debug_form_holds_the_message() {
        let fault = ReadFault::Gone {
            path: "a \"b\"".to_owned(),
        };
        assert!(format!("{fault:?}").starts_with("ReadFault(\"the file `/a \\\"b\\\"`"));
    }
}
