//! One file as the place of the rows: written beside its name and renamed when it is complete.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::{Error, ErrorKind, Result};
use tempfile::NamedTempFile;
use url::Url;

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
    /// Reads `location` as the name of one file; `None` where its ending is that of no form.
    ///
    /// # Errors
    /// `Unsupported` for a file on a store other than the local one, `InvalidInput` for a form that
    /// contradicts the ending.
    pub(crate) fn parse(location: &str, chosen: Option<Format>) -> Result<Option<Self>> {
        let extension = location
            .rsplit('/')
            .next()
            .and_then(|name| name.rsplit_once('.'));
        let format = match extension
            .map(|(_, extension)| extension.to_ascii_lowercase())
            .as_deref()
        {
            Some("csv") => Format::Csv,
            Some("tsv") => Format::Tsv,
            Some("json") => Format::Json,
            Some("ndjson" | "jsonl") => Format::Ndjson,
            Some("parquet") => Format::Parquet,
            _ => return Ok(None),
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
            path: local_path(location)?,
            format,
        }))
    }
}

fn local_path(location: &str) -> Result<PathBuf> {
    if !location.contains("://") {
        return Ok(PathBuf::from(location));
    }
    let path = Url::parse(location)
        .ok()
        .and_then(|url| url.to_file_path().ok());
    path.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("cannot write the single file `{location}`: it is not on this machine"),
        )
        .with_hint("name a folder, which the executors write, or a local file")
    })
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
        self.writer.write(batch)
    }

    /// Gives the file its name; returns its rows and bytes.
    pub(crate) fn finish(mut self) -> Result<(u64, u64)> {
        let written = self.writer.finish()?;
        let failed = |e: io::Error| failed(&self.path, e);
        let mut file = self.file;
        file.flush().map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        let bytes = file.as_file().metadata().map_err(failed)?.len();
        file.persist(&self.path).map_err(|e| failed(e.error))?;
        Ok((written.rows, bytes))
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, format!("cannot write `{}`", path.display())).with_source(error)
}
