//! Invoice lines in delimited text.

use std::io::Read;

use csv::{ByteRecord, Reader, ReaderBuilder};
use emporia_core::{Error, ErrorKind, Result};

use super::SCALE;
use super::columns::{DATE, N_COLUMNS, PRICE, columns_of};
use super::read::{Line, Source, raw_text};
use crate::import::dates::{self, DayOrder, Evidence};
use crate::import::parse;
use crate::import::rejects::{Place, Reject};
use crate::import::text::TextFile;

/// What separates the fields of a file; the header tells which.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// A file with its layout.
pub(super) struct Delimited {
    file: TextFile,
    delimiter: u8,
    /// Number of fields of the header.
    width: usize,
    columns: [usize; N_COLUMNS],
    /// Prices have a comma before their cents, as in exports of a European Excel, and a point means something else.
    has_decimal_commas: bool,
}

impl Delimited {
    /// Finds the delimiter and the columns.
    ///
    /// # Errors
    /// `InvalidInput` where a column is missing or stands there several times.
    pub(super) fn open(file: TextFile) -> Result<Self> {
        let mut failure = None;
        for delimiter in DELIMITERS {
            let header = ReaderBuilder::new()
                .delimiter(delimiter)
                .flexible(true)
                .from_reader(&file.bytes[..])
                .byte_headers()
                .cloned()
                .unwrap_or_default();
            match columns_of(&header, &format!("file `{}`", file.name)) {
                Ok(columns) => {
                    let mut opened = Self {
                        file,
                        delimiter,
                        width: header.len(),
                        columns,
                        has_decimal_commas: false,
                    };
                    opened.has_decimal_commas = opened.any_price_has_a_comma();
                    return Ok(opened);
                }
                // The delimiter that splits the header best has the error that helps.
                Err(error) => match &failure {
                    Some((width, _)) if *width >= header.len() => {}
                    _ => failure = Some((header.len(), error)),
                },
            }
        }
        Err(failure.map_or_else(
            || Error::internal("no delimiter was tried"),
            |(_, error)| error,
        ))
    }

    pub(super) fn was_windows_1252(&self) -> bool {
        self.file.was_windows_1252
    }

    /// Takes in what the dates say about the order of day and month.
    ///
    /// # Errors
    /// `Corrupt` where a quote is never closed.
    pub(super) fn look_at_dates(&self, evidence: &mut Evidence) -> Result<()> {
        let mut reader = self.reader();
        let mut record = ByteRecord::new();
        let mut last = 0;
        while reader
            .read_byte_record(&mut record)
            .map_err(|e| self.corrupt(e))?
        {
            let date = record.get(self.columns[DATE]).unwrap_or_default();
            evidence.add(&String::from_utf8_lossy(date));
            last = start_of(&record);
        }
        self.check_quotes(last)
    }

    /// Checks that no quote is open at the end of the file: all lines behind it would be one field of the
    /// last record, which begins at this byte.
    fn check_quotes(&self, last: usize) -> Result<()> {
        // A line behind the last record is part of it where a quote is open.
        const MORE: &[u8] = b"\nmore\n";
        let text = self.file.bytes.get(last..).unwrap_or_default();
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .has_headers(false)
            .from_reader(text.chain(MORE));
        let [mut record, mut next] = [ByteRecord::new(), ByteRecord::new()];
        let mut read =
            |record: &mut ByteRecord| reader.read_byte_record(record).map_err(|e| self.corrupt(e));
        if !read(&mut record)? || read(&mut next)? {
            return Ok(());
        }
        let field = record.iter().next_back().unwrap_or_default();
        let in_field = line_breaks(field) - line_breaks(MORE);
        let line = 1 + line_breaks(&self.file.bytes) - in_field;
        let text = format!(
            "file `{}`: the quote that opens in line {line} is never closed",
            self.file.name
        );
        Err(Error::new(ErrorKind::Corrupt, text).with_hint(
            "all lines behind it would be one field; close the quote, double it, or remove it",
        ))
    }

    /// Reads all records.
    pub(super) fn read(&self, order: DayOrder, source: &mut Source) -> Result<()> {
        let mut reader = self.reader();
        let mut record = ByteRecord::new();
        while reader
            .read_byte_record(&mut record)
            .map_err(|e| self.corrupt(e))?
        {
            let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            let raw = self.file.bytes.get(start_of(&record)..end);
            let line = match has_text_behind_quotes(raw.unwrap_or_default(), self.delimiter) {
                true => Err("quotes_unparsable"),
                false => self.typed(&record, order, source),
            };
            match line {
                Ok(line) => source.lines.push(line),
                Err(rule) => source.rejects.push(Reject {
                    table: "online_retail",
                    rule,
                    raw: raw_text(&record),
                    place: Place::line(&self.file.name, self.line_of(&record)),
                }),
            }
        }
        Ok(())
    }

    /// The number of the line in which a record begins.
    fn line_of(&self, record: &ByteRecord) -> u64 {
        // The position may be that of line breaks before it.
        let text = self.file.bytes.get(start_of(record)..).unwrap_or_default();
        let is_break = |byte: &&u8| [b'\r', b'\n'].contains(byte);
        let before = text.iter().take_while(is_break);
        let before = before.filter(|byte| **byte == b'\n').count();
        record.position().map_or(0, csv::Position::line) + before as u64
    }

    /// The line of a record, or the rule that it breaks.
    fn typed(
        &self,
        record: &ByteRecord,
        order: DayOrder,
        source: &mut Source,
    ) -> Result<Line, &'static str> {
        if record.len() != self.width {
            return Err("field_count");
        }
        let mut fields = [""; N_COLUMNS];
        for (field, column) in fields.iter_mut().zip(self.columns) {
            *field = std::str::from_utf8(&record[column]).map_err(|_| "not_utf8")?;
        }
        let [_, _, _, _, time, price, _, _] = fields;
        source.line(fields, dates::timestamp(time, order), self.price(price))
    }

    /// Whether a price has a comma, in a file whose fields are not separated by commas.
    fn any_price_has_a_comma(&self) -> bool {
        let has_comma = |record: ByteRecord| {
            let price = record.get(self.columns[PRICE]).unwrap_or_default();
            price.contains(&b',')
        };
        self.delimiter != b','
            && self
                .reader()
                .byte_records()
                .map_while(csv::Result::ok)
                .any(has_comma)
    }

    /// A price in thousandths.
    fn price(&self, text: &str) -> Option<i64> {
        if !self.has_decimal_commas {
            return parse::decimal(text, SCALE as usize);
        }
        // What a point means there cannot be told: `1.234` may be thousands.
        match text.contains('.') {
            true => None,
            false => parse::decimal(&text.replacen(',', ".", 1), SCALE as usize),
        }
    }

    fn reader(&self) -> Reader<&[u8]> {
        ReaderBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .from_reader(&self.file.bytes[..])
    }

    fn corrupt(&self, error: csv::Error) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!("cannot read file `{}`", self.file.name),
        )
        .with_source(error)
    }
}

/// The byte of the file at which a record begins.
fn start_of(record: &ByteRecord) -> usize {
    let start = record.position().map_or(0, csv::Position::byte);
    usize::try_from(start).unwrap_or(usize::MAX)
}

/// Whether text follows the quote that closes a field, as in `"5" PLATE`: the quotes within were not doubled.
fn has_text_behind_quotes(record: &[u8], delimiter: u8) -> bool {
    let is_break = |byte: &&u8| [b'\r', b'\n'].contains(byte);
    let mut rest = &record[record.iter().take_while(is_break).count()..];
    loop {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            rest = quoted;
            while let Some(at) = rest.iter().position(|byte| *byte == b'"') {
                rest = &rest[at + 1..];
                match rest.strip_prefix(b"\"") {
                    Some(behind) => rest = behind,
                    None => break,
                }
            }
            let is_end = |byte: &u8| [delimiter, b'\r', b'\n'].contains(byte);
            if !rest.first().is_none_or(is_end) {
                return true;
            }
        }
        match rest.iter().position(|byte| *byte == delimiter) {
            Some(at) => rest = &rest[at + 1..],
            None => return false,
        }
    }
}

fn line_breaks(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}
