//! Turns one byte range of a delimited file into record batches.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, StringViewBuilder,
};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::fields::{Fields, LineFault};
use super::key_filter::KeyFilter;
use super::lines::{self, Block};
use super::options::{DelimitedOptions, POSITION, RAW, SOURCE};
use super::parse::Column;
use crate::split::SplitSource;

/// Tag of [`DelimitedSource`] in an encoded plan.
pub const SOURCE_KIND: &str = "delimited";

/// Bytes at the start of a file that must hold its header line.
const MAX_HEADER: u64 = 256 * 1024;

/// One byte range of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The recipe of a scan over delimited files.
#[derive(Debug, Clone)]
pub struct DelimitedSource {
    /// Root of the store that holds the files.
    pub(super) store: ObjectStoreUrl,
    pub(super) options: DelimitedOptions,
    /// The declared columns, without those that permissive reading adds.
    pub(super) declared: SchemaRef,
    /// Indices into the table schema of the columns to yield.
    pub(super) projection: Vec<usize>,
    pub(super) estimated_rows: Option<usize>,
    pub(super) key_filter: Option<KeyFilter>,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    store: String,
    options: DelimitedOptions,
    declared: Vec<(String, String)>,
    projection: Vec<usize>,
    estimated_rows: Option<usize>,
    key_filter: Option<KeyFilter>,
}

impl DelimitedSource {
    /// Rebuilds the source from [`SplitSource::encode`].
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let recipe: Recipe =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(Self {
            store: ObjectStoreUrl::parse(&recipe.store)?,
            options: recipe.options,
            declared: crate::codec::schema_from_names(&recipe.declared)?,
            projection: recipe.projection,
            estimated_rows: recipe.estimated_rows,
            key_filter: recipe.key_filter,
        })
    }
}

impl SplitSource for DelimitedSource {
    fn kind(&self) -> &'static str {
        SOURCE_KIND
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let recipe = Recipe {
            store: self.store.as_str().to_owned(),
            options: self.options.clone(),
            declared: crate::codec::schema_to_names(&self.declared),
            projection: self.projection.clone(),
            estimated_rows: self.estimated_rows,
            key_filter: self.key_filter.clone(),
        };
        serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn schema(&self) -> SchemaRef {
        let table = self.options.table_schema(&self.declared);
        let fields: Vec<_> = self
            .projection
            .iter()
            .map(|i| Arc::clone(&table.fields()[*i]))
            .collect();
        Arc::new(Schema::new(fields))
    }

    fn describe(&self) -> String {
        let schema = self.schema();
        let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let filter = match &self.key_filter {
            Some(filter) => format!(", key_filter={}", self.declared.field(filter.column).name()),
            None => String::new(),
        };
        let permissive = self.options.permissive;
        format!(
            "csv, columns=[{}], permissive={permissive}{filter}",
            names.join(", ")
        )
    }

    fn estimated_rows(&self) -> Option<usize> {
        self.estimated_rows
    }

    fn open(
        &self,
        descriptor: &str,
        limit: Option<usize>,
        context: Arc<TaskContext>,
        _: &Count,
    ) -> Result<SendableRecordBatchStream> {
        let range: Range =
            serde_json::from_str(descriptor).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let store = context.runtime_env().object_store(&self.store)?;
        let batch_size = context.session_config().batch_size();
        let source = self.clone();
        let path = Path::parse(&range.path).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let batches = futures::stream::once(async move {
            let header = match source.options.header {
                true => Some(read_header(store.as_ref(), &path, range.size).await?),
                false => None,
            };
            let decoder = Decoder::try_new(&source, &range, header.as_deref(), batch_size)?;
            let end = if lines::is_gzip(&path) {
                u64::MAX
            } else {
                range.end
            };
            let blocks = lines::blocks(store, path, range.size, range.start..end);
            Ok::<_, DataFusionError>(decode_blocks(blocks, decoder, limit))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}

fn decode_blocks(
    blocks: futures::stream::BoxStream<'static, Result<Block>>,
    decoder: Decoder,
    limit: Option<usize>,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    let n_wanted = limit.unwrap_or(usize::MAX);
    let state = (blocks, decoder, 0_usize);
    futures::stream::try_unfold(state, move |(mut blocks, mut decoder, n_seen)| async move {
        if n_seen >= n_wanted {
            return Ok(None);
        }
        loop {
            if let Some(batch) = decoder.next_batch()? {
                let n_seen = n_seen + batch.num_rows();
                // Parsing is pure CPU work; let other streams of the task run in between.
                tokio::task::yield_now().await;
                return Ok(Some((batch, (blocks, decoder, n_seen))));
            }
            match blocks.try_next().await? {
                Some(block) => decoder.feed(block),
                None => {
                    let last = decoder.flush()?;
                    return Ok(last.map(|batch| (batch, (blocks, decoder, usize::MAX))));
                }
            }
        }
    })
}

/// The header line of a file, without its line break.
pub(super) async fn read_header(store: &dyn ObjectStore, path: &Path, size: u64) -> Result<String> {
    let mut text = Vec::new();
    if lines::is_gzip(path) {
        let found = store
            .get(path)
            .await
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)))?;
        let packed = found
            .into_stream()
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)));
        let kind =
            datafusion::datasource::file_format::file_compression_type::FileCompressionType::GZIP;
        let mut chunks = kind.convert_stream(packed.boxed())?;
        while let Some(chunk) = chunks.try_next().await? {
            text.extend_from_slice(&chunk);
            if text.contains(&b'\n') || text.len() as u64 > MAX_HEADER {
                break;
            }
        }
    } else {
        let head = store
            .get_range(path, 0..size.min(MAX_HEADER))
            .await
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e)))?;
        text.extend_from_slice(&head);
    }
    let end = memchr::memchr(b'\n', &text).unwrap_or(text.len());
    let line = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    String::from_utf8(line.to_vec()).map_err(|_| {
        DataFusionError::Execution(format!("the header of `{path}` is not UTF-8 text"))
    })
}

/// Maps the declared columns to field positions by the names in `header`.
///
/// # Errors
/// When a declared column is missing, naming the file and what it has.
pub(super) fn map_header(
    header: &str,
    declared: &Schema,
    delimiter: u8,
    path: &str,
) -> Result<(Vec<usize>, usize)> {
    let mut fields = Fields::default();
    let n_fields = fields
        .cut(header.as_bytes(), delimiter)
        .map_err(|_| DataFusionError::Execution(format!("the header of `{path}` is not closed")))?;
    let names: Vec<String> = (0..n_fields)
        .filter_map(|i| fields.text(header, i).map(|t| t.trim().to_owned()))
        .collect();
    let positions = declared
        .fields()
        .iter()
        .map(|field| {
            names.iter().position(|n| n == field.name()).ok_or_else(|| {
                DataFusionError::Execution(format!(
                    "file `/{path}` has no column `{}`; its header names {}",
                    field.name(),
                    names.join(", ")
                ))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((positions, names.len()))
}

/// What to do with a field of the line.
enum Target {
    /// Builder index, position of the field.
    Declared(usize, usize),
    Raw,
    Source,
    Position,
    Error,
}

struct Decoder {
    schema: SchemaRef,
    declared: SchemaRef,
    options: DelimitedOptions,
    path: String,
    targets: Vec<Target>,
    columns: Vec<Column>,
    raw: StringViewBuilder,
    /// The block of `raw` that holds the text of `block`.
    raw_block: Option<u32>,
    position: Int64Builder,
    error: StringBuilder,
    /// Number of fields of a good line.
    n_fields: usize,
    /// Declared columns that the projection leaves out and that still have to be checked.
    unchecked: Vec<(usize, Column)>,
    header: Option<String>,
    /// Position of the key field and the filter.
    key_filter: Option<(usize, KeyFilter)>,
    fields: Fields,
    n_rows: usize,
    batch_size: usize,
    block: Option<Block>,
    /// Start of the next line in the block.
    cursor: usize,
    /// The next quote of the block, as far as it was looked for.
    next_quote: usize,
    /// Number of leading fields that the projection and the checks look at.
    n_wanted: usize,
}

impl Decoder {
    fn try_new(
        source: &DelimitedSource,
        range: &Range,
        header: Option<&str>,
        batch_size: usize,
    ) -> Result<Self> {
        let declared = Arc::clone(&source.declared);
        let (positions, n_fields) = match header {
            Some(header) => map_header(header, &declared, source.options.delimiter, &range.path)?,
            None => (
                (0..declared.fields().len()).collect(),
                declared.fields().len(),
            ),
        };
        let table = source.options.table_schema(&declared);
        let mut columns = Vec::new();
        let mut targets = Vec::new();
        for index in &source.projection {
            if let Some(position) = positions.get(*index) {
                columns.push(Column::new(declared.field(*index).data_type(), batch_size)?);
                targets.push(Target::Declared(*index, *position));
                continue;
            }
            targets.push(match table.field(*index).name().as_str() {
                RAW => Target::Raw,
                SOURCE => Target::Source,
                POSITION => Target::Position,
                _ => Target::Error,
            });
        }
        // `_error` speaks of the whole line, whatever columns the query takes.
        let wants_error = targets.iter().any(|t| matches!(t, Target::Error));
        let unchecked = if wants_error {
            (0..positions.len())
                .filter(|i| !source.projection.contains(i))
                .map(|i| Ok((i, Column::new(declared.field(i).data_type(), 0)?)))
                .collect::<Result<Vec<_>>>()?
        } else {
            Vec::new()
        };
        let unchecked = unchecked
            .into_iter()
            .map(|(i, column)| (positions[i], column))
            .collect();
        let key_filter = source
            .key_filter
            .clone()
            .map(|filter| (positions[filter.column], filter));
        let projected = source.projection.iter().filter_map(|i| positions.get(*i));
        let n_wanted = match wants_error {
            true => n_fields,
            false => projected.max().map_or(0, |last| last + 1),
        };
        Ok(Self {
            key_filter,
            schema: source.schema(),
            declared,
            options: source.options.clone(),
            path: format!("{}{}", source.store.as_str(), range.path),
            targets,
            columns,
            raw: StringViewBuilder::new(),
            raw_block: None,
            position: Int64Builder::with_capacity(batch_size),
            error: StringBuilder::new(),
            n_fields,
            unchecked,
            header: header.filter(|_| range.start == 0).map(str::to_owned),
            fields: Fields::default(),
            n_rows: 0,
            batch_size,
            block: None,
            cursor: 0,
            next_quote: 0,
            n_wanted,
        })
    }

    fn feed(&mut self, block: Block) {
        self.block = Some(block);
        self.raw_block = None;
        self.cursor = 0;
        self.next_quote = 0;
    }

    /// The next full batch, `None` when the block is used up.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(block) = self.block.take() else {
            return Ok(None);
        };
        // One check for the whole block; lines are checked one by one only where it fails.
        let whole = std::str::from_utf8(&block.text).ok();
        while self.cursor < block.text.len() {
            let start = self.cursor;
            let end = memchr::memchr(b'\n', &block.text[start..])
                .map_or(block.text.len(), |at| start + at);
            self.cursor = end + 1;
            let stop = if end > start && block.text[end - 1] == b'\r' {
                end - 1
            } else {
                end
            };
            if start == stop {
                continue;
            }
            if start == 0 && block.offset == 0 && self.header.take().is_some() {
                continue;
            }
            if self.next_quote <= start {
                let quote = memchr::memchr(b'"', &block.text[start..]);
                self.next_quote = quote.map_or(usize::MAX, |at| start + at);
            }
            let has_quote = self.next_quote < stop;
            let offset = block.offset + start as u64;
            let place = Some((&block.text, start));
            match whole.and_then(|text| text.get(start..stop)) {
                Some(line) => self.line(line, has_quote, offset, None, place)?,
                None => match std::str::from_utf8(&block.text[start..stop]) {
                    Ok(line) => self.line(line, has_quote, offset, None, place)?,
                    Err(_) => {
                        let line = String::from_utf8_lossy(&block.text[start..stop]).into_owned();
                        self.line(&line, has_quote, offset, Some("encoding"), None)?;
                    }
                },
            }
            if self.n_rows == self.batch_size {
                self.block = Some(block);
                return self.flush();
            }
        }
        Ok(None)
    }

    /// Appends the line at `offset` of the file, which is at `place` of a block where that holds
    /// its very text.
    fn line(
        &mut self,
        line: &str,
        has_quote: bool,
        offset: u64,
        fault: Option<&'static str>,
        place: Option<(&Buffer, usize)>,
    ) -> Result<()> {
        let mut fields = std::mem::take(&mut self.fields);
        let (text, delimiter) = (line.as_bytes(), self.options.delimiter);
        // Few lines pass the filter, so its field is looked at first.
        let mut n_cut = match &self.key_filter {
            Some((position, _)) => position + 1,
            None => self.n_wanted,
        };
        let fault = fault.or_else(|| {
            let n_fields = if has_quote {
                n_cut = usize::MAX;
                fields.cut_quoted(text, delimiter)
            } else {
                Ok(fields.cut_plain(text, delimiter, n_cut))
            };
            match n_fields {
                Err(LineFault::Quote) => Some("quote"),
                Ok(n_fields) if n_fields != self.n_fields => Some("field_count"),
                Ok(_) => None,
            }
        });
        if let Some((position, filter)) = &self.key_filter {
            let passes = fault.is_none()
                && fields.text(line, *position).is_some_and(|key| {
                    self.options.null.as_deref() != Some(&*key) && filter.passes(&key)
                });
            if !passes {
                self.fields = fields;
                return Ok(());
            }
            if n_cut < self.n_wanted {
                fields.cut_plain(text, delimiter, self.n_wanted);
            }
        }
        let mut first_bad = None;
        let mut next_column = 0;
        for target in &self.targets {
            let Target::Declared(index, position) = target else {
                continue;
            };
            let column = &mut self.columns[next_column];
            next_column += 1;
            if fault.is_some() {
                column.append_null();
                continue;
            }
            let text = fields.text(line, *position).unwrap_or_default();
            if text.is_empty() || self.options.null.as_deref() == Some(&*text) {
                column.append_null();
            } else if !column.append(&text) && first_bad.is_none_or(|(bad, _)| *position < bad) {
                first_bad = Some((*position, *index));
            }
        }
        if fault.is_none() {
            for (position, column) in &mut self.unchecked {
                let text = fields.text(line, *position).unwrap_or_default();
                let is_null = text.is_empty() || self.options.null.as_deref() == Some(&*text);
                if !is_null
                    && !column.append(&text)
                    && first_bad.is_none_or(|(bad, _)| *position < bad)
                {
                    first_bad = Some((*position, usize::MAX));
                }
            }
        }
        let error = match (fault, first_bad) {
            (Some(fault), _) => Some(fault.to_owned()),
            (None, Some((position, _))) => Some(format!("parse:{}", self.column_at(position))),
            (None, None) => None,
        };
        self.fields = fields;
        if let (Some(error), false) = (&error, self.options.permissive) {
            return Err(self.failure(error, line, offset));
        }
        for target in &self.targets {
            match target {
                Target::Declared(..) | Target::Source => {}
                Target::Raw => append_shared(&mut self.raw, &mut self.raw_block, line, place)?,
                Target::Position => self
                    .position
                    .append_value(i64::try_from(offset).unwrap_or(i64::MAX)),
                Target::Error => self.error.append_option(error.as_deref()),
            }
        }
        self.n_rows += 1;
        Ok(())
    }

    /// Name of the declared column that is read from field `position`.
    fn column_at(&self, position: usize) -> String {
        let target = self.targets.iter().find_map(|target| match target {
            Target::Declared(index, at) if *at == position => Some(*index),
            _ => None,
        });
        let index = target.unwrap_or(position);
        self.declared
            .fields()
            .get(index)
            .map_or_else(|| index.to_string(), |f| f.name().clone())
    }

    fn failure(&self, error: &str, line: &str, offset: u64) -> DataFusionError {
        let what = match error.split_once(':') {
            Some((_, column)) => {
                let expected = self
                    .declared
                    .field_with_name(column)
                    .map(|f| f.data_type().to_string())
                    .unwrap_or_default();
                format!("column `{column}` is not {expected}")
            }
            None if error == "field_count" => {
                format!("it does not have {} fields", self.n_fields)
            }
            None => format!("its {error} is wrong"),
        };
        let shown: String = line.chars().take(120).collect();
        DataFusionError::Execution(format!(
            "cannot read the line at byte {offset} of `{}`: {what}: `{shown}`; \
             set the table option permissive = \"true\" to quarantine bad lines",
            self.path
        ))
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>> {
        if self.n_rows == 0 {
            return Ok(None);
        }
        let mut declared = self.columns.iter_mut();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            arrays.push(match target {
                Target::Declared(..) => match declared.next() {
                    Some(column) => column.finish(),
                    None => continue,
                },
                Target::Raw => {
                    self.raw_block = None;
                    Arc::new(self.raw.finish())
                }
                Target::Source => repeated(&self.path, self.n_rows)?,
                Target::Position => {
                    let next = Int64Builder::with_capacity(self.batch_size);
                    Arc::new(std::mem::replace(&mut self.position, next).finish())
                }
                Target::Error => Arc::new(self.error.finish()),
            });
        }
        for (_, column) in &mut self.unchecked {
            column.finish();
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.n_rows));
        self.n_rows = 0;
        Ok(Some(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            arrays,
            &options,
        )?))
    }
}

/// Appends `line` as a view of the block that holds it.
fn append_shared(
    lines: &mut StringViewBuilder,
    block: &mut Option<u32>,
    line: &str,
    place: Option<(&Buffer, usize)>,
) -> Result<()> {
    let view = place.and_then(|(text, start)| {
        let start = u32::try_from(start).ok()?;
        Some((text, start, u32::try_from(line.len()).ok()?))
    });
    let Some((text, start, length)) = view else {
        lines.append_value(line);
        return Ok(());
    };
    let block = *block.get_or_insert_with(|| lines.append_block(text.clone()));
    Ok(lines.try_append_view(block, start, length)?)
}

/// `n` times the same text, which is there once.
fn repeated(text: &str, n: usize) -> Result<ArrayRef> {
    let mut rows = StringViewBuilder::with_capacity(n);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let block = rows.append_block(Buffer::from(text.as_bytes()));
    for _ in 0..n {
        rows.try_append_view(block, 0, length)?;
    }
    Ok(Arc::new(rows.finish()))
}
