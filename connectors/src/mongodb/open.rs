//! From a catalog definition to a provider: asks the server what the collection is.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, Result, nearest};
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::error::Result as DriverResult;
use mongodb::{Collection, Database};

use super::boundaries::{cut, number_of_splits};
use super::fault::{self, Attempt};
use super::mapping::{Column, Malformed};
use super::namespace::Namespace;
use super::options::CollectionOptions;
use super::sample::Sample;
use super::server::Server;
use super::splits::{self, Split};
use super::table::{CollectionTable, Recipe};
use crate::stores::Stores;

/// What the server says of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    /// Whether it is a plain collection, in which `_id` is unique and indexed.
    is_plain: bool,
    has_collation: bool,
}

/// Makes the provider of a collection.
///
/// # Errors
/// `NotFound` where there is no such collection and no schema is declared, `InvalidInput` where the
/// definition is wrong, `Unavailable` where the server does not answer, `PermissionDenied` where it
/// refuses the user.
pub async fn open(name: &str, table: &TableDef, stores: &Stores) -> Result<Arc<dyn TableProvider>> {
    let in_table = |e: Error| {
        let error = Error::new(e.kind(), format!("table `{name}`: {e}"));
        let error = match e.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        match std::error::Error::source(&e) {
            Some(source) => error.with_source(source.to_string()),
            None => error,
        }
    };
    let recipe = recipe(table, stores).await.map_err(in_table)?;
    Ok(Arc::new(CollectionTable::new(recipe)))
}

async fn recipe(table: &TableDef, stores: &Stores) -> Result<Recipe> {
    let namespace = Namespace::parse(&table.location)?;
    let options = CollectionOptions::parse(&table.options)?;
    let declared = declared(table, &options)?;

    let attempt = Attempt::to(format!("open `{namespace}`"), stores.settings());
    let database = stores.mongodb().await?.database(&namespace.database);
    let found = attempt.check(look_up(&database, &namespace.collection).await)?;
    let unreadable = match &found {
        Some(_) => None,
        None => {
            let error = attempt.missing(&database, &namespace).await?;
            let Some(_) = declared else {
                return Err(error);
            };
            let hint = error
                .hint()
                .map_or_else(String::new, |hint| format!("; {hint}"));
            Some(format!("{error}{hint}"))
        }
    };
    let collection: Collection<Document> = database.collection(&namespace.collection);
    let mut columns = match declared {
        Some(columns) => columns,
        None => sampled(&collection, &namespace, &options, &attempt).await?,
    };
    if options.malformed == Malformed::Null {
        columns.iter_mut().for_each(Column::relax);
    }

    let limits = options.limits(&columns)?;
    let reading = match &found {
        Some(found) => {
            let planned = plan_reading(&database, &collection, &options, limits, *found).await;
            attempt.check(planned)?
        }
        None => Reading::default(),
    };
    Ok(Recipe {
        namespace,
        columns,
        malformed: options.malformed,
        is_ordered: reading.is_ordered,
        split_by: options.split_by,
        splits: reading.splits,
        has_collation: found.is_some_and(|f| f.has_collation),
        estimated_rows: usize::try_from(reading.n_documents).ok(),
        unreadable,
    })
}

/// The declared columns, `None` where the documents tell.
fn declared(table: &TableDef, options: &CollectionOptions) -> Result<Option<Vec<Column>>> {
    let Some(schema) = table.declared_schema()? else {
        return Ok(None);
    };
    let fields = schema.fields().iter();
    options.check_columns(
        &fields
            .clone()
            .map(|f| f.name().as_str())
            .collect::<Vec<_>>(),
    )?;
    fields
        .map(|f| Column::new(f, &options.path_of(f.name()), options.stored_of(f.name())))
        .collect::<Result<Vec<_>>>()
        .map(Some)
}

/// What kind of collection this is; `None` where there is none.
async fn look_up(database: &Database, collection: &str) -> DriverResult<Option<Found>> {
    let listed = database
        .list_collections()
        .filter(doc! { "name": collection })
        .await;
    let found = match listed {
        Ok(cursor) => cursor.try_collect::<Vec<_>>().await?.pop(),
        // A user who may read the collection need not be allowed to list all of them.
        Err(error) if fault::code_of(&error) == Some(13) => {
            return Ok(Some(Found {
                is_plain: true,
                has_collation: false,
            }));
        }
        Err(error) => return Err(error),
    };
    Ok(found.map(|found| Found {
        is_plain: matches!(
            found.collection_type,
            mongodb::results::CollectionType::Collection
        ),
        has_collation: found.options.collation.is_some(),
    }))
}

impl Attempt {
    /// The error for a collection that does not exist, with the nearest that does.
    async fn missing(&self, database: &Database, namespace: &Namespace) -> Result<Error> {
        let names = self.check(database.list_collection_names().await)?;
        let error = Error::not_found(format!("there is no collection `{namespace}`"));
        Ok(
            match nearest(&namespace.collection, names.iter().map(String::as_str)) {
                Some(near) => {
                    error.with_hint(format!("did you mean `{}.{near}`?", namespace.database))
                }
                None if names.is_empty() => {
                    error.with_hint(format!("the database `{}` is empty", namespace.database))
                }
                None => error,
            },
        )
    }
}

/// Columns for the fields that a sample of documents has.
async fn sampled(
    collection: &Collection<Document>,
    namespace: &Namespace,
    options: &CollectionOptions,
    attempt: &Attempt,
) -> Result<Vec<Column>> {
    let mut sample = Sample::default();
    for document in attempt.check(random(collection, options.sample).await)? {
        sample.add(&document)?;
    }
    if sample.len() == 0 {
        return Err(Error::invalid(format!(
            "the collection `{namespace}` is empty, so its columns are unknown"
        ))
        .with_hint("declare them in `columns`"));
    }
    let columns = sample.columns(options)?;
    options.check_columns(&columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>())?;
    Ok(columns)
}

async fn random(
    collection: &Collection<Document>,
    n_documents: u32,
) -> DriverResult<Vec<RawDocumentBuf>> {
    let pipeline = [doc! { "$sample": { "size": n_documents } }];
    match collection
        .aggregate(pipeline)
        .with_type::<RawDocumentBuf>()
        .await
    {
        Ok(cursor) => cursor.try_collect().await,
        Err(error) if fault::is_unsupported(&error) => {
            let raw = collection.clone_with_type::<RawDocumentBuf>();
            let first = raw.find(doc! {}).limit(i64::from(n_documents));
            first.await?.try_collect().await
        }
        Err(error) => Err(error),
    }
}

/// How a collection is read.
struct Reading {
    splits: Vec<Split>,
    /// Whether the documents of a split come in the order of `_id`.
    is_ordered: bool,
    n_documents: u64,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            splits: vec![Split::Whole],
            is_ordered: false,
            n_documents: 0,
        }
    }
}

async fn plan_reading(
    database: &Database,
    collection: &Collection<Document>,
    options: &CollectionOptions,
    limits: Vec<Bson>,
    found: Found,
) -> DriverResult<Reading> {
    let server = Server::of(database).await?;
    let n_documents = server.estimated_documents(database, collection).await?;
    // Another field has no index that begins with it and ends with `_id`.
    let is_ordered = options.split_by == "_id" && found.is_plain && server.reads_in_order();
    // A view may show an `_id` twice, and it has no index of its own.
    let is_divisible = found.is_plain && !found.has_collation;
    let splits = if !limits.is_empty() {
        splits::at(limits)
    } else if is_divisible {
        let n_splits = number_of_splits(n_documents, options.splits, server);
        cut(collection, &options.split_by, n_documents, n_splits).await?
    } else {
        vec![Split::Whole]
    };
    Ok(Reading {
        splits,
        is_ordered,
        n_documents,
    })
}
