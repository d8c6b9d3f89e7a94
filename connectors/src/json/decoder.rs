//! From lines to rows: the columns that a query needs, and what permissive reading says of a line.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, StringViewBuilder,
};
use datafusion::arrow::datatypes::{FieldRef, Fields, SchemaRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;

use super::column::Fault;
use super::infer::{Keys, not_an_object};
use super::lines::{Block, Unit};
use super::record::Record;
use super::syntax::{Cursor, Value};

/// Bytes of lines after which a batch is full, however few rows it has.
const MAX_BATCH: usize = 64 * 1024 * 1024;

/// Where the values of an output column come from.
#[derive(Debug, Clone)]
pub(super) enum Output {
    /// The objects.
    Key(FieldRef),
    /// The folder of the file.
    Folder(ScalarValue),
    Raw,
    Source,
    Position,
    Error,
}

/// What is wrong with a line: a word for `_error`, and a text.
struct Problem {
    code: String,
    text: String,
}

impl Problem {
    fn of_encoding() -> Self {
        Self {
            code: "encoding".to_owned(),
            text: "it is not UTF-8 text; convert the file to UTF-8".to_owned(),
        }
    }

    fn of(fault: Fault, code: &str) -> Self {
        let code = code.to_owned();
        match fault {
            Fault::Value(text) => Self { code, text },
            Fault::Syntax(error) => Self {
                code,
                text: format!(
                    "{} at byte {} of it; a file has one object per line, or is one array of objects",
                    error.what, error.at
                ),
            },
        }
    }
}

/// The place of a line in words.
pub(super) fn place(number: Option<u64>, position: u64, unit: Unit) -> String {
    let what = match unit {
        Unit::Line => "line",
        Unit::Element => "element",
    };
    match number {
        Some(number) => format!("{what} {number} (at byte {position})"),
        None => format!("the {what} at byte {position}"),
    }
}

/// Adds what is in a line to `keys`; what is wrong with it, if it is not an object.
pub(super) fn seen(line: &[u8], keys: &mut Keys) -> Option<String> {
    let Ok(text) = simdutf8::basic::from_utf8(line) else {
        return Some(Problem::of_encoding().text);
    };
    let fault = keys.observe(text).err()?;
    Some(Problem::of(fault, "json").text)
}

/// Turns blocks into batches.
pub(super) struct Decoder {
    schema: SchemaRef,
    /// For each column, its place in `record`, or what else fills it.
    outputs: Vec<(Option<usize>, Output)>,
    record: Record,
    is_permissive: bool,
    /// Location of the file.
    source: String,
    batch_size: usize,
    /// Rows that are still wanted.
    n_wanted: usize,
    /// Lines before the next one, where the file was read from its start.
    n_lines: Option<u64>,
    block: Option<Block>,
    /// Bytes of the block that were read.
    at: usize,
    n_rows: usize,
    n_bytes: usize,
    raw: StringViewBuilder,
    positions: Vec<i64>,
    errors: Vec<Option<String>>,
}

impl Decoder {
    /// A decoder of rows with `outputs`, where `all` are all columns that the objects have.
    ///
    /// # Errors
    /// Where a column has a type that JSON has no form for.
    pub(super) fn try_new(
        schema: SchemaRef,
        outputs: Vec<Output>,
        all: &Fields,
        is_permissive: bool,
    ) -> Result<Self> {
        // What is wrong with a line is known only when all its columns were read.
        let needs_all = outputs.iter().any(|o| matches!(o, Output::Error));
        let keys = outputs.iter().filter_map(|output| match output {
            Output::Key(field) => Some(Arc::clone(field)),
            _ => None,
        });
        let fields: Fields = match needs_all {
            true => all.clone(),
            false => keys.collect(),
        };
        let record = Record::new(&fields)?;
        let outputs = outputs.into_iter().map(|output| match &output {
            Output::Key(field) => (record.place(field.name(), 0), output),
            _ => (None, output),
        });
        Ok(Self {
            schema,
            outputs: outputs.collect(),
            record,
            is_permissive,
            source: String::new(),
            batch_size: 8192,
            n_wanted: usize::MAX,
            n_lines: None,
            block: None,
            at: 0,
            n_rows: 0,
            n_bytes: 0,
            raw: StringViewBuilder::new(),
            positions: Vec::new(),
            errors: Vec::new(),
        })
    }

    /// The decoder for a file, from its start or not.
    #[must_use]
    pub(super) fn of_file(mut self, source: String, is_from_start: bool) -> Self {
        self.source = source;
        self.n_lines = is_from_start.then_some(0);
        self
    }

    /// The decoder for batches of `batch_size` and up to `limit` rows.
    #[must_use]
    pub(super) fn with_sizes(mut self, batch_size: usize, limit: Option<usize>) -> Self {
        self.batch_size = batch_size.max(1);
        self.n_wanted = limit.unwrap_or(usize::MAX);
        self
    }

    /// Takes a block; the one before it has been read.
    pub(super) fn feed(&mut self, block: Block) {
        self.block = Some(block);
        self.at = 0;
    }

    /// Whether no more rows are wanted.
    pub(super) fn is_done(&self) -> bool {
        self.n_wanted == 0
    }

    /// The next full batch; `None` where another block is needed first.
    ///
    /// # Errors
    /// Unless reading is permissive, where a line is not what was declared; names its place.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(block) = self.block.take() {
            let full = self.batch_size.min(self.n_wanted);
            while self.at < block.text.len() && self.n_rows < full && self.n_bytes < MAX_BATCH {
                let rest = &block.text[self.at..];
                let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                let position = block.offset + self.at as u64;
                self.at += length;
                self.line(&rest[..length], position, block.unit)?;
            }
            let is_read = self.at == block.text.len();
            if !is_read {
                self.block = Some(block);
            }
            if self.n_rows >= full || self.n_bytes >= MAX_BATCH {
                return self.flush();
            }
        }
        Ok(None)
    }

    /// The rows that are left.
    ///
    /// # Errors
    /// Where Arrow does not take them.
    pub(super) fn flush(&mut self) -> Result<Option<RecordBatch>> {
        if self.n_rows == 0 {
            return Ok(None);
        }
        let n = self.n_rows;
        let mut keys: Vec<Option<ArrayRef>> = self.record.finish()?.into_iter().map(Some).collect();
        let errors: ArrayRef = Arc::new(StringArray::from(std::mem::take(&mut self.errors)));
        let positions: ArrayRef = Arc::new(Int64Array::from(std::mem::take(&mut self.positions)));
        let raw: ArrayRef = Arc::new(self.raw.finish());
        let mut columns = Vec::with_capacity(self.outputs.len());
        for (place, output) in &self.outputs {
            columns.push(match output {
                Output::Key(_) => {
                    let column = place.and_then(|place| keys[place].take());
                    column.ok_or_else(|| DataFusionError::Internal("no such key".to_owned()))?
                }
                Output::Folder(value) => value.to_array_of_size(n)?,
                Output::Raw => Arc::clone(&raw),
                Output::Source => {
                    let source = ScalarValue::Utf8View(Some(self.source.clone()));
                    source.to_array_of_size(n)?
                }
                Output::Position => Arc::clone(&positions),
                Output::Error => Arc::clone(&errors),
            });
        }
        (self.n_rows, self.n_bytes) = (0, 0);
        self.n_wanted -= n;
        let options = RecordBatchOptions::new().with_row_count(Some(n));
        let schema = Arc::clone(&self.schema);
        Ok(Some(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?))
    }

    fn line(&mut self, line: &[u8], position: u64, unit: Unit) -> Result<()> {
        let number = self.n_lines.map(|n| n + 1);
        self.n_lines = number;
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let n = self.n_rows;
        let problem = match simdutf8::basic::from_utf8(line) {
            Ok(text) => self.object(text),
            Err(_) => Some(Problem::of_encoding()),
        };
        if let Some(problem) = &problem
            && !self.is_permissive
        {
            let place = place(number, position, unit);
            let Problem { text, .. } = problem;
            return Err(DataFusionError::Execution(format!(
                "cannot read {place} of `{}`: {text}",
                self.source
            )));
        }
        for column in &mut self.record.columns {
            if column.len() == n {
                column.push_null();
            }
        }
        if self.is_permissive {
            self.raw.append_value(String::from_utf8_lossy(line).trim());
            self.positions.push(position.cast_signed());
            self.errors.push(problem.map(|problem| problem.code));
        }
        self.n_rows += 1;
        self.n_bytes += line.len();
        Ok(())
    }

    /// Takes the keys of an object. Each value that is not one of its column is left out; where the
    /// line is not JSON, all are.
    fn object(&mut self, line: &str) -> Option<Problem> {
        let n = self.n_rows;
        match self.keys(line) {
            Ok(problem) => problem,
            Err(fault) => {
                for column in &mut self.record.columns {
                    column.truncate(n);
                }
                Some(Problem::of(fault, "json"))
            }
        }
    }

    fn keys(&mut self, line: &str) -> std::result::Result<Option<Problem>, Fault> {
        let n = self.n_rows;
        let mut cursor = Cursor::new(line);
        if cursor.value()? != Value::Object {
            // It may not even be JSON.
            let mut cursor = Cursor::new(line);
            cursor.skip()?;
            cursor.end()?;
            return Err(not_an_object(line));
        }
        let (mut problem, mut is_first, mut expected) = (None, true, 0);
        while let Some(key) = cursor.key(is_first)? {
            is_first = false;
            let Some(place) = self.record.place(&key, expected) else {
                cursor.skip()?;
                continue;
            };
            expected = place + 1;
            let back = cursor.clone();
            let column = &mut self.record.columns[place];
            let taken = match column.len() > n {
                true => Err(super::record::twice(&key)),
                false => column.append(&mut cursor),
            };
            match taken {
                Ok(()) => {}
                Err(Fault::Value(text)) => {
                    column.truncate(n);
                    column.push_null();
                    cursor = back;
                    cursor.skip()?;
                    problem.get_or_insert(Problem {
                        code: format!("parse:{key}"),
                        text: format!("column `{key}`: {text}"),
                    });
                }
                Err(fault) => return Err(fault),
            }
        }
        cursor.end()?;
        Ok(problem)
    }
}
