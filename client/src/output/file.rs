//! One file as the place of the rows: written beside its name and renamed when it is complete.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::catalog::TABLE_SCHEMES;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::location::Location;
use tempfile::NamedTempFile;

use super::{Display, RowWriter, writer};
use crate::args::Format;

const BUFFER_BYTES: usize = 256 * 1024;

/// A file that the user named, with the form that its ending says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileTarget {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
}

impl FileTarget {
    /// Reads `location` as the name of one file; `None` where it names a folder, which ends in `/`
    /// or has no ending, or a table of a store.
    ///
    /// # Errors
    /// `Unsupported` for a file on a store other than the local one, `InvalidInput` for what cannot be
    /// a location, and for an ending that is that of no form, or of another one than the chosen.
    pub(crate) fn parse(location: &str, chosen: Option<Format>) -> Result<Option<Self>> {
        if TABLE_SCHEMES.iter().any(|s| location.starts_with(s)) {
            return Ok(None);
        }
        let place = Location::parse(location, None)?;
        let Some(ending) = place.ending() else {
            return Ok(None);
        };
        let format = match ending.to_ascii_lowercase().as_str() {
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "json" => Format::Json,
            "ndjson" | "jsonl" => Format::Ndjson,
            "parquet" => Format::Parquet,
            _ => {
                return Err(Error::invalid(format!(
                    "cannot write `{location}`: .{ending} files are not supported"
                ))
                .with_hint(
                    "a file ends in .parquet, .csv, .tsv, .json, .ndjson or .jsonl, a folder in /",
                ));
            }
        };
        if let Some(chosen) = chosen.filter(|chosen| *chosen != format) {
            return Err(Error::invalid(format!(
                "`{location}` ends like {}, but the format is {}",
                format.as_str(),
                chosen.as_str()
            ))
            .with_hint("leave out --format, or name a folder"));
        }
        Ok(Some(Self {
            path: local_path(location, &place)?,
            format,
        }))
    }
}

/// The path of a file on this machine: a path as it is, so that the user knows it again.
fn local_path(text: &str, location: &Location) -> Result<PathBuf> {
    let path = location.local_path().ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("cannot write the single file `{text}`: it is not on this machine"),
        )
        .with_hint("name a folder, which the executors write, or a local file")
    })?;
    match text.contains("://") {
        true => Ok(path),
        false => Ok(PathBuf::from(text)),
    }
}

/// A file that appears under its name when it is complete, or not at all.
pub(crate) struct SingleFile {
    path: PathBuf,
    writer: Box<dyn RowWriter>,
    file: NamedTempFile,
}

impl SingleFile {
    /// Begins the file; makes its folder.
    pub(crate) fn create(
        target: &FileTarget,
        schema: &SchemaRef,
        display: &Display,
    ) -> Result<Self> {
        let path = target.path.clone();
        let failed = |e: io::Error| failed(&path, e);
        if path.is_dir() {
            return Err(Error::invalid(format!("`{}` is a folder", path.display())));
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".emporia-").suffix(".part");
        // As for any other file, the umask decides who may read it.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).map_err(failed)?;
        let sink = file.reopen().map_err(failed)?;
        let sink = Box::new(BufWriter::with_capacity(BUFFER_BYTES, sink));
        let writer = writer(target.format, schema, display, sink)?;
        Ok(Self { path, writer, file })
    }

    /// Writes the rows of a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let written = self.writer.write(batch);
        written.map_err(|e| in_file(&self.path, e))
    }

    /// Gives the file its name; returns its rows and bytes.
    pub(crate) fn finish(mut self) -> Result<(u64, u64)> {
        let written = self.writer.finish();
        let written = written.map_err(|e| in_file(&self.path, e))?;
        let failed = |e: io::Error| failed(&self.path, e);
        let mut file = self.file;
        file.flush().map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        let bytes = file.as_file().metadata().map_err(failed)?.len();
        file.persist(&self.path).map_err(|e| failed(e.error))?;
        Ok((written.rows, bytes))
    }
}

/// Names the file in an error of the system; what is wrong with the rows has no place.
fn in_file(path: &Path, error: Error) -> Error {
    let mut causes = std::iter::successors(std::error::Error::source(&error), |&e| e.source());
    let Some(system) = causes.find_map(|cause| cause.downcast_ref::<io::Error>()) else {
        return error;
    };
    let copy = match system.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(system.kind(), system.to_string()),
    };
    failed(path, copy)
}

fn failed(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, format!("cannot write `{}`", path.display())).with_source(error)
}
