//! How tables become files: formats, encoders, uploads and the catalog beside them.

mod catalog;
mod encode;
mod room;
mod upload;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use emporia_core::location::Location;
use emporia_core::{Error, Result};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

pub(crate) use catalog::{definition, raw_csv_definition};
pub(crate) use encode::Encoder;
pub(crate) use upload::{FileSink, Folder, Written};

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Parquet with zstd.
    #[default]
    Parquet,
    /// One JSON object per line; lists and structs are nested.
    Json,
    /// Comma-separated text with a header; a nested column holds JSON text.
    Csv,
}

impl Format {
    /// The name, which is also the file extension and the name of the connector.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Parquet, Self::Json, Self::Csv]
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                Error::invalid(format!("`{text}` is not a file format"))
                    .with_hint("formats are parquet, json and csv")
            })
    }
}

/// Opens a local folder, given as a path or a `file://` URI, for [`generate`](crate::generate()) and
/// the imports; makes the folder when it is missing.
///
/// # Errors
/// `Unsupported` for a URI of another scheme; `InvalidInput` when the folder cannot be made.
pub fn open_local(out: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let location = Location::parse(out, None)?;
    let path = location.local_path().ok_or_else(|| {
        Error::new(
            emporia_core::ErrorKind::Unsupported,
            format!(
                "cannot open `{out}` as a local folder: its scheme is `{}`",
                location.scheme()
            ),
        )
        .with_hint("give a path or a file:// URI")
    })?;
    let wrong = |e: Box<dyn std::error::Error + Send + Sync>| {
        Error::invalid(format!("cannot make folder `{}`", path.display()))
            .with_hint("choose a folder that you can write to")
            .with_source(e)
    };
    std::fs::create_dir_all(&path).map_err(|e| wrong(e.into()))?;
    let store = LocalFileSystem::new_with_prefix(&path).map_err(|e| wrong(e.into()))?;
    Ok((Arc::new(store), Path::default()))
}
