//! One staging file of one task, in any format.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::json;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tokio::io::AsyncWriteExt;

use super::{FileFormat, StagedWrite, WriteBranch, WrittenFile};

/// Rows of a Parquet row group; bounds what a writer holds in memory.
const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Writes the rows of one branch to one file, which is opened with the first row.
pub(super) struct BranchWriter {
    store: Arc<dyn ObjectStore>,
    base: Path,
    /// Path relative to the result folder.
    path: String,
    format: FileFormat,
    columns: Vec<usize>,
    schema: SchemaRef,
    sink: Option<Sink>,
    rows: u64,
}

enum Sink {
    Parquet(Box<AsyncArrowWriter<BufWriter>>),
    Text { writer: Box<BufWriter>, bytes: u64 },
}

impl BranchWriter {
    pub(super) fn try_new(
        write: &StagedWrite,
        branch: &WriteBranch,
        input: &Schema,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Self> {
        let mut columns = Vec::with_capacity(branch.columns.len());
        let mut fields = Vec::with_capacity(branch.columns.len());
        for (column, name) in &branch.columns {
            let index = input.index_of(column)?;
            columns.push(index);
            let field = input.field(index);
            fields.push(Field::new(
                name,
                field.data_type().clone(),
                field.is_nullable(),
            ));
        }
        // No two attempts share a name, so a lost attempt never damages the one that counts.
        let attempt = uuid::Uuid::now_v7().simple();
        let extension = write.format.as_str();
        Ok(Self {
            store,
            base: Path::from(write.base.as_str()),
            path: format!(
                "run-{}/{}/part-{attempt}.{extension}",
                write.run_id, branch.output
            ),
            format: write.format,
            columns,
            schema: Arc::new(Schema::new(fields)),
            sink: None,
            rows: 0,
        })
    }

    /// Appends the rows of `batch`.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let rows = RecordBatch::try_new(
            Arc::clone(&self.schema),
            self.columns
                .iter()
                .map(|i| Arc::clone(batch.column(*i)))
                .collect(),
        )?;
        let is_first = self.sink.is_none();
        let sink = match &mut self.sink {
            Some(sink) => sink,
            empty => empty.insert(Sink::open(
                self.format,
                &self.schema,
                BufWriter::new(Arc::clone(&self.store), object_path(&self.base, &self.path)),
            )?),
        };
        self.rows += rows.num_rows() as u64;
        match sink {
            Sink::Parquet(writer) => writer.write(&rows).await.map_err(parquet_error),
            Sink::Text { writer, bytes } => {
                let text = encode_text(self.format, &rows, is_first)?;
                *bytes += text.len() as u64;
                writer.put(text).await.map_err(DataFusionError::from)
            }
        }
    }

    /// Closes the file and reports it; `None` where no row was written.
    pub(super) async fn finish(self, branch: usize) -> Result<Option<WrittenFile>> {
        let bytes = match self.sink {
            None => return Ok(None),
            Some(Sink::Parquet(mut writer)) => {
                writer.finish().await.map_err(parquet_error)?;
                writer.bytes_written() as u64
            }
            Some(Sink::Text { mut writer, bytes }) => {
                writer.shutdown().await?;
                bytes
            }
        };
        Ok(Some(WrittenFile {
            branch: Some(branch),
            path: self.path,
            rows: self.rows,
            bytes,
        }))
    }
}

impl Sink {
    fn open(format: FileFormat, schema: &SchemaRef, writer: BufWriter) -> Result<Self> {
        Ok(match format {
            FileFormat::Parquet => {
                let properties = Some(parquet_properties(schema)?);
                let writer = AsyncArrowWriter::try_new(writer, Arc::clone(schema), properties)
                    .map_err(parquet_error)?;
                Self::Parquet(Box::new(writer))
            }
            FileFormat::Csv | FileFormat::Json => Self::Text {
                writer: Box::new(writer),
                bytes: 0,
            },
        })
    }
}

fn object_path(base: &Path, relative: &str) -> Path {
    relative
        .split('/')
        .fold(base.clone(), |path, part| path.join(part))
}

/// Settings of all Parquet files that Emporia writes.
///
/// Dictionaries pay for text, whose values repeat; for numbers they cost a hash per value and are
/// given up half way through the row group, so numbers are written plainly.
///
/// # Errors
/// When the compression level is not one of the library's.
fn parquet_properties(schema: &Schema) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(1).map_err(parquet_error)?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for field in schema.fields() {
        let has_dictionary = !matches!(
            field.data_type(),
            DataType::Int64
                | DataType::Float64
                | DataType::Timestamp(..)
                | DataType::Decimal128(..)
        );
        let column = ColumnPath::from(field.name().as_str());
        properties = properties.set_column_dictionary_enabled(column, has_dictionary);
    }
    Ok(properties.build())
}

fn encode_text(format: FileFormat, rows: &RecordBatch, with_header: bool) -> Result<Bytes> {
    let mut text = Vec::new();
    if format == FileFormat::Csv {
        let mut writer = csv::WriterBuilder::new()
            .with_header(with_header)
            .build(&mut text);
        writer.write(rows)?;
        drop(writer);
    } else {
        let mut writer = json::LineDelimitedWriter::new(&mut text);
        writer.write(rows)?;
        writer.finish()?;
    }
    Ok(text.into())
}

fn parquet_error(error: parquet::errors::ParquetError) -> DataFusionError {
    DataFusionError::ParquetError(Box::new(error))
}
