//! Replaces a whole collection at once.
//!
//! The rows go into a staged collection beside the target. When all are there it is renamed, which
//! readers see as one change. A run that fails leaves the target as it was; what a killed one left is
//! dropped by the next run that succeeds.

use emporia_core::error::{Error, ErrorKind, Result};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection, Database};

use super::fault::{self, Attempt};
use super::indexes::create_indexes;
use super::namespace::Namespace;
use super::retry::patiently;
use super::target::CollectionTarget;
use crate::stores::Stores;

/// What stands between the name of a collection and the run that replaces it.
const STAGED: &str = "__run_";

/// Makes the staged collection of this run, empty, and returns it as the target of the rows.
///
/// # Errors
/// As of any request to the server.
pub async fn begin_overwrite(
    stores: &Stores,
    target: &CollectionTarget,
    run_id: &str,
) -> Result<CollectionTarget> {
    let staged = target.in_collection(format!("{}{STAGED}{run_id}", target.collection()));
    // What an earlier try of the same run left would mix with this one's rows.
    discard(stores, &staged).await?;
    create(stores, &staged).await?;
    Ok(staged)
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
/// `Failed` where rows shared a key, `InvalidInput` where they are not unique in an index, and as of
/// any request. The target is as it was then, and the staged collection is gone; where only the
/// renaming failed, it is left, and the hint names it.
pub async fn publish_overwrite(
    stores: &Stores,
    staged: &CollectionTarget,
    target: &CollectionTarget,
    n_rows: u64,
) -> Result<()> {
    if let Err(error) = check(stores, staged, target, n_rows).await {
        if let Err(left) = discard(stores, staged).await {
            tracing::warn!(error = %left, "the failed run could not be removed");
        }
        return Err(error);
    }
    let attempt = Attempt::to(format!("replace `{}`", target.namespace), stores.settings());
    let client = stores.mongodb().await?;
    let renamed = patiently(stores.settings().patience, || {
        rename(client, &staged.namespace, &target.namespace)
    });
    attempt.check(renamed.await).map_err(|e| {
        let hint = format!("the new rows are complete in `{}`", staged.namespace);
        match e.hint() {
            Some(known) => {
                let hint = format!("{known}; {hint}");
                e.with_hint(hint)
            }
            None => e.with_hint(hint),
        }
    })?;
    if let Err(error) = drop_older(stores, staged, target).await {
        tracing::warn!(%error, "what an interrupted run left could not be removed");
    }
    Ok(())
}

/// Drops the staged collections of runs that began before this one: ids of runs sort by time.
async fn drop_older(
    stores: &Stores,
    staged: &CollectionTarget,
    target: &CollectionTarget,
) -> mongodb::error::Result<()> {
    let Ok(client) = stores.mongodb().await else {
        return Ok(());
    };
    let database = client.database(target.database());
    let of_target = format!("{}{STAGED}", target.collection());
    for name in database.list_collection_names().await? {
        if name.starts_with(&of_target) && name.as_str() < staged.collection() {
            drop_collection(&database, &name).await?;
        }
    }
    Ok(())
}

/// Checks that the staged collection holds all rows, and makes its indexes.
async fn check(
    stores: &Stores,
    staged: &CollectionTarget,
    target: &CollectionTarget,
    n_rows: u64,
) -> Result<()> {
    let attempt = Attempt::to(format!("replace `{}`", target.namespace), stores.settings());
    let database = stores.mongodb().await?.database(staged.database());
    let collection: Collection<Document> = database.collection(staged.collection());
    let counted = patiently(stores.settings().patience, || {
        let request = collection.count_documents(doc! {});
        async move { request.await }
    });
    let n_documents = attempt.check(counted.await)?;
    if n_documents == 0 && n_rows > 0 {
        let text = format!(
            "cannot replace `{}`: another job did while this one ran",
            target.namespace
        );
        return Err(Error::new(ErrorKind::Failed, text)
            .with_hint("the result of the other job is there; submit this one again"));
    }
    if n_documents != n_rows {
        return Err(Error::new(
            ErrorKind::Failed,
            format!(
                "cannot replace `{}`: {n_rows} rows became {n_documents} documents, because rows \
                 have the same key",
                target.namespace
            ),
        )
        .with_hint("make the rows unique, or name more columns in the option `key`"));
    }
    create_indexes(stores, staged).await
}

/// Drops the staged collection of a run that failed.
///
/// # Errors
/// As of any request to the server.
pub async fn discard(stores: &Stores, staged: &CollectionTarget) -> Result<()> {
    if !staged.collection().contains(STAGED) {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("`{}` is no staged collection", staged.namespace),
        ));
    }
    let attempt = Attempt::to(format!("drop `{}`", staged.namespace), stores.settings());
    let database = stores.mongodb().await?.database(staged.database());
    let dropped = patiently(stores.settings().patience, || {
        drop_collection(&database, staged.collection())
    });
    attempt.check(dropped.await)
}

async fn drop_collection(database: &Database, name: &str) -> mongodb::error::Result<()> {
    let collection: Collection<Document> = database.collection(name);
    match collection.drop().await {
        Err(e) if fault::code_of(&e) == Some(fault::NAMESPACE_NOT_FOUND) => Ok(()),
        other => other,
    }
}

async fn rename(client: &Client, from: &Namespace, to: &Namespace) -> mongodb::error::Result<()> {
    let admin = client.database("admin");
    let command = doc! { "renameCollection": from.to_string(), "to": to.to_string() };
    let mut replacing = command.clone();
    replacing.insert("dropTarget", true);
    let error = match admin.run_command(replacing).await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let database = client.database(&to.database);
    if fault::code_of(&error) == Some(fault::NAMESPACE_NOT_FOUND) {
        // An earlier try may have succeeded although its answer got lost.
        let names = database.list_collection_names().await?;
        let is_done = names.contains(&to.collection) && !names.contains(&from.collection);
        return if is_done { Ok(()) } else { Err(error) };
    }
    if !fault::is_unsupported(&error) {
        return Err(error);
    }
    tracing::warn!(
        collection = %to,
        "the server cannot replace a collection at once; readers find none for a moment"
    );
    drop_collection(&database, &to.collection).await?;
    admin.run_command(command).await.map(drop)
}
