//! HDFS behind the interface of object stores.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, RenameTargetMode, Result, coalesce_ranges,
};

use super::cluster::Cluster;
use super::fault::{Fault, FaultKind};
use super::filesystem::Status;
use super::read;
use super::write::{Upload, absolute};

/// Ranges of a file that are this close are read as one.
const COALESCE: u64 = 1024 * 1024;
/// Folders that are listed, and files that are deleted, at a time.
const CALLS_AT_ONCE: usize = 16;
/// How much of a file is on its way while it is copied.
const COPY_PART_BYTES: usize = 8 * 1024 * 1024;

/// A cluster as an object store.
#[derive(Debug, Clone)]
pub(super) struct HdfsStore {
    cluster: Arc<Cluster>,
}

impl HdfsStore {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            cluster: Arc::new(cluster),
        }
    }
}

impl fmt::Display for HdfsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HDFS({})", self.cluster.patience.cluster)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for HdfsStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let overwrite = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "a conditional update".to_owned(),
                    implementer: self.to_string(),
                });
            }
        };
        let path = absolute(location);
        let put = self.cluster.put(&path, &payload, overwrite).await;
        put.map_err(|fault| fault.at(&path))?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = Upload::start(&self.cluster, absolute(location), true);
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = absolute(location);
        let status = self.cluster.file(&path).await.map_err(|f| f.at(&path))?;
        let meta = meta(&status)?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|e| Error::Generic {
                store: "HDFS",
                source: Box::new(e),
            })?,
            None => 0..meta.size,
        };
        let stream = if options.head {
            stream::empty().boxed()
        } else {
            read::read(&self.cluster, &path, status.version, range.clone())
                .map_err(move |fault| fault.at(&path))
                .boxed()
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream),
            meta,
            range,
            attributes: object_store::Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let path = absolute(location);
        let status = self.cluster.file(&path).await.map_err(|f| f.at(&path))?;
        let (version, length) = (status.version, status.version.length);
        let last = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        if last > length {
            let text = format!("`{path}` has {length} bytes, but byte {last} is to be read");
            return Err(Fault::new(FaultKind::Truncated, text).at(&path));
        }
        let read = |range| read::read_whole(&self.cluster, &path, version, range);
        let ranges = coalesce_ranges(ranges, read, COALESCE).await;
        ranges.map_err(|fault| fault.at(&path))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let cluster = Arc::clone(&self.cluster);
        locations
            .map(move |location| {
                let cluster = Arc::clone(&cluster);
                async move {
                    let location = location?;
                    let path = absolute(&location);
                    let deleted = cluster.call(&path, || cluster.files.delete(&path));
                    deleted.await.map_err(|fault| fault.at(&path))?;
                    Ok(location)
                }
            })
            .buffered(CALLS_AT_ONCE)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let folders = VecDeque::from([prefix.map_or_else(|| "/".to_owned(), absolute)]);
        let cluster = Arc::clone(&self.cluster);
        stream::try_unfold((cluster, folders), |(cluster, mut folders)| async move {
            if folders.is_empty() {
                return Ok::<_, Error>(None);
            }
            let next = folders.drain(..folders.len().min(CALLS_AT_ONCE));
            let mut listings = stream::iter(next.collect::<Vec<_>>())
                .map(|folder| {
                    let cluster = Arc::clone(&cluster);
                    async move { cluster.list(&folder).await.map_err(|f| f.at(&folder)) }
                })
                .buffer_unordered(CALLS_AT_ONCE);
            let mut files = Vec::new();
            while let Some(listing) = listings.try_next().await? {
                for status in listing {
                    if status.is_folder {
                        folders.push_back(status.path);
                    } else {
                        files.push(meta(&status));
                    }
                }
            }
            drop(listings);
            Ok(Some((stream::iter(files), (cluster, folders))))
        })
        .try_flatten()
        .boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix)
            .try_filter(move |found| std::future::ready(found.location > offset))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = prefix.map_or_else(|| "/".to_owned(), absolute);
        let found = self.cluster.list(&folder).await;
        let (folders, files): (Vec<_>, Vec<_>) = found
            .map_err(|fault| fault.at(&folder))?
            .into_iter()
            .partition(|status| status.is_folder);
        Ok(ListResult {
            common_prefixes: folders
                .iter()
                .map(|folder| Ok(Path::parse(&folder.path)?))
                .collect::<Result<_>>()?,
            objects: files.iter().map(meta).collect::<Result<_>>()?,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let overwrite = options.mode == CopyMode::Overwrite;
        let (source, target) = (absolute(from), absolute(to));
        let status = self
            .cluster
            .file(&source)
            .await
            .map_err(|f| f.at(&source))?;
        let found = self.cluster.exists(&target).await;
        if !overwrite && found.map_err(|f| f.at(&target))? {
            let text = format!("`{target}` exists already");
            return Err(Fault::new(FaultKind::AlreadyExists, text).at(&target));
        }
        let mut upload = Upload::start(&self.cluster, target, overwrite);
        let whole = 0..status.version.length;
        for start in whole.clone().step_by(COPY_PART_BYTES) {
            let part = start..whole.end.min(start + COPY_PART_BYTES as u64);
            let bytes = read::read_whole(&self.cluster, &source, status.version, part);
            let bytes = bytes.await.map_err(|fault| fault.at(&source))?;
            upload.put_part(bytes.into()).await?;
        }
        upload.complete().await?;
        Ok(())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let overwrite = options.target_mode == RenameTargetMode::Overwrite;
        let (source, target) = (absolute(from), absolute(to));
        let (folder, _) = target.rsplit_once('/').unwrap_or_default();
        let made = self
            .cluster
            .call(folder, || self.cluster.files.make_folder(folder));
        if !folder.is_empty() {
            made.await.map_err(|fault| fault.at(folder))?;
        }
        let moved = self.cluster.rename(&source, &target, overwrite, None);
        moved.await.map_err(|fault| {
            let path = match fault.kind() {
                FaultKind::NotFound => &source,
                _ => &target,
            };
            fault.at(path)
        })
    }
}

/// What the interface tells of a file.
fn meta(status: &Status) -> Result<ObjectMeta> {
    let version = status.version;
    let modified = i64::try_from(version.modified_millis).unwrap_or(i64::MAX);
    Ok(ObjectMeta {
        location: Path::parse(&status.path)?,
        last_modified: DateTime::from_timestamp_millis(modified).unwrap_or_default(),
        size: version.length,
        e_tag: Some(format!(
            "{:x}-{:x}",
            version.modified_millis, version.length
        )),
        version: None,
    })
}
