//! Reading a range of a file to its end, whatever breaks on the way.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::cluster::Cluster;
use super::fault::{Fault, FaultKind};
use super::filesystem::Version;
use super::retry::{Tries, within};

/// The bytes of `range` of `version` of the file at `path`.
///
/// A stream that breaks is opened again at the byte that it reached, if the file is still the same.
pub(super) fn read(
    cluster: &Arc<Cluster>,
    path: &str,
    version: Version,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes, Fault>> {
    let reading = Reading {
        tries: cluster.patience.tries(path),
        cluster: Arc::clone(cluster),
        path: path.to_owned(),
        version,
        rest: range,
        stream: None,
        has_broken: false,
    };
    stream::try_unfold(reading, |mut reading| async move {
        let bytes = reading.next().await?;
        Ok(bytes.map(|bytes| (bytes, reading)))
    })
    .boxed()
}

/// As [`read`], in one piece.
pub(super) async fn read_whole(
    cluster: &Arc<Cluster>,
    path: &str,
    version: Version,
    range: Range<u64>,
) -> Result<Bytes, Fault> {
    let length = (range.end - range.start) as usize;
    let mut pieces = read(cluster, path, version, range);
    let mut whole = Vec::with_capacity(length);
    while let Some(piece) = pieces.try_next().await? {
        if piece.len() == length {
            return Ok(piece);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

struct Reading {
    cluster: Arc<Cluster>,
    path: String,
    version: Version,
    /// What was not read yet.
    rest: Range<u64>,
    stream: Option<BoxStream<'static, Result<Bytes, Fault>>>,
    has_broken: bool,
    tries: Tries,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        while !self.rest.is_empty() {
            match self.step().await {
                Ok(bytes) => {
                    self.rest.start += bytes.len() as u64;
                    self.tries.progressed();
                    return Ok(Some(bytes));
                }
                Err(fault) => {
                    self.stream = None;
                    self.has_broken = true;
                    self.cluster.forget_blocks(&self.path);
                    self.tries.wait_after(fault).await?;
                }
            }
        }
        Ok(None)
    }

    /// The next bytes of the stream, which is opened where it is not.
    async fn step(&mut self) -> Result<Bytes, Fault> {
        if self.stream.is_none() {
            self.stream = Some(self.open().await?);
        }
        let Some(stream) = &mut self.stream else {
            return Ok(Bytes::new());
        };
        // The library changes to another DataNode in a fraction of this.
        let limit = self.cluster.patience.limit;
        let next = within(limit, async { stream.next().await.transpose() }).await?;
        match next {
            Some(bytes) if !bytes.is_empty() => {
                let wanted = (self.rest.end - self.rest.start).min(bytes.len() as u64);
                Ok(bytes.slice(..wanted as usize))
            }
            _ => Err(Fault::new(
                FaultKind::DataNodes,
                format!(
                    "the blocks of `{}` end at byte {}",
                    self.path, self.rest.start
                ),
            )),
        }
    }

    async fn open(&mut self) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        if self.has_broken {
            let call = self.cluster.files.status(&self.path);
            let status = self.cluster.once(call).await?;
            if status.version != self.version {
                let text = format!("`{}` was replaced while it was read", self.path);
                return Err(Fault::new(FaultKind::Replaced, text));
            }
        }
        let blocks = self.cluster.blocks(&self.path, self.version).await?;
        Ok(blocks.read(self.rest.clone()))
    }
}
