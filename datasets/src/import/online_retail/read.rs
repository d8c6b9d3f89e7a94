//! From files of invoice lines to typed lines.

use std::collections::HashMap;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use emporia_core::{Error, Result};

use super::files::source_files;
use crate::import::dates::{self, DayOrder, Evidence};
use crate::import::parse;
use crate::import::rejects::Reject;
use crate::import::text::{self, TextFile};

/// The columns by all their names, as Online Retail and Online Retail II have them. Case, blanks and
/// underscores do not count.
const COLUMNS: [&[&str]; 8] = [
    &["InvoiceNo", "Invoice"],
    &["StockCode"],
    &["Description"],
    &["Quantity"],
    &["InvoiceDate"],
    &["UnitPrice", "Price"],
    &["CustomerID"],
    &["Country"],
];
/// Position of `InvoiceDate` in [`COLUMNS`].
const DATE: usize = 4;
/// What separates the fields of a file; the header tells which.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// What tools write for a value that is not there.
const MISSING: [&str; 6] = ["", "NA", "NaN", "nan", "NULL", "null"];

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) lines: Vec<Line>,
    pub(super) rejects: Vec<Reject>,
    pub(super) invoice_numbers: Names,
    pub(super) stock_codes: Names,
    pub(super) descriptions: Names,
    pub(super) customers: Names,
    pub(super) countries: Names,
    /// How the files were read, as far as a reader of the tables should know.
    pub(super) notes: Vec<String>,
}

/// A line of an invoice; the names are in [`Source`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) invoice: u32,
    pub(super) stock_code: u32,
    pub(super) description: Option<u32>,
    pub(super) quantity: i32,
    /// Seconds since 1970.
    pub(super) second: i64,
    /// Thousandths.
    pub(super) unit_price: i64,
    pub(super) customer: Option<u32>,
    pub(super) country: u32,
}

impl Line {
    /// Thousandths of the line.
    pub(super) fn subtotal(&self) -> i128 {
        i128::from(self.quantity) * i128::from(self.unit_price)
    }
}

/// Names that occur often, kept once and numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The name of a number that was given.
    pub(super) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

/// Reads a file, or all files of a folder in the order of their names.
pub(super) fn lines(path: &Path, order: DayOrder) -> Result<Source> {
    let files = source_files(path)?
        .iter()
        .map(|path| Sheet::open(text::read(path, "file")?))
        .collect::<Result<Vec<_>>>()?;
    let mut source = Source::default();
    let order = order_of_days(&files, order, &mut source.notes)?;
    for file in &files {
        file.read(order, &mut source)?;
    }
    let n_converted = files.iter().filter(|f| f.file.was_windows_1252).count();
    if n_converted > 0 {
        source.notes.push(format!(
            "{n_converted} of {} files are not UTF-8 and were read as Windows-1252",
            files.len()
        ));
    }
    Ok(source)
}

/// The order of day and month in all files.
fn order_of_days(files: &[Sheet], asked: DayOrder, notes: &mut Vec<String>) -> Result<DayOrder> {
    let mut evidence = Evidence::default();
    for file in files {
        let mut reader = file.reader();
        let mut record = ByteRecord::new();
        while reader
            .read_byte_record(&mut record)
            .map_err(|e| file.corrupt(e))?
        {
            let date = record.get(file.columns[DATE]).unwrap_or_default();
            evidence.add(&String::from_utf8_lossy(date));
        }
    }
    let (order, note) = evidence.order(asked).map_err(|[one, other]| {
        Error::invalid(format!(
            "cannot tell day from month: `{one}` has the day first, `{other}` the month"
        ))
        .with_hint("pass --dates day-first or month-first; dates of the other kind are rejected")
    })?;
    notes.extend(note);
    Ok(order)
}

/// A file with its layout.
struct Sheet {
    file: TextFile,
    delimiter: u8,
    /// Number of fields of the header.
    width: usize,
    /// Positions of [`COLUMNS`].
    columns: [usize; 8],
}

impl Sheet {
    /// Finds the delimiter and the columns.
    fn open(file: TextFile) -> Result<Self> {
        let mut failure = None;
        for delimiter in DELIMITERS {
            let header = ReaderBuilder::new()
                .delimiter(delimiter)
                .flexible(true)
                .from_reader(&file.bytes[..])
                .byte_headers()
                .cloned()
                .unwrap_or_default();
            match columns_of(&header, &file.name) {
                Ok(columns) => {
                    return Ok(Self {
                        file,
                        delimiter,
                        width: header.len(),
                        columns,
                    });
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

    fn reader(&self) -> Reader<&[u8]> {
        ReaderBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .from_reader(&self.file.bytes[..])
    }

    fn corrupt(&self, error: csv::Error) -> Error {
        Error::new(
            emporia_core::ErrorKind::Corrupt,
            format!("cannot read file `{}`", self.file.name),
        )
        .with_source(error)
    }

    fn read(&self, order: DayOrder, source: &mut Source) -> Result<()> {
        let mut reader = self.reader();
        let mut record = ByteRecord::new();
        while reader
            .read_byte_record(&mut record)
            .map_err(|e| self.corrupt(e))?
        {
            match self.typed(&record, order, source) {
                Ok(line) => source.lines.push(line),
                Err(rule) => source.rejects.push(Reject {
                    table: "online_retail",
                    rule,
                    raw: raw_text(&record),
                    source: self.file.name.clone(),
                    line: record.position().map_or(0, csv::Position::line),
                }),
            }
        }
        Ok(())
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
        let mut fields = [""; 8];
        for (field, column) in fields.iter_mut().zip(self.columns) {
            *field = std::str::from_utf8(&record[column]).map_err(|_| "not_utf8")?;
        }
        let [
            invoice,
            stock_code,
            description,
            quantity,
            time,
            price,
            customer,
            country,
        ] = fields;
        if invoice.is_empty() {
            return Err("invoice_no_missing");
        }
        if stock_code.is_empty() {
            return Err("stock_code_missing");
        }
        let quantity = quantity.strip_suffix(".0").unwrap_or(quantity);
        let quantity = quantity.parse().map_err(|_| "quantity_unparsable")?;
        let second = dates::timestamp(time, order).ok_or("invoice_date_unparsable")?;
        let unit_price = self.price(price).ok_or("unit_price_unparsable")?;
        let customer = match customer {
            missing if MISSING.contains(&missing) => None,
            text => Some(parse::integer_id(text).ok_or("customer_id_unparsable")?),
        };
        let description = (!description.is_empty()).then_some(description);
        Ok(Line {
            invoice: source.invoice_numbers.number(invoice),
            stock_code: source.stock_codes.number(stock_code),
            description: description.map(|text| source.descriptions.number(text)),
            quantity,
            second,
            unit_price,
            customer: customer.map(|id| source.customers.number(id)),
            country: source.countries.number(country),
        })
    }

    /// A price in thousandths. Where fields are not separated by commas, a comma may be the decimal
    /// point, as in exports of a European Excel.
    fn price(&self, text: &str) -> Option<i64> {
        let scale = super::SCALE as usize;
        match self.delimiter {
            b',' => parse::decimal(text, scale),
            _ => parse::decimal(&text.replacen(',', ".", 1), scale),
        }
    }
}

/// Where the columns are in this file.
fn columns_of(header: &ByteRecord, file: &str) -> Result<[usize; 8]> {
    let plain = |name: &[u8]| -> Vec<u8> {
        let kept = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
        kept.map(u8::to_ascii_lowercase).collect()
    };
    let in_file: Vec<Vec<u8>> = header.iter().map(plain).collect();
    let mut columns = [0; 8];
    for (column, names) in columns.iter_mut().zip(COLUMNS) {
        let names_plain: Vec<Vec<u8>> = names.iter().map(|name| plain(name.as_bytes())).collect();
        let mut found = (0..in_file.len()).filter(|i| names_plain.contains(&in_file[*i]));
        let all = || names.join("` or `");
        let layout = || COLUMNS.map(|names| names.join(" or ")).join(", ");
        *column = found.next().ok_or_else(|| {
            Error::invalid(format!("file `{file}` has no column `{}`", all()))
                .with_hint(format!("the columns are {}", layout()))
        })?;
        if found.next().is_some() {
            return Err(
                Error::invalid(format!("file `{file}` has several columns `{}`", all()))
                    .with_hint("remove or rename all but one of them"),
            );
        }
    }
    Ok(columns)
}

/// A record as CSV text again.
fn raw_text(record: &ByteRecord) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_byte_record(record);
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
