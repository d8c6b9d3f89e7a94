//! Files: the same bytes whatever the threads are, readable formats, honest summaries.

use std::sync::Arc;

use emporia_core::ErrorKind;
use emporia_core::catalog::Catalog;
use object_store::path::Path;

use super::options;
use crate::generate::{GenerateOptions, generate, plan};
use crate::output::Format;
use crate::progress::NoProgress;
use crate::stored::{TestResult, files, generated, table};

#[tokio::test]
async fn threads_change_no_byte() -> TestResult {
    for (format, scale) in [
        (Format::Parquet, 0.3),
        (Format::Json, 0.01),
        (Format::Csv, 0.01),
    ] {
        let with = |threads| GenerateOptions {
            scale,
            format,
            threads,
            page_views: scale < 0.1,
            ..GenerateOptions::default()
        };
        let (one, summary) = generated(with(1)).await?;
        let (four, summary_of_four) = generated(with(4)).await?;
        assert_eq!(summary, summary_of_four);
        let (one, four) = (files(&one, "data").await?, files(&four, "data").await?);
        assert_eq!(one.len() as u64, summary.files() + 1);
        assert!(one == four, "files of {format} differ");
        let n_bytes: usize = one.values().map(Vec::len).sum();
        let catalog = one["data/emporia.toml"].len();
        assert_eq!(n_bytes - catalog, summary.bytes() as usize);
        if scale > 0.1 {
            assert!(one.contains_key("data/sessions/part-00001.parquet"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn another_seed_gives_other_data() -> TestResult {
    let with = |seed| GenerateOptions {
        seed,
        ..options(0.002, &["transactions"])
    };
    let one = files(&generated(with(1)).await?.0, "data").await?;
    let two = files(&generated(with(2)).await?.0, "data").await?;
    assert_ne!(one, two);
    Ok(())
}

#[tokio::test]
async fn text_formats_hold_nested_columns_as_json() -> TestResult {
    let with = |format| GenerateOptions {
        format,
        ..options(0.002, &["sessions"])
    };
    let (store, summary) = generated(with(Format::Json)).await?;
    let json = files(&store, "data/sessions").await?;
    let lines = String::from_utf8(json["data/sessions/part-00000.json"].clone())?;
    let rows: Vec<serde_json::Value> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(rows.len() as u64, summary.rows());

    let (store, _) = generated(with(Format::Csv)).await?;
    let text = files(&store, "data").await?;
    let mut reader = csv::Reader::from_reader(&text["data/sessions/part-00000.csv"][..]);
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header == name)
            .ok_or("no column")
    };
    let (cart, viewed) = (column("cart")?, column("viewed_products")?);
    let mut n_rows = 0;
    for (record, row) in reader.records().zip(&rows) {
        let record = record?;
        let nested: serde_json::Value = serde_json::from_str(&record[cart])?;
        assert_eq!(nested, row["cart"]);
        let nested: serde_json::Value = serde_json::from_str(&record[viewed])?;
        assert_eq!(nested, row["viewed_products"]);
        n_rows += 1;
    }
    assert_eq!(n_rows, rows.len());

    let toml = String::from_utf8(text["data/emporia.toml"].clone())?;
    let catalog = Catalog::parse(&toml, None)?;
    assert!(
        catalog.tables["sessions"]
            .columns
            .contains(&"cart string".to_owned())
    );
    assert!(catalog.tables["sessions"].declared_schema()?.is_some());
    Ok(())
}

#[tokio::test]
async fn the_catalog_names_the_tables_of_all_runs() -> TestResult {
    let (store, _) = generated(options(0.002, &["users"])).await?;
    let again = GenerateOptions {
        format: Format::Csv,
        ..options(0.002, &["orders_raw", "users"])
    };
    let base = Path::from("data");
    let refused = generate(again, Arc::clone(&store) as _, base.clone(), &NoProgress).await;
    assert_eq!(refused.map_err(|e| e.kind()), Err(ErrorKind::AlreadyExists));

    let other = GenerateOptions {
        format: Format::Csv,
        ..options(0.002, &["products"])
    };
    generate(other, Arc::clone(&store) as _, base.clone(), &NoProgress).await?;
    let over = GenerateOptions {
        format: Format::Json,
        overwrite: true,
        ..options(0.002, &["users", "shop_products"])
    };
    generate(over, Arc::clone(&store) as _, base, &NoProgress).await?;
    let all = files(&store, "data").await?;
    assert!(!all.contains_key("data/users/part-00000.parquet"));
    let catalog = Catalog::parse(&String::from_utf8(all["data/emporia.toml"].clone())?, None)?;
    let connectors: Vec<(&str, &str)> = catalog
        .tables
        .iter()
        .map(|(n, t)| (n.as_str(), t.connector.as_str()))
        .collect();
    assert_eq!(
        connectors,
        [
            ("products", "csv"),
            ("shop_products", "csv"),
            ("users", "json")
        ]
    );
    assert_eq!(catalog.tables["shop_products"].options["header"], "false");
    Ok(())
}

#[tokio::test]
async fn wrong_options_are_refused() {
    for wrong in [
        options(0.0, &[]),
        options(f64::NAN, &[]),
        options(0.1, &["user"]),
        GenerateOptions {
            threads: 0,
            ..options(0.1, &[])
        },
    ] {
        let refused = generated(wrong.clone()).await;
        assert!(refused.is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn sizes_follow_the_scale() -> TestResult {
    let all: Vec<&str> = plan::TABLES.to_vec();
    let (store, summary) = generated(options(0.02, &all)).await?;
    let near = |name: &str, expected: u64, tolerance: u64| {
        let rows = summary.table(name).map_or(0, |table| table.rows);
        assert!(
            rows.abs_diff(expected) <= tolerance,
            "{name}: {rows} for {expected}"
        );
    };
    near("users", 200, 0);
    near("categories", 25, 0);
    near("products", 100, 0);
    near("transactions", 10_000, 200);
    near("transaction_items", 30_000, 1_000);
    near("sessions", 40_000, 0);
    near("page_views", 405_000, 10_000);
    near("orders_raw", 200_000, 0);
    near("events", 20_000, 0);
    near("shop_customers", 2_000, 0);
    near("shop_products", 10, 0);
    near("shop_orders", 10_000, 0);
    assert_eq!(table(&store, "users").await?.len(), 200);
    Ok(())
}
