//! Record batches to bytes, the same bytes for the same rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::json::{LineDelimitedWriter, WriterBuilder};
use emporia_core::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{FileSink, Format};

/// Rows of a Parquet row group; it bounds the memory of a writer.
const ROW_GROUP_ROWS: usize = 1 << 17;

/// Writes the batches of one file.
pub(crate) enum Encoder {
    Parquet(Box<ArrowWriter<FileSink>>),
    Json(Box<LineDelimitedWriter<FileSink>>),
    Csv(Box<csv::Writer<FileSink>>),
}

impl Encoder {
    /// An encoder for batches of this schema.
    pub(crate) fn new(format: Format, schema: &SchemaRef, sink: FileSink) -> Result<Self> {
        Ok(match format {
            Format::Parquet => {
                let level = ZstdLevel::try_new(1).map_err(failed)?;
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(level))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .build();
                let writer = ArrowWriter::try_new(sink, Arc::clone(schema), Some(properties));
                Self::Parquet(Box::new(writer.map_err(failed)?))
            }
            Format::Json => Self::Json(Box::new(LineDelimitedWriter::new(sink))),
            Format::Csv => {
                let writer = csv::WriterBuilder::new().with_header(true).build(sink);
                let mut encoder = Self::Csv(Box::new(writer));
                // A table without rows has its header all the same.
                encoder.write(&RecordBatch::new_empty(Arc::clone(schema)))?;
                encoder
            }
        })
    }

    /// Appends a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch).map_err(failed),
            Self::Json(writer) => {
                let batch = with_offsets(batch).map_err(failed)?;
                writer.write(&batch).map_err(failed)
            }
            Self::Csv(writer) => {
                let batch = with_offsets(batch).and_then(|batch| nested_as_text(&batch));
                writer.write(&batch.map_err(failed)?).map_err(failed)
            }
        }
    }

    /// Ends the file and gives the sink back.
    pub(crate) fn finish(self) -> Result<FileSink> {
        match self {
            Self::Parquet(writer) => writer.into_inner().map_err(failed),
            Self::Json(mut writer) => {
                writer.finish().map_err(failed)?;
                Ok(writer.into_inner())
            }
            Self::Csv(writer) => Ok(writer.into_inner()),
        }
    }
}

fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("cannot encode rows").with_source(cause)
}

/// The batch with `+00:00` for `UTC`, the same instants: the text writers know no names of zones
/// without a database of them. Both end up as `2025-12-31T00:00:00Z`.
fn with_offsets(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let mut field = field.as_ref().clone();
        let mut column = Arc::clone(column);
        if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
            column = Arc::new(times.clone().with_timezone("+00:00"));
            field = field.with_data_type(column.data_type().clone());
        }
        fields.push(field);
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The batch with its nested columns as JSON text.
fn nested_as_text(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema_ref();
    if !schema.fields().iter().any(|f| f.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            fields.push(Field::new(
                field.name(),
                DataType::Utf8,
                field.is_nullable(),
            ));
            columns.push(Arc::new(json_texts(field, column)?));
        } else {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The values of a column as JSON, one by one.
fn json_texts(field: &Field, column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(column)])?;
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    let lines =
        String::from_utf8(writer.into_inner()).map_err(|e| ArrowError::JsonError(e.to_string()))?;
    // A line is `{"<name>":<value>}`.
    let prefix = format!("{{\"{}\":", field.name());
    Ok(lines
        .lines()
        .enumerate()
        .map(|(row, line)| {
            let value = line.strip_prefix(&prefix)?.strip_suffix('}')?;
            (!column.is_null(row)).then_some(value)
        })
        .collect())
}
