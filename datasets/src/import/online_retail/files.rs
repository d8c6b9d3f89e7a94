//! The files of an import: one that is named, or all of a folder.

use std::path::{Path, PathBuf};

use emporia_core::{Error, ErrorKind, Result};

use crate::import::text::unreadable;

/// Endings of files with invoice lines; those of text may be followed by `.gz`.
const ENDINGS: [&str; 4] = [".csv", ".tsv", ".txt", ".xlsx"];

/// The file at `path`, or the files of the folder in the order of their names. Names that begin with
/// a point or an underscore are left out, and so are the locks of open workbooks (`~$…`).
///
/// # Errors
/// `NotFound` or `PermissionDenied` if there is nothing to read, `InvalidInput` for a file of the
/// folder that is not known to be part of the data, and for a folder in it.
pub(super) fn source_files(path: &Path) -> Result<Vec<PathBuf>> {
    let absent = |e: std::io::Error| {
        let kind = match e.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::NotFound,
        };
        Error::new(kind, format!("cannot read `{}`", path.display()))
            .with_hint("name a file with the invoice lines, or the folder of such files")
            .with_source(e)
    };
    if std::fs::metadata(path).map_err(absent)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).map_err(absent)? {
        let path = entry.map_err(absent)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_hidden = name.starts_with(['.', '_']) || name.starts_with("~$");
        if is_hidden {
            continue;
        }
        let kind = std::fs::metadata(&path).map_err(|e| unreadable(&path, "file", e))?;
        if kind.is_dir() {
            return Err(
                Error::invalid(format!("`{}` is a folder in a folder", path.display())).with_hint(
                    "folders below that of the import are not read; import its files from one folder, or \
                     begin its name with _",
                ),
            );
        }
        if !kind.is_file() {
            let text = format!("`{}` is neither a file nor a folder", path.display());
            return Err(Error::invalid(text).with_hint("move it out of the folder"));
        }
        let lower = name.to_ascii_lowercase();
        let plain = lower.strip_suffix(".gz").unwrap_or(&lower);
        if !ENDINGS.iter().any(|ending| plain.ends_with(ending)) {
            return Err(Error::invalid(format!(
                "`{}` is not a file of invoice lines",
                path.display()
            ))
            .with_hint(
                "files end in .xlsx, or in .csv, .tsv or .txt, plain or with .gz; move others out of \
                 the folder, or begin their names with _",
            ));
        }
        paths.push(path);
    }
    if paths.is_empty() {
        return Err(Error::not_found(format!(
            "folder `{}` has no files of invoice lines",
            path.display()
        ))
        .with_hint("files end in .xlsx, or in .csv, .tsv or .txt, plain or with .gz"));
    }
    paths.sort();
    Ok(paths)
}
