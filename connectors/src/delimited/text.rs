//! The text of a file: unpacked, decoded to UTF-8, from any of its bytes on where that is possible.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::encoding::{Encoding, TextDecoder};
use crate::compression::{Compression, in_file};
use crate::files::PinnedFile;

/// Length of the longest byte order mark.
const MARK: usize = 3;

/// A file that is read as text.
#[derive(Clone)]
pub(super) struct TextOfFile {
    pub(super) file: PinnedFile,
    pub(super) compression: Compression,
    /// The encoding of the table, which a byte order mark overrules.
    pub(super) encoding: Encoding,
    /// Whether the text is the very bytes of the file, so that it can be read from any byte on.
    pub(super) is_plain: bool,
    /// The first bytes of the file; of a small one all of them.
    pub(super) first: Bytes,
}

impl TextOfFile {
    /// The text from the byte `start` on; the first `end` bytes and a few more are read ahead. A UTF-8
    /// byte order mark counts as three bytes of the text, and `start` is not inside of it.
    pub(super) fn chunks(&self, start: u64, end: u64) -> BoxStream<'static, Result<Bytes>> {
        if self.is_plain {
            return self.windows(start, end);
        }
        let path = self.file.path().clone();
        let stored = self.windows(0, self.file.size());
        let packed = self.compression.unpack(stored);
        let packed = packed.map_err(move |e| in_file(&path, e)).boxed();
        skip(
            decoded(packed, self.encoding, self.file.path().clone()),
            start,
        )
        .boxed()
    }

    /// The bytes of the file as they are stored.
    fn windows(&self, start: u64, end: u64) -> BoxStream<'static, Result<Bytes>> {
        if self.first.len() as u64 == self.file.size() {
            let start =
                usize::try_from(start).map_or(self.first.len(), |n| n.min(self.first.len()));
            return stream::iter([Ok(self.first.slice(start..))]).boxed();
        }
        // What lies behind the end is read only where the last record is that long.
        self.file.read_ahead(start, end)
    }

    /// The number of the line that holds the byte `offset` of the text.
    ///
    /// # Errors
    /// Those of reading the text up to there.
    pub(super) async fn line_of(&self, offset: u64) -> Result<u64> {
        let mut chunks = self.chunks(0, offset);
        let (mut at, mut line) = (0, 1);
        while let (true, Some(chunk)) = (at < offset, chunks.try_next().await?) {
            let length = usize::try_from(offset - at).map_or(chunk.len(), |n| n.min(chunk.len()));
            line += memchr::memchr_iter(b'\n', &chunk[..length]).count() as u64;
            at += chunk.len() as u64;
        }
        Ok(line)
    }
}

/// The text of unpacked bytes; a UTF-8 byte order mark stays.
pub(super) fn decoded(
    chunks: BoxStream<'static, Result<Bytes>>,
    encoding: Encoding,
    path: Path,
) -> BoxStream<'static, Result<Bytes>> {
    let path = Arc::new(path);
    let state = (chunks, None::<TextDecoder>, false);
    let next = move |(mut chunks, decoder, is_done): (BoxStream<'static, Result<Bytes>>, _, _)| {
        let path = Arc::clone(&path);
        async move {
            if is_done {
                return Ok(None);
            }
            let mut chunk = chunks.try_next().await?;
            let mut decoder = match decoder {
                Some(decoder) => decoder,
                None => {
                    // The mark may be spread over chunks.
                    let mut next = chunk.take();
                    let mut head = Bytes::new();
                    while let Some(more) = next {
                        head = match head.is_empty() {
                            true => more,
                            false => [head, more].concat().into(),
                        };
                        next = match head.len() < MARK {
                            true => chunks.try_next().await?,
                            false => None,
                        };
                    }
                    let (encoding, length) = encoding.marked(&head);
                    let is_kept = encoding == Encoding::Utf8;
                    chunk = Some(head.slice(if is_kept { 0 } else { length }..));
                    TextDecoder::new(encoding)
                }
            };
            match chunk {
                Some(chunk) => {
                    let text = decoder.decode(chunk).map_err(|e| in_file(&path, e))?;
                    Ok(Some((text, (chunks, Some(decoder), false))))
                }
                None => {
                    decoder.finish().map_err(|e| in_file(&path, e))?;
                    Ok(Some((Bytes::new(), (chunks, Some(decoder), true))))
                }
            }
        }
    };
    stream::try_unfold(state, next).boxed()
}

/// The chunks without the first `n_bytes`.
fn skip(
    chunks: BoxStream<'static, Result<Bytes>>,
    n_bytes: u64,
) -> impl stream::Stream<Item = Result<Bytes>> + Send {
    let mut left = n_bytes;
    chunks.map_ok(move |chunk| {
        let n = usize::try_from(left).map_or(chunk.len(), |n| n.min(chunk.len()));
        left -= n as u64;
        chunk.slice(n..)
    })
}
