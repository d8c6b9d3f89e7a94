//! Tables in files: from a catalog definition to a table provider.

mod adapter;
mod ahead;
mod exact_cast;
mod footers;
mod hints;
mod intervals;
mod julian;
pub mod list;
mod named;
mod parquet;
pub mod partitions;
mod pinned;
pub(crate) mod pruning;
mod result;
mod source;
mod special;
mod statistics;
mod table;
#[cfg(test)]
mod tests;
mod text_file;
mod trusted;
mod types;
mod version;

use std::collections::HashSet;
use std::error::Error as StdError;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::delimited::{BlankLine, DelimitedOptions, DelimitedTable};
use crate::hdfs::Fault;
use crate::json;
pub use crate::location::Location;
use crate::published::{Head, PublishedOutput};

use list::{FileNames, list};
use partitions::FolderValues;
pub(crate) use pinned::PinnedFile;
pub use pinned::ReadFault;
pub use result::schema as result_schema;
pub(crate) use source::Tags;
pub use table::FilesTable;
pub(crate) use table::SOURCE_KIND;
pub use text_file::TextFile;
pub use version::FileVersion;

/// DataFusion's scan, as it came over the wire, as the scan of files as they were listed.
pub(crate) fn pinned_scan(
    scan: &Arc<dyn ExecutionPlan>,
    tags: Tags,
    runtime: &RuntimeEnv,
) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
    let footers = footers::Footers::new(runtime.cache_manager.get_file_metadata_cache());
    source::PinnedSource::around(scan, tags, footers)
}

/// Makes the provider of a table in files; reads listings and schemas, so it needs the network.
///
/// # Errors
/// `NotFound` where the location has no files, `InvalidInput` where the definition is wrong,
/// `Corrupt` where a file cannot be read as what it should be.
pub async fn provider(
    name: &str,
    table: &TableDef,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    let location = Location::parse(&table.location)?;
    let store = location.open(state)?;
    if let Some((base, output)) = published(store.as_ref(), &location.path).await? {
        let place = Location {
            path: base,
            store: location.store,
        };
        let declared = table.declared_schema()?;
        return result::open(name, &place, &output, declared.as_deref(), state).await;
    }
    if table.connector == "csv" {
        return delimited(name, table, &location, &store).await;
    }
    let options = FileOptions::parse(name, table)?;
    if options.is_text {
        return lines_of_text(name, &location, &options.partitions, store.as_ref()).await;
    }
    if table.connector == "json" {
        let files = list(name, store.as_ref(), &location, &FileNames::JSON).await?;
        let declared = table.declared_schema()?;
        let definition = json::Definition {
            name,
            url: &location.store,
            base: &location.path,
            declared: declared.as_deref(),
            partitions: &options.partitions,
            is_permissive: options.is_permissive,
        };
        return Ok(Arc::new(json::open(definition, files, &store).await?));
    }
    let files = list(name, store.as_ref(), &location, &FileNames::PARQUET).await?;
    let declared = table.declared_schema()?;
    let definition = parquet::Definition {
        name,
        url: &location.store,
        base: &location.path,
        declared: declared.map(|schema| in_files(&schema, &options.partitions)),
        partitions: &options.partitions,
        required: &[],
    };
    let table = parquet::open(definition, files, state, &store).await?;
    Ok(Arc::new(table))
}

/// The published output that `path` names: a result folder (its main output) or one output in it.
async fn published(
    store: &dyn ObjectStore,
    path: &Path,
) -> Result<Option<(Path, PublishedOutput)>> {
    if let Some(mut results) = Head::load(store, path).await?.into_result() {
        let main = results.main.clone();
        return Ok(results
            .outputs
            .remove(&main)
            .map(|output| (path.clone(), output)));
    }
    let mut parts: Vec<_> = path.parts().collect();
    let Some(last) = parts.pop() else {
        return Ok(None);
    };
    let parent: Path = parts.into_iter().collect();
    let Some(mut results) = Head::load(store, &parent).await?.into_result() else {
        return Ok(None);
    };
    Ok(results
        .outputs
        .remove(last.as_ref())
        .map(|output| (parent, output)))
}

pub(crate) fn unreadable(name: &str, error: DataFusionError) -> Error {
    let text = format!("cannot read the files of table `{name}`");
    explained(text, error)
}

/// What a reader of files is told about an error: the fault below it, or else that the files are bad.
fn explained(text: String, error: impl StdError + Send + Sync + 'static) -> Error {
    fault_of(&text, &error).unwrap_or_else(|| {
        Error::new(ErrorKind::Corrupt, text)
            .with_hint("check that they are complete and in the format of the table's connector")
            .with_source(error)
    })
}

/// The fault below an error that is not one of what the files hold.
fn fault_of(text: &str, error: &(dyn StdError + 'static)) -> Option<Error> {
    match Fault::of(error) {
        Some(fault) => Some(fault.explain(text)),
        None => ReadFault::of(error).map(|fault| fault.explain(text.to_owned())),
    }
}

async fn delimited(
    name: &str,
    table: &TableDef,
    location: &Location,
    store: &Arc<dyn ObjectStore>,
) -> Result<Arc<dyn TableProvider>> {
    let mut options = table.options.clone();
    let partitions = match options.remove("partitions") {
        Some(columns) => partitions::declared(name, &columns)?,
        None => Vec::new(),
    };
    let options = DelimitedOptions::parse(&options).map_err(|e| {
        Error::invalid(format!("table `{name}`: {e}")).with_hint(e.hint().unwrap_or(""))
    })?;
    let declared = table.declared_schema()?;
    let declared = declared.map(|schema| in_files(&schema, &partitions));
    let Some(schema) = declared.filter(|schema| !schema.fields().is_empty()) else {
        let what = match partitions.is_empty() {
            true => "columns",
            false => "columns of its files",
        };
        return Err(
            Error::invalid(format!("csv table `{name}` declares no {what}"))
                .with_hint("add columns = [\"name type\", …] or contract = \"<table>\""),
        );
    };
    let files = list(name, store.as_ref(), location, &FileNames::CSV).await?;
    let files = text_files(name, &location.path, files, &partitions)?;
    let folders = Fields::from(partitions);
    if let Some(twice) = repeated(&options.table_schema(&schema, &folders)) {
        let text = format!("table `{name}` has two columns `{twice}`");
        return Err(Error::invalid(text).with_hint(
            "name each of `columns` and `partitions` once; permissive reading adds columns of its own",
        ));
    }
    let table = DelimitedTable::new(location.store.clone(), files, options, schema, folders);
    table.check_headers(store).await.map_err(|e| {
        let text = format!("cannot read the files of table `{name}`");
        if let Some(fault) = fault_of(&text, &e) {
            return fault;
        }
        let error = Error::invalid(format!("cannot read table `{name}`"));
        // What is wrong with the header itself needs no hint.
        let error = match e.to_string().contains("its header names") {
            true => error.with_hint("make the declared columns match the header of the files"),
            false => error,
        };
        error.with_source(e)
    })?;
    Ok(Arc::new(table))
}

/// A name that several columns have.
fn repeated(schema: &Schema) -> Option<&str> {
    let mut seen = HashSet::new();
    let mut names = schema.fields().iter().map(|field| field.name().as_str());
    names.find(|name| !seen.insert(*name))
}

/// The declared columns that are in the files.
fn in_files(declared: &Schema, partitions: &[Field]) -> SchemaRef {
    let is_partition = |name: &str| partitions.iter().any(|p| p.name() == name);
    let fields = declared.fields().iter();
    let fields = fields.filter(|f| !is_partition(f.name())).cloned();
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Options of a table of Parquet or JSON files.
#[derive(Debug, Default, PartialEq)]
struct FileOptions {
    /// Whether JSON is read as lines of text: `lines = "text"`.
    is_text: bool,
    /// Whether bad values of JSON become null with an `_error`: `permissive = "true"`.
    is_permissive: bool,
    /// Columns whose values are folders, `country=NO/year=2025/`, from the outermost to the
    /// innermost: `partitions = "country string; year int32"`.
    partitions: Vec<Field>,
}

impl FileOptions {
    fn parse(name: &str, table: &TableDef) -> Result<Self> {
        let mut parsed = Self::default();
        let wrong = |text: String| Error::invalid(format!("table `{name}`: {text}"));
        for (key, value) in &table.options {
            match (key.as_str(), value.as_str()) {
                ("lines", "text") if table.connector == "json" => parsed.is_text = true,
                ("lines", _) if table.connector == "json" => {
                    return Err(wrong(format!(
                        "option `lines` must be `text`, not `{value}`"
                    )));
                }
                ("permissive", "true" | "false") if table.connector == "json" => {
                    parsed.is_permissive = value == "true";
                }
                ("permissive", _) if table.connector == "json" => {
                    return Err(wrong(format!(
                        "option `permissive` must be `true` or `false`, not `{value}`"
                    )));
                }
                ("partitions", columns) => {
                    parsed.partitions = partitions::declared(name, columns)?;
                }
                _ => {
                    let connector = &table.connector;
                    let options = match connector.as_str() {
                        "json" => "options are lines, partitions, permissive",
                        _ => "the only option is partitions",
                    };
                    let text = format!("`{key}` is not an option of a {connector} table");
                    return Err(wrong(text).with_hint(options));
                }
            }
        }
        Ok(parsed)
    }
}

/// JSON files as lines that nobody has looked into: the columns are those that permissive reading
/// adds. For readers that say themselves what is wrong with a line, and where it stands.
async fn lines_of_text(
    name: &str,
    location: &Location,
    partitions: &[Field],
    store: &dyn ObjectStore,
) -> Result<Arc<dyn TableProvider>> {
    let options = DelimitedOptions {
        header: false,
        // No JSON text has this byte.
        delimiter: Some(1),
        quote: None,
        permissive: true,
        blank_line: BlankLine::Skip,
        ..DelimitedOptions::default()
    };
    let files = list(name, store, location, &FileNames::JSON).await?;
    let line = Field::new("line", DataType::Utf8, true);
    let table = DelimitedTable::new(
        location.store.clone(),
        text_files(name, &location.path, files, partitions)?,
        options,
        Arc::new(Schema::new(vec![line])),
        partitions.to_vec().into(),
    );
    Ok(Arc::new(table))
}

/// The files of a table of text at `base`. One of no bytes has no rows; a table whose files are all empty
/// is there, and has no rows.
fn text_files(
    name: &str,
    base: &Path,
    files: Vec<ObjectMeta>,
    partitions: &[Field],
) -> Result<Vec<TextFile>> {
    let is_empty = files.iter().all(|file| file.size == 0);
    let described = files.iter().map(|file| {
        let folders = FolderValues::of(name, base, &file.location, partitions)?;
        Ok(TextFile::new(file, folders))
    });
    let mut files = described.collect::<Result<Vec<_>>>()?;
    files.retain(|file| is_empty || file.size() > 0);
    Ok(files)
}
