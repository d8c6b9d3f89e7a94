//! JSON: an array of objects, or an object per line.
//!
//! Decimals and 64-bit integers are numbers with all their digits, times are ISO 8601 texts, nulls
//! are written out so that every object has the same keys. Floats that are not finite are the texts
//! `NaN`, `Infinity` and `-Infinity`.

use std::io::Write;

use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{JsonArray, JsonFormat, LineDelimited, Writer};
use datafusion::arrow::record_batch::RecordBatch;
use emporia_connectors::json::writer_builder;
use emporia_core::error::Result;

use super::{RowWriter, Written, not_text, write_failed};

/// Writes one object per row; `F` is what comes between them.
pub(super) struct JsonWriter<'a, F: JsonFormat> {
    writer: Writer<Box<dyn Write + Send + 'a>, F>,
    /// Whether the array is followed by a line break.
    has_last_break: bool,
    n_rows: u64,
}

impl<'a> JsonWriter<'a, JsonArray> {
    pub(super) fn array(sink: Box<dyn Write + Send + 'a>) -> Self {
        Self {
            writer: writer_builder().build(sink),
            has_last_break: true,
            n_rows: 0,
        }
    }
}

impl<'a> JsonWriter<'a, LineDelimited> {
    pub(super) fn lines(sink: Box<dyn Write + Send + 'a>) -> Self {
        Self {
            writer: writer_builder().build(sink),
            has_last_break: false,
            n_rows: 0,
        }
    }
}

impl<F: JsonFormat> RowWriter for JsonWriter<'_, F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(failed)?;
        self.n_rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Written> {
        self.writer.finish().map_err(failed)?;
        let sink = self.writer.get_mut();
        if self.has_last_break {
            sink.write_all(b"\n").map_err(write_failed)?;
        }
        sink.flush().map_err(write_failed)?;
        Ok(Written {
            rows: self.n_rows,
            is_cut: false,
        })
    }
}

/// Keeps the I/O error that Arrow wraps, because a closed pipe is treated apart.
fn failed(error: ArrowError) -> emporia_core::error::Error {
    match error {
        ArrowError::IoError(_, io) => write_failed(io),
        other => not_text(other),
    }
}
