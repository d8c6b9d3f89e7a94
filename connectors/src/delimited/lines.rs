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
/// Bytes behind a range that are read with it, for the end of its last line.
const SLACK: u64 = 64 * 1024;
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
        rest: Buffer::default(),
        tail: Vec::new(),
        offset: start,
        skip_line: range.start > 0,
        end: range.end,
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
    let stop = range.end.saturating_add(SLACK).min(size);
    let read = move |window: Range<u64>| {
        let store = Arc::clone(&store);
        let path = path.clone();
        // Spawned, so that the next window is read while this one is parsed.
        let read = datafusion::common::runtime::SpawnedTask::spawn(async move {
            store.get_range(&path, window).await
        });
        async move {
            let read = read
                .await
                .map_err(|e| DataFusionError::External(Box::new(e)))?;
            read.map_err(|e| DataFusionError::ObjectStore(Box::new(e)))
        }
    };
    let cut = |start: u64, stop: u64| {
        let starts = (0..).map(move |n| start + n * WINDOW);
        let starts = starts.take_while(move |at| *at < stop);
        starts.map(move |at| at..(at + WINDOW).min(stop))
    };
    // What lies behind the range is read only where its last line is that long.
    let inside = stream::iter(cut(start, stop)).map(read.clone()).buffered(2);
    let behind = stream::iter(cut(stop, size)).map(read).buffered(1);
    inside.chain(behind).boxed()
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

/// Cuts chunks behind line breaks. A chunk is not copied, but for the lines that it begins and ends in
/// the middle of.
struct Cutter {
    chunks: BoxStream<'static, Result<Bytes>>,
    /// The part of the last chunk that was not yielded yet.
    rest: Buffer,
    /// The beginning of a line that goes on in `rest` or in the next chunk.
    tail: Vec<u8>,
    /// File offset of the first byte of `tail`, and of `rest` where that is empty.
    offset: u64,
    /// Whether the first line still has to be left out.
    skip_line: bool,
    /// Lines that start at or after this offset belong to the next range.
    end: u64,
}

impl Cutter {
    async fn next(mut self) -> Result<Option<(Block, Self)>> {
        loop {
            if self.rest.is_empty() {
                match self.chunks.try_next().await? {
                    Some(chunk) => self.rest = Buffer::from(chunk),
                    None => return Ok(self.last_line()),
                }
            }
            if self.skip_line {
                let skipped = memchr::memchr(b'\n', &self.rest);
                let n_bytes = skipped.map_or(self.rest.len(), |at| at + 1);
                self.take(n_bytes);
                self.offset += n_bytes as u64;
                self.skip_line = skipped.is_none();
                continue;
            }
            if self.offset >= self.end {
                return Ok(None);
            }
            let text = if self.tail.is_empty() {
                self.whole_lines()
            } else {
                self.split_line()
            };
            if let Some(text) = text {
                return Ok(Some(self.block(text)));
            }
            self.check_length()?;
        }
    }

    /// Takes the first bytes of the rest.
    fn take(&mut self, n_bytes: usize) -> Buffer {
        let taken = self.rest.slice_with_length(0, n_bytes);
        self.rest = self.rest.slice(n_bytes);
        taken
    }

    /// The lines that lie in the rest as a whole and in the range; keeps the beginning of a line.
    fn whole_lines(&mut self) -> Option<Buffer> {
        let mut cut = memchr::memrchr(b'\n', &self.rest).map_or(0, |at| at + 1);
        // The last line of the range is the one that holds the byte before `end`.
        let last = usize::try_from(self.end - self.offset - 1).unwrap_or(usize::MAX);
        if last < cut {
            cut = memchr::memchr(b'\n', &self.rest[last..cut]).map_or(cut, |at| last + at + 1);
        }
        if cut > 0 {
            return Some(self.take(cut));
        }
        self.tail.extend_from_slice(&self.rest);
        self.rest = Buffer::default();
        None
    }

    /// The line whose beginning was kept, if it ends in the rest.
    fn split_line(&mut self) -> Option<Buffer> {
        let end = memchr::memchr(b'\n', &self.rest);
        let piece = self.take(end.map_or(self.rest.len(), |at| at + 1));
        self.tail.extend_from_slice(&piece);
        end.map(|_| Buffer::from_vec(std::mem::take(&mut self.tail)))
    }

    /// The line at the end of the file that no line break ends.
    fn last_line(mut self) -> Option<(Block, Self)> {
        if self.tail.is_empty() || self.skip_line || self.offset >= self.end {
            return None;
        }
        let text = Buffer::from_vec(std::mem::take(&mut self.tail));
        Some(self.block(text))
    }

    fn block(mut self, text: Buffer) -> (Block, Self) {
        let offset = self.offset;
        self.offset += text.len() as u64;
        (Block { offset, text }, self)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cutter(chunks: Vec<Bytes>, range: Range<u64>) -> Cutter {
        Cutter {
            chunks: stream::iter(chunks.into_iter().map(Ok)).boxed(),
            rest: Buffer::default(),
            tail: Vec::new(),
            offset: range.start.saturating_sub(1),
            skip_line: range.start > 0,
            end: range.end,
        }
    }

    proptest! {
        #[test]
        fn ranges_that_tile_a_text_yield_each_line_once(
            text in "[ab\n]{0,60}",
            cuts in prop::collection::vec(0_usize..61, 0..4),
            size in 1_usize..9,
        ) {
            let bytes = Bytes::from(text.clone());
            let mut ends: Vec<_> = cuts.iter().map(|at| at % (text.len() + 1)).collect();
            ends.push(text.len());
            ends.sort_unstable();
            ends.dedup();
            let (mut start, mut seen) = (0, String::new());
            for end in ends {
                let from = start.max(1) - 1;
                let chunks = (from..text.len()).step_by(size);
                let chunks = chunks.map(|at| bytes.slice(at..(at + size).min(text.len())));
                let range = start as u64..end as u64;
                let blocks = stream::try_unfold(cutter(chunks.collect(), range), Cutter::next);
                for block in futures::executor::block_on(blocks.try_collect::<Vec<_>>()).unwrap() {
                    prop_assert_eq!(block.offset, seen.len() as u64);
                    seen.push_str(std::str::from_utf8(&block.text).unwrap());
                    prop_assert!(seen.ends_with('\n') || seen.len() == text.len());
                }
                prop_assert!(seen.len() >= end);
                start = end;
            }
            prop_assert_eq!(seen, text);
        }
    }
}
