//! Files from a thread that computes to a store that is asynchronous.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use emporia_core::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Size of the pieces that go to the store; some stores take no smaller ones.
const PIECE_BYTES: usize = 5 << 20;
/// Pieces of one file that are on their way to the store at a time.
const PIECES_IN_FLIGHT: usize = 2;

/// A folder of a store, below which tables are written.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) base: Path,
    /// What the user called the folder, for messages.
    pub(crate) label: String,
}

/// What became of one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What the computing thread tells the task that uploads.
enum Message {
    Piece(Bytes),
    Rows(u64),
}

impl Folder {
    /// Writes one file from what `produce` puts into the sink, on a thread of its own; `on_rows`
    /// hears of the rows that the sink was told of. A file that fails is not left behind.
    pub(crate) async fn write_file<P>(
        &self,
        relative: &str,
        produce: P,
        mut on_rows: impl FnMut(u64),
    ) -> Result<Written>
    where
        P: FnOnce(FileSink) -> Result<FileSink> + Send + 'static,
    {
        let location = self.path(relative);
        let upload = self
            .store
            .put_multipart(&location)
            .await
            .map_err(|e| self.failed("write", relative, e))?;
        let mut upload = Upload::new(upload);

        let (sender, mut receiver) = mpsc::channel(1);
        let producer =
            tokio::task::spawn_blocking(move || produce(FileSink::new(sender))?.finish());
        let mut written = Written { rows: 0, bytes: 0 };
        let mut stored = Ok(());
        while let Some(message) = receiver.recv().await {
            match message {
                Message::Rows(rows) => {
                    written.rows += rows;
                    on_rows(rows);
                }
                Message::Piece(piece) => {
                    written.bytes += piece.len() as u64;
                    stored = upload.put(piece).await;
                    if stored.is_err() {
                        break;
                    }
                }
            }
        }
        // A producer that still runs sees the closed channel and stops.
        drop(receiver);
        let produced = producer
            .await
            .map_err(|e| Error::internal(format!("a writer of `{relative}` died")).with_source(e))
            .flatten();
        let mut outcome = stored
            .map_err(|e| self.failed("write", relative, e))
            .and(produced);
        if outcome.is_ok() {
            let finished = upload.finish().await;
            outcome = finished.map_err(|e| self.failed("write", relative, e));
        }
        if outcome.is_err() {
            upload.abort().await;
        }
        outcome.map(|()| written)
    }

    /// Writes a small text file at once.
    pub(crate) async fn write_text(&self, relative: &str, text: String) -> Result<()> {
        self.store
            .put(&self.path(relative), text.into())
            .await
            .map(drop)
            .map_err(|e| self.failed("write", relative, e))
    }

    pub(super) fn path(&self, relative: &str) -> Path {
        relative
            .split('/')
            .fold(self.base.clone(), |path, part| path.join(part))
    }

    pub(super) fn failed(&self, action: &str, relative: &str, cause: object_store::Error) -> Error {
        let kind = match &cause {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => ErrorKind::PermissionDenied,
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            object_store::Error::NotSupported { .. }
            | object_store::Error::NotImplemented { .. } => ErrorKind::Unsupported,
            _ if is_full(&cause) => ErrorKind::ResourceExhausted,
            // A disk of this machine is not somewhere that may be reached later.
            _ if !self.label.contains("://") || self.label.starts_with("file:") => {
                ErrorKind::Failed
            }
            _ => ErrorKind::Unavailable,
        };
        let hint = match kind {
            ErrorKind::ResourceExhausted => "free space in the folder, or choose another",
            _ => "check that you can write to the folder",
        };
        Error::new(
            kind,
            format!("cannot {action} `{relative}` in `{}`", self.label),
        )
        .with_hint(hint)
        .with_source(cause)
    }
}

/// Whether a disk is full.
fn is_full(error: &object_store::Error) -> bool {
    let error: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(error), |&cause| cause.source()).any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::StorageFull)
    })
}

/// A file on its way to the store, in pieces.
struct Upload {
    target: Box<dyn MultipartUpload>,
    pieces: JoinSet<object_store::Result<()>>,
}

impl Upload {
    fn new(target: Box<dyn MultipartUpload>) -> Self {
        Self {
            target,
            pieces: JoinSet::new(),
        }
    }

    /// Sends a piece as soon as few others are on their way.
    async fn put(&mut self, piece: Bytes) -> object_store::Result<()> {
        while self.pieces.len() >= PIECES_IN_FLIGHT
            && let Some(stored) = self.pieces.join_next().await
        {
            stored??;
        }
        self.pieces.spawn(self.target.put_part(piece.into()));
        Ok(())
    }

    /// Makes the file appear once all pieces are there.
    async fn finish(&mut self) -> object_store::Result<()> {
        while let Some(stored) = self.pieces.join_next().await {
            stored??;
        }
        self.target.complete().await.map(drop)
    }

    /// Removes what was stored. The first error is the one to report, so another is passed over.
    async fn abort(mut self) {
        self.pieces.shutdown().await;
        let _ = self.target.abort().await;
    }
}

/// Where the bytes of one file go; it waits while the store is slower than the thread.
#[derive(Debug)]
pub(crate) struct FileSink {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Message>,
}

impl FileSink {
    fn new(sender: mpsc::Sender<Message>) -> Self {
        Self {
            buffer: Vec::with_capacity(PIECE_BYTES + (PIECE_BYTES >> 3)),
            sender,
        }
    }

    /// Counts rows for the progress and the summary.
    pub(crate) fn add_rows(&self, rows: u64) -> Result<()> {
        self.send(Message::Rows(rows)).map_err(stopped)
    }

    /// Counts rows while an encoder holds the sink.
    pub(crate) fn reporter(&self) -> RowReporter {
        RowReporter {
            sender: self.sender.clone(),
        }
    }

    /// Lets text be appended by hand; bytes go to the store when enough of them are there.
    pub(crate) fn append(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        fill(&mut self.buffer);
        self.send_when(PIECE_BYTES).map_err(stopped)
    }

    fn finish(mut self) -> Result<()> {
        self.send_when(1).map_err(stopped)
    }

    fn send_when(&mut self, at_least: usize) -> io::Result<()> {
        if self.buffer.len() < at_least {
            return Ok(());
        }
        let next = Vec::with_capacity(self.buffer.capacity());
        let piece = std::mem::replace(&mut self.buffer, next);
        self.send(Message::Piece(Bytes::from(piece)))
    }

    fn send(&self, message: Message) -> io::Result<()> {
        self.sender
            .blocking_send(message)
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.send_when(PIECE_BYTES)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts rows of a file whose sink is in use.
#[derive(Debug)]
pub(crate) struct RowReporter {
    sender: mpsc::Sender<Message>,
}

impl RowReporter {
    /// As [`FileSink::add_rows`].
    pub(crate) fn add_rows(&self, rows: u64) -> Result<()> {
        self.sender
            .blocking_send(Message::Rows(rows))
            .map_err(|_| stopped(io::ErrorKind::BrokenPipe.into()))
    }
}

/// The uploading task is gone; it reports why, this error is never seen.
fn stopped(cause: io::Error) -> Error {
    Error::new(ErrorKind::Cancelled, "the upload of a file was stopped").with_source(cause)
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;

    use super::*;

    fn folder(label: &str) -> Folder {
        Folder {
            store: Arc::new(LocalFileSystem::new()),
            base: Path::default(),
            label: label.to_owned(),
        }
    }

    fn io(kind: io::ErrorKind) -> object_store::Error {
        object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(kind)),
        }
    }

    #[test]
    fn a_full_disk_is_no_cluster_that_cannot_be_reached() {
        let kind = |label: &str, error| folder(label).failed("write", "x", error).kind();
        for label in ["out", "file:///out", "hdfs://nn/out"] {
            let full = kind(label, io(io::ErrorKind::StorageFull));
            assert_eq!(full, ErrorKind::ResourceExhausted, "{label}");
        }
        let other = || io(io::ErrorKind::NotADirectory);
        assert_eq!(kind("out", other()), ErrorKind::Failed);
        assert_eq!(kind("hdfs://nn/out", other()), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_file_that_fails_leaves_nothing() -> Result<()> {
        let root = tempfile::tempdir().map_err(|e| Error::internal(e.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(root.path())
            .map_err(|e| Error::internal(e.to_string()))?;
        let folder = Folder {
            store: Arc::new(store),
            ..folder("out")
        };
        let fill = |mut sink: FileSink| {
            sink.append(|buffer| buffer.extend_from_slice(b"abc"))?;
            Ok(sink)
        };
        let written = folder.write_file("a", fill, |_| ()).await?;
        assert_eq!(written.bytes, 3);
        let fail = move |sink: FileSink| {
            drop(fill(sink)?);
            Err(Error::invalid("no more"))
        };
        assert!(folder.write_file("b", fail, |_| ()).await.is_err());
        let names = std::fs::read_dir(root.path()).map_err(|e| Error::internal(e.to_string()))?;
        let names: Vec<_> = names.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["a"]);
        Ok(())
    }
}
