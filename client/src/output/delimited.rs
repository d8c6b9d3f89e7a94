//! Comma- and tab-separated values.
//!
//! In csv a value is quoted where it must be, and an empty text always, so that it differs from
//! null. In tsv a tab, a line break and a backslash are written as `\t`, `\n`, `\r` and `\\`.

use std::io::Write;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::Result;

use super::columns::Prepared;
use super::{Display, RowWriter, Written, write_failed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Csv,
    Tsv,
}

/// Writes one line per row.
pub(super) struct DelimitedWriter<'a> {
    dialect: Dialect,
    null: String,
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
        Self::new(Dialect::Csv, schema, display, sink)
    }

    pub(super) fn tsv(
        schema: &SchemaRef,
        display: &Display,
        sink: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        Self::new(Dialect::Tsv, schema, display, sink)
    }

    fn new(
        dialect: Dialect,
        schema: &SchemaRef,
        display: &Display,
        sink: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        let null = display.null.clone();
        let mut writer = Self {
            dialect,
            null,
            sink,
            line: String::new(),
            n_rows: 0,
        };
        if display.has_header {
            for (index, field) in schema.fields().iter().enumerate() {
                writer.value(index, Some(field.name()));
            }
            writer.end_line()?;
        }
        Ok(writer)
    }

    fn value(&mut self, index: usize, value: Option<&str>) {
        if index > 0 {
            self.line.push(match self.dialect {
                Dialect::Csv => ',',
                Dialect::Tsv => '\t',
            });
        }
        match (value, self.dialect) {
            (None, _) => self.line.push_str(&self.null),
            (Some(value), Dialect::Csv) => quote(value, &self.null, &mut self.line),
            (Some(value), Dialect::Tsv) => escape(value, &mut self.line),
        }
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
                self.value(index, value.as_deref());
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

fn quote(value: &str, null: &str, line: &mut String) {
    let needs_quotes = value == null
        || value.is_empty()
        || value.contains([',', '"', '\n', '\r'])
        || value.starts_with(' ')
        || value.ends_with(' ');
    if !needs_quotes {
        line.push_str(value);
        return;
    }
    line.push('"');
    line.push_str(&value.replace('"', "\"\""));
    line.push('"');
}

fn escape(value: &str, line: &mut String) {
    for c in value.chars() {
        match c {
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\\' => line.push_str("\\\\"),
            other => line.push(other),
        }
    }
}
