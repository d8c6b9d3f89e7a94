//! Blocks of whole records out of a range of the text of a file.

use std::ops::Range;

use bytes::Bytes;
use datafusion::arrow::buffer::Buffer;
use datafusion::common::Result;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::dialect::{Dialect, Scanner};
use super::failure::Failure;
use super::text::TextOfFile;

/// Bytes behind a range that are read with it, for the end of its last record.
const SLACK: u64 = 64 * 1024;
/// A record may not be longer than this; it bounds the memory that a binary file could take.
pub(super) const MAX_RECORD: usize = 16 * 1024 * 1024;

/// Whole records of a file.
pub(super) struct Block {
    /// Offset of the first byte in the text of the file.
    pub(super) offset: u64,
    /// The records, each with its line break except perhaps the last record of the file.
    pub(super) text: Buffer,
}

/// Where a range begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At the beginning of a record.
    Record,
    /// Anywhere, in a text whose lines are records: a line that it begins in the middle of belongs to
    /// the range before.
    Anywhere,
}

/// The records that start inside `range` of the text, in blocks.
///
/// Every range reads its last record to the end, so that ranges which tile a file yield each record
/// exactly once.
pub(super) fn blocks(
    text: &TextOfFile,
    dialect: Dialect,
    range: Range<u64>,
    start: Start,
) -> BoxStream<'static, Result<Block, Failure>> {
    if range.start >= range.end {
        return stream::empty().boxed();
    }
    let (from, slack) = match start {
        Start::Record => (range.start, 0),
        // One byte early, to see whether the first byte begins a line.
        Start::Anywhere => (range.start.saturating_sub(1), SLACK),
    };
    let chunks = text.chunks(from, range.end.saturating_add(slack));
    let cutter = Cutter {
        skip_line: start == Start::Anywhere && range.start > 0,
        ..Cutter::new(chunks, dialect, from, range.end)
    };
    stream::try_unfold(cutter, Cutter::next).boxed()
}

/// All records of the text in `chunks`, of which the first one begins at `offset` of the text of its file.
#[cfg(any(test, fuzzing))]
pub(super) fn all_records(
    chunks: BoxStream<'static, Result<Bytes>>,
    dialect: Dialect,
    offset: u64,
) -> BoxStream<'static, Result<Block, Failure>> {
    let cutter = Cutter::new(chunks, dialect, offset, u64::MAX);
    stream::try_unfold(cutter, Cutter::next).boxed()
}

/// Cuts chunks behind records. A chunk is not copied, but for the records that it begins and ends in
/// the middle of.
struct Cutter {
    chunks: BoxStream<'static, Result<Bytes>>,
    scanner: Scanner,
    chunk: Buffer,
    /// Bytes of the chunk that were yielded or kept.
    used: usize,
    /// The beginning of a record that goes on in the next chunk.
    tail: Vec<u8>,
    /// Offset of the first byte of `tail`, and of the unused part of the chunk where that is empty.
    offset: u64,
    /// Whether the first line still has to be left out.
    skip_line: bool,
    /// Records that start at or after this offset belong to the next range.
    end: u64,
}

impl Cutter {
    fn new(
        chunks: BoxStream<'static, Result<Bytes>>,
        dialect: Dialect,
        offset: u64,
        end: u64,
    ) -> Self {
        Self {
            chunks,
            scanner: Scanner::new(dialect),
            chunk: Buffer::default(),
            used: 0,
            tail: Vec::new(),
            offset,
            skip_line: false,
            end,
        }
    }

    async fn next(mut self) -> Result<Option<(Block, Self)>, Failure> {
        loop {
            if self.offset >= self.end {
                return Ok(None);
            }
            if self.used == self.chunk.len() {
                match self.chunks.try_next().await? {
                    Some(chunk) => {
                        self.chunk = Buffer::from(chunk);
                        self.used = 0;
                        self.scanner.scan(&self.chunk);
                    }
                    None => return Ok(self.last_record()),
                }
            }
            if self.skip_line {
                let skipped = memchr::memchr(b'\n', &self.chunk[self.used..]);
                let n_bytes = skipped.map_or(self.chunk.len() - self.used, |at| at + 1);
                self.used += n_bytes;
                self.offset += n_bytes as u64;
                self.skip_line = skipped.is_none();
                continue;
            }
            let text = if self.tail.is_empty() {
                self.whole_records()
            } else {
                self.split_record()
            };
            if let Some(text) = text {
                return Ok(Some(self.block(text)));
            }
            self.check_length()?;
        }
    }

    /// The records that lie in the chunk as a whole and in the range; keeps the beginning of one.
    fn whole_records(&mut self) -> Option<Buffer> {
        let mut cut = match self.scanner.last_break() {
            Some(at) if at >= self.used => at + 1,
            _ => self.used,
        };
        // The last record of the range is the one that holds the byte before `end`.
        let last = usize::try_from(self.end - self.offset - 1)
            .map_or(usize::MAX, |n| self.used.saturating_add(n));
        if last < cut {
            let end = self.scanner.first_break(&self.chunk, last);
            cut = end.map_or(cut, |at| at + 1);
        }
        if cut > self.used {
            let text = self.chunk.slice_with_length(self.used, cut - self.used);
            self.used = cut;
            return Some(text);
        }
        self.tail.extend_from_slice(&self.chunk[self.used..]);
        self.used = self.chunk.len();
        None
    }

    /// The record whose beginning was kept, if it ends in the chunk.
    fn split_record(&mut self) -> Option<Buffer> {
        let end = self.scanner.first_break(&self.chunk, self.used);
        let cut = end.map_or(self.chunk.len(), |at| at + 1);
        self.tail.extend_from_slice(&self.chunk[self.used..cut]);
        self.used = cut;
        end.map(|_| Buffer::from_vec(std::mem::take(&mut self.tail)))
    }

    /// The record at the end of the text that no line break ends.
    fn last_record(mut self) -> Option<(Block, Self)> {
        if self.tail.is_empty() || self.skip_line {
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

    fn check_length(&self) -> Result<(), Failure> {
        if self.tail.len() <= MAX_RECORD {
            return Ok(());
        }
        Err(Failure::Record {
            offset: self.offset,
            text: format!(
                "it is longer than {MAX_RECORD} bytes; is a quote not closed, or is this not a text file?"
            ),
            hint: "with the table option multiline = \"false\" every line is a record",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delimited::options::{DelimitedOptions, Records};

    proptest! {
        #[test]
        fn ranges_that_tile_a_text_yield_each_line_once(
            text in "[ab\n\"]{0,60}",
            cuts in prop::collection::vec(0_usize..61, 0..4),
            size in 1_usize..9,
        ) {
            let options = DelimitedOptions {
                records: Records::Lines,
                ..DelimitedOptions::default()
            };
            let dialect = options.dialect("t.csv");
            let bytes = Bytes::from(text.clone());
            let mut ends: Vec<_> = cuts.iter().map(|at| at % (text.len() + 1)).collect();
            ends.push(text.len());
            ends.sort_unstable();
            ends.dedup();
            let (mut start, mut seen) = (0, String::new());
            for end in ends {
                let from = start.max(1) - 1;
                let chunks = (from..text.len()).step_by(size);
                let chunks = chunks.map(|at| Ok(bytes.slice(at..(at + size).min(text.len()))));
                let chunks = stream::iter(chunks.collect::<Vec<_>>()).boxed();
                let cutter = Cutter {
                    skip_line: start > 0,
                    ..Cutter::new(chunks, dialect, from as u64, end as u64)
                };
                let blocks = stream::try_unfold(cutter, Cutter::next);
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
