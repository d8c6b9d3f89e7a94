//! Blocks of whole lines out of a byte range of a file, plain or gzip.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::buffer::Buffer;
use datafusion::common::Result;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::DataFusionError;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

/// Bytes that one read asks for.
const WINDOW: u64 = 4 * 1024 * 1024;
/// A line may not be longer than this; it bounds the memory that a binary file could take.
pub(super) const MAX_LINE: usize = 16 * 1024 * 1024;

/// Whole lines of a file.
pub(super) struct Block {
    /// Offset of the first byte in the (decompressed) file.
    pub(super) offset: u64,
    /// The lines, each with its line break except perhaps the last line of the file.
    pub(super) text: Buffer,
}

/// The lines that start inside `range` of the file, in blocks.
///
/// A range that does not start at 0 leaves the line that it starts in to the range before, and
/// every range reads its last line to the end, so that ranges which tile a file yield each line
/// exactly once.
pub(super) fn blocks(
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    range: Range<u64>,
) -> BoxStream<'static, Result<Block>> {
    let chunks = if is_gzip(&path) {
        gzip_chunks(store, path)
    } else {
        windows(store, path, size, &range)
    };
    // A range starts one byte early, to see whether its first byte begins a line.
    let start = range.start.saturating_sub(1);
    let state = Cutter {
        chunks,
        tail: Vec::new(),
        offset: start,
        skip_line: range.start > 0,
        end: range.end,
        done: false,
    };
    stream::try_unfold(state, Cutter::next).boxed()
}

/// Whether the file is compressed, and so can only be read from its start.
pub(super) fn is_gzip(path: &Path) -> bool {
    path.extension() == Some("gz")
}

fn windows(
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    range: &Range<u64>,
) -> BoxStream<'static, Result<Bytes>> {
    let start = range.start.saturating_sub(1);
    let reads = (0..)
        .map(move |n| start + n * WINDOW)
        .take_while(move |at| *at < size);
    stream::iter(reads)
        .map(move |at| {
            let store = Arc::clone(&store);
            let path = path.clone();
            // Spawned, so that the next window is read while this one is parsed.
            let read = datafusion::common::runtime::SpawnedTask::spawn(async move {
                store.get_range(&path, at..(at + WINDOW).min(size)).await
            });
            async move {
                let read = read
                    .await
                    .map_err(|e| DataFusionError::External(Box::new(e)))?;
                read.map_err(|e| DataFusionError::ObjectStore(Box::new(e)))
            }
        })
        .buffered(2)
        .boxed()
}

fn gzip_chunks(store: Arc<dyn ObjectStore>, path: Path) -> BoxStream<'static, Result<Bytes>> {
    stream::once(async move {
        let found = store
            .get(&path)
            .await
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)))?;
        let packed = found
            .into_stream()
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)));
        FileCompressionType::GZIP.convert_stream(packed.boxed())
    })
    .try_flatten()
    .boxed()
}

struct Cutter {
    chunks: BoxStream<'static, Result<Bytes>>,
    /// Bytes after the last line break seen so far.
    tail: Vec<u8>,
    /// File offset of the first byte of `tail`.
    offset: u64,
    /// Whether the first line still has to be left out.
    skip_line: bool,
    /// Lines that start at or after this offset belong to the next range.
    end: u64,
    done: bool,
}

impl Cutter {
    async fn next(mut self) -> Result<Option<(Block, Self)>> {
        while !self.done {
            match self.chunks.try_next().await? {
                Some(chunk) => self.tail.extend_from_slice(&chunk),
                None => self.done = true,
            }
            if self.skip_line {
                match memchr::memchr(b'\n', &self.tail) {
                    Some(at) => {
                        self.tail.drain(..=at);
                        self.offset += at as u64 + 1;
                        self.skip_line = false;
                    }
                    None if self.done => return Ok(None),
                    None => {
                        self.check_length()?;
                        continue;
                    }
                }
            }
            if self.offset >= self.end {
                return Ok(None);
            }
            let mut cut = if self.done {
                self.tail.len()
            } else {
                memchr::memrchr(b'\n', &self.tail).map_or(0, |at| at + 1)
            };
            // The last line of the range is the one that holds the byte before `end`.
            let last = (self.end - self.offset - 1) as usize;
            if last < cut {
                cut = memchr::memchr(b'\n', &self.tail[last..cut]).map_or(cut, |at| last + at + 1);
                self.done = true;
            }
            if cut == 0 {
                self.check_length()?;
                continue;
            }
            let rest = self.tail.split_off(cut);
            let text = std::mem::replace(&mut self.tail, rest);
            let block = Block {
                offset: self.offset,
                text: Buffer::from_vec(text),
            };
            self.offset += cut as u64;
            return Ok(Some((block, self)));
        }
        Ok(None)
    }

    fn check_length(&self) -> Result<()> {
        if self.tail.len() <= MAX_LINE {
            return Ok(());
        }
        Err(DataFusionError::Execution(format!(
            "the line at byte {} is longer than {MAX_LINE} bytes; is this a text file?",
            self.offset
        )))
    }
}
