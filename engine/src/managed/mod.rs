//! Tables and views that statements make.
//!
//! A managed table is a folder of the warehouse with a published result, so that it is made, changed
//! and replaced whole or not at all, and so that any later session finds it without further notes.
//! Temporary tables, and all tables where the catalog names no warehouse, are in a folder of the
//! session. Views are texts that the session keeps; they are planned anew at each use, and so see the
//! files as they are.

mod folder;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::catalog::Session as CatalogSession;
use emporia_connectors::files::Location;
use emporia_connectors::published::{Head, remove_result, storage_error};
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, ErrorKind, Result};
use object_store::{ObjectStore, ObjectStoreExt};

use folder::SessionFolder;
use names::{folder_of, table_of};

/// A file that every warehouse has.
const MARKER: &str = "_warehouse";
const MARKER_TEXT: &str = "tables of CREATE TABLE; see docs/sql.md of Emporia\n";

/// How long a managed table lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Until it is dropped.
    Lasting,
    /// As long as the session.
    Session,
}

/// What a session made besides tables of the warehouse.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    /// The statement that made a view.
    View(String),
    /// A table in the folder of the session.
    Table(TableDef),
}

/// The managed tables and the views of a session.
#[derive(Debug, Default)]
pub(crate) struct Managed {
    warehouse: Option<String>,
    folder: Mutex<Option<Arc<SessionFolder>>>,
    objects: Mutex<BTreeMap<String, Object>>,
    /// Tables of the warehouse that the planner knows.
    registered: Mutex<BTreeSet<String>>,
    /// Tables of the warehouse when the session began.
    listed: Mutex<BTreeSet<String>>,
    prepared: Mutex<BTreeMap<String, String>>,
}

impl Managed {
    /// Nothing yet, over a warehouse.
    pub(crate) fn new(warehouse: Option<String>) -> Self {
        Self {
            warehouse,
            ..Self::default()
        }
    }

    /// How long a table lasts that a statement makes.
    pub(crate) fn lifetime(&self, is_temporary: bool) -> Lifetime {
        match self.warehouse {
            Some(_) if !is_temporary => Lifetime::Lasting,
            _ => Lifetime::Session,
        }
    }

    /// Where a new table goes.
    pub(crate) fn place(&self, table: &str, lifetime: Lifetime) -> Result<TableDef> {
        let folder = folder_of(table)?;
        let parent = match (&self.warehouse, lifetime) {
            (Some(warehouse), Lifetime::Lasting) => warehouse.clone(),
            _ => self.session_folder()?.location().to_owned(),
        };
        Ok(TableDef::new("parquet", format!("{parent}/{folder}")))
    }

    /// Makes the warehouse stay when its last table goes: the local store removes folders together
    /// with their last file, and with them what an administrator allowed.
    pub(crate) async fn keep_warehouse(&self, state: &dyn CatalogSession) -> Result<()> {
        let Some(warehouse) = &self.warehouse else {
            return Ok(());
        };
        let place = Location::parse(warehouse)?;
        let store = place.open(state)?;
        let marker = place.path.join(MARKER);
        match store.head(&marker).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let put = store.put(&marker, MARKER_TEXT.into()).await;
                put.map(|_| ())
                    .map_err(|e| storage_error("write", &marker, e))
            }
        }
    }

    fn session_folder(&self) -> Result<Arc<SessionFolder>> {
        let mut folder = lock(&self.folder);
        if let Some(folder) = folder.as_ref() {
            return Ok(Arc::clone(folder));
        }
        let made = Arc::new(SessionFolder::make(self.warehouse.as_deref())?);
        *folder = Some(Arc::clone(&made));
        Ok(made)
    }

    /// What the session made under a name.
    pub(crate) fn object(&self, name: &str) -> Option<Object> {
        lock(&self.objects).get(name).cloned()
    }

    /// Names and kinds of what the session made.
    pub(crate) fn objects(&self) -> BTreeMap<String, Object> {
        lock(&self.objects).clone()
    }

    /// Keeps what the session made.
    pub(crate) fn keep(&self, name: &str, object: Object) {
        lock(&self.objects).insert(name.to_owned(), object);
    }

    /// Forgets what the session made.
    pub(crate) fn forget(&self, name: &str) {
        lock(&self.objects).remove(name);
        lock(&self.registered).remove(name);
    }

    /// Looks which tables the warehouse has.
    pub(crate) async fn list(&self, state: &dyn CatalogSession) -> Result<()> {
        let tables = self.all_lasting(state).await?;
        *lock(&self.listed) = tables.into_keys().collect();
        Ok(())
    }

    /// Whether the warehouse had the table when it was looked at.
    pub(crate) fn is_listed(&self, name: &str) -> bool {
        lock(&self.listed).contains(name)
    }

    /// Notes that the planner knows a table of the warehouse.
    pub(crate) fn note_registered(&self, name: &str) {
        lock(&self.registered).insert(name.to_owned());
    }

    /// Whether the planner knew a table of the warehouse; it does not any more.
    pub(crate) fn take_registered(&self, name: &str) -> bool {
        lock(&self.registered).remove(name)
    }

    /// The table of the warehouse of this name, if there is one.
    pub(crate) async fn lasting(
        &self,
        name: &str,
        state: &dyn CatalogSession,
    ) -> Result<Option<TableDef>> {
        let Some(warehouse) = &self.warehouse else {
            return Ok(None);
        };
        // What cannot be the name of a table is the name of none.
        let Ok(folder) = folder_of(name) else {
            return Ok(None);
        };
        let table = TableDef::new("parquet", format!("{warehouse}/{folder}"));
        let place = Location::parse(&table.location)?;
        let store = place.open(state)?;
        let head = Head::load(store.as_ref(), &place.path).await?;
        Ok(head.result().map(|_| table))
    }

    /// The tables of the warehouse.
    pub(crate) async fn all_lasting(
        &self,
        state: &dyn CatalogSession,
    ) -> Result<BTreeMap<String, TableDef>> {
        let mut tables = BTreeMap::new();
        let Some(warehouse) = &self.warehouse else {
            return Ok(tables);
        };
        let place = Location::parse(warehouse)?;
        let store = place.open(state)?;
        let found = match store.list_with_delimiter(Some(&place.path)).await {
            Ok(found) => found.common_prefixes,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(storage_error("list", &place.path, error)),
        };
        for folder in found {
            let Some(name) = folder.filename().and_then(table_of) else {
                continue;
            };
            if Head::load(store.as_ref(), &folder)
                .await?
                .result()
                .is_some()
            {
                let location = format!("{warehouse}/{}", folder_of(&name)?);
                tables.insert(name, TableDef::new("parquet", location));
            }
        }
        Ok(tables)
    }

    /// Removes the files of a table.
    pub(crate) async fn remove(&self, table: &TableDef, state: &dyn CatalogSession) -> Result<()> {
        let place = Location::parse(&table.location)?;
        let store: Arc<dyn ObjectStore> = place.open(state)?;
        remove_result(store.as_ref(), &place.path).await
    }

    /// Keeps the text of a prepared statement.
    ///
    /// # Errors
    /// `AlreadyExists` where there is one of the name.
    pub(crate) fn prepare(&self, name: &str, text: &str) -> Result<()> {
        let mut prepared = lock(&self.prepared);
        if prepared.contains_key(name) {
            let text = format!("there is a prepared statement `{name}` already");
            return Err(Error::new(ErrorKind::AlreadyExists, text)
                .with_hint(format!("DEALLOCATE {name} removes it")));
        }
        prepared.insert(name.to_owned(), text.to_owned());
        Ok(())
    }

    /// The text of a prepared statement.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn prepared(&self, name: &str) -> Result<String> {
        lock(&self.prepared)
            .get(name)
            .cloned()
            .ok_or_else(|| unknown_prepared(name))
    }

    /// Forgets a prepared statement, or all of them.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn deallocate(&self, name: Option<&str>) -> Result<()> {
        let mut prepared = lock(&self.prepared);
        let Some(name) = name else {
            prepared.clear();
            return Ok(());
        };
        match prepared.remove(name) {
            Some(_) => Ok(()),
            None => Err(unknown_prepared(name)),
        }
    }

    /// Removes the folder of the session with all tables in it.
    pub(crate) async fn close(&self, state: &dyn CatalogSession) -> Result<()> {
        let folder = lock(&self.folder).take();
        match folder {
            Some(folder) => folder.remove(state).await,
            None => Ok(()),
        }
    }
}

fn unknown_prepared(name: &str) -> Error {
    Error::not_found(format!("there is no prepared statement `{name}`"))
        .with_hint("PREPARE makes one, for this session")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
