//! Whole lines out of a byte range of a file, whatever its compression, mark and form.

use std::ops::Range;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::elements::Elements;
use crate::compression::{Compression, MAGIC_BYTES};
use crate::files::PinnedFile;

/// Bytes behind a range that are read with it, for the end of its last line.
const SLACK: u64 = 64 * 1024;
/// Blanks before the first object of a file in which its form is looked for.
const MAX_BLANKS: usize = 64 * 1024;
/// A line may not be longer than this; it bounds the memory that a file without lines could take.
pub(super) const MAX_LINE: usize = 16 * 1024 * 1024;

/// What the lines of a block are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Line,
    /// Of the array that the file is.
    Element,
}

/// Whole lines of a file.
#[derive(Debug)]
pub(super) struct Block {
    /// Offset of the first byte in the (decompressed) file.
    pub(super) offset: u64,
    /// The lines, each with its line break except perhaps the last line of the file.
    pub(super) text: Bytes,
    pub(super) unit: Unit,
}

/// A file as it was listed.
#[derive(Debug, Clone)]
pub(super) struct Source(pub(super) PinnedFile);

type Chunks = BoxStream<'static, Result<Bytes>>;

impl Source {
    /// The lines that start inside `range`, in blocks. Ranges that tile a file yield each line
    /// exactly once; a file that [`Self::is_one_piece`] has to be read as one.
    pub(super) fn blocks(&self, range: Range<u64>) -> BoxStream<'static, Result<Block>> {
        let source = self.clone();
        let blocks = async move {
            let cutter = source.cutter(range).await?;
            Ok::<_, DataFusionError>(stream::try_unfold(cutter, Cutter::next))
        };
        stream::once(blocks).try_flatten().boxed()
    }

    /// Whether the file can be read from its start only: it is compressed, or one array.
    pub(super) async fn is_one_piece(&self) -> Result<bool> {
        let (compression, chunks) = self.unpacked().await?;
        let (_, unit) = begun(chunks, self.0.path()).await?;
        Ok(compression != Compression::None || unit == Unit::Element)
    }

    async fn cutter(&self, range: Range<u64>) -> Result<Cutter> {
        // A range starts one byte early, to see whether its first byte begins a line.
        let mut cutter = Cutter {
            chunks: stream::empty().boxed(),
            pending: Vec::new(),
            offset: range.start.saturating_sub(1),
            skips_line: range.start > 0,
            end: range.end,
            unit: Unit::Line,
            path: self.0.path().clone(),
        };
        if range.start > 0 {
            cutter.chunks = self.windows(&range);
            return Ok(cutter);
        }
        let (compression, chunks) = match range.end < self.0.size() {
            true => (Compression::None, self.windows(&range)),
            false => self.unpacked().await?,
        };
        let (chunks, unit) = begun(chunks, self.0.path()).await?;
        if unit == Unit::Element && range.end < self.0.size() {
            return Err(self.0.changed().into());
        }
        cutter.unit = unit;
        cutter.chunks = match unit {
            Unit::Line => chunks,
            Unit::Element => elements(chunks, self.0.path().clone()),
        };
        if compression != Compression::None || unit == Unit::Element {
            cutter.end = u64::MAX;
        }
        Ok(cutter)
    }

    /// The file from its start without its compression.
    async fn unpacked(&self) -> Result<(Compression, Chunks)> {
        let whole = 0..self.0.size();
        let (head, chunks) = peeked(self.windows(&whole), MAGIC_BYTES as usize).await?;
        let compression = Compression::of(&head)
            .map_err(|e| e.context(format!("cannot read `/{}`", self.0.path())))?;
        let path = self.0.path().clone();
        let chunks = compression.unpack(chunks);
        let chunks = match compression {
            Compression::None => chunks,
            _ => chunks
                .map_err(move |e| e.context(format!("cannot unpack `/{path}`")))
                .boxed(),
        };
        Ok((compression, chunks))
    }

    fn windows(&self, range: &Range<u64>) -> Chunks {
        let start = range.start.saturating_sub(1);
        // What lies behind the range is read only where its last line is that long.
        self.0.read_ahead(start, range.end.saturating_add(SLACK))
    }
}

/// The first `n` bytes, or all where there are fewer, and the stream as it was.
async fn peeked(mut chunks: Chunks, n: usize) -> Result<(Vec<u8>, Chunks)> {
    let mut head = Vec::new();
    while head.len() < n {
        match chunks.try_next().await? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => break,
        }
    }
    let first = Bytes::from(head.clone());
    Ok((head, stream::iter([Ok(first)]).chain(chunks).boxed()))
}

/// The text without a byte order mark, and what it holds.
async fn begun(mut chunks: Chunks, path: &Path) -> Result<(Chunks, Unit)> {
    let mut head = Vec::new();
    let first = loop {
        let mark = head
            .iter()
            .position(|byte: &u8| !byte.is_ascii_whitespace());
        match mark {
            // A mark has three bytes, and no text begins with its first one.
            Some(at) if head.len() >= at + 4 || head[at].is_ascii() => break head.get(at),
            None if head.len() > MAX_BLANKS => break None,
            _ => match chunks.try_next().await? {
                Some(chunk) => head.extend_from_slice(&chunk),
                None => break head.iter().find(|byte| !byte.is_ascii_whitespace()),
            },
        }
    };
    let first = match first.copied() {
        Some(0xef) if head.starts_with(b"\xef\xbb\xbf") => {
            // Blanks in its place keep the positions of all that follows.
            head[..3].fill(b' ');
            let (more, rest) = with_mark(head, chunks).await?;
            head = more;
            chunks = rest;
            head.iter()
                .copied()
                .find(|byte| !byte.is_ascii_whitespace())
        }
        Some(0xfe | 0xff) => {
            return Err(DataFusionError::Execution(format!(
                "`/{path}` is not UTF-8 text but UTF-16 or something else; convert it to UTF-8"
            )));
        }
        first => first,
    };
    let unit = match first {
        Some(b'[') => Unit::Element,
        _ => Unit::Line,
    };
    Ok((
        stream::iter([Ok(Bytes::from(head))]).chain(chunks).boxed(),
        unit,
    ))
}

/// Reads on until there is more than blanks.
async fn with_mark(mut head: Vec<u8>, mut chunks: Chunks) -> Result<(Vec<u8>, Chunks)> {
    while head.len() <= MAX_BLANKS && head.iter().all(u8::is_ascii_whitespace) {
        match chunks.try_next().await? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok((head, chunks))
}

/// The elements of the array in `chunks` as lines.
fn elements(chunks: Chunks, path: Path) -> Chunks {
    let wrong = move |what: String| {
        DataFusionError::Execution(format!(
            "`/{path}` is not one JSON array of objects: {what}"
        ))
    };
    let state = (chunks, Some(Elements::default()), wrong);
    let lines = stream::try_unfold(state, async |(mut chunks, elements, wrong)| {
        let Some(mut elements) = elements else {
            return Ok(None);
        };
        match chunks.try_next().await? {
            Some(chunk) => {
                let mut text = Vec::from(chunk);
                elements.rewrite(&mut text).map_err(&wrong)?;
                Ok(Some((Bytes::from(text), (chunks, Some(elements), wrong))))
            }
            None => {
                elements.finish().map_err(&wrong)?;
                Ok(None)
            }
        }
    });
    lines.boxed()
}

/// Cuts chunks behind line breaks.
struct Cutter {
    chunks: Chunks,
    /// The beginning of a line that goes on in the next chunk.
    pending: Vec<u8>,
    /// File offset of the first byte that was not yielded yet.
    offset: u64,
    /// Whether the first line still has to be left out.
    skips_line: bool,
    /// Lines that start at or after this offset belong to the next range.
    end: u64,
    unit: Unit,
    path: Path,
}

impl Cutter {
    async fn next(mut self) -> Result<Option<(Block, Self)>> {
        loop {
            if !self.skips_line && self.offset >= self.end {
                return Ok(None);
            }
            let Some(mut chunk) = self.chunks.try_next().await? else {
                let rest = std::mem::take(&mut self.pending);
                return Ok((!rest.is_empty()).then(|| self.block(rest.into())));
            };
            if self.skips_line {
                let found = memchr::memchr(b'\n', &chunk);
                let skipped = chunk.split_to(found.map_or(chunk.len(), |at| at + 1));
                self.offset += skipped.len() as u64;
                self.skips_line = found.is_none();
                if self.skips_line || self.offset >= self.end {
                    continue;
                }
            }
            self.pending.extend_from_slice(&chunk);
            if let Some(text) = self.whole_lines() {
                return Ok(Some(self.block(text)));
            }
            if self.pending.len() > MAX_LINE {
                return Err(DataFusionError::Execution(format!(
                    "the line at byte {} of `/{}` is longer than {MAX_LINE} bytes; a file has one object per \
                     line, or is one array of objects",
                    self.offset, self.path
                )));
            }
        }
    }

    /// Takes the lines that are whole and in the range.
    fn whole_lines(&mut self) -> Option<Bytes> {
        let mut cut = memchr::memrchr(b'\n', &self.pending)? + 1;
        // The last line of the range is the one that holds the byte before `end`.
        let last = usize::try_from(self.end - self.offset - 1).unwrap_or(usize::MAX);
        if last < cut {
            cut = memchr::memchr(b'\n', &self.pending[last..]).map_or(cut, |at| last + at + 1);
        }
        let rest = self.pending.split_off(cut);
        Some(std::mem::replace(&mut self.pending, rest).into())
    }

    fn block(mut self, text: Bytes) -> (Block, Self) {
        let offset = self.offset;
        self.offset += text.len() as u64;
        let unit = self.unit;
        (Block { offset, text, unit }, self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use proptest::prelude::*;

    use super::*;
    use crate::files::FileVersion;

    async fn source(bytes: Vec<u8>) -> Source {
        let (store, path) = (InMemory::new(), Path::from("f"));
        store.put(&path, bytes.into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        let version = FileVersion::of(&meta);
        Source(PinnedFile::new(Arc::new(store), path, version))
    }

    /// The text of the ranges, in which every block has to be where it says.
    async fn read(source: &Source, ends: &[u64]) -> Result<String> {
        let (mut text, mut start) = (String::new(), 0);
        for end in ends {
            let mut blocks = source.blocks(start..*end);
            while let Some(block) = blocks.try_next().await? {
                assert_eq!(block.offset, text.len() as u64);
                text.push_str(std::str::from_utf8(&block.text).unwrap());
            }
            start = *end;
        }
        Ok(text)
    }

    fn packed(kind: &FileCompressionType, text: &str) -> Vec<u8> {
        let text = stream::iter([Ok(Bytes::from(text.to_owned()))]).boxed();
        let chunks = kind.convert_to_compress_stream(text).unwrap();
        let chunks: Vec<Bytes> = futures::executor::block_on(chunks.try_collect()).unwrap();
        chunks.concat()
    }

    proptest! {
        #[test]
        fn ranges_that_tile_a_file_yield_each_line_once(
            text in "[ab\n]{1,60}",
            cuts in prop::collection::vec(0_u64..61, 0..4),
        ) {
            let size = text.len() as u64;
            let mut ends: Vec<_> = cuts.iter().map(|at| at % size).filter(|at| *at > 0).collect();
            ends.push(size);
            ends.sort_unstable();
            ends.dedup();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let found = runtime.block_on(async {
                read(&source(text.clone().into_bytes()).await, &ends).await.unwrap()
            });
            prop_assert_eq!(found, text);
        }
    }

    #[tokio::test]
    async fn a_file_is_text_whatever_it_is_packed_in() {
        for (text, expected) in [
            ("{\"a\": 1}\n{}\n", "{\"a\": 1}\n{}\n"),
            ("\u{feff}{}\n", "   {}\n"),
            ("\u{feff}\n\n [{},\n{}]", "       {}\n {} "),
            ("[\n{},{}\n]\n", "  {}\n{}   "),
            ("\n\n", "\n\n"),
            ("", ""),
        ] {
            let plain = source(text.as_bytes().to_vec()).await;
            assert_eq!(read(&plain, &[plain.0.size()]).await.unwrap(), expected);
            assert_eq!(plain.is_one_piece().await.unwrap(), text.contains('['));
            for kind in [
                FileCompressionType::GZIP,
                FileCompressionType::ZSTD,
                FileCompressionType::BZIP2,
                FileCompressionType::XZ,
            ] {
                let packed = source(packed(&kind, text)).await;
                assert_eq!(read(&packed, &[packed.0.size()]).await.unwrap(), expected);
                assert!(packed.is_one_piece().await.unwrap());
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_whole_is_an_error() {
        for (bytes, expected) in [
            (b"\xff\xfe{\0}\0".to_vec(), "convert it to UTF-8"),
            (b"[{}".to_vec(), "the file ends inside of the array"),
            (
                vec![b'x'; MAX_LINE + 1],
                "the line at byte 0 of `/f` is longer than",
            ),
        ] {
            let source = source(bytes).await;
            let error = read(&source, &[source.0.size()])
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
