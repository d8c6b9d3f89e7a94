//! Invoice lines in workbooks of Excel (`.xlsx`).
//!
//! Cells have values of their own: numbers are doubles and times are serials, whatever the sheet shows.
//! They are read one after the other, so that a sheet is never in memory; the texts of a workbook,
//! each of which is stored once, are.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use calamine::{
    DataRef, Reader as _, Sheet, SheetType, SheetVisible, Xlsx, XlsxCellReader, XlsxError,
};
use csv::ByteRecord;
use emporia_core::text::grouped;
use emporia_core::{Error, ErrorKind, Result};

use super::SCALE;
use super::columns::{DATE, INVOICE, N_COLUMNS, STOCK_CODE, columns_of, n_known};
use super::read::{Line, Source, raw_text};
use super::serial::{self, Epoch};
use crate::import::dates::{self, DayOrder, Evidence};
use crate::import::parse;
use crate::import::rejects::{Place, Reject};
use crate::import::text;

/// Columns that a sheet has which is meant as one of invoice lines; if it lacks others, that is an error.
const MOST_COLUMNS: usize = 5;
/// Whole numbers below this have a double each.
const WHOLE: f64 = 9_007_199_254_740_992.0;

type Book = Xlsx<BufReader<File>>;

/// A workbook.
pub(super) struct Workbook {
    path: PathBuf,
    /// Name without its folder.
    name: String,
}

impl Workbook {
    /// The workbook at `path`; `None` where the file is something else. What it is follows from its
    /// first bytes.
    ///
    /// # Errors
    /// `NotFound` or `PermissionDenied` where the file cannot be read.
    pub(super) fn of(path: &Path) -> Result<Option<Self>> {
        let failed = |e| text::unreadable(path, "file", e);
        let mut first = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(4).read_to_end(&mut first).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok((first == *b"PK\x03\x04").then(|| Self {
            path: path.to_owned(),
            name: name.into(),
        }))
    }

    /// Reads all sheets with invoice lines, in their order. Times that are texts are read in the given
    /// order of day and month, and taken into `seen`.
    ///
    /// # Errors
    /// `Corrupt` where the file is no workbook or damaged, `InvalidInput` where no sheet has the columns,
    /// or one has most of them.
    pub(super) fn read(
        &self,
        order: DayOrder,
        source: &mut Source,
        seen: &mut Evidence,
    ) -> Result<()> {
        let failed = |e| text::unreadable(&self.path, "file", e);
        let file = File::open(&self.path).map_err(failed)?;
        let mut book: Book = Xlsx::new(BufReader::new(file)).map_err(|e| {
            self.corrupt(e).with_hint(
                "save it in Excel as a workbook (.xlsx) without a password; if it is a zip archive of \
                 data files, unpack it first",
            )
        })?;
        let epoch = match book.has_1904_epoch() {
            true => Epoch::Of1904,
            false => Epoch::Of1900,
        };
        let sheets = book.sheets_metadata().to_vec();
        let mut reason = None;
        let (mut n_read, mut left_out) = (0, Vec::new());
        for sheet in sheets.iter().filter(|s| s.typ == SheetType::WorkSheet) {
            let n_invoices = source.invoice_numbers.len() as u32;
            let n_lines = source.lines.len();
            let reading = Reading {
                book: self,
                sheet,
                epoch,
                order,
            };
            match reading.read(&mut book, source, seen)? {
                Content::Lines => n_read += 1,
                Content::Other(error) => {
                    left_out.push(format!("`{}`", sheet.name));
                    reason.get_or_insert(error);
                    continue;
                }
            }
            if sheet.visible != SheetVisible::Visible {
                let (sheet, book) = (&sheet.name, &self.name);
                let note = format!("sheet `{sheet}` of `{book}` is hidden, and was read");
                source.notes.push(note);
            }
            if n_read > 1 {
                let lines = &source.lines[n_lines..];
                let n_known = lines.iter().filter(|l| l.invoice < n_invoices).count();
                source.notes.extend(self.repeated(sheet, n_known));
            }
        }
        if n_read == 0 {
            return Err(reason.unwrap_or_else(|| {
                Error::invalid(format!("workbook `{}` has no sheets of cells", self.name))
            }));
        }
        if !left_out.is_empty() {
            source.notes.push(format!(
                "sheets of `{}` without invoice lines were left out: {}",
                self.name,
                left_out.join(", ")
            ));
        }
        Ok(())
    }

    /// A remark on invoices that a sheet has in common with those before it.
    fn repeated(&self, sheet: &Sheet, n_lines: usize) -> Option<String> {
        (n_lines > 0).then(|| {
            format!(
                "sheet `{}` of `{}` has lines of invoices that were read before: {}; a line that is in two \
                 sheets counts twice",
                sheet.name,
                self.name,
                grouped(n_lines as u64),
            )
        })
    }

    fn corrupt(&self, error: XlsxError) -> Error {
        let text = format!("cannot read workbook `{}`: {error}", self.name);
        Error::new(ErrorKind::Corrupt, text)
    }
}

/// What a sheet holds.
enum Content {
    Lines,
    /// Something else; the error says which column it lacks.
    Other(Error),
}

/// How one sheet is read.
struct Reading<'a> {
    book: &'a Workbook,
    sheet: &'a Sheet,
    epoch: Epoch,
    order: DayOrder,
}

impl Reading<'_> {
    fn read(&self, book: &mut Book, source: &mut Source, seen: &mut Evidence) -> Result<Content> {
        let cells = book.worksheet_cells_reader(&self.sheet.name);
        let mut rows = Rows {
            cells: Some(cells.map_err(|e| self.corrupt(None, e))?),
            ahead: None,
            last: None,
        };
        let mut row = Vec::new();
        let header = match self.next_row(&mut rows, &mut row)? {
            Some(_) => texts(&row, text_of),
            None => ByteRecord::new(),
        };
        let place = format!("sheet `{}` of `{}`", self.sheet.name, self.book.name);
        let columns = match columns_of(&header, &place) {
            Ok(columns) => columns,
            Err(error) if n_known(&header) < MOST_COLUMNS => return Ok(Content::Other(error)),
            Err(error) => return Err(error),
        };
        let width = header.len();
        while let Some(number) = self.next_row(&mut rows, &mut row)? {
            row.truncate(width);
            if row.iter().all(is_blank) {
                continue;
            }
            row.resize(width, DataRef::Empty);
            match self.typed(&row, columns, source, seen) {
                Ok(line) => source.lines.push(line),
                Err(rule) => source.rejects.push(Reject {
                    table: "online_retail",
                    rule,
                    raw: raw_text(&texts(&row, |cell| self.raw(cell))),
                    place: Place::row(&self.book.name, &self.sheet.name, number),
                }),
            }
        }
        Ok(Content::Lines)
    }

    fn next_row<'c>(&self, rows: &mut Rows<'c>, row: &mut Vec<DataRef<'c>>) -> Result<Option<u64>> {
        rows.next(row).map_err(|e| match e {
            Failure::Cell(error) => self.corrupt(rows.last, error),
            Failure::Order(number) => Error::new(
                ErrorKind::Corrupt,
                format!(
                    "cannot read sheet `{}` of workbook `{}`: row {} stands behind a later one",
                    self.sheet.name,
                    self.book.name,
                    number + 1
                ),
            ),
        })
    }

    /// The line of a row, or the rule that it breaks.
    fn typed(
        &self,
        row: &[DataRef<'_>],
        columns: [usize; N_COLUMNS],
        source: &mut Source,
        seen: &mut Evidence,
    ) -> Result<Line, &'static str> {
        let mut texts = [const { Cow::Borrowed("") }; N_COLUMNS];
        let mut second = None;
        for (column, (text, position)) in texts.iter_mut().zip(columns).enumerate() {
            let cell = &row[position];
            if let DataRef::Error(_) = cell {
                return Err("cell_error");
            }
            if column == DATE {
                second = self.time(cell, seen);
                continue;
            }
            let is_code = column == INVOICE || column == STOCK_CODE;
            *text = match cell {
                // A code that became a fraction, or was too long for a double, is another code.
                DataRef::Float(n) if is_code && (n.fract() != 0.0 || n.abs() >= WHOLE) => {
                    return Err("cell_type");
                }
                DataRef::Float(_) | DataRef::Int(_) => text_of(cell),
                DataRef::String(_) | DataRef::SharedString(_) | DataRef::Empty => text_of(cell),
                _ => return Err("cell_type"),
            };
        }
        let fields = texts.each_ref().map(|text| &**text);
        let [_, _, _, _, _, price, _, _] = fields;
        source.line(fields, second, parse::decimal(price, SCALE as usize))
    }

    /// The time of a cell, in seconds since 1970.
    fn time(&self, cell: &DataRef<'_>, seen: &mut Evidence) -> Option<i64> {
        match cell {
            DataRef::DateTime(time) => serial::timestamp(time.as_f64(), self.epoch),
            // The format of a number may have been lost.
            DataRef::Float(serial) => serial::timestamp(*serial, self.epoch),
            DataRef::Int(serial) => serial::timestamp(*serial as f64, self.epoch),
            DataRef::DateTimeIso(text) | DataRef::String(text) => self.written(text, seen),
            DataRef::SharedString(text) => self.written(text, seen),
            _ => None,
        }
    }

    fn written(&self, text: &str, seen: &mut Evidence) -> Option<i64> {
        seen.add(text);
        dates::timestamp(text, self.order)
    }

    /// A cell as a reject shows it: times as such where they are.
    fn raw<'c>(&self, cell: &'c DataRef<'_>) -> Cow<'c, str> {
        let DataRef::DateTime(time) = cell else {
            return text_of(cell);
        };
        let second = serial::timestamp(time.as_f64(), self.epoch);
        let time = second.and_then(|second| chrono::DateTime::from_timestamp(second, 0));
        match time {
            Some(time) => time.format("%Y-%m-%d %H:%M:%S").to_string().into(),
            None => text_of(cell),
        }
    }

    fn corrupt(&self, after: Option<(u32, u32)>, error: XlsxError) -> Error {
        let place = match after {
            Some((row, column)) => format!(" behind row {}, column {}", row + 1, column + 1),
            None => String::new(),
        };
        let text = format!(
            "cannot read sheet `{}` of workbook `{}`{place}: {error}",
            self.sheet.name, self.book.name
        );
        Error::new(ErrorKind::Corrupt, text)
            .with_hint("open the workbook in Excel, and save it again or export the sheet as CSV")
    }
}

/// A cell that cannot be read.
enum Failure {
    Cell(XlsxError),
    /// A row, counted from zero, that comes behind a later one.
    Order(u32),
}

/// A cell and where it is, row and column counted from zero.
type Placed<'a> = ((u32, u32), DataRef<'a>);

/// The rows of a sheet that have cells.
struct Rows<'a> {
    /// `None` at the end, behind which the reader fails.
    cells: Option<XlsxCellReader<'a, BufReader<File>>>,
    /// The first cell of the next row.
    ahead: Option<Placed<'a>>,
    /// Where the last cell was, row and column counted from zero.
    last: Option<(u32, u32)>,
}

impl<'a> Rows<'a> {
    /// The next cell and where it is.
    fn cell(&mut self) -> Result<Option<Placed<'a>>, XlsxError> {
        let Some(cells) = &mut self.cells else {
            return Ok(None);
        };
        let cell = cells.next_cell()?;
        if cell.is_none() {
            self.cells = None;
        }
        Ok(cell.map(|cell| (cell.get_position(), cell.get_value().clone())))
    }

    /// Replaces `row` by the cells of the next row; returns its number, counted from one.
    fn next(&mut self, row: &mut Vec<DataRef<'a>>) -> Result<Option<u64>, Failure> {
        row.clear();
        let mut current = None;
        loop {
            let (place, value) = match self.ahead.take() {
                Some(cell) => cell,
                None => match self.cell().map_err(Failure::Cell)? {
                    Some(cell) => cell,
                    None => break,
                },
            };
            if self.last.is_some_and(|last| place <= last) {
                return Err(Failure::Order(place.0));
            }
            if current.is_some_and(|row| row != place.0) {
                self.ahead = Some((place, value));
                break;
            }
            current = Some(place.0);
            self.last = Some(place);
            let column = place.1 as usize;
            // A sheet has at most 16,384 columns.
            if row.len() <= column {
                row.resize(column + 1, DataRef::Empty);
            }
            row[column] = value;
        }
        Ok(current.map(|row| u64::from(row) + 1))
    }
}

/// The cells of a row as the fields of a record.
fn texts<'c>(row: &'c [DataRef<'_>], text: impl Fn(&'c DataRef<'_>) -> Cow<'c, str>) -> ByteRecord {
    let mut record = ByteRecord::new();
    for cell in row {
        record.push_field(text(cell).as_bytes());
    }
    record
}

fn is_blank(cell: &DataRef<'_>) -> bool {
    match cell {
        DataRef::Empty => true,
        DataRef::String(text) => text.is_empty(),
        DataRef::SharedString(text) => text.is_empty(),
        _ => false,
    }
}

/// The text of a cell; a number in the fewest digits that read back as the same double, without an
/// exponent.
fn text_of<'c>(cell: &'c DataRef<'_>) -> Cow<'c, str> {
    match cell {
        DataRef::Empty => Cow::Borrowed(""),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            Cow::Borrowed(text)
        }
        DataRef::SharedString(text) => Cow::Borrowed(text),
        DataRef::Int(number) => number.to_string().into(),
        DataRef::Float(number) => number.to_string().into(),
        DataRef::Bool(value) => value.to_string().to_uppercase().into(),
        DataRef::DateTime(time) => time.as_f64().to_string().into(),
        DataRef::Error(error) => error.to_string().into(),
    }
}
