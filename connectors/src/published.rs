//! Published result sets: how a job's outputs appear whole or not at all.
//!
//! ```text
//!   RESULT/run-<run id>/<output>/part-<attempt>.parquet    written by tasks, invisible
//!   RESULT/_current                                        JSON: the run and its files
//! ```
//!
//! A task writes files under names that no other attempt uses and reports them with its rows. Only
//! the report of the attempt that counted reaches the client, which then replaces `_current` in one
//! atomic put. Readers go through `_current`, so they see all outputs of one run or all of the run
//! before, and files of lost attempts never. A run that adds rows lists the files of the runs before it
//! as well. After the switch the files that neither this pointer nor the one before lists are removed.
//!
//! Of two jobs that write one result at the same time, one wins: the other finds another run in
//! `_current` than at its beginning, and fails. Run ids sort by time, and a job removes no run that
//! began after its own, so the winner's files stay.

use std::collections::{BTreeMap, HashSet};

use emporia_core::error::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::error::is_io;
use crate::hdfs::Fault;
use crate::location::within;

/// Name of the pointer object in a result folder.
pub const POINTER: &str = "_current";

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

/// One file of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path relative to the result folder.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// One table of a result set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedOutput {
    /// `parquet`, `csv` or `json`.
    pub format: String,
    /// Name and Arrow type of each column, so that an output without files still has a schema.
    pub columns: Vec<(String, String)>,
    /// Columns that take no null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// The files that make up the table; possibly none. After rows were added they belong to
    /// several runs.
    pub files: Vec<DataFile>,
}

/// The content of `_current`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultSet {
    /// Identifies the run.
    pub run_id: String,
    /// The run that this one replaced; its files are kept for readers that started before.
    pub previous: Option<String>,
    /// Name of the main output.
    pub main: String,
    /// Tables by output name.
    pub outputs: BTreeMap<String, PublishedOutput>,
}

impl ResultSet {
    /// Reads the pointer of the result folder `base`, `None` where nothing was published.
    ///
    /// # Errors
    /// `Corrupt` where the pointer is not readable as one.
    pub async fn load(store: &dyn ObjectStore, base: &Path) -> Result<Option<Self>> {
        let pointer = base.clone().join(POINTER);
        let bytes = match store.get(&pointer).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            // `base` is a file.
            Err(error) if is_io(&error, std::io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(|e| storage_error("read", &pointer, e))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::new(
                ErrorKind::Corrupt,
                format!("`/{pointer}` is not a result pointer"),
            )
            .with_hint("remove it to start anew, or restore it from a backup")
            .with_source(e)
        })
    }

    /// Makes this result set the current one of `base`, then removes files that nobody can reach
    /// any more: those of runs before the previous one and those of lost attempts.
    ///
    /// # Errors
    /// `Failed` where another run than `previous` is the current one, and where the pointer cannot be
    /// replaced; the old result is then still the current one.
    pub async fn publish(&self, store: &dyn ObjectStore, base: &Path) -> Result<()> {
        let pointer = base.clone().join(POINTER);
        let before = Self::load(store, base).await?;
        if before.as_ref().map(|before| &before.run_id) != self.previous.as_ref() {
            let text = format!("cannot replace `/{base}`: another job did while this one ran");
            return Err(Error::new(ErrorKind::Failed, text)
                .with_hint("the result of the other job is there; submit this one again"));
        }
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal("cannot write the result pointer").with_source(e))?;
        store
            .put(&pointer, text.into())
            .await
            .map_err(|e| storage_error("replace", &pointer, e))?;
        if let Err(error) = self.remove_unreachable(store, base, before.as_ref()).await {
            tracing::warn!(%error, result = %base, "old result files could not be removed");
        }
        Ok(())
    }

    /// Paths of the listed files in the store.
    fn locations(&self, base: &Path) -> impl Iterator<Item = Path> {
        let files = self.outputs.values().flat_map(|output| &output.files);
        files.filter_map(move |file| within(base, &file.path).ok())
    }

    async fn remove_unreachable(
        &self,
        store: &dyn ObjectStore,
        base: &Path,
        before: Option<&Self>,
    ) -> Result<()> {
        let is_over =
            |run: &str| run < self.run_id.as_str() && self.previous.as_deref() != Some(run);
        // Readers that started before the switch go on with what was listed then.
        let before = before.into_iter().flat_map(|before| before.locations(base));
        let files: HashSet<_> = self.locations(base).chain(before).collect();
        let of_file = |location: &Path| location.parent().and_then(|folder| run_of(base, &folder));
        let reachable = |location: &Path| match of_file(location) {
            Some(run) if run == self.run_id => files.contains(location),
            Some(run) => !is_over(&run) || files.contains(location),
            None => true,
        };
        let found: Vec<_> = store
            .list(Some(base))
            .try_collect()
            .await
            .map_err(|e| storage_error("list", base, e))?;
        let (kept, gone): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|o| reachable(&o.location));
        for object in gone {
            store
                .delete(&object.location)
                .await
                .map_err(|e| storage_error("delete", &object.location, e))?;
        }
        let in_use: HashSet<_> = kept.iter().filter_map(|o| of_file(&o.location)).collect();
        let top = store.list_with_delimiter(Some(base)).await;
        let top = top.map_err(|e| storage_error("list", base, e))?;
        for folder in top.common_prefixes {
            if run_of(base, &folder).is_some_and(|run| is_over(&run) && !in_use.contains(&run)) {
                remove_empty_folders(store, &folder).await;
            }
        }
        Ok(())
    }
}

/// The run of the result `base` that a folder is, or is in.
fn run_of(base: &Path, folder: &Path) -> Option<String> {
    let first = folder.prefix_match(base)?.next()?;
    first.as_ref().strip_prefix(RUN).map(str::to_owned)
}

/// Removes the result `base`: its pointer, then the files of all runs. Other files in the folder stay.
///
/// # Errors
/// Where the store cannot list or delete; once the pointer is gone, there is no result.
pub async fn remove_result(store: &dyn ObjectStore, base: &Path) -> Result<()> {
    let pointer = base.clone().join(POINTER);
    store
        .delete(&pointer)
        .await
        .map_err(|e| storage_error("delete", &pointer, e))?;
    let found: Vec<_> = store
        .list(Some(base))
        .try_collect()
        .await
        .map_err(|e| storage_error("list", base, e))?;
    for object in found {
        let folder = object.location.parent();
        if folder.is_some_and(|folder| run_of(base, &folder).is_some()) {
            store
                .delete(&object.location)
                .await
                .map_err(|e| storage_error("delete", &object.location, e))?;
        }
    }
    let top = store.list_with_delimiter(Some(base)).await;
    for folder in top.map(|top| top.common_prefixes).unwrap_or_default() {
        if run_of(base, &folder).is_some() {
            remove_empty_folders(store, &folder).await;
        }
    }
    remove_empty_folders(store, base).await;
    Ok(())
}

/// Removes what a failed run left behind.
///
/// # Errors
/// Where the store cannot list or delete.
pub async fn discard_run(store: &dyn ObjectStore, base: &Path, run_id: &str) -> Result<()> {
    let folder = base.clone().join(format!("{RUN}{run_id}"));
    let found: Vec<_> = store
        .list(Some(&folder))
        .try_collect()
        .await
        .map_err(|e| storage_error("list", &folder, e))?;
    for object in found {
        store
            .delete(&object.location)
            .await
            .map_err(|e| storage_error("delete", &object.location, e))?;
    }
    remove_empty_folders(store, &folder).await;
    Ok(())
}

/// Removes the folder of a run and those of its outputs from a store that has folders of their own;
/// one that is not empty, because a lost task wrote into it, stays.
async fn remove_empty_folders(store: &dyn ObjectStore, folder: &Path) {
    let inside = match store.list_with_delimiter(Some(folder)).await {
        Ok(inside) => inside.common_prefixes,
        Err(_) => Vec::new(),
    };
    for empty in inside.iter().chain([folder]) {
        if let Err(error) = store.delete(empty).await {
            tracing::debug!(%error, folder = %empty, "a folder stays behind");
        }
    }
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
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    /// A run of one file.
    async fn written(store: &InMemory, run_id: &str, previous: Option<&str>) -> ResultSet {
        let path = format!("run-{run_id}/rows/part-0.parquet");
        let location = Path::from(format!("result/{path}"));
        store.put(&location, "rows".into()).await.unwrap();
        let file = DataFile {
            path,
            rows: 1,
            bytes: 4,
        };
        let output = PublishedOutput {
            files: vec![file],
            ..PublishedOutput::default()
        };
        ResultSet {
            run_id: run_id.to_owned(),
            previous: previous.map(str::to_owned),
            main: "rows".to_owned(),
            outputs: [("rows".to_owned(), output)].into(),
        }
    }

    async fn runs(store: &InMemory) -> Vec<String> {
        let found = store.list_with_delimiter(Some(&Path::from("result"))).await;
        let folders = found.unwrap().common_prefixes;
        folders
            .iter()
            .map(|f| f.filename().unwrap().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn of_two_jobs_at_once_one_wins() {
        let (store, base) = (InMemory::new(), Path::from("result"));
        let older = written(&store, "2", None).await;
        let newer = written(&store, "3", None).await;
        newer.publish(&store, &base).await.unwrap();
        let error = older.publish(&store, &base).await.unwrap_err();
        assert!(error.to_string().contains("another job did"), "{error}");
        assert_eq!(ResultSet::load(&store, &base).await.unwrap(), Some(newer));
        assert_eq!(runs(&store).await, ["run-3"]);
    }

    #[tokio::test]
    async fn files_of_older_runs_stay_as_long_as_they_are_listed() {
        let (store, base) = (InMemory::new(), Path::from("result"));
        let first = written(&store, "1", None).await;
        first.publish(&store, &base).await.unwrap();
        let mut last = first;
        for (run, previous) in [("2", "1"), ("3", "2")] {
            let mut added = written(&store, run, Some(previous)).await;
            let older = last.outputs["rows"].files.clone();
            let rows = added.outputs.get_mut("rows").unwrap();
            rows.files.splice(..0, older);
            added.publish(&store, &base).await.unwrap();
            last = added;
        }
        assert_eq!(last.outputs["rows"].files.len(), 3);
        assert_eq!(runs(&store).await, ["run-1", "run-2", "run-3"]);
        // Readers of the rows before go on reading.
        let replaced = written(&store, "4", Some("3")).await;
        replaced.publish(&store, &base).await.unwrap();
        assert_eq!(runs(&store).await, ["run-1", "run-2", "run-3", "run-4"]);
        let replaced = written(&store, "5", Some("4")).await;
        replaced.publish(&store, &base).await.unwrap();
        assert_eq!(runs(&store).await, ["run-4", "run-5"]);
    }

    #[tokio::test]
    async fn a_result_is_removed_without_its_neighbours() {
        let (store, base) = (InMemory::new(), Path::from("result"));
        let first = written(&store, "1", None).await;
        first.publish(&store, &base).await.unwrap();
        let others = [
            "result/notes.txt",
            "result2/run-1/rows/part.parquet",
            "run-1/x",
        ];
        for other in others {
            store.put(&Path::from(other), "other".into()).await.unwrap();
        }
        remove_result(&store, &base).await.unwrap();
        assert_eq!(ResultSet::load(&store, &base).await.unwrap(), None);
        let left: Vec<_> = store.list(None).try_collect().await.unwrap();
        let mut left: Vec<_> = left.iter().map(|o| o.location.to_string()).collect();
        left.sort_unstable();
        assert_eq!(left, others);
    }

    #[tokio::test]
    async fn runs_that_began_later_keep_their_files() {
        let (store, base) = (InMemory::new(), Path::from("result"));
        let first = written(&store, "1", None).await;
        first.publish(&store, &base).await.unwrap();
        let interrupted = written(&store, "2", Some("1")).await;
        let third = written(&store, "3", Some("1")).await;
        let running = written(&store, "4", Some("1")).await;
        third.publish(&store, &base).await.unwrap();
        assert_eq!(runs(&store).await, ["run-1", "run-3", "run-4"]);
        assert!(interrupted.publish(&store, &base).await.is_err());
        assert!(running.publish(&store, &base).await.is_err());
        assert_eq!(ResultSet::load(&store, &base).await.unwrap(), Some(third));
    }
}
