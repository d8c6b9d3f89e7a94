//! One staging file of one task, in any format.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use emporia_core::error::{Error, ErrorKind};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tokio::io::AsyncWriteExt;

use super::{FileFormat, FileSink};
use crate::delimited::{self, Style};
use crate::error::{of_system, to_datafusion, worth_another_try};
use crate::hdfs::Fault;
use crate::json;
use crate::location::within;

/// Rows of a Parquet row group; bounds what a writer holds in memory.
const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Rows whose texts decide about a dictionary, and how few of them decide nothing.
const SAMPLE_ROWS: usize = 4096;
const MIN_SAMPLE: usize = 64;

/// Writes rows to one file, which is opened with the first of them.
pub(super) struct FileWriter {
    store: Arc<dyn ObjectStore>,
    location: Path,
    /// Path relative to the result folder.
    path: String,
    format: FileFormat,
    sink: Option<Sink>,
}

enum Sink {
    Parquet(Box<AsyncArrowWriter<BufWriter>>),
    Text { writer: Box<BufWriter>, bytes: u64 },
}

impl FileWriter {
    /// A file in `folder`, a path relative to the result folder.
    ///
    /// # Errors
    /// When no store can have it.
    pub(super) fn new(spec: &FileSink, folder: &str, store: Arc<dyn ObjectStore>) -> Result<Self> {
        // No two attempts share a name, so a lost attempt never damages the one that counts.
        let attempt = uuid::Uuid::now_v7().simple();
        let path = format!("{folder}/part-{attempt}.{}", spec.format.as_str());
        let location = Path::parse(&spec.base).and_then(|base| within(&base, &path));
        Ok(Self {
            store,
            location: location.map_err(|e| DataFusionError::External(Box::new(e)))?,
            path,
            format: spec.format,
            sink: None,
        })
    }

    /// Appends `rows`, which are not empty.
    pub(super) async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let is_first = self.sink.is_none();
        let sink = match &mut self.sink {
            Some(sink) => sink,
            empty => empty.insert(Sink::open(
                self.format,
                rows,
                BufWriter::new(Arc::clone(&self.store), self.location.clone()),
            )?),
        };
        let failed = |e: DataFusionError| write_error(&self.location, e);
        match sink {
            Sink::Parquet(writer) => writer.write(rows).await.map_err(|e| failed(e.into())),
            Sink::Text { writer, bytes } => {
                let text = encode_text(self.format, rows, is_first)?;
                *bytes += text.len() as u64;
                writer.put(text).await.map_err(|e| failed(e.into()))
            }
        }
    }

    /// Closes the file; its path relative to the result folder and its size.
    pub(super) async fn finish(self) -> Result<(String, u64)> {
        let location = self.location;
        let failed = |e: DataFusionError| write_error(&location, e);
        let bytes = match self.sink {
            None => 0,
            Some(Sink::Parquet(mut writer)) => {
                writer.finish().await.map_err(|e| failed(e.into()))?;
                writer.bytes_written() as u64
            }
            Some(Sink::Text { mut writer, bytes }) => {
                writer.shutdown().await.map_err(|e| failed(e.into()))?;
                bytes
            }
        };
        Ok((self.path, bytes))
    }
}

impl Sink {
    /// A file that begins with `rows`.
    fn open(format: FileFormat, rows: &RecordBatch, writer: BufWriter) -> Result<Self> {
        Ok(match format {
            FileFormat::Parquet => {
                let properties = Some(parquet_properties(rows)?);
                let writer = AsyncArrowWriter::try_new(writer, rows.schema(), properties)?;
                Self::Parquet(Box::new(writer))
            }
            FileFormat::Csv | FileFormat::Json => Self::Text {
                writer: Box::new(writer),
                bytes: 0,
            },
        })
    }
}

/// Settings of all Parquet files that Emporia writes. `rows` are the first ones of the file.
///
/// Numbers are written as packed differences: as small as compressed numbers, at a third of the time, and
/// compressing them again gains nothing. Dictionaries pay for texts that repeat; a column whose first
/// texts do not is written plainly.
///
/// # Errors
/// When the compression level is not one of the library's.
fn parquet_properties(rows: &RecordBatch) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(1)?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for (field, values) in rows.schema().fields().iter().zip(rows.columns()) {
        let column = ColumnPath::from(field.name().as_str());
        properties = match field.data_type() {
            // Decimals of more than 18 digits are bytes and no integers.
            DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(..)
            | DataType::Decimal128(..=18, _) => properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_compression(column, Compression::UNCOMPRESSED),
            DataType::Float64 | DataType::Decimal128(..) => {
                properties.set_column_dictionary_enabled(column, false)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                properties.set_column_dictionary_enabled(column, repeats(values)?)
            }
            _ => properties,
        };
    }
    Ok(properties.build())
}

/// Whether the first texts repeat each other, or are too few to tell.
fn repeats(texts: &ArrayRef) -> Result<bool> {
    let sample = texts.slice(0, texts.len().min(SAMPLE_ROWS));
    let sample = cast(&sample, &DataType::Utf8View)?;
    let sample = sample.as_string_view();
    let n_texts = sample.iter().flatten().count();
    let distinct: HashSet<&str> = sample.iter().flatten().collect();
    Ok(n_texts < MIN_SAMPLE || distinct.len() * 2 < n_texts)
}

fn encode_text(format: FileFormat, rows: &RecordBatch, with_header: bool) -> Result<Bytes> {
    if format == FileFormat::Csv {
        let style = Style::default();
        let mut text = match with_header {
            true => delimited::header(&rows.schema(), &style),
            false => String::new(),
        };
        delimited::encode(rows, &style, &mut text)?;
        return Ok(text.into());
    }
    json::to_lines(rows).map(Bytes::from)
}

/// A failed write. Where the task may succeed with another file, it is an I/O error: those are the
/// only ones after which Ballista runs a task again.
fn write_error(path: &Path, error: impl Into<DataFusionError>) -> DataFusionError {
    let error = error.into();
    if let Some(fault) = Fault::of(&error) {
        let may_pass = fault.is_transient();
        let error = fault.explain(format!("cannot write to HDFS: {fault}"));
        return match may_pass {
            true => worth_another_try(error),
            false => to_datafusion(error),
        };
    }
    let Some(system) = of_system(&error) else {
        return error;
    };
    let kind = match system.kind() {
        // It is told apart from all others wherever it happens.
        io::ErrorKind::StorageFull => return error,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Failed,
    };
    let may_pass = kind == ErrorKind::Failed && matches!(error, DataFusionError::IoError(_));
    let error = Error::new(kind, format!("cannot write `/{path}`"))
        .with_hint("check that all executors can write to the folder")
        .with_source(system.to_string());
    match may_pass {
        true => worth_another_try(error),
        false => to_datafusion(error),
    }
}

#[cfg(test)]
mod tests {
    use emporia_core::error::EncodedError;

    use super::*;
    use crate::error::known;

    #[test]
    fn a_write_that_the_system_refuses_names_the_file() {
        let path = Path::from("out/part.parquet");
        let told = |errno: i32| {
            let system = io::Error::from_raw_os_error(errno);
            let error = object_store::Error::Generic {
                store: "LocalFileSystem",
                source: Box::new(system),
            };
            known(&write_error(&path, error))
        };
        let read_only = told(30);
        let kind = read_only.as_ref().map(|error| error.kind);
        assert_eq!(kind, Some(ErrorKind::PermissionDenied));
        let message = read_only.map(|error: EncodedError| error.message);
        assert_eq!(message.as_deref(), Some("cannot write `/out/part.parquet`"));
        // A full disk has a text of its own.
        let full = told(28).map(|error| error.kind);
        assert_eq!(full, Some(ErrorKind::ResourceExhausted));
        let other = write_error(&path, DataFusionError::Execution("x".to_owned()));
        assert!(matches!(other, DataFusionError::Execution(_)));
    }
}
