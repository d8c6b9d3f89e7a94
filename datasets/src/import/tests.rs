//! Imports of the real data, where it is at hand, and of small files.

mod workbooks;

use std::collections::HashSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use emporia_core::ErrorKind;
use emporia_core::catalog::Catalog;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::{ImportOptions, import_cdnow, import_online_retail};
use crate::output::{Format, open_local};
use crate::progress::{NoProgress, Summary};
use crate::stored::{TestResult, files, table};

/// A path of the real data; `None`, with a line that says so, where it is missing.
fn real_data(name: &str) -> Option<PathBuf> {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: put the public data set at ../shared/data/{name} to run this test");
    None
}

/// Options under which any number of rows but all may be rejected.
fn lenient() -> ImportOptions {
    ImportOptions {
        max_rejects: "100%".parse().unwrap(),
        ..ImportOptions::default()
    }
}

async fn retail(dir: &FilePath) -> TestResult<(Arc<InMemory>, Summary)> {
    retail_with(dir, lenient()).await
}

async fn retail_with(
    dir: &FilePath,
    options: ImportOptions,
) -> TestResult<(Arc<InMemory>, Summary)> {
    let store = Arc::new(InMemory::new());
    let base = Path::from("data");
    let summary =
        import_online_retail(dir, options, Arc::clone(&store) as _, base, &NoProgress).await?;
    Ok((store, summary))
}

async fn cdnow(file: &FilePath) -> TestResult<(Arc<InMemory>, Summary)> {
    let store = Arc::new(InMemory::new());
    let options = lenient();
    let base = Path::from("data");
    let summary = import_cdnow(file, options, Arc::clone(&store) as _, base, &NoProgress).await?;
    Ok((store, summary))
}

#[tokio::test]
async fn online_retail_has_its_golden_numbers() -> TestResult {
    let Some(dir) = real_data("online_retail") else {
        return Ok(());
    };
    let (store, summary) = retail(&dir).await?;
    let lines = table(&store, "online_retail").await?;
    assert_eq!(lines.len(), 541_909);
    assert_eq!(lines.nulls("customer_id"), 135_080);
    assert_eq!(lines.nulls("description"), 1_454);
    let quantities = lines.numbers("quantity")?;
    let prices = lines.numbers("unit_price")?;
    assert_eq!(quantities.iter().sum::<i64>(), 5_176_450);
    assert_eq!(
        quantities.iter().filter(|quantity| **quantity < 0).count(),
        10_624
    );
    assert_eq!(prices.iter().filter(|price| **price == 0).count(), 2_515);
    assert_eq!(prices.iter().filter(|price| **price < 0).count(), 2);
    let net: i64 = quantities.iter().zip(&prices).map(|(q, p)| q * p).sum();
    assert_eq!(net, 9_747_747_934);
    let invoices = lines.text("invoice_no");
    assert_eq!(
        invoices
            .iter()
            .filter(|number| number.starts_with('C'))
            .count(),
        9_288
    );
    let countries: HashSet<String> = lines.text("country").into_iter().collect();
    assert_eq!(countries.len(), 38);
    let customers = lines.text("customer_id");
    let known = |row: &usize| !customers[*row].is_empty();
    let sold = |row: &usize| known(row) && quantities[*row] > 0 && prices[*row] > 0;
    let value = |rows: &[usize]| {
        rows.iter()
            .map(|row| quantities[*row] * prices[*row])
            .sum::<i64>()
    };
    let named: Vec<usize> = (0..lines.len()).filter(known).collect();
    assert_eq!((named.len(), value(&named)), (406_829, 8_300_065_814));
    let sales: Vec<usize> = (0..lines.len()).filter(sold).collect();
    assert_eq!((sales.len(), value(&sales)), (397_884, 8_911_407_904));
    assert_eq!(customers[0], "17850");

    let orders = table(&store, "transactions").await?;
    assert_eq!(orders.len(), 25_900);
    assert_eq!(orders.numbers("total")?.iter().sum::<i64>(), 9_747_747_934);
    let of = |status: &str| {
        orders
            .text("status")
            .iter()
            .filter(|s| *s == status)
            .count()
    };
    assert_eq!((of("cancelled"), of("adjustment")), (3_836, 3));
    let rows = |name: &str| summary.table(name).map(|table| table.rows);
    assert_eq!(rows("users"), Some(4_372));
    assert_eq!(rows("products"), Some(4_070));
    assert_eq!(rows("transaction_items"), Some(541_909));
    assert_eq!(rows("rejects"), Some(0));
    assert_eq!(summary.notes.len(), 1, "{:?}", summary.notes);
    Ok(())
}

#[tokio::test]
async fn cdnow_has_its_golden_numbers() -> TestResult {
    let Some(file) = real_data("cdnow/CDNOW_master.txt") else {
        return Ok(());
    };
    let (store, summary) = cdnow(&file).await?;
    let orders = table(&store, "transactions").await?;
    assert_eq!(orders.len(), 69_659);
    let totals = orders.numbers("total")?;
    assert_eq!(totals.iter().sum::<i64>(), 250_031_563);
    assert_eq!(totals.iter().filter(|total| **total == 0).count(), 80);
    assert_eq!(summary.table("users").map(|users| users.rows), Some(23_570));
    assert_eq!(
        summary.table("rejects").map(|rejects| rejects.rows),
        Some(0)
    );
    let items = table(&store, "transaction_items").await?;
    let quantities = items.numbers("quantity")?;
    assert_eq!(quantities.iter().sum::<i64>(), 167_881);
    assert_eq!(items.numbers("subtotal")?, totals);
    let (users, times) = (orders.text("user_id"), orders.numbers("ts")?);
    let rows = || users.iter().zip(&times).zip(quantities.iter().zip(&totals));
    assert_eq!(orders.len() - rows().collect::<HashSet<_>>().len(), 255);
    assert_eq!(
        users.iter().zip(&times).collect::<HashSet<_>>().len(),
        67_591
    );
    Ok(())
}

#[tokio::test]
async fn the_sample_of_cdnow_has_customers_of_the_full_file() -> TestResult {
    let Some(file) = real_data("cdnow/CDNOW_sample.txt") else {
        return Ok(());
    };
    let (store, summary) = cdnow(&file).await?;
    assert_eq!(
        summary.table("transactions").map(|orders| orders.rows),
        Some(6_919)
    );
    assert_eq!(summary.table("users").map(|users| users.rows), Some(2_357));
    assert_eq!(table(&store, "users").await?.text("user_id")[0], "00004");
    Ok(())
}

#[tokio::test]
async fn odd_invoices_and_bad_lines_are_accounted_for() -> TestResult {
    let dir = tempfile::tempdir()?;
    let header =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
    std::fs::write(
        dir.path().join("b.csv"),
        format!(
            "{header}\n\
             2,A, mug ,1,2011-01-02 10:01:00,0.001,,France\n\
             1,B,late line,2,2011-01-02 09:00:00,3.00,7.0,France\n\
             1,B,\"a, b\",x,2011-01-02 09:00:00,3.00,7.0,France\n\
             1,B,short\n"
        ),
    )?;
    std::fs::write(
        dir.path().join("a.csv"),
        format!(
            "{header}\n\
             1,A,cup,2,2011-01-01 10:00:00,1.50,,France\n\
             1,A,mug,-1,2011-01-01 10:01:00,1.50,8.0,France\n\
             C3,A,,-1,2011-01-01 10:01:00,1.50,8.0,Spain\n"
        ),
    )?;
    let (store, summary) = retail(dir.path()).await?;
    let orders = table(&store, "transactions").await?;
    assert_eq!(orders.text("transaction_id"), ["1", "C3", "2"]);
    assert_eq!(orders.text("user_id"), ["8", "8", ""]);
    assert_eq!(orders.numbers("subtotal")?, [7_500, -1_500, 1]);
    assert_eq!(
        orders.text("status"),
        ["completed", "cancelled", "completed"]
    );
    let items = table(&store, "transaction_items").await?;
    assert_eq!(items.text("transaction_id"), ["1", "1", "1", "C3", "2"]);
    assert_eq!(items.numbers("line_no")?, [1, 2, 3, 1, 1]);
    // `mug` occurs twice once its blanks are gone.
    assert_eq!(
        table(&store, "products").await?.text("name"),
        ["mug", "late line"]
    );
    let users = table(&store, "users").await?;
    assert_eq!(users.text("user_id"), ["8", "7"]);
    assert_eq!(users.text("country"), ["Spain", "France"]);
    let rejects = table(&store, "rejects").await?;
    assert_eq!(
        rejects.text("rule_id"),
        ["quantity_unparsable", "field_count"]
    );
    assert_eq!(
        rejects.text("raw")[0],
        "1,B,\"a, b\",x,2011-01-02 09:00:00,3.00,7.0,France"
    );
    assert_eq!(rejects.numbers("position")?, [4, 5]);
    assert_eq!(summary.notes.len(), 3, "{:?}", summary.notes);
    let rejected = &summary.notes[2];
    assert!(
        rejected.contains("`b.csv` line 4 (quantity_unparsable)"),
        "{rejected}"
    );

    std::fs::write(dir.path().join("c.csv"), "InvoiceNo,StockCode\n")?;
    let refused = retail(dir.path())
        .await
        .map(drop)
        .map_err(|e| e.to_string());
    assert!(refused.is_err_and(|text| text.contains("c.csv") && text.contains("Description")));
    Ok(())
}

#[tokio::test]
async fn cdnow_rows_keep_their_cents_in_every_format() -> TestResult {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("rows.txt");
    std::fs::write(
        &file,
        " id date n usd\n 1 19970101 3 10.00\n 1 19970101 3 10.00\n 2 1997 1 5\n",
    )?;
    let (store, _) = cdnow(&file).await?;
    let items = table(&store, "transaction_items").await?;
    assert_eq!(
        items.text("transaction_id"),
        ["cdnow_000001", "cdnow_000002"]
    );
    assert_eq!(items.numbers("unit_price")?, [333, 333]);
    assert_eq!(items.numbers("subtotal")?, [1_000, 1_000]);
    assert_eq!(
        table(&store, "rejects").await?.text("rule_id"),
        ["date_unparsable"]
    );

    for format in [Format::Json, Format::Csv] {
        let store = Arc::new(InMemory::new());
        let options = ImportOptions {
            format,
            ..lenient()
        };
        let base = Path::from("data");
        import_cdnow(&*file, options, Arc::clone(&store) as _, base, &NoProgress).await?;
        let text = files(&store, "data/transactions").await?;
        let text = String::from_utf8(text.into_values().next().unwrap_or_default())?;
        assert!(
            text.contains("10.00") && text.contains("1997-01-01T00:00:00Z"),
            "{text}"
        );
    }
    // Without a reject, the table is empty and still there.
    std::fs::write(&file, " 1 19970101 3 10.00\n")?;
    for (format, expected) in [
        (Format::Json, ""),
        (Format::Csv, "table_name,rule_id,raw,source,position\n"),
    ] {
        let out = dir.path().join(format.as_str());
        let (store, base) = open_local(&out.to_string_lossy())?;
        let options = ImportOptions {
            format,
            ..ImportOptions::default()
        };
        import_cdnow(&*file, options, store, base, &NoProgress).await?;
        let rejects = out.join(format!("rejects/part-00000.{format}"));
        assert_eq!(std::fs::read_to_string(rejects)?, expected);
        Catalog::load(&out.join("emporia.toml"))?;
    }

    let store = Arc::new(InMemory::new());
    let missing = dir.path().join("missing.txt");
    let options = ImportOptions::default();
    let refused = import_cdnow(missing, options, store, Path::default(), &NoProgress).await;
    assert_eq!(refused.map_err(|e| e.kind()), Err(ErrorKind::NotFound));
    Ok(())
}

/// A folder with files of these names and bytes.
fn folder(files: &[(&str, &[u8])]) -> TestResult<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes)?;
    }
    Ok(dir)
}

/// The message and the hint of a refused import.
async fn refusal(dir: &FilePath, options: ImportOptions) -> (ErrorKind, String) {
    let store = Arc::new(InMemory::new());
    let base = Path::from("data");
    let result =
        import_online_retail(dir, options, Arc::clone(&store) as _, base, &NoProgress).await;
    let error = result.expect_err("a refusal");
    assert!(
        files(&store, "data").await.unwrap().is_empty(),
        "nothing is written"
    );
    let text = format!("{error}; {}", error.hint().unwrap_or_default());
    (error.kind(), text)
}

#[tokio::test]
async fn copies_of_online_retail_are_read_however_they_were_exported() -> TestResult {
    // Three files of one folder: Online Retail II from a European Excel, a copy with an index column
    // in Latin-1, and UTF-16 with tabs.
    let second = "\u{feff}Invoice;StockCode;Description;Quantity;InvoiceDate;Price;Customer ID;Country\r\n\
                  489434;85048;\"BALL; \"\"RED\"\"\";12;13.12.2009 7:45;6,95;13085;United Kingdom\r\n";
    let indexed =
        b",InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
                    0,536365,A,CAF\xc9 \xa31,6.0,1/12/2010 8:26,2.55,17850.0,EIRE\n\
                    1,536366,A,LAMP,1,2/12/10 08:28,1.85,NaN,EIRE\n";
    let tabs = "InvoiceNo\tStockCode\tDescription\tQuantity\tInvoiceDate\tUnitPrice\tCustomerID\tCountry\n\
                536367\tB\tTR\u{c8}S\t2\t2010-12-03 09:00:00\t0.5\t\tFrance\n";
    let tabs: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(tabs.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let dir = folder(&[
        ("a.csv", second.as_bytes()),
        ("b.txt", indexed),
        ("c.tsv", &tabs),
        ("_notes.md", b"left out"),
    ])?;
    let (store, summary) = retail_with(dir.path(), ImportOptions::default()).await?;
    let lines = table(&store, "online_retail").await?;
    assert_eq!(
        lines.text("description"),
        ["BALL; \"RED\"", "CAFÉ £1", "LAMP", "TRÈS"]
    );
    assert_eq!(lines.numbers("unit_price")?, [6_950, 2_550, 1_850, 500]);
    assert_eq!(lines.text("customer_id"), ["13085", "17850", "", ""]);
    let seconds = |text: &str| -> i64 {
        let time: chrono::DateTime<chrono::Utc> = text.parse().unwrap();
        time.timestamp_micros()
    };
    assert_eq!(
        lines.numbers("invoice_ts")?,
        [
            seconds("2009-12-13T07:45:00Z"),
            seconds("2010-12-01T08:26:00Z"),
            seconds("2010-12-02T08:28:00Z"),
            seconds("2010-12-03T09:00:00Z"),
        ]
    );
    assert_eq!(summary.notes.len(), 1, "{:?}", summary.notes);
    assert!(
        summary.notes[0].contains("1 of 3 files"),
        "{:?}",
        summary.notes
    );
    // A single file is taken by whatever name.
    let (store, _) = retail(&dir.path().join("b.txt")).await?;
    assert_eq!(table(&store, "online_retail").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn values_that_could_mean_something_else_are_rejected() -> TestResult {
    let header =
        "InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country";
    let row = |description: &str, price: &str| {
        format!("1;A;{description};1;2010-12-03 09:00:00;{price};7;France\n")
    };
    let text = [
        row("CUP", "2,5"),
        row("BOX", "1.234"),
        row("\"5\" PLATE\"", "2"),
        row("\"5\"\" PLATE\"", "3"),
        row("6\" PLATE", "4"),
    ];
    let text = format!("{header}\n{}", text.concat());
    let dir = folder(&[("a.csv", text.as_bytes())])?;
    let (store, _) = retail(dir.path()).await?;
    let lines = table(&store, "online_retail").await?;
    assert_eq!(lines.numbers("unit_price")?, [2_500, 3_000, 4_000]);
    assert_eq!(lines.text("description"), ["CUP", "5\" PLATE", "6\" PLATE"]);
    let rejects = table(&store, "rejects").await?;
    assert_eq!(
        rejects.text("rule_id"),
        ["unit_price_unparsable", "quotes_unparsable"]
    );
    Ok(())
}

#[tokio::test]
async fn a_damaged_first_row_of_cdnow_is_no_header() -> TestResult {
    let dir = folder(&[("a.txt", b"O0001 19970201 1 11.77\n00002 19970112 1 12.00\n")])?;
    let (store, _) = cdnow(&dir.path().join("a.txt")).await?;
    assert_eq!(table(&store, "transactions").await?.len(), 1);
    let rejects = table(&store, "rejects").await?;
    assert_eq!(rejects.text("rule_id"), ["customer_id_unparsable"]);
    Ok(())
}

#[tokio::test]
async fn dates_from_excel_in_the_united_states_are_read() -> TestResult {
    let text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
                1,A,x,1,12/1/2010 8:26,1.00,7,France\n\
                2,A,x,1,12/13/2010 8:26,1.00,7,France\n";
    let dir = folder(&[("data.csv", text.as_bytes())])?;
    let (store, summary) = retail(dir.path()).await?;
    let times = table(&store, "transactions").await?.numbers("ts")?;
    assert_eq!(times, [1_291_191_960_000_000, 1_292_228_760_000_000]);
    assert_eq!(summary.notes, Vec::<String>::new());

    // Dates of both orders have no common reading.
    let mixed = text.replace("12/1/2010", "31/1/2010");
    let dir = folder(&[("data.csv", mixed.as_bytes())])?;
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(
        text.contains("`31/1/2010 8:26` has the day first"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn an_import_of_nothing_or_of_too_little_fails() -> TestResult {
    let header =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let good = "1,A,x,1,2010-12-01 08:26:00,1.00,7,France\n";
    let bad = "1,A,x,one,2010-12-01 08:26:00,1.00,7,France\n";
    let file = |good_lines: usize, bad_lines: usize| {
        [header, &bad.repeat(bad_lines), &good.repeat(good_lines)].concat()
    };
    for (good_lines, bad_lines, expected) in [
        (0, 0, "has no rows to import"),
        (0, 2, "none of the 2 rows"),
        (18, 1, "1 of the 19 rows"),
    ] {
        let dir = folder(&[("data.csv", file(good_lines, bad_lines).as_bytes())])?;
        let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
        assert_eq!(kind, ErrorKind::Failed, "{text}");
        assert!(text.contains(expected), "{text}");
        assert_eq!(
            bad_lines > 0,
            text.contains("`data.csv` line 2 (quantity_unparsable)"),
            "{text}"
        );
    }
    // One in twenty is not more than 5 %.
    let dir = folder(&[("data.csv", file(19, 1).as_bytes())])?;
    let (store, _) = retail_with(dir.path(), ImportOptions::default()).await?;
    assert_eq!(table(&store, "rejects").await?.len(), 1);
    // A file that is no part of the data is named.
    let dir = folder(&[
        ("data.csv", file(1, 0).as_bytes()),
        ("Online Retail.pdf", b"%PDF"),
    ])?;
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(text.contains("Online Retail.pdf"), "{text}");
    // So is a folder, whose files would be missing.
    let dir = folder(&[("data.csv", file(1, 0).as_bytes())])?;
    std::fs::create_dir(dir.path().join("_old"))?;
    retail(dir.path()).await?;
    std::fs::create_dir(dir.path().join("2011"))?;
    let (kind, text) = refusal(dir.path(), ImportOptions::default()).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(text.contains("2011` is a folder"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_quote_that_is_never_closed_is_named() -> TestResult {
    let header =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let good = "1,A,\"x \"\"y\"\"\nz\",1,2010-12-01 08:26:00,1.00,7,France\n";
    let plain = "1,A,x,1,2010-12-01 08:26:00,1.00,7,France\n";
    let open = "2,\"B\nB\",\"x \"\",1,2010-12-01 08:26:00,1.00,7,France\n";
    for end in ["\n", "\r\n"] {
        let file = |lines: &[&str]| lines.concat().replace('\n', end);
        // The record begins in line 4, and the quote opens in line 5.
        let text = file(&[header, good, open, plain, plain]);
        let dir = folder(&[("data.csv", text.as_bytes())])?;
        let (kind, text) = refusal(dir.path(), lenient()).await;
        assert_eq!(kind, ErrorKind::Corrupt, "{text}");
        let expected = "`data.csv`: the quote that opens in line 5 is never closed";
        assert!(text.contains(expected), "{text}");
        // A quote that is closed at the end of the file, and one that is only a sign.
        for last in ["3,C,x,1,2010-12-01 08:26:00,1.00,7,\"EIRE\"", "4,5\",x"] {
            let text = file(&[header, good, last]);
            let dir = folder(&[("data.csv", text.as_bytes())])?;
            let (store, _) = retail(dir.path()).await?;
            let lines = table(&store, "online_retail").await?.len();
            let rejects = table(&store, "rejects").await?;
            assert_eq!(lines + rejects.len(), 2);
            if rejects.len() > 0 {
                assert_eq!(rejects.numbers("position")?, [4], "{end:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn copies_of_cdnow_are_read_and_only_the_first_line_is_a_header() -> TestResult {
    let dir = folder(&[(
        "cdnow.csv",
        b"masterid,sampleid,date,cds,sales\n4,1,1997-01-01,2,29.33\n4,1,19970118,2,29.73\noops\n",
    )])?;
    let (store, _) = cdnow(&dir.path().join("cdnow.csv")).await?;
    let orders = table(&store, "transactions").await?;
    assert_eq!(orders.numbers("total")?, [2_933, 2_973]);
    assert_eq!(orders.text("user_id"), ["4", "4"]);
    let rejects = table(&store, "rejects").await?;
    assert_eq!(rejects.text("rule_id"), ["field_count"]);
    assert_eq!(rejects.numbers("position")?, [4]);
    Ok(())
}
