//! Apache Parquet.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{RowWriter, Written};

/// Writes one Parquet file.
pub(super) struct ParquetWriter<'a> {
    schema: SchemaRef,
    writer: ArrowWriter<Box<dyn Write + Send + 'a>>,
    n_rows: u64,
}

impl<'a> ParquetWriter<'a> {
    pub(super) fn new(schema: &SchemaRef, sink: Box<dyn Write + Send + 'a>) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer =
            ArrowWriter::try_new(sink, Arc::clone(schema), Some(properties)).map_err(failed)?;
        Ok(Self {
            schema: Arc::clone(schema),
            writer,
            n_rows: 0,
        })
    }
}

impl RowWriter for ParquetWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        // A batch may differ from the plan in what is nullable.
        let columns = batch.columns().to_vec();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|e| failed(ParquetError::from(e)))?;
        self.writer.write(&batch).map_err(failed)?;
        self.n_rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Written> {
        self.writer.finish().map_err(failed)?;
        self.writer
            .inner_mut()
            .flush()
            .map_err(super::write_failed)?;
        Ok(Written {
            rows: self.n_rows,
            is_cut: false,
        })
    }
}

fn failed(error: ParquetError) -> Error {
    Error::new(ErrorKind::Failed, "cannot write the Parquet file").with_source(error)
}
