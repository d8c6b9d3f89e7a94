//! Turns blocks of lines into record batches.
//!
//! The lines of a block are cut first, a run of them at a time; then each column takes its fields of the
//! whole run. A loop over the fields of one type is several times faster than one over the fields of a
//! line, and a run is short enough that its text stays in the cache meanwhile.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, StringViewBuilder,
};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{Result, ScalarValue};

use super::column::{Column, Field};
use super::dialect::Dialect;
use super::failure::Failure;
use super::fields::{self, Form, Span};
use super::head::{Names, map_header};
use super::key_filter::KeyFilter;
use super::lines::Block;
use super::marks::Marks;
use super::options::{BlankLine, DelimitedOptions, Empty, POSITION, RAW, Ragged, SOURCE};
use super::reader::{DelimitedSource, Range};
use crate::split::SplitSource;

/// Lines of a run.
const RUN: usize = 1024;
/// Characters of a bad record that an error shows.
const MAX_SHOWN: usize = 120;

/// What a column of the batch is made of.
enum Target {
    /// Index in `Decoder::parsed`.
    Parsed(usize),
    /// The folder of the file.
    Folder(ScalarValue),
    Raw,
    Source,
    Position,
    Error,
}

/// A declared column that is parsed, to be yielded or only to be checked.
struct Parsed {
    /// Position of its field in a line.
    position: usize,
    /// Index of the declared column.
    index: usize,
    column: Column,
}

/// A line of the run, in bytes of its block; without its line break.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    end: usize,
    cut: Cut,
}

/// How a line is cut into fields.
#[derive(Clone, Copy)]
enum Cut {
    /// At the marks from this one on.
    Marks(usize),
    /// Its spans are those from this one on.
    Spans(usize),
    /// Not at all: it has a fault.
    Fault(&'static str),
}

/// The first fault of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Of the line as a whole.
    Line(&'static str),
    /// The field at the position is not of its type.
    Field(usize),
}

/// How far a block is decoded.
struct Cursor {
    block: Block,
    is_utf8: bool,
    /// Start of the next line.
    at: usize,
    /// Number of the next line, and index of its first mark.
    line: usize,
    mark: usize,
    /// The next quote, as far as it was looked for.
    next_quote: usize,
}

impl Cursor {
    /// Goes on to the line behind the one that ends at `end`, where the mark `last_mark` is.
    #[inline]
    fn next_line(&mut self, end: usize, last_mark: usize) {
        self.at = end + 1;
        self.line += 1;
        self.mark = last_mark + 1;
    }
}

/// The end of a line without the carriage return before its line break.
#[inline]
fn without_return(text: &[u8], start: usize, end: usize) -> usize {
    match end > start && text[end - 1] == b'\r' {
        true => end - 1,
        false => end,
    }
}

/// Decodes one byte range of a file.
pub(super) struct Decoder {
    schema: SchemaRef,
    declared: SchemaRef,
    options: DelimitedOptions,
    dialect: Dialect,
    path: String,
    targets: Vec<Target>,
    parsed: Vec<Parsed>,
    /// Number of fields of a good line.
    n_fields: usize,
    /// Position of the key field and the filter.
    key_filter: Option<(usize, KeyFilter)>,
    batch_size: usize,

    cursor: Option<Cursor>,
    marks: Marks,
    lines: Vec<Line>,
    spans: Vec<Span>,
    /// Texts of fields whose doubled quotes were made single; spans with such quotes point here.
    unescaped: Vec<u8>,
    faults: Vec<Fault>,

    n_rows: usize,
    raw: StringViewBuilder,
    /// The block of `raw` that holds the text of the current block.
    raw_block: Option<u32>,
    offsets: Int64Builder,
    errors: StringBuilder,
    /// The column with the path for the batch before.
    sources: Option<ArrayRef>,
}

impl Decoder {
    /// A decoder for `range`; `header` has the names of its file, if the options say that files have
    /// them.
    ///
    /// # Errors
    /// When the header lacks a declared column, or a column has a type that text cannot have.
    pub(super) fn try_new(
        source: &DelimitedSource,
        range: &Range,
        header: Option<&Names>,
        batch_size: usize,
    ) -> Result<Self> {
        let declared = Arc::clone(&source.declared);
        let (positions, n_fields) = match header {
            Some(names) => (map_header(names, &declared, &range.file.path)?, names.len()),
            None => (
                (0..declared.fields().len()).collect(),
                declared.fields().len(),
            ),
        };
        let folders = &source.folders;
        let table = source.options.table_schema(&declared, folders);
        let mut parsed = Vec::new();
        let mut parse = |index: usize, position: usize| -> Result<()> {
            let column = Column::new(declared.field(index).data_type())?;
            parsed.push(Parsed {
                position,
                index,
                column,
            });
            Ok(())
        };
        let mut targets = Vec::new();
        let mut n_parsed = 0;
        for index in &source.projection {
            if let Some(position) = positions.get(*index) {
                parse(*index, *position)?;
                targets.push(Target::Parsed(n_parsed));
                n_parsed += 1;
                continue;
            }
            let in_folders = *index - positions.len();
            if let Some(folder) = folders.get(in_folders) {
                let value = range.file.folders.value(in_folders, folder)?;
                targets.push(Target::Folder(value));
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
        if targets.iter().any(|t| matches!(t, Target::Error)) {
            for (index, position) in positions.iter().enumerate() {
                if !source.projection.contains(&index) {
                    parse(index, *position)?;
                }
            }
        }
        let key_filter = source
            .key_filter
            .clone()
            .map(|filter| (positions[filter.column], filter));
        Ok(Self {
            schema: source.schema(),
            options: source.options.clone(),
            dialect: source.options.dialect(&range.file.path),
            path: format!("{}{}", source.store.as_str(), range.file.path),
            targets,
            parsed,
            n_fields,
            key_filter,
            batch_size,
            declared,
            cursor: None,
            marks: Marks::default(),
            lines: Vec::with_capacity(RUN),
            spans: Vec::new(),
            unescaped: Vec::new(),
            faults: Vec::with_capacity(RUN),
            n_rows: 0,
            raw: StringViewBuilder::new(),
            raw_block: None,
            offsets: Int64Builder::with_capacity(batch_size),
            errors: StringBuilder::new(),
            sources: None,
        })
    }

    /// Takes the next block; the one before is used up.
    pub(super) fn feed(&mut self, block: Block) {
        self.marks.find(&block.text, self.dialect.delimiter);
        self.raw_block = None;
        self.cursor = Some(Cursor {
            // One check for the whole block; lines are checked one by one only where it fails.
            is_utf8: simdutf8::basic::from_utf8(&block.text).is_ok(),
            block,
            at: 0,
            line: 0,
            mark: 0,
            next_quote: match self.dialect.quote {
                Some(_) => 0,
                None => usize::MAX,
            },
        });
    }

    /// The next full batch, `None` when the block is used up.
    ///
    /// # Errors
    /// At the first bad line, unless reading is permissive.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let Some(mut cursor) = self.cursor.take() else {
            return Ok(None);
        };
        while cursor.at < cursor.block.text.len() {
            self.cut_run(&mut cursor);
            self.parse_run(&cursor)?;
            if self.n_rows == self.batch_size {
                self.cursor = Some(cursor);
                return Ok(self.flush()?);
            }
        }
        Ok(None)
    }

    /// Cuts the next records, as many as a run and the batch take.
    fn cut_run(&mut self, cursor: &mut Cursor) {
        self.lines.clear();
        self.spans.clear();
        self.unescaped.clear();
        let n_wanted = RUN.min(self.batch_size - self.n_rows);
        let block = cursor.block.text.clone();
        let text = &block[..];
        let keeps_blank = self.n_fields == 1 && self.options.blank_line == BlankLine::Null;
        while self.lines.len() < n_wanted && cursor.at < text.len() {
            let start = cursor.at;
            let first_mark = cursor.mark;
            let mut last_mark = self.marks.end_of_line(cursor.line);
            let mut end = self.marks.place(last_mark).unwrap_or(text.len());
            cursor.next_line(end, last_mark);
            let is_blank = start == without_return(text, start, end);
            if (is_blank && !keeps_blank) || self.dialect.comment == text.get(start).copied() {
                continue;
            }
            if cursor.next_quote <= start
                && let Some(quote) = self.dialect.quote
            {
                let quote = memchr::memchr(quote, &text[start..]);
                cursor.next_quote = quote.map_or(usize::MAX, |at| start + at);
            }
            let n_fields = last_mark - first_mark + 1;
            let cut = if cursor.next_quote < end {
                let (cut, n_bytes) = self.cut_quoted(&text[start..], start);
                // The record may go on for more lines.
                while end < start + n_bytes {
                    last_mark = self.marks.end_of_line(cursor.line);
                    end = self.marks.place(last_mark).unwrap_or(text.len());
                    cursor.next_line(end, last_mark);
                }
                cut
            } else if n_fields == self.n_fields {
                Cut::Marks(first_mark)
            } else if n_fields < self.n_fields && self.options.ragged == Ragged::Null {
                self.cut_quoted(&text[start..end], start).0
            } else {
                Cut::Fault("field_count")
            };
            let end = without_return(text, start, end);
            let cut = match cursor.is_utf8 || std::str::from_utf8(&text[start..end]).is_ok() {
                true => cut,
                false => Cut::Fault("encoding"),
            };
            let line = Line { start, end, cut };
            if self.passes(&line, text) {
                self.lines.push(line);
            }
        }
    }

    /// Cuts the record that `text` begins with, which has quotes or lacks fields, and begins at `start`
    /// of its block; also returns its length.
    fn cut_quoted(&mut self, text: &[u8], start: usize) -> (Cut, usize) {
        let first = self.spans.len();
        // The spans of a record with a fault stay until the run ends; nothing refers to them.
        let record = fields::cut(text, &self.dialect, &mut self.spans);
        if record.has_quote_fault {
            return (Cut::Fault("quote"), record.end);
        }
        let n_missing = self.n_fields.saturating_sub(record.n_fields);
        let is_ragged = n_missing > 0 && self.options.ragged == Ragged::Error;
        if record.n_fields > self.n_fields || is_ragged {
            return (Cut::Fault("field_count"), record.end);
        }
        for span in &mut self.spans[first..] {
            if span.form != Form::Escaped {
                span.start += start;
                span.end += start;
                continue;
            }
            let from = self.unescaped.len();
            fields::unescape(
                &text[span.start..span.end],
                &self.dialect,
                &mut self.unescaped,
            );
            (span.start, span.end) = (from, self.unescaped.len());
        }
        let missing = Span {
            start: 0,
            end: 0,
            form: Form::Missing,
        };
        self.spans.extend(std::iter::repeat_n(missing, n_missing));
        (Cut::Spans(first), record.end)
    }

    /// Whether the key filter, if there is one, takes the line.
    #[inline]
    fn passes(&self, line: &Line, text: &[u8]) -> bool {
        let Some((position, filter)) = &self.key_filter else {
            return true;
        };
        let fields = self.fields(text);
        let key = fields.of(line, *position);
        key.is_some_and(|key| filter.passes(key.text()))
    }

    fn fields<'a>(&'a self, text: &'a [u8]) -> Fields<'a> {
        Fields {
            text,
            unescaped: &self.unescaped,
            marks: &self.marks,
            spans: &self.spans,
            n_fields: self.n_fields,
            null: self.options.null.as_deref().map(str::as_bytes),
            quotes_mean_text: self.options.empty == Empty::Text,
        }
    }

    /// Appends the lines of the run to the batch.
    fn parse_run(&mut self, cursor: &Cursor) -> Result<(), Failure> {
        let fault = |line: &Line| match line.cut {
            Cut::Fault(fault) => Fault::Line(fault),
            Cut::Marks(_) | Cut::Spans(_) => Fault::None,
        };
        self.faults.clear();
        self.faults.extend(self.lines.iter().map(fault));
        let mut parsed = std::mem::take(&mut self.parsed);
        let mut faults = std::mem::take(&mut self.faults);
        let fields = self.fields(&cursor.block.text);
        for Parsed {
            position, column, ..
        } in &mut parsed
        {
            let texts = self.lines.iter().map(|line| fields.of(line, *position));
            column.extend(texts, |row| {
                let fault = &mut faults[row];
                match fault {
                    Fault::Field(first) if *first <= *position => {}
                    _ => *fault = Fault::Field(*position),
                }
            });
        }
        self.parsed = parsed;
        self.faults = faults;
        self.check(cursor)?;
        self.append_meta(cursor)?;
        self.n_rows += self.lines.len();
        Ok(())
    }

    /// Fails at the first bad record, unless reading is permissive.
    fn check(&self, cursor: &Cursor) -> Result<(), Failure> {
        if self.options.permissive {
            return Ok(());
        }
        let mut lines = self.lines.iter().zip(&self.faults);
        match lines.find(|(_, fault)| **fault != Fault::None) {
            None => Ok(()),
            Some((line, fault)) => {
                let text = String::from_utf8_lossy(&cursor.block.text[line.start..line.end]);
                Err(Failure::Record {
                    offset: cursor.block.offset + line.start as u64,
                    text: self.describe(*fault, &text),
                    hint: "set the table option permissive = \"true\" to quarantine bad records",
                })
            }
        }
    }

    /// Appends what permissive reading adds to the lines of the run.
    fn append_meta(&mut self, cursor: &Cursor) -> Result<()> {
        for target in &self.targets {
            match target {
                Target::Parsed(_) | Target::Folder(_) | Target::Source => {}
                Target::Raw => {
                    for line in &self.lines {
                        let text = &cursor.block.text[line.start..line.end];
                        let place = (&cursor.block.text, line.start);
                        append_shared(&mut self.raw, &mut self.raw_block, text, place)?;
                    }
                }
                Target::Position => {
                    for line in &self.lines {
                        let offset = cursor.block.offset + line.start as u64;
                        self.offsets
                            .append_value(i64::try_from(offset).unwrap_or(i64::MAX));
                    }
                }
                Target::Error => {
                    for fault in &self.faults {
                        match fault {
                            Fault::None => self.errors.append_null(),
                            Fault::Line(fault) => self.errors.append_value(fault),
                            Fault::Field(position) => {
                                let column = self.column_at(*position);
                                self.errors.append_value(format!("parse:{column}"));
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Name of the declared column that is read from field `position`.
    fn column_at(&self, position: usize) -> &str {
        let parsed = self.parsed.iter().find(|p| p.position == position);
        parsed.map_or("", |parsed| self.declared.field(parsed.index).name())
    }

    /// What is wrong with a record.
    fn describe(&self, fault: Fault, record: &str) -> String {
        let what = match fault {
            Fault::Field(position) => {
                let column = self.column_at(position);
                let expected = self
                    .declared
                    .field_with_name(column)
                    .map(|f| f.data_type().to_string())
                    .unwrap_or_default();
                format!("column `{column}` is not {expected}")
            }
            Fault::Line("field_count") => format!("it does not have {} fields", self.n_fields),
            Fault::Line("quote") => "a quote is not closed, or text follows one that is".to_owned(),
            Fault::Line("encoding") => {
                "it is not UTF-8; if the file has another encoding, set the table option encoding, \
                 as in \"latin1\""
                    .to_owned()
            }
            Fault::Line(fault) => format!("its {fault} is wrong"),
            Fault::None => String::new(),
        };
        let mut shown: String = record.chars().take(MAX_SHOWN).collect();
        if shown.len() < record.len() {
            shown.push('…');
        }
        format!("{what}: `{shown}`")
    }

    /// The rows that are there as a batch, `None` where there are none.
    ///
    /// # Errors
    /// `ResourcesExhausted` where the texts of a column are too long for a batch.
    pub(super) fn flush(&mut self) -> Result<Option<RecordBatch>> {
        if self.n_rows == 0 {
            return Ok(None);
        }
        let columns = self
            .parsed
            .iter_mut()
            .map(|parsed| parsed.column.finish())
            .collect::<Result<Vec<_>>>()?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            arrays.push(match target {
                Target::Parsed(index) => Arc::clone(&columns[*index]),
                Target::Folder(value) => value.to_array_of_size(self.n_rows)?,
                Target::Raw => {
                    self.raw_block = None;
                    Arc::new(self.raw.finish())
                }
                Target::Source => {
                    let sources = self.sources.take().filter(|s| s.len() == self.n_rows);
                    let sources = match sources {
                        Some(sources) => sources,
                        None => repeated(&self.path, self.n_rows)?,
                    };
                    Arc::clone(self.sources.insert(sources))
                }
                Target::Position => {
                    let next = Int64Builder::with_capacity(self.batch_size);
                    Arc::new(std::mem::replace(&mut self.offsets, next).finish())
                }
                Target::Error => Arc::new(self.errors.finish()),
            });
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

/// The fields of the lines of a run.
#[derive(Clone, Copy)]
struct Fields<'a> {
    text: &'a [u8],
    unescaped: &'a [u8],
    marks: &'a Marks,
    spans: &'a [Span],
    n_fields: usize,
    null: Option<&'a [u8]>,
    /// Whether a field in quotes is never null.
    quotes_mean_text: bool,
}

impl<'a> Fields<'a> {
    /// The field at `position` of `line`; `None` where it is null or the line has a fault.
    #[inline(always)]
    fn of(&self, line: &Line, position: usize) -> Option<Field<'a>> {
        let field = match line.cut {
            Cut::Fault(_) => None,
            Cut::Marks(first) => {
                let start = match position {
                    0 => line.start,
                    _ => self.marks.place(first + position - 1)? + 1,
                };
                let end = match position + 1 == self.n_fields {
                    true => line.end,
                    false => self.marks.place(first + position)?,
                };
                Field::new(self.text, start, end)
            }
            Cut::Spans(first) => {
                let span = self.spans.get(first + position)?;
                let text = match span.form {
                    Form::Missing => return None,
                    Form::Escaped => self.unescaped,
                    Form::Plain | Form::Quoted => self.text,
                };
                let field = Field::new(text, span.start, span.end);
                if self.quotes_mean_text && span.form != Form::Plain {
                    return field;
                }
                field
            }
        };
        field.filter(|field| !field.text().is_empty() && self.null != Some(field.text()))
    }
}

/// Appends `line` as a view of the block that holds it; where it is no text, what can be read of it.
fn append_shared(
    lines: &mut StringViewBuilder,
    block: &mut Option<u32>,
    line: &[u8],
    (text, start): (&Buffer, usize),
) -> Result<()> {
    let place = u32::try_from(start)
        .ok()
        .zip(u32::try_from(line.len()).ok());
    let Some((start, length)) = place else {
        lines.append_value(String::from_utf8_lossy(line));
        return Ok(());
    };
    let block = *block.get_or_insert_with(|| lines.append_block(text.clone()));
    if lines.try_append_view(block, start, length).is_err() {
        lines.append_value(String::from_utf8_lossy(line));
    }
    Ok(())
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
