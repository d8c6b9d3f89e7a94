//! Files of one table whose columns differ.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    LargeStringArray, NullArray, StringArray, StringViewArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;

use super::shelf::{Shelf, ints, parquet};

fn int32s(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
    let values = Decimal128Array::from(values.to_vec());
    Arc::new(values.with_precision_and_scale(precision, scale).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn differing_files_are_one_table() {
    let shelf = Shelf::new().await;
    shelf.put(
        "a.parquet",
        &parquet(vec![
            ("id", int32s(&[1, 2])),
            ("price", decimals(&[150, 275], 9, 2)),
            ("day", Arc::new(Date32Array::from(vec![0, 1]))),
            ("note", texts(&["x", "y"])),
            (
                "code",
                Arc::new(DictionaryArray::<Int32Type>::from_iter(["k", "l"])),
            ),
        ]),
    );
    shelf.put(
        "b.parquet",
        &parquet(vec![
            ("note", Arc::new(LargeStringArray::from(vec!["z"]))),
            ("day", Arc::new(TimestampMillisecondArray::from(vec![1500]))),
            ("price", decimals(&[12345], 12, 4)),
            ("id", ints([1 << 40])),
            ("code", Arc::new(StringViewArray::from(vec!["m"]))),
            ("extra", ints([7])),
        ]),
    );
    shelf.put(
        "c.parquet",
        &parquet(vec![
            ("id", int32s(&[3])),
            ("note", Arc::new(NullArray::new(1))),
            (
                "day",
                Arc::new(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC")),
            ),
        ]),
    );
    assert_eq!(
        shelf
            .rows("SELECT id, price, note, code, extra FROM t ORDER BY id")
            .await,
        [
            "1,1.5000,x,k,NULL",
            "2,2.7500,y,l,NULL",
            "3,NULL,NULL,NULL,NULL",
            "1099511627776,1.2345,z,m,7",
        ]
    );
    assert_eq!(
        shelf
            .rows("SELECT id, CAST(day AS BIGINT) FROM t ORDER BY id")
            .await,
        ["1,0", "2,86400000000000", "3,1", "1099511627776,1500000000"]
    );
    // Also where a row group could be left out.
    for (filter, ids) in [
        ("id > 2", vec!["1099511627776", "3"]),
        ("price = 1.5", vec!["1"]),
        ("price < 1.5", vec!["1099511627776"]),
        ("note = 'z'", vec!["1099511627776"]),
        ("extra IS NULL AND code = 'l'", vec!["2"]),
        ("extra IS NULL AND id = 3", vec!["3"]),
        (
            "day >= TIMESTAMP '1970-01-01T00:00:01Z' AND id < 9",
            vec!["2"],
        ),
    ] {
        let sql = format!("SELECT CAST(id AS VARCHAR) AS id FROM t WHERE {filter} ORDER BY id");
        assert_eq!(shelf.rows(&sql).await, ids, "{filter}");
    }
    assert_eq!(
        shelf
            .rows("SELECT min(id), max(id), count(extra) FROM t")
            .await,
        ["1,1099511627776,1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_columns_are_had_from_each_file_or_not_at_all() {
    let mut shelf = Shelf::new().await;
    shelf.put(
        "a.parquet",
        &parquet(vec![
            ("id", int32s(&[1])),
            ("price", decimals(&[150], 9, 2)),
        ]),
    );
    shelf.put(
        "b.parquet",
        &parquet(vec![
            (
                "price",
                Arc::new(Float64Array::from(vec![0.1, 2.5])) as ArrayRef,
            ),
            ("id", ints([2, 3])),
            ("note", texts(&["x", "y"])),
        ]),
    );
    shelf.columns(&["note string", "price decimal(10,2)", "id int32"]);
    assert_eq!(
        shelf.rows("SELECT * FROM t ORDER BY id").await,
        ["NULL,1.50,1", "x,0.10,2", "y,2.50,3"]
    );
    // Values that have no place in the declared type.
    shelf.put("c.parquet", &parquet(vec![("id", ints([1 << 31]))]));
    shelf
        .fails(
            "SELECT sum(id) FROM t",
            &["column `id` is Int32", "2147483648"],
        )
        .await;
    shelf.put(
        "c.parquet",
        &parquet(vec![("id", ints([4])), ("price", decimals(&[1005], 9, 3))]),
    );
    shelf
        .fails("SELECT sum(price) FROM t", &["column `price`", "1.005"])
        .await;
    shelf
        .fails(
            "SELECT count(*) FROM t WHERE price > 1",
            &["column `price`", "1.005"],
        )
        .await;
    assert_eq!(shelf.rows("SELECT sum(id) FROM t").await, ["10"]);
    // Types that never fit, and columns that no file has.
    shelf.put("c.parquet", &parquet(vec![("id", texts(&["4"]))]));
    shelf
        .fails(
            "SELECT sum(id) FROM t",
            &["column `id`", "Int32", "Utf8", "/t/c.parquet"],
        )
        .await;
    shelf.remove("c.parquet");
    shelf.columns(&["id int32", "Note string"]);
    shelf
        .fails(
            "SELECT * FROM t",
            &["declared column `Note`", "did you mean `note`?"],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_no_type_holds_are_named() {
    let shelf = Shelf::new().await;
    shelf.put("a.parquet", &parquet(vec![("id", ints([1]))]));
    shelf.put("b.parquet", &parquet(vec![("id", texts(&["1"]))]));
    let words = [
        "column `id`",
        "Int64",
        "/t/a.parquet",
        "Utf8",
        "/t/b.parquet",
    ];
    shelf.fails("SELECT * FROM t", &words).await;
}
