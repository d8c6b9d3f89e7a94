//! `CREATE EXTERNAL TABLE … STORED AS CSV|HBASE|JSON|MONGODB|PARQUET`: the catalog file in SQL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::common::{Result, not_impl_err, plan_err};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::CreateExternalTable;
use emporia_connectors::error::to_datafusion;
use emporia_connectors::provider;
use emporia_core::catalog::{TableDef, absolute_uri, type_name};
use emporia_core::error::{Error, ErrorKind};
use emporia_core::location::Location;

/// The tables that statements declared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared(Arc<Mutex<BTreeMap<String, Declaration>>>);

#[derive(Debug, Clone)]
struct Declaration {
    table: TableDef,
    /// Columns that are NOT NULL, for INSERT; what files hold is not checked.
    required: Vec<String>,
}

impl Declared {
    /// The definition of the table.
    pub(crate) fn get(&self, name: &str) -> Option<TableDef> {
        self.tables().get(name).map(|d| d.table.clone())
    }

    /// The columns of the table that take no null.
    pub(crate) fn required(&self, name: &str) -> Vec<String> {
        let tables = self.tables();
        tables
            .get(name)
            .map(|d| d.required.clone())
            .unwrap_or_default()
    }

    /// Forgets the table.
    pub(crate) fn remove(&self, name: &str) {
        self.tables().remove(name);
    }

    /// Names of all tables.
    pub(crate) fn names(&self) -> Vec<String> {
        self.tables().keys().cloned().collect()
    }

    /// All definitions by name.
    pub(crate) fn all(&self) -> BTreeMap<String, TableDef> {
        let tables = self.tables();
        let tables = tables.iter();
        tables
            .map(|(name, d)| (name.clone(), d.table.clone()))
            .collect()
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Declaration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone)]
struct ConnectorFactory {
    declared: Declared,
}

/// Registers a factory for each connector.
pub(crate) fn register(state: &mut SessionState, declared: &Declared) {
    let factory = ConnectorFactory {
        declared: declared.clone(),
    };
    for connector in provider::CONNECTORS {
        state
            .table_factories_mut()
            .insert(connector.to_uppercase(), Arc::new(factory.clone()));
    }
}

#[async_trait]
impl TableProviderFactory for ConnectorFactory {
    async fn create(
        &self,
        state: &dyn Session,
        statement: &CreateExternalTable,
    ) -> Result<Arc<dyn TableProvider>> {
        let connector = statement.file_type.to_lowercase();
        let [location] = &statement.locations[..] else {
            return plan_err!("an external table has exactly one LOCATION");
        };
        if let Some(column) = statement.column_defaults.keys().min() {
            return not_impl_err!(
                "table `{}`: DEFAULT in the columns of an external table is not supported (`{column}`)",
                statement.name.table()
            );
        }
        let location = absolute_uri(location, None).map_err(to_datafusion)?;
        let mut table = TableDef::new(connector, location);
        table.columns = statement
            .schema
            .fields()
            .iter()
            .map(|f| {
                let name = type_name(f.data_type()).map_err(to_datafusion)?;
                Ok(format!("{} {name}", f.name()))
            })
            .collect::<Result<_>>()?;
        // SQL prefixes option names with `format.`; the catalog file does not.
        let plain = |key: &str| key.strip_prefix("format.").unwrap_or(key).to_owned();
        table.options = statement
            .options
            .iter()
            .map(|(k, v)| (plain(k), v.clone()))
            .collect();
        if let Some(value) = table.options.remove("has_header") {
            table.options.insert("header".to_owned(), value);
        }
        let partitions = statement.table_partition_cols.iter().map(|column| {
            // A folder's name is text, where the statement does not say what it means.
            let declared = statement.schema.field_with_unqualified_name(column);
            let data_type = declared.map_or(DataType::Utf8, |f| f.data_type().clone());
            let name = type_name(&data_type).map_err(to_datafusion)?;
            Ok(format!("{column} {name}"))
        });
        let partitions = partitions.collect::<Result<Vec<_>>>()?;
        if !partitions.is_empty() {
            let key = "partitions".to_owned();
            table.options.insert(key, partitions.join("; "));
        }
        let name = statement.name.table();
        let provider = match provider::open(name, &table, state).await {
            Ok(provider) => provider,
            Err(error) => no_files_yet(&table, error).map_err(to_datafusion)?,
        };
        let required = statement.schema.fields().iter();
        let required = required.filter(|f| !f.is_nullable());
        let declaration = Declaration {
            table,
            required: required.map(|f| f.name().clone()).collect(),
        };
        self.declared.tables().insert(name.to_owned(), declaration);
        Ok(provider)
    }
}

/// A table in a folder that a later statement fills, if that is why it cannot be opened. Queries find no files
/// until then.
fn no_files_yet(table: &TableDef, error: Error) -> Result<Arc<dyn TableProvider>, Error> {
    let may_be_filled = error.kind() == ErrorKind::NotFound
        && !table.options.contains_key("partitions")
        && Location::parse(&table.location, None)?.ending().is_none();
    let schema = match may_be_filled {
        true => table.declared_schema()?,
        false => None,
    };
    match schema {
        Some(schema) => Ok(Arc::new(EmptyTable::new(schema))),
        None => Err(error),
    }
}
