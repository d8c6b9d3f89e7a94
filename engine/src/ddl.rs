//! `CREATE EXTERNAL TABLE … STORED AS CSV|JSON|PARQUET`: the catalog file in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::CreateExternalTable;
use emporia_connectors::error::to_datafusion;
use emporia_connectors::files;
use emporia_core::catalog::{TableDef, absolute_uri};

#[derive(Debug)]
struct ConnectorFactory;

/// Registers a factory for each connector.
pub(crate) fn register(state: &mut SessionState) {
    for connector in files::CONNECTORS {
        state
            .table_factories_mut()
            .insert(connector.to_uppercase(), Arc::new(ConnectorFactory));
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
        let mut table = TableDef::new(connector, absolute_uri(location, None));
        table.columns = statement
            .schema
            .fields()
            .iter()
            .map(|f| Ok(format!("{} {}", f.name(), type_name(f.data_type())?)))
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
        files::provider(statement.name.table(), &table, state)
            .await
            .map_err(to_datafusion)
    }
}

/// The catalog's name of a type that SQL declared.
fn type_name(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float32 | DataType::Float64 => "float64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => {
            return plan_err!("a column of an external table cannot have the type {other}");
        }
    })
}
