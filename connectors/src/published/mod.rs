//! Published result sets: how a job's outputs appear whole or not at all.
//!
//! ```text
//!   RESULT/run-<run id>/<output>/part-<attempt>.parquet    written by tasks, invisible
//!   RESULT/_commits/<n>.json                               a manifest: the run and its files
//!   RESULT/_current                                        a copy of the newest manifest
//! ```
//!
//! A task writes files under names that no other attempt uses and reports them with its rows. Only
//! the report of the attempt that counted reaches the client, which then creates the manifest that is
//! next after the one that it began with. A store creates a file of one name once, and in one step; so of two
//! jobs that write one result at the same time, one wins, and the other fails. The manifest with the greatest
//! number counts. Readers see all outputs of one run or all of the run before, and files of lost attempts
//! never. A run that adds rows lists the files of the runs before it as well.
//!
//! `_current` is written after that, for other programs and for earlier versions of Emporia, which know
//! nothing else. It may be older than the newest manifest where a writer died, never newer.
//!
//! Numbers are not used twice: a result that is dropped gets a manifest as well, which says so and stays.
//! After a commit, the files that neither this manifest nor the one before lists are removed, and the
//! manifests before these. What a writer finds after it created a file is judged in `decide`, which `model`
//! searches for faults.

mod decide;
mod head;
mod manifest;
#[cfg(test)]
mod model;
mod sweep;

pub use head::Head;
pub use manifest::{DataFile, PublishedOutput, ResultSet};
pub use sweep::{discard_run, remove_result};

use emporia_core::error::{Error, ErrorKind};
use object_store::path::Path;
use uuid::{Builder, Uuid};

use crate::error::is_io;
use crate::hdfs::Fault;

/// Name of the copy of the newest manifest in a result folder.
pub const POINTER: &str = "_current";

/// Name of the folder of the manifests in a result folder.
pub const COMMITS: &str = "_commits";

/// What the names of the folders of runs begin with.
const RUN: &str = "run-";

/// Bytes of the longest folder name that is made of an output's name.
const MAX_FOLDER_NAME: usize = 100;

/// The folder of an output, relative to the result folder. An output may have any name, a folder not;
/// outputs that share one do not share files.
pub fn output_folder(run_id: &str, output: &str) -> String {
    let mut end = output.len().min(MAX_FOLDER_NAME);
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    let name = output[..end].replace(|c: char| c.is_control() || "/:\\".contains(c), "_");
    let name = match name.trim_matches('.') {
        "" => "_",
        _ => name.as_str(),
    };
    format!("{RUN}{run_id}/{name}")
}

/// Whether a folder of this name is that of a run.
pub fn is_run_folder(name: &str) -> bool {
    let is_id = |id: &str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    name.strip_prefix(RUN).is_some_and(is_id)
}

/// A new id of a run, greater than that of the run `before`: ids sort by the time at which runs begin, and
/// clocks of two machines differ.
fn new_run_id(before: Option<&str>) -> String {
    let now = Uuid::now_v7();
    let id = now.simple().to_string();
    match before {
        Some(before) if id.as_str() <= before => later(now, before).unwrap_or(id),
        _ => id,
    }
}

/// An id with what is random in `now`, and a time after that of the id `before`.
fn later(now: Uuid, before: &str) -> Option<String> {
    let before = Uuid::parse_str(before).ok()?;
    let (millis, _) = before.as_bytes().split_first_chunk::<6>()?;
    let millis = millis
        .iter()
        .fold(0, |millis, byte| (millis << 8) | u64::from(*byte));
    let (_, random) = now.as_bytes().split_last_chunk::<10>()?;
    let id = Builder::from_unix_timestamp_millis(millis + 1, random).into_uuid();
    Some(id.simple().to_string())
}

/// An object store failure as an Emporia error.
pub fn storage_error(verb: &str, path: &Path, error: object_store::Error) -> Error {
    let text = format!("cannot {verb} `/{path}`");
    if let Some(fault) = Fault::of(&error) {
        return fault.explain(text);
    }
    let kind = match &error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        _ if is_io(&error, std::io::ErrorKind::StorageFull) => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, text).with_source(error)
}

#[cfg(test)]
mod tests;
