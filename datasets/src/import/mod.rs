//! Imports of public data sets as tables of the data contract.
//!
//! An import reads local files, keeps what it cannot read in the table `rejects`, and writes the
//! same layout as the generator: `<table>/part-00000.<format>` and the catalog `emporia.toml`. If no
//! row can be read, or too many cannot, it fails and writes nothing.

mod cdnow;
mod dates;
mod online_retail;
mod parse;
mod rejects;
#[cfg(test)]
mod tests;
mod text;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use emporia_core::catalog::Catalog;
use emporia_core::{Error, Result, contract};
use object_store::ObjectStore;
use object_store::path::Path;

pub use cdnow::import_cdnow;
pub use dates::DayOrder;
pub use online_retail::import_online_retail;
pub use rejects::MaxRejects;

use crate::generate::CATALOG_FILE;
use crate::output::{Encoder, FileSink, Folder, Format, definition};
use crate::progress::{Progress, Summary, TableSummary};

/// Rows that are encoded at a time.
const ROWS_PER_BATCH: usize = 16_384;

/// How an import is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportOptions {
    /// The folder as the user called it; it is only named in messages.
    pub out: String,
    /// Format of the tables.
    pub format: Format,
    /// Replaces tables that are in the folder already, instead of failing.
    pub overwrite: bool,
    /// Largest share of rows that may be rejected; beyond it nothing is written.
    pub max_rejects: MaxRejects,
    /// Order of day and month in dates such as `12/1/2010`.
    pub dates: DayOrder,
}

/// A table of an import: its rows are made from data of type `D`.
struct Table<D> {
    name: &'static str,
    schema: SchemaRef,
    rows: usize,
    make: fn(&D, &SchemaRef, Range<usize>) -> Result<RecordBatch>,
}

impl<D> Clone for Table<D> {
    fn clone(&self) -> Self {
        Self {
            schema: Arc::clone(&self.schema),
            ..*self
        }
    }
}

impl<D> Table<D> {
    /// A table of the contract, with money of this scale.
    fn of_contract(
        name: &'static str,
        money_scale: i8,
        rows: usize,
        make: fn(&D, &SchemaRef, Range<usize>) -> Result<RecordBatch>,
    ) -> Result<Self> {
        let schema = contract::schema(name)
            .ok_or_else(|| Error::internal(format!("table `{name}` is not in the contract")))?;
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .map(|field| {
                let field = field.as_ref().clone();
                if field.data_type() == &contract::money() {
                    field.with_data_type(DataType::Decimal128(18, money_scale))
                } else {
                    field
                }
            })
            .collect();
        Ok(Self {
            name,
            schema: Arc::new(Schema::new(fields)),
            rows,
            make,
        })
    }

    fn encode(&self, data: &D, format: Format, sink: FileSink) -> Result<FileSink> {
        let reports = sink.reporter();
        let mut encoder = Encoder::new(format, &self.schema, sink)?;
        for start in (0..self.rows).step_by(ROWS_PER_BATCH) {
            let rows = start..self.rows.min(start + ROWS_PER_BATCH);
            reports.add_rows(rows.len() as u64)?;
            encoder.write(&(self.make)(data, &self.schema, rows)?)?;
        }
        encoder.finish()
    }
}

/// Writes the tables one after the other, and the catalog.
async fn write_tables<D: Send + Sync + 'static>(
    data: D,
    tables: Vec<Table<D>>,
    options: ImportOptions,
    store: Arc<dyn ObjectStore>,
    base: Path,
    progress: &dyn Progress,
) -> Result<Summary> {
    let ImportOptions {
        out,
        format,
        overwrite,
        ..
    } = options;
    let folder = Folder {
        store,
        base,
        label: out,
    };
    let names: Vec<_> = tables.iter().map(|table| table.name).collect();
    folder.clear(&names, overwrite).await?;
    let data = Arc::new(data);
    let mut summary = Summary::default();
    let mut catalog = Catalog::default();
    for table in tables {
        let name = table.name;
        progress.table_started(name, Some(table.rows as u64));
        let produce = {
            let (table, data) = (table.clone(), Arc::clone(&data));
            move |sink| table.encode(&data, format, sink)
        };
        let relative = format!("{name}/part-00000.{format}");
        let advance = |rows| progress.rows_advanced(name, rows);
        let written = folder.write_file(&relative, produce, advance).await?;
        progress.table_finished(name);
        let (rows, bytes) = (written.rows, written.bytes);
        summary.tables.push(TableSummary {
            name: name.into(),
            rows,
            bytes,
            files: 1,
        });
        catalog
            .tables
            .insert(name.into(), definition(name, &table.schema, format)?);
    }
    folder.write_text(CATALOG_FILE, catalog.to_toml()?).await?;
    Ok(summary)
}
