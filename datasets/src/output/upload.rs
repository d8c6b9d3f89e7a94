//! Files from a thread that computes to a store that is asynchronous.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use emporia_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::sync::mpsc;

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
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PIECE_BYTES);

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
                    stored = upload.wait_for_capacity(PIECES_IN_FLIGHT).await;
                    if stored.is_err() {
                        break;
                    }
                    upload.put(piece);
                }
            }
        }
        // A producer that still runs sees the closed channel and stops.
        drop(receiver);
        let produced = producer
            .await
            .map_err(|e| Error::internal(format!("a writer of `{relative}` died")).with_source(e))
            .flatten();
        let outcome = stored
            .map_err(|e| self.failed("write", relative, e))
            .and(produced);
        if let Err(error) = outcome {
            // The first error is the one to report.
            let _ = upload.abort().await;
            return Err(error);
        }
        upload
            .finish()
            .await
            .map_err(|e| self.failed("write", relative, e))?;
        Ok(written)
    }

    /// Writes a small text file at once.
    pub(crate) async fn write_text(&self, relative: &str, text: String) -> Result<()> {
        self.store
            .put(&self.path(relative), text.into())
            .await
            .map(drop)
            .map_err(|e| self.failed("write", relative, e))
    }

    /// The names of the part files of a table.
    pub(crate) async fn parts(&self, table: &str) -> Result<Vec<Path>> {
        let prefix = self.path(table);
        self.store
            .list(Some(&prefix))
            .map_ok(|object| object.location)
            .try_filter(|path| {
                let is_part = path
                    .filename()
                    .is_some_and(|name| name.starts_with("part-"));
                futures::future::ready(is_part)
            })
            .try_collect()
            .await
            .map_err(|e| self.failed("list", table, e))
    }

    /// Makes room for a table: its old part files go, or are an error.
    pub(crate) async fn clear(&self, table: &str, overwrite: bool) -> Result<()> {
        let old = self.parts(table).await?;
        if !old.is_empty() && !overwrite {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("`{}` holds table `{table}` already", self.label),
            )
            .with_hint("choose another folder or ask to overwrite"));
        }
        for path in old {
            self.store
                .delete(&path)
                .await
                .map_err(|e| self.failed("delete", path.as_ref(), e))?;
        }
        Ok(())
    }

    fn path(&self, relative: &str) -> Path {
        relative
            .split('/')
            .fold(self.base.clone(), |path, part| path.join(part))
    }

    fn failed(&self, action: &str, relative: &str, cause: object_store::Error) -> Error {
        let kind = match &cause {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => ErrorKind::PermissionDenied,
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            object_store::Error::NotSupported { .. }
            | object_store::Error::NotImplemented { .. } => ErrorKind::Unsupported,
            _ => ErrorKind::Unavailable,
        };
        Error::new(
            kind,
            format!("cannot {action} `{relative}` in `{}`", self.label),
        )
        .with_hint("check that the folder can be written and has room")
        .with_source(cause)
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
