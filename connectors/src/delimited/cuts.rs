//! Where a file may be cut, so that each task begins at the beginning of a record.
//!
//! Whether a line break ends a record depends on all quotes before it. No look at the surroundings of a
//! byte can tell, so files that are cut are read once for their quotes when the scan is planned, several
//! windows at a time. That is a search for one byte and takes a small part of the time that reading the
//! fields takes. Files of one range are not looked at, nor are tables that have no line breaks inside
//! quotes (`multiline = "false"`, `quote = "none"`). What was found is kept for the next scan of the same
//! file, known by its place and version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use datafusion::common::Result;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;

use super::dialect::{Dialect, Scanner};
use super::head::Head;
use crate::files::{FileVersion, PinnedFile};

/// Files whose cuts are remembered.
const MAX_KNOWN: usize = 1024;

/// What the cuts of a file depend on.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    store: String,
    path: Path,
    version: FileVersion,
    dialect: (u8, Option<u8>, Option<u8>, Option<u8>),
    wanted: Vec<u64>,
}

type Known = Mutex<HashMap<Key, Arc<Vec<u64>>>>;

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(Mutex::default)
}

/// For each of the ascending offsets in the file, the first record that begins there or behind; the
/// size of the file where none does.
///
/// # Errors
/// Those of reading the file; where it is not the one that was listed.
pub(super) async fn record_starts(
    store: &str,
    head: &Head,
    dialect: Dialect,
    wanted: Vec<u64>,
) -> Result<Arc<Vec<u64>>> {
    let text = &head.text;
    let size = text.file.size();
    let key = key(store, &text.file, dialect, wanted);
    let lock = || known().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(starts) = lock().get(&key) {
        return Ok(Arc::clone(starts));
    }
    let chunks = text.chunks(head.start, size);
    let starts = starts_in(chunks, head.start, size, dialect, &key.wanted).await?;
    let starts = Arc::new(starts);
    let mut known = lock();
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(key, Arc::clone(&starts));
    Ok(starts)
}

fn key(store: &str, file: &PinnedFile, dialect: Dialect, wanted: Vec<u64>) -> Key {
    let Dialect {
        delimiter,
        quote,
        escape,
        comment,
        ..
    } = dialect;
    Key {
        store: store.to_owned(),
        path: file.path().clone(),
        version: file.version().clone(),
        dialect: (delimiter, quote, escape, comment),
        wanted,
    }
}

/// Finds the starts in chunks that begin at `at`, the beginning of a record.
async fn starts_in(
    mut chunks: BoxStream<'static, Result<Bytes>>,
    mut at: u64,
    size: u64,
    dialect: Dialect,
    wanted: &[u64],
) -> Result<Vec<u64>> {
    let n_before = wanted.partition_point(|cut| *cut <= at);
    let mut starts = vec![at; n_before];
    let mut scanner = Scanner::new(dialect);
    while starts.len() < wanted.len() {
        let Some(chunk) = chunks.try_next().await? else {
            break;
        };
        scanner.scan(&chunk);
        while let Some(cut) = wanted.get(starts.len()) {
            // The record before ends at or behind the byte before the cut.
            let from = usize::try_from((cut - 1).saturating_sub(at)).unwrap_or(usize::MAX);
            match scanner.first_break(&chunk, from) {
                Some(end) => starts.push((at + end as u64 + 1).min(size)),
                None => break,
            }
        }
        at += chunk.len() as u64;
        tokio::task::yield_now().await;
    }
    starts.resize(wanted.len(), size);
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::*;
    use crate::delimited::options::DelimitedOptions;

    #[tokio::test]
    async fn starts_are_found_in_chunks_of_any_size() -> Result<()> {
        let text = b"a,\"\n\"\n\"b\",c\nd\n\n\"e\n\"\"\n\"\nf";
        let records = [0, 6, 12, 14, 15, 23];
        let size = text.len() as u64;
        let dialect = DelimitedOptions::default().dialect("t.csv");
        let wanted: Vec<u64> = (0..=size).collect();
        let first_from = |cut: &u64| records.iter().copied().find(|r| r >= cut).unwrap_or(size);
        let expected: Vec<u64> = wanted.iter().map(first_from).collect();
        for n in 1..=text.len() {
            let chunks: Vec<_> = text.chunks(n).map(|c| Ok(Bytes::from_static(c))).collect();
            let chunks = stream::iter(chunks).boxed();
            let starts = starts_in(chunks, 0, size, dialect, &wanted).await?;
            assert_eq!(starts, expected, "in chunks of {n}");
        }
        Ok(())
    }
}
