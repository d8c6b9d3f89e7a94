//! Files that are read ahead of what works on their bytes.

use std::ops::Range;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::PinnedFile;

/// Bytes that one read asks for.
const WINDOW: u64 = 4 * 1024 * 1024;
/// Reads of a file that are under way at a time.
const N_READS: usize = 2;

impl PinnedFile {
    /// The bytes from `start` to the end of the file: those up to `stop` are read ahead, those behind it only
    /// when they are asked for.
    pub(crate) fn read_ahead(&self, start: u64, stop: u64) -> BoxStream<'static, Result<Bytes>> {
        let size = self.size();
        let stop = stop.min(size);
        let file = self.clone();
        let read = move |window: Range<u64>| {
            let file = file.clone();
            // Spawned, so that the next window is read while this one is parsed.
            let read = SpawnedTask::spawn(async move { file.read_one(window).await });
            async move {
                let read = read
                    .await
                    .map_err(|e| DataFusionError::External(Box::new(e)))?;
                Ok(read?)
            }
        };
        let ahead = stream::iter(windows(start, stop))
            .map(read.clone())
            .buffered(N_READS);
        let behind = stream::iter(windows(stop.max(start), size))
            .map(read)
            .buffered(1);
        ahead.chain(behind).boxed()
    }
}

fn windows(start: u64, stop: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..).map(move |n| start + n * WINDOW);
    let starts = starts.take_while(move |at| *at < stop);
    starts.map(move |at| at..(at + WINDOW).min(stop))
}
