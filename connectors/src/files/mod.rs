//! Tables in files: from a catalog definition to a table provider.

mod adapter;
mod exact_cast;
mod footers;
pub mod list;
mod parquet;
pub mod partitions;
mod pinned;
mod source;
mod statistics;
mod table;
mod trusted;
mod types;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use emporia_core::catalog::{TableDef, parse_type};
use emporia_core::error::{Error, ErrorKind, Result};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::delimited::{BlankLine, DelimitedOptions, DelimitedTable, TextFile};
use crate::hdfs::Fault;
use crate::json;
pub use crate::location::Location;
use crate::location::within;
use crate::published::{DataFile, PublishedOutput, ResultSet, storage_error};

use list::{FileNames, list};
pub use pinned::ReadFault;
pub(crate) use source::Tags;
pub use table::FilesTable;
pub(crate) use table::SOURCE_KIND;

/// Files of a result that are looked at at a time.
const LOOKS_AT_ONCE: usize = 16;

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
        return result_table(name, &location.store, &base, &output, state).await;
    }
    if table.connector == "csv" {
        return delimited(name, table, &location, &store).await;
    }
    let options = FileOptions::parse(name, table)?;
    if options.is_text {
        return lines_of_text(name, &location, store.as_ref()).await;
    }
    if table.connector == "json" {
        let files = list(name, store.as_ref(), &location.path, &FileNames::JSON).await?;
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
    let files = list(name, store.as_ref(), &location.path, &FileNames::PARQUET).await?;
    let declared = table.declared_schema()?;
    let definition = parquet::Definition {
        name,
        url: &location.store,
        base: &location.path,
        declared: declared.map(|schema| options.in_files(&schema)),
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
    if let Some(mut results) = ResultSet::load(store, path).await? {
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
    let Some(mut results) = ResultSet::load(store, &parent).await? else {
        return Ok(None);
    };
    Ok(results
        .outputs
        .remove(last.as_ref())
        .map(|output| (parent, output)))
}

/// The schema with the plain types in the place of views, which readers of text do not know. A
/// query that wrote a result may have had either.
fn without_views(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let plain = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            other => other.clone(),
        };
        field.as_ref().clone().with_data_type(plain)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The schema in which the columns named in `required` have no nulls.
fn with_required(schema: &Schema, required: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let is_required = required.contains(field.name());
        field.as_ref().clone().with_nullable(!is_required)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

async fn result_table(
    name: &str,
    store: &ObjectStoreUrl,
    base: &Path,
    output: &PublishedOutput,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    let schema = crate::codec::schema_from_names(&output.columns).map_err(|e| {
        Error::new(
            ErrorKind::Corrupt,
            format!("result `{base}` has a bad schema"),
        )
        .with_source(e)
    })?;
    let schema = with_required(&without_views(&schema), &output.required);
    if output.files.is_empty() {
        return Ok(Arc::new(datafusion::datasource::empty::EmptyTable::new(
            schema,
        )));
    }
    if output.format == "csv" {
        let files = output
            .files
            .iter()
            .map(|f| {
                Ok(TextFile {
                    path: data_path(base, f)?.to_string(),
                    size: f.bytes,
                })
            })
            .collect::<Result<_>>()?;
        let options = DelimitedOptions::of_results();
        return Ok(Arc::new(DelimitedTable::new(
            store.clone(),
            files,
            options,
            schema,
        )));
    }
    if output.format == "json" {
        let files = output
            .files
            .iter()
            .map(|f| Ok((data_path(base, f)?.to_string(), f.bytes)))
            .collect::<Result<Vec<_>>>()?;
        return Ok(Arc::new(json::result(store, files, &schema)?));
    }
    let location = Location {
        store: store.clone(),
        path: base.clone(),
    };
    let opened = location.open(state)?;
    let looks = output.files.iter();
    let looks: Vec<_> = looks
        .map(|file| part(opened.as_ref(), base, file).boxed())
        .collect();
    let files: Vec<_> = futures::stream::iter(looks)
        .buffered(LOOKS_AT_ONCE)
        .try_collect()
        .await?;
    let definition = parquet::Definition {
        name,
        url: store,
        base,
        declared: Some(schema),
        partitions: &[],
        required: &output.required,
    };
    let table = parquet::open(definition, files, state, &opened).await?;
    Ok(Arc::new(table))
}

/// The file of a published result, if it is as it was written.
async fn part(store: &dyn ObjectStore, base: &Path, file: &DataFile) -> Result<ObjectMeta> {
    let path = data_path(base, file)?;
    let found = store
        .head(&path)
        .await
        .map_err(|e| storage_error("read", &path, e))?;
    if found.size != file.bytes {
        let text = format!(
            "`/{path}` has {} bytes, and {} were published",
            found.size, file.bytes
        );
        return Err(Error::new(ErrorKind::Corrupt, text)
            .with_hint("another program wrote into the result; make it again"));
    }
    Ok(found)
}

/// The path of a file that a result lists.
fn data_path(base: &Path, file: &DataFile) -> Result<Path> {
    within(base, &file.path).map_err(|e| {
        let text = format!("result `/{base}` lists the file `{}`", file.path);
        Error::new(ErrorKind::Corrupt, text).with_source(e)
    })
}

pub(crate) fn unreadable(name: &str, error: DataFusionError) -> Error {
    let text = format!("cannot read the files of table `{name}`");
    if let Some(fault) = Fault::of(&error) {
        return fault.explain(text);
    }
    Error::new(ErrorKind::Corrupt, text)
        .with_hint("check that they are whole and in the format of the table's connector")
        .with_source(error)
}

async fn delimited(
    name: &str,
    table: &TableDef,
    location: &Location,
    store: &Arc<dyn ObjectStore>,
) -> Result<Arc<dyn TableProvider>> {
    let options = DelimitedOptions::parse(&table.options).map_err(|e| {
        Error::invalid(format!("table `{name}`: {e}")).with_hint(e.hint().unwrap_or(""))
    })?;
    let Some(schema) = table.declared_schema()? else {
        return Err(
            Error::invalid(format!("csv table `{name}` declares no columns"))
                .with_hint("add columns = [\"name type\", …] or contract = \"<table>\""),
        );
    };
    let files = list(name, store.as_ref(), &location.path, &FileNames::CSV).await?;
    let files = text_files(files);
    let table = DelimitedTable::new(location.store.clone(), files, options, schema);
    table.check_headers(store).await.map_err(|e| {
        if let Some(fault) = Fault::of(&e) {
            return fault.explain(format!("cannot read the files of table `{name}`"));
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
                    for column in columns.split(';') {
                        let (column, type_name) =
                            column.trim().split_once(' ').ok_or_else(|| {
                                wrong(format!(
                                    "partition `{column}` is not of the form `name type`"
                                ))
                            })?;
                        let data_type = parse_type(type_name.trim())?;
                        parsed.partitions.push(Field::new(column, data_type, true));
                    }
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

    /// The declared columns that are in the files.
    fn in_files(&self, declared: &Schema) -> SchemaRef {
        let is_partition = |name: &str| self.partitions.iter().any(|p| p.name() == name);
        let fields = declared.fields().iter();
        let fields = fields.filter(|f| !is_partition(f.name())).cloned();
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// JSON files as lines that nobody has looked into: the columns are those that permissive reading
/// adds. For readers that say themselves what is wrong with a line, and where it stands.
async fn lines_of_text(
    name: &str,
    location: &Location,
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
    let files = list(name, store, &location.path, &FileNames::JSON).await?;
    let line = Field::new("line", DataType::Utf8, true);
    let table = DelimitedTable::new(
        location.store.clone(),
        text_files(files),
        options,
        Arc::new(Schema::new(vec![line])),
    );
    Ok(Arc::new(table))
}

/// The files of a table of text. One of no bytes has no rows; a table whose files are all empty is
/// there, and has no rows.
fn text_files(files: Vec<ObjectMeta>) -> Vec<TextFile> {
    let is_empty = files.iter().all(|file| file.size == 0);
    let files = files.into_iter().filter(|file| is_empty || file.size > 0);
    let files = files.map(|file| TextFile {
        path: file.location.to_string(),
        size: file.size,
    });
    files.collect()
}
