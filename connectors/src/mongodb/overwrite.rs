//! Replaces a whole collection at once.
//!
//! The rows go into a staged collection beside the target. When all are there it is renamed, which
//! readers see as one change. Who may rename, and what may be dropped, is in the collection's [`Marker`]:
//!
//! 1. The run says in the marker that it is written, and goes on saying so; then it makes `<collection>__run_<id>`.
//! 2. When all rows are written, that is renamed to `<collection>__new_<id>`. A task that was lost and goes on
//!    writing makes a collection of the old name, which is nobody's.
//! 3. The rows are counted, and the indexes are made.
//! 4. The run puts itself into the marker as the one that is switched to, where the run that it began with is still
//!    the published one. Of two runs one succeeds.
//! 5. `<collection>__new_<id>` is renamed over the collection, and the marker says that the run is published. If its
//!    process dies before that, the next run does so.
//!
//! Collections of runs that said nothing for too long, and of none at all, are dropped after that.

use std::time::Duration;

use emporia_core::error::{Error, ErrorKind, Result};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection, Database};
use tokio::task::JoinHandle;

use super::fault::{self, Attempt};
use super::indexes::create_indexes;
use super::marker::{MARKERS, Marker, Next, Switching};
use super::namespace::Namespace;
use super::replace;
use super::retry::{Patience, patiently};
use super::target::CollectionTarget;
use crate::stores::Stores;

/// What stands between the name of a collection and the run that writes rows for it.
const STAGED: &str = "__run_";
/// What stands between the name of a collection and the run whose rows are complete.
const SEALED: &str = "__new_";
/// What stands between the name of a collection and the run that takes its place, for what was there before.
const REPLACED: &str = "__old_";
/// Longest time between two signs of life.
const BEAT: Duration = Duration::from_secs(20);
/// What a run may be silent for, beside twice the time that a server may.
const SILENCE: Duration = Duration::from_secs(60);
/// Pause before another look at a run that somebody else switches to.
const LOOK: Duration = Duration::from_millis(500);

/// An overwrite on its way: the collection that the rows of a run go to.
#[derive(Debug)]
pub struct Staging {
    place: Place,
    target: CollectionTarget,
    staged: CollectionTarget,
    sealed: CollectionTarget,
    run_id: String,
    /// The run that was published when this one began.
    base: Option<String>,
    beats: JoinHandle<()>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

impl Staging {
    /// Where the rows go.
    pub fn place_of_rows(&self) -> &CollectionTarget {
        &self.staged
    }
}

/// Makes the staged collection of this run, empty.
///
/// # Errors
/// `Unsupported` where a newer Emporia wrote the marker of the collection, and as of any request to the server.
pub async fn begin_overwrite(
    stores: &Stores,
    target: &CollectionTarget,
    run_id: &str,
) -> Result<Staging> {
    let place = Place::of(stores, target).await?;
    let base = place.settled().await?.published_run().map(str::to_owned);
    let until = place.now().await? + place.lease();
    let register = |marker: &Marker| {
        let is_known = marker.is_written(run_id);
        (!is_known).then(|| marker.with_run(run_id, until))
    };
    place.change(register).await?;
    let name = target.collection();
    let staging = Staging {
        beats: tokio::spawn(place.clone().beat(run_id.to_owned())),
        staged: target.in_collection(format!("{name}{STAGED}{run_id}")),
        sealed: target.in_collection(format!("{name}{SEALED}{run_id}")),
        target: target.clone(),
        run_id: run_id.to_owned(),
        base,
        place,
    };
    create(stores, &staging.staged).await?;
    Ok(staging)
}

/// Makes the collection where it is missing, so that it can be read also when no row comes.
///
/// # Errors
/// As of any request to the server.
pub async fn create(stores: &Stores, target: &CollectionTarget) -> Result<()> {
    let attempt = Attempt::to(format!("create `{}`", target.namespace), stores.settings());
    let database = stores.mongodb().await?.database(target.database());
    let created = patiently(stores.settings().patience, || {
        let request = database.create_collection(target.collection());
        async move {
            match request.await {
                // It was there before, or an answer got lost.
                Err(e) if fault::code_of(&e) == Some(fault::NAMESPACE_EXISTS) => Ok(()),
                other => other,
            }
        }
    });
    attempt.check(created.await)
}

/// Puts the staged collection in the place of the target, with the target's indexes.
///
/// `n_rows` is how many rows were written. Fewer documents mean that rows shared a key, of which the
/// last would silently have won.
///
/// # Errors
/// `Failed` where rows shared a key and where another run was published, `InvalidInput` where rows are not unique
/// in an index, and as of any request. The target is as it was then, and the staged collection is gone; where only
/// the renaming failed, the next run does it, as the hint says.
pub async fn publish_overwrite(stores: &Stores, staging: &Staging, n_rows: u64) -> Result<()> {
    let complete = async {
        staging.seal().await?;
        staging.check(stores, n_rows).await
    };
    if let Err(error) = complete.await {
        return Err(staging.given_up(error).await);
    }
    staging.switch(n_rows).await?;
    if let Err(error) = staging.place.drop_dead().await {
        tracing::warn!(%error, "what an interrupted run left could not be removed");
    }
    Ok(())
}

/// Drops the staged collection of a run that failed.
///
/// # Errors
/// As of any request to the server.
pub async fn discard(staging: &Staging) -> Result<()> {
    let run_id = staging.run_id.as_str();
    let is_switched = |marker: &Marker| marker.is_switching(run_id);
    let forget = |marker: &Marker| match is_switched(marker) {
        true => None,
        false => marker.without_run(run_id),
    };
    staging.beats.abort();
    if is_switched(&staging.place.change(forget).await?) {
        return Ok(());
    }
    for collection in [&staging.staged, &staging.sealed] {
        staging
            .place
            .drop_collection(collection.collection())
            .await?;
    }
    Ok(())
}

impl Staging {
    /// The error of a run that fails, after what it wrote was removed.
    async fn given_up(&self, error: Error) -> Error {
        if let Err(left) = discard(self).await {
            tracing::warn!(error = %left, "the failed run could not be removed");
        }
        error
    }

    /// Takes the staged collection away from tasks that may go on writing.
    async fn seal(&self) -> Result<()> {
        let place = &self.place;
        let command = doc! {
            "renameCollection": self.staged.namespace.to_string(), "to": self.sealed.namespace.to_string(),
        };
        let sealed = patiently(place.patience, || {
            let command = command.clone();
            async move {
                let error = match place.client.database("admin").run_command(command).await {
                    Ok(_) => return Ok(true),
                    Err(error) => error,
                };
                match fault::code_of(&error) {
                    // An earlier try succeeded although its answer got lost.
                    Some(fault::NAMESPACE_EXISTS) => Ok(true),
                    Some(fault::NAMESPACE_NOT_FOUND) => place.has(self.sealed.collection()).await,
                    _ => Err(error),
                }
            }
        });
        match place.attempt.check(sealed.await)? {
            true => Ok(()),
            false => Err(self.forgotten()),
        }
    }

    /// Checks that the sealed collection holds all rows, and makes its indexes.
    async fn check(&self, stores: &Stores, n_rows: u64) -> Result<()> {
        let place = &self.place;
        let collection = place.collection(self.sealed.collection());
        let counted = patiently(place.patience, || {
            let request = collection.count_documents(doc! {});
            async move { request.await }
        });
        let n_documents = place.attempt.check(counted.await)?;
        if n_documents != n_rows {
            return Err(Error::new(
                ErrorKind::Failed,
                format!(
                    "cannot replace `{}`: {n_rows} rows became {n_documents} documents, because rows \
                     have the same key",
                    self.target.namespace
                ),
            )
            .with_hint("make the rows unique, or name more columns in the option `key`"));
        }
        create_indexes(stores, &self.sealed).await
    }

    /// Makes the run the published one.
    async fn switch(&self, n_rows: u64) -> Result<()> {
        let own = Switching {
            run_id: self.run_id.clone(),
            staged: self.sealed.collection().to_owned(),
            rows: i64::try_from(n_rows).unwrap_or(i64::MAX),
        };
        loop {
            // A claim whose answer got lost is found again as one.
            let claim = |marker: &Marker| match marker.next(&own, self.base.as_deref()) {
                Next::Claim(claimed) => Some(claimed),
                _ => None,
            };
            let marker = self.place.change(claim).await?;
            match marker.next(&own, self.base.as_deref()) {
                Next::Claim(_) => {}
                Next::Rename(switching) => {
                    return self.place.finish(&switching, true).await.map_err(|e| {
                        let hint = format!(
                            "the rows are complete in `{}`, and the next job that writes `{}` puts them in place",
                            self.sealed.namespace, self.target.namespace
                        );
                        let hint = e.hint().map_or(hint.clone(), |known| format!("{known}; {hint}"));
                        e.with_hint(hint)
                    });
                }
                Next::Done => return Ok(()),
                Next::Finish(other) => self.place.finish(&other, false).await?,
                Next::Superseded => {
                    let text = format!(
                        "cannot replace `{}`: another job did while this one ran",
                        self.target.namespace
                    );
                    let error = Error::new(ErrorKind::Failed, text)
                        .with_hint("the result of the other job is there; submit this one again");
                    return Err(self.given_up(error).await);
                }
                Next::Forgotten => return Err(self.given_up(self.forgotten()).await),
            }
        }
    }

    fn forgotten(&self) -> Error {
        let text = format!(
            "cannot replace `{}`: this run did not reach the server for so long that another job took it for dead",
            self.target.namespace
        );
        Error::new(ErrorKind::Failed, text).with_hint("submit it again")
    }
}

/// A collection that is overwritten, and its marker.
#[derive(Debug, Clone)]
struct Place {
    client: Client,
    namespace: Namespace,
    patience: Duration,
    attempt: Attempt,
}

impl Place {
    async fn of(stores: &Stores, target: &CollectionTarget) -> Result<Self> {
        Ok(Self {
            client: stores.mongodb().await?.clone(),
            namespace: target.namespace.clone(),
            patience: stores.settings().patience,
            attempt: Attempt::to(format!("replace `{}`", target.namespace), stores.settings()),
        })
    }

    fn database(&self) -> Database {
        self.client.database(&self.namespace.database)
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database().collection(name)
    }

    /// How long a run may give no sign, in milliseconds.
    fn lease(&self) -> i64 {
        let lease = self.patience * 2 + SILENCE;
        i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 2)
    }

    /// The time of the server, in milliseconds since 1970.
    async fn now(&self) -> Result<i64> {
        let database = self.database();
        let hello = patiently(self.patience, || {
            let request = database.run_command(doc! { "hello": 1 });
            async move { request.await }
        });
        let hello = self.attempt.check(hello.await)?;
        let time = hello.get_datetime("localTime").map_err(|e| {
            Error::internal("the server does not say what time it is").with_source(e)
        })?;
        Ok(time.timestamp_millis())
    }

    /// Replaces the marker by what `change` makes of it; the marker as it is then. `change` is asked again where
    /// another process changed the marker, or may have been this one: `None` says that nothing is left to do.
    async fn change(&self, change: impl Fn(&Marker) -> Option<Marker>) -> Result<Marker> {
        let mut patience = Patience::new(self.patience);
        loop {
            let error = match self.find().await {
                Ok(document) => {
                    let is_new = document.is_none();
                    let name = &self.namespace.collection;
                    let marker = match document {
                        Some(document) => Marker::read(name, document)?,
                        None => Marker::new(name),
                    };
                    let Some(changed) = change(&marker) else {
                        return Ok(marker);
                    };
                    let document = changed.write()?;
                    match self.replace(&marker, is_new, document).await {
                        Ok(true) => return Ok(changed),
                        Ok(false) => continue,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            patience
                .wait(error)
                .await
                .map_err(|e| self.attempt.failed(e))?;
        }
    }

    async fn find(&self) -> mongodb::error::Result<Option<Document>> {
        let markers = self.collection(MARKERS);
        markers
            .find_one(doc! { "_id": &self.namespace.collection })
            .await
    }

    /// Replaces the marker where it is still `before`; whether it was.
    async fn replace(
        &self,
        before: &Marker,
        is_new: bool,
        after: Document,
    ) -> mongodb::error::Result<bool> {
        let markers = self.collection(MARKERS);
        if is_new {
            return match markers.insert_one(after).await {
                Err(e) if fault::code_of(&e) == Some(fault::DUPLICATE_KEY) => Ok(false),
                other => other.map(|_| true),
            };
        }
        let still = doc! { "_id": &before.collection, "revision": before.revision };
        let replaced = markers.replace_one(still, after).await?;
        Ok(replaced.matched_count > 0)
    }

    /// The marker when no run is being switched to.
    async fn settled(&self) -> Result<Marker> {
        loop {
            let marker = self.change(|_| None).await?;
            match &marker.switching {
                Some(switching) => self.finish(switching, false).await?,
                None => return Ok(marker),
            }
        }
    }

    /// Renames the collection of the run that is being switched to.
    async fn finish(&self, switching: &Switching, is_own: bool) -> Result<()> {
        let renamed = patiently(self.patience, || self.rename(&switching.staged, is_own));
        if !self.attempt.check(renamed.await)? {
            return self.wait_for(switching).await;
        }
        let now = self.now().await?;
        self.change(|marker| marker.finished(&switching.run_id, now))
            .await?;
        Ok(())
    }

    /// Waits for a run that another process switches to, on a server where only that process can.
    async fn wait_for(&self, switching: &Switching) -> Result<()> {
        let mut patience = Patience::new(self.patience);
        loop {
            tokio::time::sleep(LOOK).await;
            let marker = self.change(|_| None).await?;
            if marker.switching.as_ref() != Some(switching) {
                return Ok(());
            }
            if marker.is_switch_abandoned(self.now().await?) {
                let renamed = patiently(self.patience, || self.rename(&switching.staged, true));
                self.attempt.check(renamed.await)?;
                let now = self.now().await?;
                return self
                    .change(|marker| marker.finished(&switching.run_id, now))
                    .await
                    .map(drop);
            }
            if !patience
                .wait_after("another job replaces the collection")
                .await
            {
                let text = format!("cannot replace `{}`: another job does", self.namespace);
                return Err(Error::new(ErrorKind::Unavailable, text).with_hint("try again later"));
            }
        }
    }

    /// Renames a sealed collection over the target. Repeated and by whomever, it does no harm: nothing else ever has
    /// that name. `false` where the server cannot, and the process of the run has to do it step by step.
    async fn rename(&self, sealed: &str, may_take_steps: bool) -> mongodb::error::Result<bool> {
        let from = Namespace {
            collection: sealed.to_owned(),
            ..self.namespace.clone()
        };
        let admin = self.client.database("admin");
        let command = doc! {
            "renameCollection": from.to_string(), "to": self.namespace.to_string(), "dropTarget": true,
        };
        let error = match admin.run_command(command).await {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        if fault::code_of(&error) == Some(fault::NAMESPACE_NOT_FOUND) {
            // An earlier try, or another process, did it.
            let is_done = self.has(&self.namespace.collection).await?;
            return if is_done { Ok(true) } else { Err(error) };
        }
        if !fault::is_unsupported(&error) {
            return Err(error);
        }
        if !self.has(sealed).await? {
            return Ok(true);
        }
        if !may_take_steps {
            return Ok(false);
        }
        tracing::warn!(
            collection = %self.namespace,
            "the server cannot replace a collection at once; readers find none for a moment"
        );
        let aside = match run_of(&self.namespace.collection, sealed) {
            Some(run) => format!("{}{REPLACED}{run}", self.namespace.collection),
            None => format!("{sealed}{REPLACED}"),
        };
        replace::in_steps(&self.client, &self.namespace, sealed, &aside).await?;
        Ok(true)
    }

    async fn has(&self, collection: &str) -> mongodb::error::Result<bool> {
        let names = self.database().list_collection_names().await?;
        Ok(names.iter().any(|name| name == collection))
    }

    async fn drop_collection(&self, name: &str) -> Result<()> {
        let database = self.database();
        let dropped = patiently(self.patience, || drop_collection(&database, name));
        self.attempt.check(dropped.await)
    }

    /// Says again and again that a run lives.
    async fn beat(self, run_id: String) {
        let pause = BEAT.min((self.patience * 2 + SILENCE) / 4);
        loop {
            tokio::time::sleep(pause).await;
            let said = async {
                let until = self.now().await? + self.lease();
                self.change(|marker| marker.renewed(&run_id, until)).await
            };
            match said.await {
                Ok(marker) if marker.is_written(&run_id) => {}
                // It is over, or was taken for dead; the switch will say.
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, run_id, "cannot say that the run lives"),
            }
        }
    }

    /// Drops the collections of dead runs, and of those that are over.
    async fn drop_dead(&self) -> Result<()> {
        let database = self.database();
        // A run is in the marker before its collection is there, so the marker is read after the names.
        let names = patiently(self.patience, || {
            let request = database.list_collection_names();
            async move { request.await }
        });
        let names = self.attempt.check(names.await)?;
        let now = self.now().await?;
        let forget = |marker: &Marker| marker.without_run(marker.dead_run(now)?);
        let marker = loop {
            let marker = self.change(forget).await?;
            if marker.dead_run(now).is_none() {
                break marker;
            }
        };
        for name in names {
            let run = run_of(&self.namespace.collection, &name);
            let is_dead = |run: &str| !marker.is_written(run) && !marker.is_switching(run);
            if !run.is_some_and(is_dead) {
                continue;
            }
            if name.contains(REPLACED) {
                let back = patiently(self.patience, || {
                    replace::put_back(&self.client, &self.namespace, &name)
                });
                self.attempt.check(back.await)?;
            } else {
                self.drop_collection(&name).await?;
            }
        }
        Ok(())
    }
}

/// The run that a collection of this name is staged for, if it is for `target`.
fn run_of<'a>(target: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(target)?;
    let run = rest
        .strip_prefix(STAGED)
        .or_else(|| rest.strip_prefix(SEALED))
        .or_else(|| rest.strip_prefix(REPLACED))?;
    let is_id = run.len() == 32 && run.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then_some(run)
}

async fn drop_collection(database: &Database, name: &str) -> mongodb::error::Result<()> {
    let collection: Collection<Document> = database.collection(name);
    match collection.drop().await {
        Err(e) if fault::code_of(&e) == Some(fault::NAMESPACE_NOT_FOUND) => Ok(()),
        other => other,
    }
}
