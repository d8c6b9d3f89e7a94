//! What a local folder holds that no store lists: links that lead nowhere, pipes, sockets and devices.
//!
//! The local store passes over them, and a link to a file that is gone is rows that are missing. So a
//! folder is looked through here as well.

use std::fs::{self, FileType};
use std::io;
use std::path::PathBuf;

use emporia_core::error::{Error, ErrorKind, Result};
use tokio::task::spawn_blocking;

use super::list::is_hidden;

/// Checks that table `name` has nothing but files in the local folder, or that it is one; hidden names
/// do not count.
///
/// # Errors
/// `InvalidInput` for a link that leads nowhere and for what is neither a file nor a folder, and the errors
/// of the file system.
pub(super) async fn check(name: &str, place: PathBuf) -> Result<()> {
    let table = name.to_owned();
    spawn_blocking(move || check_now(&table, place))
        .await
        .map_err(|e| Error::internal("looking at a folder was cut off").with_source(e))?
}

fn check_now(name: &str, place: PathBuf) -> Result<()> {
    // Where nothing is, the listing says so.
    let Ok(metadata) = fs::metadata(&place) else {
        return Ok(());
    };
    let mut folders = match kind(metadata.file_type()) {
        Kind::File => return Ok(()),
        Kind::Folder => vec![place],
        Kind::Special(what) => return Err(special(name, &place, what)),
    };
    while let Some(folder) = folders.pop() {
        let failed = |e| unreadable(&folder, e);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // It went away.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed(e)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if is_hidden(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            let found = entry.file_type().map_err(failed)?;
            let found = match found.is_symlink() {
                false => found,
                true => match fs::metadata(&path) {
                    Ok(target) => target.file_type(),
                    Err(_) if fs::symlink_metadata(&path).is_err() => continue,
                    Err(e) => return Err(dangling(name, &path, e)),
                },
            };
            match kind(found) {
                Kind::File => {}
                Kind::Folder => folders.push(path),
                Kind::Special(what) => return Err(special(name, &path, what)),
            }
        }
    }
    Ok(())
}

/// What an entry of a folder is, after links.
enum Kind {
    File,
    Folder,
    /// What it is called.
    Special(&'static str),
}

fn kind(found: FileType) -> Kind {
    match found {
        found if found.is_file() => Kind::File,
        found if found.is_dir() => Kind::Folder,
        found => Kind::Special(called(found)),
    }
}

#[cfg(unix)]
fn called(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match found {
        found if found.is_fifo() => "a named pipe",
        found if found.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn called(_: FileType) -> &'static str {
    "neither a file nor a folder"
}

fn special(name: &str, path: &std::path::Path, what: &str) -> Error {
    let text = format!("table `{name}`: `{}` is {what}", path.display());
    Error::invalid(text).with_hint(
        "all files in the folder are read; move it elsewhere, or begin its name with `_`",
    )
}

fn dangling(name: &str, path: &std::path::Path, error: io::Error) -> Error {
    let text = format!(
        "table `{name}`: the link `{}` leads nowhere",
        path.display()
    );
    // Not `NotFound`: a table without files may be one without rows.
    Error::invalid(text)
        .with_hint("restore the file that it leads to, or remove the link")
        .with_source(error)
}

fn unreadable(folder: &std::path::Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, format!("cannot list `{}`", folder.display())).with_source(error)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn links_to_nowhere_and_special_files_are_named() {
        let top = tempfile::tempdir().unwrap();
        let table = top.path().join("t");
        fs::create_dir_all(table.join("day=1")).unwrap();
        fs::write(table.join("day=1/a.csv"), "n\n1\n").unwrap();
        fs::write(top.path().join("other.csv"), "n\n2\n").unwrap();
        symlink(top.path().join("other.csv"), table.join("b.csv")).unwrap();
        symlink(top.path().join("gone"), table.join("_old")).unwrap();
        fs::create_dir(table.join(".tmp")).unwrap();
        symlink("gone", table.join(".tmp/c.csv")).unwrap();
        check("t", table.clone()).await.unwrap();
        check("t", table.join("b.csv")).await.unwrap();
        check("t", top.path().join("none")).await.unwrap();

        let link = table.join("day=1/d.csv");
        symlink("gone.csv", &link).unwrap();
        let error = check("t", table.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("day=1/d.csv"), "{error}");
        fs::remove_file(&link).unwrap();

        let socket = table.join("e.csv");
        let listener = UnixListener::bind(&socket).unwrap();
        for place in [&table, &socket] {
            let error = check("t", place.clone()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("e.csv` is a socket"), "{error}");
        }
        drop(listener);
        fs::remove_file(&socket).unwrap();
        // A link into its own folder is refused as well, and ends the walk.
        symlink(&table, table.join("loop")).unwrap();
        assert!(check("t", table).await.is_err());
    }
}
