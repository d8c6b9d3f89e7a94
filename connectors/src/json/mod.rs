//! JSON: one object per line, or one array of objects per file, split by byte ranges.
//!
//! A value is exactly one of its column's type or the line is at fault; the columns of files that
//! declare none are those that have every value. `docs/data.md` has the rules.
//!
//! ```text
//!   lines     blocks of whole lines of a range, whatever the compression; elements makes lines of arrays
//!   syntax    the values of a line, checked as RFC 8259 has them
//!   column    typed columns that take values; temporal and crate::exact_numbers say which value is one of a type
//!   survey    the columns of files, by infer, from all their lines
//!   encode    the other way: rows as JSON
//! ```

mod column;
mod decoder;
mod elements;
mod encode;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod infer;
mod lines;
mod reader;
mod record;
mod schema;
mod survey;
mod syntax;
mod table;
mod temporal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use emporia_core::error::{Error, ErrorKind, Result};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::files::partitions::FolderValues;
use crate::files::{TextFile, unreadable};

pub use encode::{check_writable, encoder_options, to_lines, writer_builder};
#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz;
pub use reader::{JsonFile, JsonSource, SOURCE_KIND};
pub use schema::Columns;
pub use syntax::check_line;
pub use table::JsonTable;

/// Files whose beginning is looked at at a time.
const LOOKS_AT_ONCE: usize = 16;

/// A table as the catalog defines it.
#[derive(Debug, Clone, Copy)]
pub struct Definition<'a> {
    /// Name of the table, for errors.
    pub name: &'a str,
    /// Root of the store.
    pub url: &'a ObjectStoreUrl,
    /// Path of the table in the store.
    pub base: &'a Path,
    /// The columns, `None` where the files define them.
    pub declared: Option<&'a Schema>,
    /// The columns whose values are names of folders.
    pub partitions: &'a [Field],
    /// Whether bad values become null with an `_error`.
    pub is_permissive: bool,
}

/// Makes the table over the listed `files`. Where no columns are declared, every line is looked at.
///
/// # Errors
/// `InvalidInput` where the definition does not fit, `Corrupt` where a file cannot be read as JSON.
pub async fn open(
    definition: Definition<'_>,
    files: Vec<ObjectMeta>,
    store: &Arc<dyn ObjectStore>,
) -> Result<JsonTable> {
    let name = definition.name;
    let files = files.into_iter().map(|file| described(definition, file));
    let files = files.collect::<Result<Vec<_>>>()?;
    let looks = files.into_iter().map(|mut file| async move {
        // A small file is read as one piece in any case.
        if file.file.size() > table::MIN_SPLIT {
            file.is_one_piece = file.source(store)?.is_one_piece().await?;
        }
        Ok::<_, DataFusionError>(file)
    });
    let files: Vec<_> = futures::stream::iter(looks)
        .buffered(LOOKS_AT_ONCE)
        .try_collect()
        .await
        .map_err(|e| unreadable(name, e))?;
    let (fields, n_rows) = match definition.declared {
        Some(declared) => (declared.fields().clone(), None),
        None => {
            let url = definition.url.as_str();
            let survey = survey::survey(store, url, &files, definition.is_permissive).await;
            let found = survey.map_err(|e| unreadable(name, e))?;
            let bytes: u64 = files.iter().map(|file| file.file.size()).sum();
            tracing::info!(
                table = name,
                files = files.len(),
                bytes,
                rows = found.n_rows,
                "read all lines to find the columns; a table that declares them is read once"
            );
            (found.fields, Some(found.n_rows))
        }
    };
    if fields.is_empty() {
        return Err(Error::invalid(format!(
            "table `{name}` has no columns: its files have no keys"
        ))
        .with_hint("declare them: columns = [\"name type\", …]"));
    }
    let columns = Columns::try_new(&fields, definition.partitions, definition.is_permissive);
    let columns = columns.map_err(|e| {
        Error::invalid(format!("table `{name}` has columns that JSON cannot have")).with_source(e)
    })?;
    Ok(JsonTable::new(
        definition.url.clone(),
        files,
        columns,
        n_rows,
    ))
}

/// Makes the table over files that Emporia published.
///
/// # Errors
/// `Unsupported` where JSON cannot have the columns.
pub fn result(
    url: &ObjectStoreUrl,
    files: impl IntoIterator<Item = TextFile>,
    schema: &Schema,
) -> Result<JsonTable> {
    let columns = Columns::try_new(schema.fields(), &[], false).map_err(|e| {
        Error::new(
            ErrorKind::Unsupported,
            "the result has columns that JSON cannot have",
        )
        .with_source(e)
    })?;
    let files = files.into_iter().map(|file| JsonFile {
        file,
        is_one_piece: false,
    });
    Ok(JsonTable::new(url.clone(), files.collect(), columns, None))
}

fn described(definition: Definition<'_>, file: ObjectMeta) -> Result<JsonFile> {
    let Definition {
        name,
        base,
        partitions,
        ..
    } = definition;
    let folders = FolderValues::of(name, base, &file.location, partitions)?;
    Ok(JsonFile {
        file: TextFile::new(&file, folders),
        is_one_piece: false,
    })
}
