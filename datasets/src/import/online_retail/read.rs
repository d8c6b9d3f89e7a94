//! From day files to typed lines.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use emporia_core::{Error, ErrorKind, Result};
use flate2::read::MultiGzDecoder;

use crate::import::parse;
use crate::import::rejects::Reject;

const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

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

/// Reads all day files of a folder.
pub(super) fn lines(dir: &Path) -> Result<Source> {
    let mut source = Source::default();
    for path in day_files(dir)? {
        read_file(&path, &mut source)?;
    }
    Ok(source)
}

fn day_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |e: std::io::Error| {
        let kind = match e.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::NotFound,
        };
        Error::new(kind, format!("cannot read folder `{}`", dir.display()))
            .with_hint("give the folder of the day files")
            .with_source(e)
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".csv") || name.ends_with(".csv.gz") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(
            Error::not_found(format!("folder `{}` has no day files", dir.display()))
                .with_hint("day files end with .csv or .csv.gz"),
        );
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path, source: &mut Source) -> Result<()> {
    let corrupt = |e: csv::Error| {
        Error::new(
            ErrorKind::Corrupt,
            format!("cannot read day file `{}`", path.display()),
        )
        .with_source(e)
    };
    let file = File::open(path).map_err(|e| corrupt(e.into()))?;
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let input: Box<dyn Read> = if is_packed {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(file)
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header = reader.byte_headers().map_err(corrupt)?.clone();
    let columns = columns_of(&header, path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(corrupt)? {
        match typed(&record, header.len(), &columns, source) {
            Ok(line) => source.lines.push(line),
            Err(rule) => source.rejects.push(Reject {
                table: "online_retail",
                rule,
                raw: raw_text(&record),
                source: name.clone().into_owned(),
                line: record.position().map_or(0, csv::Position::line),
            }),
        }
    }
    Ok(())
}

/// Where the columns are in this file.
fn columns_of(header: &ByteRecord, path: &Path) -> Result<[usize; 8]> {
    let mut columns = [0; 8];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        let position = header
            .iter()
            .position(|field| field.trim_ascii() == name.as_bytes());
        *column = position.ok_or_else(|| {
            Error::invalid(format!(
                "day file `{}` has no column `{name}`",
                path.display()
            ))
            .with_hint(format!("the columns are {}", COLUMNS.join(", ")))
        })?;
    }
    Ok(columns)
}

/// The line of a record, or the rule that it breaks.
fn typed(
    record: &ByteRecord,
    width: usize,
    columns: &[usize; 8],
    source: &mut Source,
) -> Result<Line, &'static str> {
    if record.len() != width {
        return Err("field_count");
    }
    let mut fields = [""; 8];
    for (field, column) in fields.iter_mut().zip(columns) {
        *field = std::str::from_utf8(&record[*column]).map_err(|_| "not_utf8")?;
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
    let quantity = quantity.parse().map_err(|_| "quantity_unparsable")?;
    let second = parse::timestamp(time).ok_or("invoice_date_unparsable")?;
    let unit_price = parse::decimal(price, super::SCALE as usize).ok_or("unit_price_unparsable")?;
    let customer = match customer {
        "" => None,
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

/// A record as CSV text again.
fn raw_text(record: &ByteRecord) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_byte_record(record);
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
