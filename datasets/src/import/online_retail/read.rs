//! From files of invoice lines to typed lines.

use std::collections::HashMap;
use std::path::Path;

use csv::ByteRecord;
use emporia_core::{Error, Result};

use super::columns::N_COLUMNS;
use super::delimited::Delimited;
use super::files::source_files;
use super::workbook::Workbook;
use crate::import::dates::{DayOrder, Evidence};
use crate::import::parse;
use crate::import::rejects::Reject;
use crate::import::text;

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

impl Source {
    /// The line of these texts, in the order of the columns, or the rule that they break. The time, in
    /// seconds since 1970, and the price, in thousandths, are `None` where they could not be read.
    pub(super) fn line(
        &mut self,
        fields: [&str; N_COLUMNS],
        second: Option<i64>,
        unit_price: Option<i64>,
    ) -> Result<Line, &'static str> {
        let [
            invoice,
            stock_code,
            description,
            quantity,
            _,
            _,
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
        let second = second.ok_or("invoice_date_unparsable")?;
        let unit_price = unit_price.ok_or("unit_price_unparsable")?;
        let customer = match customer {
            missing if MISSING.contains(&missing) => None,
            text => Some(parse::integer_id(text).ok_or("customer_id_unparsable")?),
        };
        let description = (!description.is_empty()).then_some(description);
        Ok(Line {
            invoice: self.invoice_numbers.number(invoice),
            stock_code: self.stock_codes.number(stock_code),
            description: description.map(|text| self.descriptions.number(text)),
            quantity,
            second,
            unit_price,
            customer: customer.map(|id| self.customers.number(id)),
            country: self.countries.number(country),
        })
    }
}

/// A file of invoice lines.
enum SourceFile {
    Text(Delimited),
    Workbook(Workbook),
}

/// Reads a file, or all files of a folder in the order of their names.
pub(super) fn lines(path: &Path, asked: DayOrder) -> Result<Source> {
    let open = |path: &std::path::PathBuf| match Workbook::of(path)? {
        Some(workbook) => Ok(SourceFile::Workbook(workbook)),
        None => Delimited::open(text::read(path, "file")?).map(SourceFile::Text),
    };
    let files = source_files(path)?;
    let files = files.iter().map(open).collect::<Result<Vec<_>>>()?;
    let mut evidence = Evidence::default();
    for file in &files {
        if let SourceFile::Text(file) = file {
            file.look_at_dates(&mut evidence)?;
        }
    }
    let (mut source, in_workbooks) = read(&files, asked, &evidence)?;
    // Dates in workbooks are numbers nearly always, so nothing looks for texts beforehand.
    if !in_workbooks.is_empty() {
        evidence.merge(in_workbooks);
        (source, _) = read(&files, asked, &evidence)?;
    }
    let is_converted = |file: &&SourceFile| match file {
        SourceFile::Text(file) => file.was_windows_1252(),
        SourceFile::Workbook(_) => false,
    };
    let n_converted = files.iter().filter(is_converted).count();
    if n_converted > 0 {
        source.notes.push(format!(
            "{n_converted} of {} files are not UTF-8 and were read as Windows-1252",
            files.len()
        ));
    }
    Ok(source)
}

/// Reads all files with the order of day and month that the evidence gives; also returns what the
/// texts in workbooks say about it.
fn read(files: &[SourceFile], asked: DayOrder, evidence: &Evidence) -> Result<(Source, Evidence)> {
    let (order, note) = evidence.order(asked).map_err(|[one, other]| {
        Error::invalid(format!(
            "cannot tell day from month: `{one}` has the day first, `{other}` the month"
        ))
        .with_hint("pass --dates day-first or month-first; dates of the other kind are rejected")
    })?;
    let mut source = Source::default();
    source.notes.extend(note);
    let mut in_workbooks = Evidence::default();
    for file in files {
        match file {
            SourceFile::Text(file) => file.read(order, &mut source)?,
            SourceFile::Workbook(file) => file.read(order, &mut source, &mut in_workbooks)?,
        }
    }
    Ok((source, in_workbooks))
}

/// A record as CSV text.
pub(super) fn raw_text(record: &ByteRecord) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_byte_record(record);
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
