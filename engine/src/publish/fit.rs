//! Refuses places where a result would hide files that are no part of it, or where its files would
//! become rows of another table.
//!
//! A result folder is read through its pointer alone. So a folder of other files may not become one:
//! a table over them would be gone. A folder inside that of a table may neither: the table would have
//! the rows of all runs.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path as LocalPath, PathBuf};

use emporia_connectors::files::Location as Stored;
use emporia_connectors::files::list::is_hidden;
use emporia_connectors::hdfs::Fault;
use emporia_connectors::published::{Head, is_run_folder, storage_error};
use emporia_core::error::{Error, Result};
use emporia_core::location::Location;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::Destination;
use crate::session::Session;

/// Bytes that the path of a file has more than that of its result folder, at most.
const LONGEST_INSIDE: usize = 220;
/// The port of a NameNode where a location names none.
const NAMENODE_PORT: &str = ":8020";

/// Checks that a result can be written to `destination` by a query that reads the tables `reads`.
///
/// # Errors
/// `InvalidInput` where the folder holds files but no result, where it is in the folder of a table
/// that is no result, and where it cannot be made.
pub async fn check_destination(
    session: &Session,
    destination: &Destination,
    reads: &BTreeSet<String>,
) -> Result<()> {
    let Destination::Folder { location, .. } = destination else {
        return Ok(());
    };
    let target = Location::parse(location, None)?;
    let stored = Stored::of(&target)?;
    if stored.path.is_root() {
        return Err(
            Error::invalid(format!("`{}` cannot hold a result", target.shown()))
                .with_hint("name a folder below it"),
        );
    }
    if let Some(path) = target.local_path() {
        can_be_folder(&path)?;
    }
    let store = stored.open(&session.context().state())?;
    let store = store.as_ref();
    match store.head(&stored.path).await {
        Ok(_) => return Err(not_a_folder(&target.shown())),
        Err(error) if Fault::of(&error).is_some_and(Fault::is_transient) => {
            return Err(storage_error("look at", &stored.path, error));
        }
        Err(_) => {}
    }
    let is_result = Head::load(store, &stored.path).await?.result().is_some();
    let mut read_here = None;
    for (name, table) in session.definitions() {
        let Some(table) = file_table(&table) else {
            continue;
        };
        match relation(&target, &table) {
            Relation::Apart => {}
            Relation::Same => read_here = read_here.or(reads.contains(&name).then_some(name)),
            Relation::Inside { is_sure } => {
                let place = Stored::of(&table)?;
                let table_store = place.open(&session.context().state())?;
                let is_inside = is_sure || same(store, table_store.as_ref(), &place.path).await;
                if is_inside && !holds_result(table_store.as_ref(), &place.path).await? {
                    return Err(inside(&target, &name, &table));
                }
            }
        }
    }
    if is_result {
        return Ok(());
    }
    let place = target.shown();
    if let Some(whole) = result_with(store, &stored.path).await? {
        let text = format!("`{place}` is a table of the result `/{whole}`");
        return Err(Error::invalid(text)
            .with_hint("write to the folder of that result, which replaces it, or to another"));
    }
    let Some(file) = foreign_file(store, &stored.path).await? else {
        return Ok(());
    };
    let text = match read_here {
        Some(table) => format!(
            "the query reads the table `{table}`, whose files in `{place}` the result would hide"
        ),
        None => format!("`{place}` holds files that are no result, such as `{file}`"),
    };
    Err(Error::invalid(text).with_hint("write to a folder that is new, empty or a result"))
}

/// Checks that one file can be written to `path` by a query that reads the tables `reads`.
///
/// # Errors
/// `InvalidInput` where the file is, or would be, a part of one of the tables or of what Emporia keeps of a result.
pub async fn check_file(
    session: &Session,
    path: &LocalPath,
    reads: &BTreeSet<String>,
) -> Result<()> {
    let target = Location::local(path)?;
    if let Some(whole) = result_around(session, &target).await? {
        let text = format!(
            "`{}` would become a part of the result `{}`",
            target.shown(),
            whole.display()
        );
        return Err(Error::invalid(text).with_hint("write to another place"));
    }
    for (name, table) in session.definitions() {
        let Some(table) = file_table(&table).filter(|_| reads.contains(&name)) else {
            continue;
        };
        if relation(&target, &table) == Relation::Apart {
            continue;
        }
        let place = Stored::of(&table)?;
        let store = place.open(&session.context().state())?;
        if !holds_result(store.as_ref(), &place.path).await? {
            return Err(inside(&target, &name, &table));
        }
    }
    Ok(())
}

/// The folder of the result that would take the file for its own: for a run of it, its manifest or its pointer.
async fn result_around(session: &Session, file: &Location) -> Result<Option<PathBuf>> {
    let path = file
        .local_path()
        .map(|path| real(&path))
        .unwrap_or_default();
    for folder in path.ancestors().skip(1) {
        let inside = path.strip_prefix(folder).ok();
        let first = inside
            .and_then(|rest| rest.iter().next())
            .and_then(|name| name.to_str());
        if !first.is_some_and(|name| is_hidden(name) || is_run_folder(name)) {
            continue;
        }
        let place = Stored::of(&Location::local(folder)?)?;
        let store = place.open(&session.context().state())?;
        let head = Head::load(store.as_ref(), &place.path).await;
        if head.is_ok_and(|head| head.result().is_some()) {
            return Ok(Some(folder.to_owned()));
        }
    }
    Ok(None)
}

fn inside(target: &Location, name: &str, table: &Location) -> Error {
    Error::invalid(format!(
        "`{}` would become a part of the table `{name}`, whose files are in `{}`",
        target.shown(),
        table.shown()
    ))
    .with_hint("write to another place")
}

fn not_a_folder(file: &str) -> Error {
    Error::invalid(format!("`{file}` is a file, and a result is a folder"))
        .with_hint("choose another place")
}

/// The location of a table in files.
fn file_table(table: &emporia_core::catalog::TableDef) -> Option<Location> {
    let is_file_table = !["hbase", "mongodb"].contains(&table.connector.as_str());
    // A location that cannot be is reported when the table is read.
    let location = is_file_table.then(|| Location::parse(&table.location, None));
    location.and_then(Result::ok)
}

/// Checks that a folder of this path can be made.
fn can_be_folder(path: &LocalPath) -> Result<()> {
    if path.as_os_str().len() + LONGEST_INSIDE > emporia_core::location::MAX_LOCAL_PATH {
        let text = format!("`{}` is too long for a result", path.display());
        return Err(Error::invalid(text).with_hint("choose a place with a shorter path"));
    }
    for ancestor in path.ancestors() {
        match fs::metadata(ancestor) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => return Err(not_a_folder(&ancestor.display().to_string())),
            Err(error) if is_missing(&error) => {
                if fs::symlink_metadata(ancestor).is_ok() {
                    let text = format!("`{}` is a link to nothing", ancestor.display());
                    return Err(Error::invalid(text).with_hint("make what it leads to"));
                }
            }
            // The write will say what is wrong.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Where a place is, seen from that of a table.
#[derive(Debug, PartialEq)]
enum Relation {
    Apart,
    Same,
    /// In its folder; not sure where the names of two servers may be those of one.
    Inside {
        is_sure: bool,
    },
}

fn relation(target: &Location, table: &Location) -> Relation {
    if let (Some(target), Some(table)) = (target.local_path(), table.local_path()) {
        return local_relation(&real(&target), &real(&table));
    }
    if target.scheme() != table.scheme() {
        return Relation::Apart;
    }
    let is_sure = server(target.root()) == server(table.root());
    let (target, table) = (target.path(), table.path());
    match LocalPath::new(&target).strip_prefix(&table) {
        Err(_) => Relation::Apart,
        Ok(rest) if !rest.as_os_str().is_empty() => Relation::Inside { is_sure },
        Ok(_) if is_sure => Relation::Same,
        // What is there decides, whoever it belongs to.
        Ok(_) => Relation::Apart,
    }
}

fn local_relation(target: &LocalPath, table: &LocalPath) -> Relation {
    // One folder can be mounted at several places.
    let id = |path: &LocalPath| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let wanted = id(table);
    let is_table = |path: &LocalPath| path == table || (wanted.is_some() && id(path) == wanted);
    if is_table(target) {
        return Relation::Same;
    }
    match target.ancestors().skip(1).any(is_table) {
        true => Relation::Inside { is_sure: true },
        false => Relation::Apart,
    }
}

/// The path without links, as far as it exists.
fn real(path: &LocalPath) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (fs::canonicalize(ancestor), path.strip_prefix(ancestor)) {
            return found.join(rest);
        }
    }
    path.to_owned()
}

/// The server of a root such as `hdfs://user@Host:8020`, in one form.
fn server(root: &str) -> String {
    let authority = root.split_once("://").map_or(root, |(_, rest)| rest);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    host.strip_suffix(NAMENODE_PORT).unwrap_or(&host).to_owned()
}

/// Whether two stores show the same files in a folder, so that they are one under two names.
async fn same(one: &dyn ObjectStore, other: &dyn ObjectStore, folder: &Path) -> bool {
    let (one, other) = (
        one.list_with_delimiter(Some(folder)).await,
        other.list_with_delimiter(Some(folder)).await,
    );
    let (Ok(one), Ok(other)) = (one, other) else {
        return false;
    };
    let objects = |list: &object_store::ListResult| {
        let objects = list.objects.iter();
        let mut objects: Vec<_> = objects
            .map(|o| (o.location.to_string(), o.size, o.last_modified))
            .collect();
        objects.sort();
        objects
    };
    objects(&one) == objects(&other) && one.common_prefixes == other.common_prefixes
}

/// Whether a table at `path` is a result, or a table of one.
async fn holds_result(store: &dyn ObjectStore, path: &Path) -> Result<bool> {
    let is_result = Head::load(store, path).await?.result().is_some();
    Ok(is_result || result_with(store, path).await?.is_some())
}

/// The result one of whose tables `path` names.
async fn result_with(store: &dyn ObjectStore, path: &Path) -> Result<Option<Path>> {
    let (Some(folder), Some(name)) = (path.parent(), path.filename()) else {
        return Ok(None);
    };
    let found = Head::load(store, &folder).await?;
    Ok(found
        .result()
        .filter(|result| result.outputs.contains_key(name))
        .map(|_| folder))
}

/// A file in the folder, by its path there, that is neither hidden nor one of a run that was not published.
async fn foreign_file(store: &dyn ObjectStore, folder: &Path) -> Result<Option<String>> {
    let is_foreign = |location: &Path| {
        let mut names = location.prefix_match(folder).into_iter().flatten();
        let Some(first) = names.next() else {
            return false;
        };
        let is_run = is_run_folder(first.as_ref()) && names.next().is_some();
        !is_run && !is_hidden(first.as_ref())
    };
    let files = store.list(Some(folder)).map_ok(|object| object.location);
    let mut files = std::pin::pin!(files.try_filter(|file| std::future::ready(is_foreign(file))));
    let found = files.try_next().await;
    let found = found.map_err(|e| storage_error("list", folder, e))?;
    let inside = |file: Path| {
        let names = file.prefix_match(folder)?;
        Some(names.collect::<Path>().to_string())
    };
    Ok(found.and_then(inside))
}
