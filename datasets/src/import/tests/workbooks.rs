//! Workbooks of Excel, each beside the same rows as CSV.

use std::fs::File;
use std::io::Write;
use std::path::Path as FilePath;

use emporia_core::ErrorKind;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{folder, lenient, refusal, retail, retail_with};
use crate::import::ImportOptions;
use crate::stored::{TestResult, table};

const HEADER: [Cell; 8] = [
    Cell::Text("InvoiceNo"),
    Cell::Text("StockCode"),
    Cell::Text("Description"),
    Cell::Text("Quantity"),
    Cell::Text("InvoiceDate"),
    Cell::Text("UnitPrice"),
    Cell::Text("CustomerID"),
    Cell::Text("Country"),
];
/// The header of Online Retail II.
const HEADER_2: [Cell; 8] = [
    Cell::Text("Invoice"),
    Cell::Text("StockCode"),
    Cell::Text("Description"),
    Cell::Text("Quantity"),
    Cell::Text("InvoiceDate"),
    Cell::Text("Price"),
    Cell::Text("Customer ID"),
    Cell::Text("Country"),
];
/// The first of December 2010, 8:26, as Excel writes it.
const TIME: Cell = Cell::Time("40513.351388888892");

/// A cell, with its value as it stands in the file.
#[derive(Clone, Copy)]
enum Cell {
    Nothing,
    /// A text of the workbook.
    Text(&'static str),
    /// A text in the cell.
    Inline(&'static str),
    Number(&'static str),
    /// A number that is shown as a date.
    Time(&'static str),
    /// A date in ISO 8601.
    Iso(&'static str),
    Error(&'static str),
    Truth(&'static str),
    /// A formula with the number that it gave.
    Formula(&'static str),
    /// A formula with the text that it gave.
    TextFormula(&'static str),
}

impl Cell {
    fn xml(self, place: &str, texts: &mut Vec<&'static str>) -> String {
        match self {
            Self::Nothing => format!("<c r=\"{place}\" s=\"1\"/>"),
            Self::Text(text) => {
                let known = texts.iter().position(|known| *known == text);
                let index = known.unwrap_or_else(|| {
                    texts.push(text);
                    texts.len() - 1
                });
                format!("<c r=\"{place}\" t=\"s\"><v>{index}</v></c>")
            }
            Self::Inline(text) => {
                format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
            }
            Self::Number(value) => format!("<c r=\"{place}\"><v>{value}</v></c>"),
            Self::Time(value) => format!("<c r=\"{place}\" s=\"1\"><v>{value}</v></c>"),
            Self::Iso(value) => format!("<c r=\"{place}\" t=\"d\"><v>{value}</v></c>"),
            Self::Error(value) => {
                format!("<c r=\"{place}\" t=\"e\"><f>1/0</f><v>{value}</v></c>")
            }
            Self::Truth(value) => format!("<c r=\"{place}\" t=\"b\"><v>{value}</v></c>"),
            Self::Formula(value) => format!("<c r=\"{place}\"><f>A1+B1</f><v>{value}</v></c>"),
            Self::TextFormula(value) => {
                format!("<c r=\"{place}\" t=\"str\"><f>A1&amp;B1</f><v>{value}</v></c>")
            }
        }
    }
}

/// A sheet: its name, its state and its rows; a row without cells is not in the file.
struct Sheet<'a> {
    name: &'a str,
    state: &'a str,
    rows: Vec<Vec<Cell>>,
}

fn sheet<'a>(name: &'a str, header: [Cell; 8], rows: &[[Cell; 8]]) -> Sheet<'a> {
    let all = std::iter::once(&header).chain(rows);
    Sheet {
        name,
        state: "visible",
        rows: all.map(|row| row.to_vec()).collect(),
    }
}

/// Writes a workbook; `properties` are attributes of `workbookPr`.
fn write(path: &FilePath, sheets: &[Sheet<'_>], properties: &str) -> TestResult {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    let mut texts = Vec::new();
    let mut parts = Vec::new();
    let (mut list, mut relations) = (String::new(), String::new());
    for (n, sheet) in sheets.iter().enumerate() {
        let mut rows = String::new();
        for (row, cells) in sheet.rows.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
            let number = row + 1;
            rows.push_str(&format!("<row r=\"{number}\">"));
            for (cell, column) in cells.iter().zip('A'..) {
                rows.push_str(&cell.xml(&format!("{column}{number}"), &mut texts));
            }
            rows.push_str("</row>");
        }
        let data = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>");
        parts.push((format!("xl/worksheets/sheet{n}.xml"), data));
        let (name, state) = (sheet.name, sheet.state);
        list.push_str(&format!(
            "<sheet name=\"{name}\" sheetId=\"{n}\" state=\"{state}\" r:id=\"r{n}\"/>"
        ));
        relations.push_str(&format!(
            "<Relationship Id=\"r{n}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{n}.xml\"/>"
        ));
    }
    let texts: String = texts
        .iter()
        .map(|text| format!("<si><t xml:space=\"preserve\">{text}</t></si>"))
        .collect();
    let relationships = |list: &str| {
        format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{list}</Relationships>")
    };
    parts.extend([
        (
            "[Content_Types].xml".to_owned(),
            format!("<Types xmlns=\"{PACKAGE}/content-types\"/>"),
        ),
        (
            "_rels/.rels".to_owned(),
            relationships(&format!(
                "<Relationship Id=\"r1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/>"
            )),
        ),
        (
            "xl/workbook.xml".to_owned(),
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><workbookPr {properties}/>\
                 <sheets>{list}</sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            relationships(&relations),
        ),
        (
            "xl/styles.xml".to_owned(),
            format!(
                "<styleSheet xmlns=\"{MAIN}\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"22\"/>\
                 </cellXfs></styleSheet>"
            ),
        ),
        (
            "xl/sharedStrings.xml".to_owned(),
            format!("<sst xmlns=\"{MAIN}\">{texts}</sst>"),
        ),
    ]);
    let mut zip = ZipWriter::new(File::create(path)?);
    for (name, text) in parts {
        zip.start_file(name, SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish()?;
    Ok(())
}

/// A folder with the workbook `retail.xlsx`.
fn workbook(sheets: &[Sheet<'_>]) -> TestResult<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    write(&dir.path().join("retail.xlsx"), sheets, "")?;
    Ok(dir)
}

/// The rows of the table of lines, as texts.
async fn lines(dir: &FilePath) -> TestResult<Vec<Vec<String>>> {
    let (store, _) = retail_with(dir, ImportOptions::default()).await?;
    let lines = table(&store, "online_retail").await?;
    let numbers = |name: &str| -> TestResult<Vec<String>> {
        Ok(lines.numbers(name)?.iter().map(i64::to_string).collect())
    };
    let columns = [
        lines.text("invoice_no"),
        lines.text("stock_code"),
        lines.text("description"),
        numbers("quantity")?,
        numbers("invoice_ts")?,
        numbers("unit_price")?,
        lines.text("customer_id"),
        lines.text("country"),
    ];
    let row = |n: usize| columns.iter().map(move |column| column[n].clone());
    Ok((0..lines.len()).map(|n| row(n).collect()).collect())
}

#[tokio::test]
async fn a_workbook_is_the_same_table_as_its_rows_in_csv() -> TestResult {
    use Cell::{Formula, Inline, Nothing, Number, Text, TextFormula, Time};
    let rows = [
        // Numbers as Excel writes them, with up to 17 digits.
        [
            Number("536365"),
            Number("22423"),
            Text("LAMP, \"RED\" &amp; <![CDATA[<blue>]]> £1 "),
            Number("6"),
            TIME,
            Number("2.5499999999999998"),
            Number("17850"),
            Text("EIRE"),
        ],
        [
            Text("C536379"),
            Text("85123A"),
            Nothing,
            Number("-1"),
            Time("40513.999988425923"),
            Number("1E-3"),
            Nothing,
            Inline("United Kingdom"),
        ],
        [
            Formula("536380"),
            TextFormula("POST"),
            Number("20713"),
            Formula("80995"),
            // The format was lost.
            Number("40514"),
            Formula("11062.06"),
            Text("NA"),
            Text("EIRE"),
        ],
        // Texts in the place of numbers.
        [
            Text("536381"),
            Text("10002"),
            Text("x"),
            Text("12"),
            Text("2010-12-03 09:00:00"),
            Text("0.5"),
            Text("13085"),
            Text("France"),
        ],
        [
            Number("536382"),
            Number("1"),
            Text("x"),
            Number("1"),
            Cell::Iso("2010-12-03T09:01:00"),
            Number("0"),
            Number("13085"),
            Text("France"),
        ],
    ];
    let csv = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
         536365,22423,\"LAMP, \"\"RED\"\" & <blue> £1 \",6,2010-12-01 08:26:00,2.55,17850.0,EIRE\n\
         C536379,85123A,,-1,2010-12-01 23:59:59,0.001,,United Kingdom\n\
         536380,POST,20713,80995,2010-12-02 00:00:00,11062.06,NA,EIRE\n\
         536381,10002,x,12,2010-12-03 09:00:00,0.5,13085,France\n\
         536382,1,x,1,2010-12-03 09:01:00,0,13085,France\n";
    let expected = lines(folder(&[("retail.csv", csv.as_bytes())])?.path()).await?;
    let dir = workbook(&[sheet("Online Retail", HEADER, &rows)])?;
    assert_eq!(lines(dir.path()).await?, expected);
    // What a file is follows from its bytes.
    std::fs::rename(
        dir.path().join("retail.xlsx"),
        dir.path().join("retail.csv"),
    )?;
    assert_eq!(lines(dir.path()).await?, expected);
    // Days may be counted from 1904.
    let mut rows = rows;
    rows[0][4] = Time("39051.351388888892");
    rows[1][4] = Time("39051.999988425923");
    rows[2][4] = Number("39052");
    let sheets = [sheet("Online Retail", HEADER, &rows)];
    write(&dir.path().join("retail.csv"), &sheets, "date1904=\"1\"")?;
    assert_eq!(lines(dir.path()).await?, expected);
    Ok(())
}

#[tokio::test]
async fn all_sheets_with_invoice_lines_are_read() -> TestResult {
    use Cell::{Number, Text};
    let line = |invoice, country| {
        [
            Number(invoice),
            Number("85048"),
            Text("BALL"),
            Number("1"),
            TIME,
            Number("6.95"),
            Number("13085"),
            Text(country),
        ]
    };
    let mut second = sheet(
        "Year 2010-2011",
        HEADER_2,
        &[line("489436", "EIRE"), line("489435", "EIRE")],
    );
    second.state = "hidden";
    // A title of another sheet, below blank rows.
    let notes = Sheet {
        name: "About",
        state: "visible",
        rows: vec![vec![], vec![Text("made by hand"), Text("Country")]],
    };
    let empty = Sheet {
        name: "Empty",
        state: "visible",
        rows: vec![],
    };
    let first = [line("489434", "France"), line("489435", "Spain")];
    let first = sheet("Year 2009-2010", HEADER_2, &first);
    let dir = workbook(&[notes, first, second, empty])?;
    let (store, summary) = retail(dir.path()).await?;
    let read = table(&store, "online_retail").await?;
    assert_eq!(
        read.text("invoice_no"),
        ["489434", "489435", "489436", "489435"]
    );
    assert_eq!(table(&store, "transactions").await?.len(), 3);
    let expected = [
        "sheet `Year 2010-2011` of `retail.xlsx` is hidden, and was read",
        "sheet `Year 2010-2011` of `retail.xlsx` has lines of invoices that were read before: 1; a line that \
         is in two sheets counts twice",
        "sheets of `retail.xlsx` without invoice lines were left out: `About`, `Empty`",
    ];
    assert_eq!(summary.notes[..3], expected);
    Ok(())
}

#[tokio::test]
async fn cells_that_cannot_be_read_are_rejects_with_their_sheet_and_row() -> TestResult {
    use Cell::{Error, Nothing, Number, Text, Time, Truth};
    let good = [
        Number("1"),
        Number("2"),
        Text("x"),
        Number("3"),
        TIME,
        Number("1.5"),
        Number("7"),
        Text("EIRE"),
    ];
    let with = |column: usize, cell: Cell| {
        let mut row = good;
        row[column] = cell;
        row
    };
    let cases = [
        (0, Nothing, "invoice_no_missing", "2,x,3"),
        (0, Number("1.5"), "cell_type", "1.5,2,x"),
        (0, Number("1E16"), "cell_type", "10000000000000000,2,x"),
        (1, Time("40513"), "cell_type", "1,2010-12-01 00:00:00,x"),
        (2, Error("#N/A"), "cell_error", "1,2,#N/A,3"),
        (3, Number("2.5"), "quantity_unparsable", "x,2.5,"),
        (3, Error("#DIV/0!"), "cell_error", "x,#DIV/0!,"),
        (4, Number("0.25"), "invoice_date_unparsable", "3,0.25,"),
        (
            4,
            Time("40513.3513941"),
            "invoice_date_unparsable",
            "40513.3513941",
        ),
        (4, Truth("1"), "invoice_date_unparsable", "3,TRUE,"),
        (
            5,
            Number("0.30000000000000004"),
            "unit_price_unparsable",
            "0.30000000000000004",
        ),
        (6, Number("17850.5"), "customer_id_unparsable", ",17850.5,"),
        (7, Truth("0"), "cell_type", ",7,FALSE"),
    ];
    let mut rows = vec![good];
    rows.extend(cases.iter().map(|(column, cell, ..)| with(*column, *cell)));
    // Rows without values are not there.
    rows.push([Nothing; 8]);
    let dir = workbook(&[sheet("2010", HEADER, &rows)])?;
    let (store, summary) = retail_with(dir.path(), lenient()).await?;
    let rejects = table(&store, "rejects").await?;
    let (rules, raws) = (rejects.text("rule_id"), rejects.text("raw"));
    assert_eq!(rules.len(), cases.len(), "{rules:?}");
    for (n, (_, _, rule, raw)) in cases.iter().enumerate() {
        assert_eq!(rules[n], *rule, "row {}", n + 3);
        assert!(raws[n].contains(raw), "row {}: {}", n + 3, raws[n]);
    }
    assert_eq!(rejects.text("source")[0], "retail.xlsx, sheet 2010");
    let positions: Vec<i64> = (0..cases.len() as i64).map(|n| n + 3).collect();
    assert_eq!(rejects.numbers("position")?, positions);
    assert_eq!(table(&store, "online_retail").await?.len(), 1);
    let notes = summary.notes.join("\n");
    let first = "`retail.xlsx, sheet 2010` row 3 (invoice_no_missing)";
    assert!(notes.contains(first), "{notes}");
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::Failed);
    assert!(text.contains(first), "{text}");
    Ok(())
}

#[tokio::test]
async fn dates_that_are_texts_tell_day_from_month_as_in_other_files() -> TestResult {
    use Cell::{Number, Text};
    let line = |time| {
        [
            Number("1"),
            Number("2"),
            Text("x"),
            Number("3"),
            Text(time),
            Number("1.5"),
            Number("7"),
            Text("EIRE"),
        ]
    };
    let rows = [line("1/2/2011 9:00"), line("13/1/2011 9:00")];
    let dir = workbook(&[sheet("2010", HEADER, &rows)])?;
    let times: Vec<String> = lines(dir.path())
        .await?
        .iter()
        .map(|r| r[4].clone())
        .collect();
    assert_eq!(times, ["1296550800000000", "1294909200000000"]);
    let rows = [line("1/13/2011 9:00"), line("13/1/2011 9:00")];
    let dir = workbook(&[sheet("2010", HEADER, &rows)])?;
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(text.contains("cannot tell day from month"), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_workbook_of_invoice_lines_is_refused() -> TestResult {
    use Cell::{Number, Text};
    let mut header = HEADER;
    header[5] = Text("Cost");
    let cases = [
        (
            sheet("2010", header, &[]),
            "sheet `2010` of `retail.xlsx` has no column `UnitPrice` or `Price`",
        ),
        (
            Sheet {
                name: "Totals",
                state: "visible",
                rows: vec![
                    vec![Text("Country"), Text("Revenue")],
                    vec![Text("EIRE"), Number("1")],
                ],
            },
            "sheet `Totals` of `retail.xlsx` has no column `InvoiceNo` or `Invoice`",
        ),
        (sheet("2010", HEADER, &[]), "has no rows to import"),
    ];
    for (sheet, expected) in cases {
        let dir = workbook(&[sheet])?;
        let (_, text) = refusal(dir.path(), ImportOptions::default()).await;
        assert!(text.contains(expected), "{text}");
    }
    // A damaged workbook, and a zip archive of something else.
    let dir = workbook(&[sheet("2010", HEADER, &[])])?;
    let path = dir.path().join("retail.xlsx");
    let bytes = std::fs::read(&path)?;
    std::fs::write(&path, &bytes[..bytes.len() / 2])?;
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(
        text.contains("cannot read workbook `retail.xlsx`"),
        "{text}"
    );
    let mut zip = ZipWriter::new(File::create(&path)?);
    zip.start_file("Online Retail.xlsx", SimpleFileOptions::default())?;
    zip.write_all(&bytes)?;
    zip.finish()?;
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(text.contains("unpack it first"), "{text}");
    // Workbooks of other kinds are told by their first bytes.
    let old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
    let dir = folder(&[("retail.csv", old)])?;
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(text.contains("save it as .xlsx"), "{text}");
    Ok(())
}
