//! Removes what nobody reads any more: files of old runs, manifests of old commits, dropped results.

use std::collections::HashSet;

use emporia_core::error::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::decide::{is_over, is_spent};
use super::head::{Head, copy_newest, number_of};
use super::manifest::ResultSet;
use super::{COMMITS, RUN, storage_error};
use crate::location::within;

/// How often a drop begins again because another commit came first.
const TRIES: usize = 20;

/// Removes what nobody can reach after commit `number`, which made `result` of `before`.
pub(super) async fn sweep(
    store: &dyn ObjectStore,
    base: &Path,
    number: u64,
    result: &ResultSet,
    before: Option<&ResultSet>,
) -> Result<()> {
    let is_over = |run: &str| is_over(run, &result.run_id, result.previous.as_deref());
    // Readers that started before the switch go on with what was listed then.
    let before = before
        .into_iter()
        .flat_map(|before| locations(before, base));
    let files: HashSet<_> = locations(result, base).chain(before).collect();
    let of_file = |location: &Path| location.parent().and_then(|folder| run_of(base, &folder));
    let is_spent = |location: &Path| {
        let commit = commit_of(base, location);
        commit.is_some_and(|commit| is_spent(commit, number))
    };
    let reachable = |location: &Path| match of_file(location) {
        Some(run) if run == result.run_id => files.contains(location),
        Some(run) => !is_over(&run) || files.contains(location),
        None => !is_spent(location),
    };
    let found: Vec<_> = store
        .list(Some(base))
        .try_collect()
        .await
        .map_err(|e| storage_error("list", base, e))?;
    let (kept, gone): (Vec<_>, Vec<_>) = found.into_iter().partition(|o| reachable(&o.location));
    for object in gone {
        delete(store, &object.location).await?;
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

/// Paths of the listed files in the store.
fn locations(result: &ResultSet, base: &Path) -> impl Iterator<Item = Path> {
    let files = result.outputs.values().flat_map(|output| &output.files);
    files.filter_map(move |file| within(base, &file.path).ok())
}

/// The run of the result `base` that a folder is, or is in.
fn run_of(base: &Path, folder: &Path) -> Option<String> {
    let first = folder.prefix_match(base)?.next()?;
    first.as_ref().strip_prefix(RUN).map(str::to_owned)
}

/// The commit of the result `base` whose manifest a file is, or whose manifest it was to become before its writer died:
/// HDFS has `.<n>.json.<id>` then.
fn commit_of(base: &Path, location: &Path) -> Option<u64> {
    let mut names = location.prefix_match(base)?;
    if names.next()?.as_ref() != COMMITS {
        return None;
    }
    let name = names.next()?;
    let name = name.as_ref();
    match name.strip_prefix('.') {
        None => number_of(name),
        Some(unfinished) => number_of(unfinished.rsplit_once('.')?.0),
    }
}

/// Removes the result `base`: commits that it is dropped, then removes the files of all runs before. Other files in
/// the folder stay, and so does the manifest of the drop: writers that began before find their number taken.
///
/// # Errors
/// Where the store cannot commit, list or delete; once the drop is committed, there is no result.
pub async fn remove_result(store: &dyn ObjectStore, base: &Path) -> Result<()> {
    for _ in 0..TRIES {
        let head = Head::load(store, base).await?;
        if head.is_new() || head.result().is_none() {
            return copy_newest(store, base).await;
        }
        if let Some(drop) = head.commit_drop(store, base).await? {
            let drop = ResultSet {
                // Its readers find their files gone.
                previous: None,
                ..drop
            };
            return sweep(store, base, head.next_number() + 1, &drop, None).await;
        }
    }
    let text = format!("cannot drop `/{base}`: other jobs replace it all the while");
    Err(Error::new(ErrorKind::Unavailable, text).with_hint("end them first"))
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
        delete(store, &object.location).await?;
    }
    remove_empty_folders(store, &folder).await;
    Ok(())
}

/// Deletes a file, which another writer may have deleted already.
async fn delete(store: &dyn ObjectStore, location: &Path) -> Result<()> {
    match store.delete(location).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(storage_error("delete", location, error)),
    }
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
