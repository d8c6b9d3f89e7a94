//! The newest state of a result, and the commit of the next one.

use emporia_core::error::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::decide::{self, Commit, Newest, Outcome};
use super::manifest::{Manifest, ResultSet};
use super::sweep::{discard_run, sweep};
use super::{COMMITS, POINTER, new_run_id, storage_error};
use crate::error::is_io;

/// How often a folder is looked at that changes all the while.
const LOOKS: usize = 30;
/// Looks after which manifests count as lost that `_current` is a copy of.
const LOOKS_FOR_LOST: usize = 3;
/// How often a manifest is created where it stays open whether it was.
const TRIES: usize = 3;

/// The newest state of a result folder: a result, or none, and where the next commit goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The last commits; the last of them is this state.
    commits: Vec<Commit>,
    result: Option<ResultSet>,
}

impl Head {
    /// Looks at the folder `base`.
    ///
    /// # Errors
    /// `Corrupt` where manifests are not readable or lost, `Unsupported` where a newer Emporia wrote them, and
    /// where the store fails.
    pub async fn load(store: &dyn ObjectStore, base: &Path) -> Result<Self> {
        for look in 1..=LOOKS {
            if let Some(head) = Self::look(store, base, look < LOOKS_FOR_LOST).await? {
                return Ok(head);
            }
        }
        let text = format!("the result `/{base}` changes faster than it can be read");
        Err(Error::new(ErrorKind::Unavailable, text).with_hint("try again later"))
    }

    /// One look; `None` where the folder changed meanwhile.
    async fn look(
        store: &dyn ObjectStore,
        base: &Path,
        may_look_again: bool,
    ) -> Result<Option<Self>> {
        let listed = numbers(store, base).await?.into_iter().max();
        let place = base.clone().join(POINTER);
        let pointer = match read(store, &place).await? {
            Some(text) => match (Manifest::read(&place, &text), listed) {
                (Ok(pointer), _) => Some(pointer),
                // It is a copy.
                (Err(_), Some(_)) => None,
                (Err(error), None) => return Err(error),
            },
            None => None,
        };
        let hint = pointer.as_ref().map(Manifest::hint);
        match decide::newest(listed, hint.as_ref(), may_look_again) {
            Newest::Nothing => Ok(Some(Self::default())),
            Newest::LookAgain => Ok(None),
            Newest::Pointer => Ok(pointer.map(Self::of)),
            Newest::Lost(number) => {
                let lost = manifest(base, number);
                let text = format!("`/{place}` is a copy of `/{lost}`, which is not there");
                Err(Error::new(ErrorKind::Corrupt, text).with_hint(format!(
                    "restore it from a backup, or remove `/{place}` to go back to the manifest before"
                )))
            }
            Newest::Manifest(number) => {
                let place = manifest(base, number);
                let Some(text) = read(store, &place).await? else {
                    return Ok(None);
                };
                let found = Manifest::read(&place, &text)?;
                if found.commit != number {
                    let text = format!("`/{place}` says that it is manifest {}", found.commit);
                    return Err(
                        Error::new(ErrorKind::Corrupt, text).with_hint("restore it from a backup")
                    );
                }
                let head = Self::of(found);
                let is_older = |hint: &decide::Hint| decide::is_written_over(&head.commits, hint);
                match pointer.filter(|pointer| is_older(&pointer.hint())) {
                    None => Ok(Some(head)),
                    Some(pointer) => {
                        let over = Commit {
                            number,
                            run: pointer.result.run_id.clone(),
                        };
                        Ok(Some(Self {
                            commits: decide::with_next(&head.commits, over),
                            result: Some(pointer.result),
                        }))
                    }
                }
            }
        }
    }

    fn of(manifest: Manifest) -> Self {
        let mut commits = manifest.commits;
        if commits.is_empty() {
            commits.push(Commit {
                number: manifest.commit,
                run: manifest.result.run_id.clone(),
            });
        }
        let result = (!manifest.dropped).then_some(manifest.result);
        Self { commits, result }
    }

    /// The result, `None` where there is none or it was dropped.
    pub fn result(&self) -> Option<&ResultSet> {
        self.result.as_ref()
    }

    /// The result, `None` where there is none or it was dropped.
    pub fn into_result(self) -> Option<ResultSet> {
        self.result
    }

    /// Whether nothing was ever published.
    pub(super) fn is_new(&self) -> bool {
        self.commits.is_empty()
    }

    /// The id of a run that goes on from here. Runs that begin before this one was published are removed
    /// after it was, those that go on from it are not.
    pub fn new_run_id(&self) -> String {
        new_run_id(self.last_run())
    }

    fn last_run(&self) -> Option<&str> {
        self.commits.last().map(|last| last.run.as_str())
    }

    /// Makes `result` the one that comes after this, then removes files that nobody can reach any more: those
    /// of runs before the previous one and those of lost attempts. Its `previous` is set here.
    ///
    /// # Errors
    /// `Failed` where another run came after this; the files of this one are removed then. Where the store
    /// fails, the error says whether it is known what became of the run; its files stay.
    pub async fn publish(
        &self,
        store: &dyn ObjectStore,
        base: &Path,
        mut result: ResultSet,
    ) -> Result<()> {
        let run_id = result.run_id.clone();
        result.previous = self.result().map(|before| before.run_id.clone());
        if !self.commit(store, base, result.clone(), false).await? {
            if let Err(left) = discard_run(store, base, &run_id).await {
                tracing::warn!(error = %left, run_id, "the failed run could not be removed");
            }
            return Err(superseded(base));
        }
        let number = self.next_number();
        if let Err(error) = sweep(store, base, number, &result, self.result()).await {
            tracing::warn!(%error, result = %base, "old result files could not be removed");
        }
        Ok(())
    }

    /// Makes sure that no other run was published since.
    ///
    /// # Errors
    /// `Failed` where one was, and as of [`Head::load`].
    pub async fn check(&self, store: &dyn ObjectStore, base: &Path) -> Result<()> {
        match Self::load(store, base).await?.commits == self.commits {
            true => Ok(()),
            false => Err(superseded(base)),
        }
    }

    /// Commits that there is no result any more; the run of that, or `None` where another commit came first.
    ///
    /// # Errors
    /// Where the store fails.
    pub(super) async fn commit_drop(
        &self,
        store: &dyn ObjectStore,
        base: &Path,
    ) -> Result<Option<ResultSet>> {
        let no_result = ResultSet {
            run_id: self.new_run_id(),
            previous: self.result().map(|before| before.run_id.clone()),
            ..ResultSet::default()
        };
        let is_done = self.commit(store, base, no_result.clone(), true).await?;
        Ok(is_done.then_some(no_result))
    }

    pub(super) fn next_number(&self) -> u64 {
        self.commits.last().map_or(0, |last| last.number) + 1
    }

    /// Creates the next manifest; whether it is the next one.
    async fn commit(
        &self,
        store: &dyn ObjectStore,
        base: &Path,
        result: ResultSet,
        dropped: bool,
    ) -> Result<bool> {
        let attempt = Commit {
            number: self.next_number(),
            run: result.run_id.clone(),
        };
        let place = manifest(base, attempt.number);
        let next = decide::with_next(&self.commits, attempt.clone());
        let text = Manifest::new(result, dropped, next).write()?;
        let mut tries = 0;
        loop {
            tries += 1;
            let options = PutOptions::from(PutMode::Create);
            let put = store.put_opts(&place, text.clone().into(), options).await;
            let found = Self::load(store, base)
                .await
                .map_err(|e| unknown(base, &attempt.run, e));
            // An error may be that of an answer which got lost on its way.
            match (decide::outcome(&found?.commits, &attempt), put) {
                (Outcome::Published, _) => break,
                (Outcome::Superseded, _) => return Ok(false),
                (Outcome::Absent, Err(error)) if tries < TRIES && is_passing(&error) => {
                    tracing::warn!(%error, place = %place, "trying to commit again");
                }
                (Outcome::Absent, Err(error)) => return Err(not_written(&place, error)),
                (Outcome::Absent | Outcome::Forgotten, _) => {
                    let text = format!("`/{place}` was written and is not there");
                    let error = Error::new(ErrorKind::Failed, text);
                    return Err(unknown(base, &attempt.run, error));
                }
            }
        }
        if let Err(error) = copy_newest(store, base).await {
            tracing::warn!(%error, result = %base, "`_current` could not be replaced; other programs see an older result");
        }
        Ok(true)
    }
}

/// Whether the file may be written at another try, or was written although the answer is an error.
fn is_passing(error: &object_store::Error) -> bool {
    !matches!(
        error,
        object_store::Error::AlreadyExists { .. }
            | object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }
            | object_store::Error::NotImplemented { .. }
            | object_store::Error::NotSupported { .. }
    )
}

fn superseded(base: &Path) -> Error {
    let text = format!("cannot replace `/{base}`: another job did while this one ran");
    Error::new(ErrorKind::Failed, text)
        .with_hint("the result of the other job is there; submit this one again")
}

fn not_written(place: &Path, error: object_store::Error) -> Error {
    use std::io::ErrorKind::{PermissionDenied, Unsupported};
    let has_no_links = is_io(&error, Unsupported) || is_io(&error, PermissionDenied);
    let error = storage_error("write", place, error);
    match has_no_links && error.hint().is_none() {
        true => error.with_hint(
            "a result needs a folder that may be written to, on a file system with hard links",
        ),
        false => error,
    }
}

fn unknown(base: &Path, run: &str, error: Error) -> Error {
    let text = format!("it is not known whether run {run} was published in `/{base}`");
    Error::new(error.kind(), text)
        .with_hint("read the result, or its `_current`, when the store answers, before submitting the job again")
        .with_source(error)
}

/// Makes `_current` a copy of the newest manifest. Whoever wrote it last looks again afterwards, so that a slow
/// writer does not leave an older one.
pub(super) async fn copy_newest(store: &dyn ObjectStore, base: &Path) -> Result<()> {
    let pointer = base.clone().join(POINTER);
    let mut copied = None;
    for _ in 0..LOOKS {
        let newest = numbers(store, base).await?.into_iter().max();
        let Some(number) = newest.filter(|number| copied != Some(*number)) else {
            return Ok(());
        };
        let place = manifest(base, number);
        let Some(text) = read(store, &place).await? else {
            continue;
        };
        match Manifest::read(&place, &text)?.dropped {
            true => remove(store, &pointer).await?,
            false => {
                let put = store.put(&pointer, text.into()).await;
                put.map_err(|e| storage_error("replace", &pointer, e))?;
            }
        }
        copied = Some(number);
    }
    Ok(())
}

/// Removes a file that need not be there.
async fn remove(store: &dyn ObjectStore, place: &Path) -> Result<()> {
    match store.delete(place).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(storage_error("delete", place, error)),
    }
}

/// The manifest of this number.
pub(super) fn manifest(base: &Path, number: u64) -> Path {
    base.clone().join(COMMITS).join(format!("{number}.json"))
}

/// The numbers of the manifests of the result, in any order.
async fn numbers(store: &dyn ObjectStore, base: &Path) -> Result<Vec<u64>> {
    let folder = base.clone().join(COMMITS);
    let found = match store.list_with_delimiter(Some(&folder)).await {
        Ok(found) => found.objects,
        Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
        // `base` is a file.
        Err(error) if is_io(&error, std::io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(storage_error("list", &folder, error)),
    };
    let names = found.iter().filter_map(|object| object.location.filename());
    Ok(names.filter_map(number_of).collect())
}

/// The number of the manifest of this name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    let is_plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

/// The content of a small file, `None` where it is not there.
async fn read(store: &dyn ObjectStore, place: &Path) -> Result<Option<Vec<u8>>> {
    let found = match store.get(place).await {
        Ok(found) => found.bytes().await,
        Err(error) => Err(error),
    };
    match found {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        // `base` is a file.
        Err(error) if is_io(&error, std::io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(storage_error("read", place, error)),
    }
}
