//! Opens a table of Parquet files: reads the footers and finds the columns that the files have in
//! common.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use emporia_core::error::{Error, ErrorKind, Result, nearest};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::explained;
use super::footers::{Footers, schema_of};
use super::intervals;
use super::julian;
use super::partitions::FolderValues;
use super::pinned::PinnedFile;
use super::repeated;
use super::statistics;
use super::table::{FilesTable, ListedFile};
use super::types::{fit, in_table, is_binary, is_text, simple, widen};
use super::version::FileVersion;

/// Footers that are read at a time.
const READS_AT_ONCE: usize = 16;

/// What the catalog, or a published result, says of a table.
pub(super) struct Definition<'a> {
    /// The table, for messages.
    pub(super) name: &'a str,
    /// Its store.
    pub(super) url: &'a ObjectStoreUrl,
    /// The folder below which names of folders are values.
    pub(super) base: &'a Path,
    /// The columns, where they are declared.
    pub(super) declared: Option<SchemaRef>,
    /// The columns in the names of folders.
    pub(super) partitions: &'a [Field],
    /// Declared columns that no file has a null of.
    pub(super) required: &'a [String],
}

struct OpenFile {
    meta: ObjectMeta,
    footer: Arc<ParquetMetaData>,
    schema: Schema,
}

/// The table over `files`.
///
/// # Errors
/// `Corrupt` where a file is no Parquet, `InvalidInput` where files do not fit each other or what is
/// declared; each names the file.
pub(super) async fn open(
    definition: Definition<'_>,
    files: Vec<ObjectMeta>,
    state: &dyn Session,
    store: &Arc<dyn ObjectStore>,
) -> Result<FilesTable> {
    let footers = Footers::new(state.runtime_env().cache_manager.get_file_metadata_cache());
    let (name, url) = (definition.name, definition.url);
    let reads = files.into_iter();
    let reads: Vec<_> = reads
        .map(|meta| read(name, url, &footers, Arc::clone(store), meta).boxed())
        .collect();
    let files: Vec<OpenFile> = futures::stream::iter(reads)
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    let columns = match &definition.declared {
        Some(declared) => declared_columns(&definition, declared, &files)?,
        None => common_columns(&definition, &files)?,
    };
    let columns = Arc::new(columns);
    let n_partitions = definition.partitions.len();
    let known = files.iter();
    let known = known.map(|f| statistics::of_file(&f.footer, &f.schema, &columns, n_partitions));
    let known: Vec<_> = known.collect();
    let listed = files.into_iter().zip(&known).map(|(file, known)| {
        let (name, base) = (definition.name, definition.base);
        let values = FolderValues::of(name, base, &file.meta.location, definition.partitions)?;
        let values = values.values(definition.partitions);
        let values = values.map_err(|e| Error::internal("values of folders").with_source(e))?;
        Ok(ListedFile {
            file: PartitionedFile::new_from_meta(file.meta).with_partition_values(values),
            rows: known.num_rows.get_value().copied().unwrap_or(0),
        })
    });
    let listed = listed.collect::<Result<Vec<_>>>()?;
    let partitions = Fields::from(definition.partitions.to_vec());
    let all = columns.fields().iter().chain(&partitions).cloned();
    let known = statistics::of_files(known.iter(), &Schema::new(all.collect::<Fields>()));
    Ok(FilesTable::new(
        definition.url.clone(),
        listed,
        known,
        columns,
        partitions,
    ))
}

async fn read(
    name: &str,
    url: &ObjectStoreUrl,
    footers: &Footers,
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
) -> Result<OpenFile> {
    if meta.size == 0 {
        return Err(empty(name, &meta.location));
    }
    let file = PinnedFile::new(store, meta.location.clone(), FileVersion::of(&meta));
    let footer = footers.read(url, &file, &meta, PageIndexPolicy::Skip).await;
    let footer = footer.map_err(|e| unreadable(name, &meta.location, e))?;
    julian::check(name, &format!("/{}", meta.location), &footer)?;
    intervals::check(name, &format!("/{}", meta.location), &footer)?;
    let schema = schema_of(&footer).map_err(|e| unreadable(name, &meta.location, e))?;
    if let Some(twice) = repeated(&schema) {
        let text = format!(
            "table `{name}`: `/{}` has two columns `{twice}`",
            meta.location
        );
        return Err(Error::invalid(text).with_hint("write the file with a name for each column"));
    }
    Ok(OpenFile {
        meta,
        footer,
        schema,
    })
}

/// The declared columns, if they can be had from each file.
fn declared_columns(
    definition: &Definition<'_>,
    declared: &Schema,
    files: &[OpenFile],
) -> Result<Schema> {
    let name = definition.name;
    for column in declared.fields() {
        let mut is_missing = true;
        for file in files {
            let Ok(found) = file.schema.field_with_name(column.name()) else {
                continue;
            };
            is_missing = false;
            if is_binary(found.data_type()) && is_text(column.data_type()) {
                return Err(bytes_as_text(name, column, file));
            }
            let wanted = simple(column.data_type());
            if fit(found.data_type(), &wanted).is_none() {
                let text = format!(
                    "table `{name}`: column `{}` is declared as {} and is {} in `/{}`",
                    column.name(),
                    column.data_type(),
                    found.data_type(),
                    file.meta.location
                );
                return Err(Error::invalid(text)
                    .with_hint("declare the type of the files, and cast in the query"));
            }
        }
        if let (true, Some(first)) = (is_missing, files.first()) {
            let text = format!(
                "table `{name}`: no file has the declared column `{}`; `/{}` has {}",
                column.name(),
                first.meta.location,
                names_of(&first.schema),
            );
            let all = files.iter().flat_map(|file| file.schema.fields());
            let error = Error::invalid(text);
            return Err(
                match nearest(column.name(), all.map(|f| f.name().as_str())) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error.with_hint("make the declared columns match those of the files"),
                },
            );
        }
    }
    let fields = declared.fields().iter().map(|field| {
        let is_required = definition.required.contains(field.name());
        let field = field.as_ref().clone().with_nullable(!is_required);
        let data_type = simple(field.data_type());
        field.with_data_type(data_type)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The error for bytes that are declared as text: the reader would take them for text whatever they are.
fn bytes_as_text(name: &str, column: &Field, file: &OpenFile) -> Error {
    let column = column.name();
    let text = format!(
        "table `{name}`: column `{column}` is declared as text, and `/{}` has bytes that are not marked as text",
        file.meta.location
    );
    Error::invalid(text).with_hint(format!(
        "declare it as binary, and CAST({column} AS VARCHAR) in the query or a view"
    ))
}

/// The columns of all files, each in the narrowest type that holds the values of all of them. Folders
/// take precedence over columns of the same name.
fn common_columns(definition: &Definition<'_>, files: &[OpenFile]) -> Result<Schema> {
    struct Column<'a> {
        field: Field,
        /// A file that has it.
        file: &'a OpenFile,
        n_files: usize,
    }
    let is_partition = |name: &str| definition.partitions.iter().any(|p| p.name() == name);
    let mut columns: Vec<Column<'_>> = Vec::new();
    for file in files {
        for found in file.schema.fields() {
            if is_partition(found.name()) {
                continue;
            }
            let known = columns.iter_mut().find(|c| c.field.name() == found.name());
            let Some(column) = known else {
                columns.push(Column {
                    field: Field::new(
                        found.name(),
                        in_table(found.data_type()),
                        found.is_nullable(),
                    ),
                    file,
                    n_files: 1,
                });
                continue;
            };
            let Some(wide) = widen(column.field.data_type(), &in_table(found.data_type())) else {
                return Err(conflict(
                    definition.name,
                    &column.field,
                    column.file,
                    found,
                    file,
                ));
            };
            let is_nullable = column.field.is_nullable() || found.is_nullable();
            let field = column.field.clone().with_data_type(wide);
            column.field = field.with_nullable(is_nullable);
            column.n_files += 1;
        }
    }
    let fields = columns.into_iter().map(|column| {
        let is_everywhere = column.n_files == files.len();
        let is_nullable = column.field.is_nullable() || !is_everywhere;
        column.field.with_nullable(is_nullable)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn conflict(name: &str, a: &Field, file_a: &OpenFile, b: &Field, file_b: &OpenFile) -> Error {
    Error::invalid(format!(
        "table `{name}`: column `{}` is {} in `/{}` and {} in `/{}`",
        a.name(),
        a.data_type(),
        file_a.meta.location,
        b.data_type(),
        file_b.meta.location
    ))
    .with_hint("no type holds both; declare `columns` without it, or keep the files in two tables")
}

fn names_of(schema: &Schema) -> String {
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.join(", ")
}

fn empty(name: &str, path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("cannot read the files of table `{name}`: `/{path}` has no bytes"),
    )
    .with_hint(
        "remove it, or write it again; a Parquet file without rows has a footer all the same",
    )
}

fn unreadable(name: &str, path: &Path, error: ParquetError) -> Error {
    let text = format!("cannot read the files of table `{name}`: `/{path}`");
    explained(text, error)
}
