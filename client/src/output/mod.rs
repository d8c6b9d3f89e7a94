//! Rows as text and files: the forms that `--format` names.

mod columns;
mod delimited;
mod file;
mod json;
mod parquet;
mod stdout;
mod table;

use std::io::{self, Write};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::{Error, ErrorKind, Result};

use crate::args::{DEFAULT_MAX_ROWS, DisplayArgs, Format};

pub(crate) use file::{FileTarget, SingleFile};
pub(crate) use stdout::{Stdout, is_terminal, line_width, print_line};

/// Width of the widest column of a table, unless all is to be shown.
const MAX_WIDTH: usize = 48;

/// Takes the rows of one result, in order.
pub(crate) trait RowWriter {
    /// Writes the rows of a batch.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what is left and flushes.
    fn finish(&mut self) -> Result<Written>;

    /// Whether more rows would not be shown.
    fn is_full(&self) -> bool {
        false
    }
}

/// What a writer made of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rows that are in the output.
    pub(crate) rows: u64,
    /// Whether there were more rows.
    pub(crate) is_cut: bool,
}

/// How rows look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Display {
    /// Rows of a table; `None` for all.
    pub(crate) max_rows: Option<usize>,
    /// Columns that a value of a table may take; `None` for all that it needs.
    pub(crate) max_width: Option<usize>,
    /// What stands for null.
    pub(crate) null: String,
    /// Whether csv and tsv begin with the names of the columns.
    pub(crate) has_header: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            max_rows: Some(DEFAULT_MAX_ROWS),
            max_width: Some(MAX_WIDTH),
            null: String::new(),
            has_header: true,
        }
    }
}

impl From<&DisplayArgs> for Display {
    fn from(args: &DisplayArgs) -> Self {
        Self {
            max_rows: (args.max_rows > 0).then_some(args.max_rows),
            max_width: (args.max_rows > 0).then_some(MAX_WIDTH),
            null: args.null_string.clone(),
            has_header: !args.no_header,
        }
    }
}

/// The writer of a form; rows go to `sink`.
pub(crate) fn writer<'a>(
    format: Format,
    schema: &SchemaRef,
    display: &Display,
    sink: Box<dyn Write + Send + 'a>,
) -> Result<Box<dyn RowWriter + 'a>> {
    if matches!(format, Format::Json | Format::Ndjson | Format::Parquet) {
        check_names(schema)?;
    }
    Ok(match format {
        Format::Table => Box::new(table::TableWriter::new(schema, display, sink)),
        Format::Csv => Box::new(delimited::DelimitedWriter::csv(schema, display, sink)?),
        Format::Tsv => Box::new(delimited::DelimitedWriter::tsv(schema, display, sink)?),
        Format::Json => Box::new(json::JsonWriter::array(sink)),
        Format::Ndjson => Box::new(json::JsonWriter::lines(sink)),
        Format::Parquet => Box::new(parquet::ParquetWriter::new(schema, sink)?),
    })
}

/// Checks that a row has a place for each column: an object and a file have one for each name.
fn check_names(schema: &SchemaRef) -> Result<()> {
    let fields = schema.fields();
    let twice = fields.iter().enumerate().find(|(at, field)| {
        let mut before = fields.iter().take(*at);
        before.any(|other| other.name() == field.name())
    });
    let Some((_, field)) = twice else {
        return Ok(());
    };
    let text = format!("two columns are named `{}`", field.name());
    Err(Error::invalid(text)
        .with_hint("give one of them another name with AS, or write csv, tsv or a table"))
}

/// Prints rows that are in memory to standard output.
pub(crate) fn print(format: Format, display: &Display, batch: &RecordBatch) -> Result<Written> {
    let stdout = Stdout::for_format(format)?;
    let mut writer = writer(format, &batch.schema(), display, Box::new(stdout))?;
    writer.write(batch)?;
    writer.finish()
}

/// The error for rows that cannot be written.
fn write_failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Failed, "cannot write the rows").with_source(error)
}

/// The error for rows that have no form as text.
fn not_text(error: ArrowError) -> Error {
    Error::new(ErrorKind::Failed, "cannot turn the rows into text").with_source(error)
}

#[cfg(test)]
mod tests;
