//! Tables in files: from a catalog definition to a table provider.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::delimited::{DelimitedOptions, DelimitedTable, TextFile};
use crate::hdfs::Fault;
use crate::published::{PublishedOutput, ResultSet, storage_error};

/// A location split into its store and the path in it.
#[derive(Debug, Clone)]
pub struct Location {
    /// Root of the store, e.g. `file:///`.
    pub store: ObjectStoreUrl,
    /// Path in the store.
    pub path: Path,
}

impl Location {
    /// Parses a URI.
    ///
    /// # Errors
    /// `InvalidInput` where it is not one.
    pub fn parse(uri: &str) -> Result<Self> {
        let invalid = |e: String| {
            Error::invalid(format!("`{uri}` is not a location: {e}"))
                .with_hint("use a path or a URI such as file:///data/orders")
        };
        let url = Url::parse(uri).map_err(|e| invalid(e.to_string()))?;
        let path = Path::from_url_path(url.path()).map_err(|e| invalid(e.to_string()))?;
        let store = ObjectStoreUrl::parse(&url[..url::Position::BeforePath])
            .map_err(|e| invalid(e.to_string()))?;
        Ok(Self { store, path })
    }

    /// The store, from the session's registry.
    ///
    /// # Errors
    /// `InvalidInput` for a scheme that no store is registered for.
    pub fn open(&self, state: &dyn Session) -> Result<Arc<dyn ObjectStore>> {
        state.runtime_env().object_store(&self.store).map_err(|e| {
            let e = match e {
                DataFusionError::External(cause) => match cause.downcast::<Error>() {
                    Ok(error) => return *error,
                    Err(other) => DataFusionError::External(other),
                },
                e => e,
            };
            tracing::debug!(error = %e, "unknown store");
            Error::invalid(format!(
                "no store is registered for `{}`",
                self.store.as_str()
            ))
            .with_hint("locations are paths, file:// or hdfs:// URIs, hbase:TABLE or mongodb:DB.COLLECTION")
        })
    }
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
        return delimited(name, table, &location, store.as_ref()).await;
    }
    let format: Arc<dyn FileFormat> = match table.connector.as_str() {
        "json" => Arc::new(JsonFormat::default()),
        _ => Arc::new(ParquetFormat::default()),
    };
    let files = list(name, store.as_ref(), &location.path, &table.connector).await?;
    let urls = if files.len() == 1 && files[0].path == location.path.as_ref() {
        vec![file_url(&location.store, &files[0].path)?]
    } else {
        let folder = format!("{}{}/", location.store.as_str(), location.path);
        vec![ListingTableUrl::parse(&folder).map_err(|e| unreadable(name, e))?]
    };
    listing(name, urls, format, table.declared_schema()?, state).await
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
    if output.files.is_empty() {
        return Ok(Arc::new(datafusion::datasource::empty::EmptyTable::new(
            schema,
        )));
    }
    if output.format == "csv" {
        let files = output
            .files
            .iter()
            .map(|f| TextFile {
                path: format!("{base}/{}", f.path),
                size: f.bytes,
            })
            .collect();
        let options = DelimitedOptions::default();
        return Ok(Arc::new(DelimitedTable::new(
            store.clone(),
            files,
            options,
            schema,
        )));
    }
    let format: Arc<dyn FileFormat> = match output.format.as_str() {
        "json" => Arc::new(JsonFormat::default()),
        _ => Arc::new(ParquetFormat::default()),
    };
    let urls = output
        .files
        .iter()
        .map(|f| file_url(store, &format!("{base}/{}", f.path)))
        .collect::<Result<Vec<_>>>()?;
    listing(name, urls, format, Some(schema), state).await
}

fn file_url(store: &ObjectStoreUrl, path: &str) -> Result<ListingTableUrl> {
    ListingTableUrl::parse(format!("{}{path}", store.as_str()))
        .map_err(|e| Error::invalid(format!("`{path}` is not a file location")).with_source(e))
}

async fn listing(
    name: &str,
    urls: Vec<ListingTableUrl>,
    format: Arc<dyn FileFormat>,
    declared: Option<SchemaRef>,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    let extension = format!(".{}", format.get_ext());
    let options = ListingOptions::new(format).with_file_extension(extension);
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options);
    // The files are looked at here even where the schema is declared, so that a damaged one is
    // reported with the table's name before anything starts.
    let inferred = config
        .clone()
        .infer_schema(state)
        .await
        .map_err(|e| unreadable(name, e))?;
    let config = match declared {
        Some(schema) => config.with_schema(schema),
        None => inferred,
    };
    let table = ListingTable::try_new(config).map_err(|e| unreadable(name, e))?;
    Ok(Arc::new(table))
}

fn unreadable(name: &str, error: DataFusionError) -> Error {
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
    store: &dyn ObjectStore,
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
    let files = list(name, store, &location.path, "csv").await?;
    let table = DelimitedTable::new(location.store.clone(), files, options, schema);
    table.check_header(store).await.map_err(|e| {
        Error::invalid(format!("cannot read table `{name}`"))
            .with_hint("make the declared columns match the header of the files")
            .with_source(e)
    })?;
    Ok(Arc::new(table))
}

/// The data files at `path`: the file itself, or those in the folder with the connector's ending.
async fn list(
    name: &str,
    store: &dyn ObjectStore,
    path: &Path,
    extension: &str,
) -> Result<Vec<TextFile>> {
    match store.head(path).await {
        Ok(file) => {
            return Ok(vec![TextFile {
                path: file.location.to_string(),
                size: file.size,
            }]);
        }
        // What does not go away by itself was waited for already.
        Err(error) if Fault::of(&error).is_some_and(Fault::is_transient) => {
            return Err(storage_error("read", path, error));
        }
        Err(_) => {}
    }
    let endings = [format!(".{extension}"), format!(".{extension}.gz")];
    let is_data = |path: &Path| {
        let file = path.filename().unwrap_or_default();
        !file.starts_with(['_', '.']) && endings.iter().any(|e| file.ends_with(e))
    };
    let found: Vec<_> = store
        .list(Some(path))
        .try_collect()
        .await
        .map_err(|e| storage_error("list", path, e))?;
    let mut files: Vec<_> = found
        .into_iter()
        .filter(|o| is_data(&o.location) && o.size > 0)
        .map(|o| TextFile {
            path: o.location.to_string(),
            size: o.size,
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    if files.is_empty() {
        return Err(Error::not_found(format!(
            "table `{name}`: there are no {extension} files at `/{path}`"
        ))
        .with_hint("check the location in the catalog, or generate or import the data first"));
    }
    Ok(files)
}
