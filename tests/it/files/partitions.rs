//! Values in the names of folders.

use super::shelf::{Shelf, ints, parquet};

fn put(shelf: &Shelf, folder: &str, n: i64) {
    shelf.put(
        &format!("{folder}/p.parquet"),
        &parquet(vec![("n", ints([n]))]),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_without_a_value_are_null() {
    let mut shelf = Shelf::new().await;
    for (folder, n) in [
        ("shop=Oslo/year=2024", 1),
        ("shop=Oslo/year=__HIVE_DEFAULT_PARTITION__", 2),
        ("shop=__HIVE_DEFAULT_PARTITION__/year=2025", 4),
        ("shop=K%C3%B6ln%2FDeutz/year=2025", 8),
        ("shop=/year=2025", 16),
    ] {
        put(&shelf, folder, n);
    }
    shelf.partitions("shop string; year int32");
    let rows = shelf.rows("SELECT shop, year, n FROM t ORDER BY n").await;
    assert_eq!(
        rows,
        [
            "Oslo,2024,1",
            "Oslo,NULL,2",
            "NULL,2025,4",
            "Köln/Deutz,2025,8",
            ",2025,16"
        ]
    );
    for (filter, sum) in [
        ("year IS NULL", "2"),
        ("shop IS NULL", "4"),
        ("shop IS NULL OR year < 2025", "5"),
        ("year > 2024 AND n < 16", "12"),
        ("shop = ''", "16"),
        ("shop <> 'Oslo'", "24"),
        ("year + n = 2033", "8"),
        ("shop IN ('Oslo', NULL)", "3"),
        ("coalesce(shop, 'none') = 'none'", "4"),
        ("year = 1999", "NULL"),
    ] {
        let rows = shelf
            .rows(&format!("SELECT sum(n) FROM t WHERE {filter}"))
            .await;
        assert_eq!(rows, [sum], "{filter}");
    }
    assert_eq!(
        shelf.rows("SELECT count(*) FROM t WHERE year = 2025").await,
        ["3"]
    );
    let counted = shelf
        .rows("SELECT count(*), count(shop), min(year), max(year) FROM t")
        .await;
    assert_eq!(counted, ["5,4,2024,2025"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_do_not_fit_are_named() {
    let mut shelf = Shelf::new().await;
    put(&shelf, "year=2024", 1);
    // A value that is in no column would be dropped.
    shelf
        .fails(
            "SELECT * FROM t",
            &["`year=2024`", "partitions = \"year string\""],
        )
        .await;
    shelf.partitions("year int32");
    put(&shelf, "year=next", 2);
    shelf
        .fails("SELECT * FROM t", &["`year=next`", "no Int32"])
        .await;
    shelf.remove("year=next/p.parquet");
    put(&shelf, "month=1", 2);
    shelf
        .fails("SELECT * FROM t", &["`month=1`", "`year=…`"])
        .await;
    shelf.remove("month=1/p.parquet");
    assert_eq!(shelf.rows("SELECT year, n FROM t").await, ["2024,1"]);
}
