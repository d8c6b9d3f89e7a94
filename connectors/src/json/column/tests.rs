//! What becomes of values in columns of all types.

use datafusion::arrow::datatypes::{IntervalUnit, TimeUnit};
use datafusion::arrow::util::display::array_value_to_string;
use emporia_core::catalog::parse_type;

use super::*;

fn column(type_name: &str) -> Column {
    let data_type = parse_type(type_name).unwrap();
    Column::new(&Field::new("c", data_type, true)).unwrap()
}

/// What becomes of one value in a column: its text, or the fault.
fn read(column: &mut Column, json: &str) -> String {
    match column.append(&mut Cursor::new(json)) {
        Ok(()) => {
            let array = column.finish().unwrap();
            match array.logical_nulls().is_some_and(|n| n.is_null(0)) {
                true => "NULL".to_owned(),
                false => array_value_to_string(&array, 0).unwrap(),
            }
        }
        Err(Fault::Value(text)) => {
            column.truncate(0);
            text
        }
        Err(Fault::Syntax(error)) => error.what.to_owned(),
    }
}

#[test]
fn a_value_is_exactly_one_of_its_type_or_refused() {
    for (type_name, json, expected) in [
        ("int64", "10.75", "`10.75` is not int64"),
        ("int64", "2.9", "`2.9` is not int64"),
        ("int64", "1e3", "1000"),
        ("int64", "9223372036854775807", "9223372036854775807"),
        (
            "int64",
            "9223372036854775808",
            "`9223372036854775808` is not int64",
        ),
        ("int64", "\"17\"", "17"),
        ("int64", "\"seventeen\"", "`\"seventeen\"` is not int64"),
        ("int64", "\" 17\"", "`\" 17\"` is not int64"),
        ("int64", "\"\"", "`\"\"` is not int64"),
        ("int64", "true", "`true` is not int64"),
        ("int64", "[1]", "`[1]` is not int64"),
        ("int64", "{\"a\": 1}", "`{\"a\": 1}` is not int64"),
        ("int64", "null", "NULL"),
        ("int32", "2147483647", "2147483647"),
        ("int32", "-2147483648", "-2147483648"),
        ("int32", "2147483648", "`2147483648` is not int32"),
        (
            "float64",
            "9007199254740993",
            "`9007199254740993` is not float64",
        ),
        ("float64", "0.1", "0.1"),
        ("float64", "\"NaN\"", "NaN"),
        ("float64", "\"-Infinity\"", "-inf"),
        ("float64", "1e999", "`1e999` is not float64"),
        ("decimal(18,2)", "12.5", "12.50"),
        ("decimal(18,2)", "\"12.5\"", "12.50"),
        ("decimal(18,2)", "12.345", "`12.345` is not decimal(18,2)"),
        ("decimal(4,2)", "100", "`100` is not decimal(4,2)"),
        ("string", "12.50", "12.50"),
        ("string", "1e3", "1e3"),
        ("string", "false", "false"),
        ("string", "[1, {\"a\": null}]", "[1, {\"a\": null}]"),
        ("string", "\"\"", ""),
        ("string", "\"null\"", "null"),
        ("bool", "true", "true"),
        ("bool", "1", "`1` is not bool"),
        ("bool", "\"true\"", "`\"true\"` is not bool"),
        ("date", "\"2024-02-29\"", "2024-02-29"),
        ("date", "\"2023-02-29\"", "`\"2023-02-29\"` is not date"),
        (
            "date",
            "\"2024-02-29T10:00:00\"",
            "`\"2024-02-29T10:00:00\"` is not date",
        ),
        ("date", "20240229", "`20240229` is not date"),
        (
            "timestamp",
            "\"2024-02-29T10:00:00.5+01:00\"",
            "2024-02-29T09:00:00.500Z",
        ),
        ("timestamp", "1709200800", "`1709200800` is not timestamp"),
        ("binary", "\"00fF\"", "00ff"),
        ("binary", "\"0\"", "`\"0\"` is not binary"),
        ("list(int64)", "[]", "[]"),
        ("list(int64)", "[1, null, 3.0]", "[1, , 3]"),
        ("list(int64)", "[1, 2.5]", "`2.5` is not int64"),
        ("list(int64)", "1", "`1` is not list(int64)"),
        ("list(int64)", "null", "NULL"),
        (
            "struct(a int64, b string)",
            "{\"b\": \"x\", \"c\": [1]}",
            "{a: , b: x}",
        ),
        (
            "struct(a int64)",
            "{\"a\": 1.5}",
            "`1.5` is not int64 (field `a`)",
        ),
        (
            "struct(a int64)",
            "{\"a\": 1, \"a\": 2}",
            "the key `a` occurs twice",
        ),
        ("struct(a int64)", "[1]", "`[1]` is not struct(a int64)"),
        (
            "map(string, int64)",
            "{\"x\": 1, \"y\": null}",
            "{x: 1, y: }",
        ),
        (
            "map(string, int64)",
            "{\"x\": 1, \"x\": 2}",
            "a key of a map occurs twice",
        ),
    ] {
        assert_eq!(
            read(&mut column(type_name), json),
            expected,
            "{type_name} {json}"
        );
    }
}

#[test]
fn null_and_empty_are_told_apart_at_every_level() {
    let mut column = column("list(struct(a list(int64)))");
    for json in [
        "null",
        "[]",
        "[null]",
        "[{}]",
        "[{\"a\": null}]",
        "[{\"a\": []}]",
        "[{\"a\": [null]}]",
    ] {
        column.append(&mut Cursor::new(json)).unwrap();
    }
    let array = column.finish().unwrap();
    assert_eq!(array.null_count(), 1);
    let rows = (1..7).map(|n| array_value_to_string(&array, n).unwrap());
    let rows = rows.collect::<Vec<_>>();
    assert_eq!(
        rows,
        ["[]", "[]", "[{a: }]", "[{a: }]", "[{a: []}]", "[{a: []}]"]
    );
}

#[test]
fn a_fault_in_the_middle_leaves_no_trace() {
    let mut column = column("list(struct(a map(string, list(int64)), b string))");
    let good = "[{\"a\": {\"k\": [1, 2]}, \"b\": \"x\"}, null]";
    column.append(&mut Cursor::new(good)).unwrap();
    for bad in [
        "[{\"b\": \"y\", \"a\": {\"k\": [1, 2.5]}}]",
        "[{\"a\": {\"k\": [1], \"k\": [2]}}]",
        "[{\"a\": {\"k\": [1], \"l\": [2]}, \"b\": \"y\"}, {\"a\": 1}]",
    ] {
        assert!(column.append(&mut Cursor::new(bad)).is_err(), "{bad}");
        column.truncate(1);
    }
    column.append(&mut Cursor::new(good)).unwrap();
    let array = column.finish().unwrap();
    let rows = [0, 1].map(|n| array_value_to_string(&array, n).unwrap());
    assert_eq!(rows[0], rows[1]);
    assert_eq!(column.len(), 0);
}

#[test]
fn types_of_results_are_built_too() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for (data_type, json, expected) in [
        (DataType::Utf8View, "\"x\"", "x"),
        (DataType::LargeUtf8, "\"x\"", "x"),
        (dictionary, "\"x\"", "x"),
        (DataType::Int8, "-128", "-128"),
        (DataType::Int8, "128", "`128` is not int32"),
        (
            DataType::UInt64,
            "18446744073709551615",
            "18446744073709551615",
        ),
        (DataType::UInt8, "256", "`256` is not UInt8"),
        (DataType::Float32, "0.1", "0.1"),
        (DataType::Float16, "0.5", "0.5"),
        (DataType::Float16, "70000", "`70000` is not Float16"),
        (DataType::Decimal32(9, 2), "1.25", "1.25"),
        (DataType::Decimal64(18, 2), "1.25", "1.25"),
        (DataType::Decimal256(76, 2), "1.25", "1.25"),
        (
            DataType::Date64,
            "\"2024-02-29T00:00:00\"",
            "2024-02-29T00:00:00",
        ),
        (
            DataType::Time64(TimeUnit::Nanosecond),
            "\"01:02:03.5\"",
            "01:02:03.500",
        ),
        (
            DataType::Time32(TimeUnit::Second),
            "\"01:02:03\"",
            "01:02:03",
        ),
        (
            DataType::Timestamp(TimeUnit::Second, None),
            "\"2024-02-29T00:00:00\"",
            "2024-02-29T00:00:00",
        ),
        (DataType::FixedSizeBinary(2), "\"00ff\"", "00ff"),
        (
            DataType::FixedSizeBinary(2),
            "\"00\"",
            "`\"00\"` is not FixedSizeBinary(2)",
        ),
        (
            DataType::new_large_list(DataType::Int64, true),
            "[1]",
            "[1]",
        ),
        (
            DataType::new_fixed_size_list(DataType::Int64, 2, true),
            "[1, 2]",
            "[1, 2]",
        ),
        (
            DataType::new_fixed_size_list(DataType::Int64, 2, true),
            "[1]",
            "a list has other than 2 items",
        ),
        (DataType::Null, "null", "NULL"),
        (DataType::Null, "1", "`1` is not Null"),
    ] {
        let mut column = Column::new(&Field::new("c", data_type.clone(), true)).unwrap();
        assert_eq!(read(&mut column, json), expected, "{data_type} {json}");
    }
    let interval = DataType::Interval(IntervalUnit::DayTime);
    assert!(Column::new(&Field::new("c", interval, true)).is_err());
    let strict = Field::new("item", DataType::Int64, false);
    let mut column = Column::new(&Field::new("c", DataType::List(Arc::new(strict)), true)).unwrap();
    assert_eq!(read(&mut column, "[1, null]"), "a value is missing or null");
}
