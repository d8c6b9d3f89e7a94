//! Comma- and tab-separated values.
//!
//! A value is quoted where it must be, and an empty text always, so that it differs from null: Emporia
//! reads both as it wrote them.

use std::io::Write;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use emporia_connectors::delimited::Style;
use emporia_core::error::Result;

use super::columns::Prepared;
use super::{Display, RowWriter, Written, write_failed};

/// Writes one line per row.
pub(super) struct DelimitedWriter<'a> {
    style: Style,
    sink: Box<dyn Write + Send + 'a>,
    line: String,
    n_rows: u64,
}

impl<'a> DelimitedWriter<'a> {
    pub(super) fn csv(
        schema: &SchemaRef,
        display: &Display,
        sink: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        Self::new(',', schema, display, sink)
    }

    pub(super) fn tsv(
        schema: &SchemaRef,
        display: &Display,
        sink: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        Self::new('\t', schema, display, sink)
    }

    fn new(
        delimiter: char,
        schema: &SchemaRef,
        display: &Display,
        sink: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        let null = display.null.clone();
        let mut writer = Self {
            style: Style { delimiter, null },
            sink,
            line: String::new(),
            n_rows: 0,
        };
        if display.has_header {
            for (index, field) in schema.fields().iter().enumerate() {
                let name = Some(field.name().as_str());
                writer.style.field(&mut writer.line, index, name);
            }
            writer.end_line()?;
        }
        Ok(writer)
    }

    fn end_line(&mut self) -> Result<()> {
        self.line.push('\n');
        self.sink
            .write_all(self.line.as_bytes())
            .map_err(write_failed)?;
        self.line.clear();
        Ok(())
    }
}

impl RowWriter for DelimitedWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let prepared = Prepared::new(batch);
        let mut columns = prepared.columns(batch)?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter_mut().enumerate() {
                let value = column.value(row)?;
                self.style.field(&mut self.line, index, value.as_deref());
            }
            self.end_line()?;
        }
        self.n_rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Written> {
        self.sink.flush().map_err(write_failed)?;
        Ok(Written {
            rows: self.n_rows,
            is_cut: false,
        })
    }
}
