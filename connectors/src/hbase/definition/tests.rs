//! Definitions as people write them.

use arrow::datatypes::DataType;
use emporia_core::catalog::TableDef;
use emporia_core::error::Error;

use super::super::mapping::{Empty, Malformed, Mapping, Place};
use super::Definition;

/// The mapping of a table with these columns and options.
pub(in super::super) fn mapping_of(columns: &[&str], options: &[(&str, &str)]) -> Mapping {
    definition(columns, options).unwrap().mapping
}

fn table(columns: &[&str], options: &[(&str, &str)]) -> TableDef {
    let mut table = TableDef::new("hbase", "hbase:shop:t");
    table.columns = columns.iter().map(|&column| column.to_owned()).collect();
    let options = options
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    table.options = options.collect();
    table
}

fn definition(columns: &[&str], options: &[(&str, &str)]) -> Result<Definition, Error> {
    Definition::parse("t", &table(columns, options))
}

/// `name type place` of each column.
fn described(mapping: &Mapping) -> Vec<String> {
    let columns = mapping.columns.iter().map(|column| {
        let place = match &column.place {
            Place::Key => "key".to_owned(),
            Place::Timestamp => "timestamp".to_owned(),
            Place::Cell { cell, encoding } => format!("{cell} {encoding}"),
        };
        let required = if column.is_required { " required" } else { "" };
        format!("{} {} {place}{required}", column.name, column.data_type)
    });
    columns.collect()
}

fn complaint(table: &TableDef) -> String {
    let error = Definition::parse("t", table).unwrap_err();
    format!("{error}; {}", error.hint().unwrap_or("no hint"))
}

#[test]
fn columns_have_places_and_encodings() {
    let definition = definition(
        &[
            "user string",
            "n int32",
            "price decimal(9,2)",
            "tags list(string)",
            "at timestamp",
            "seen timestamp",
        ],
        &[
            ("key", "user '#' int32(n)"),
            ("family", "d"),
            ("column.price", "m:p bytes"),
            ("column.at", "text(millis)"),
            ("timestamp_column", "seen"),
            ("presence", "m:_"),
            ("malformed", "skip"),
            ("empty", "null"),
            ("rows", "1000"),
            ("scan.splits", "4"),
            ("scan.page_rows", "50"),
            ("scan.cache_blocks", "true"),
            ("write.versions", "3"),
        ],
    );
    let Definition { mapping, scan } = definition.unwrap();
    assert_eq!(mapping.table(), "shop:t");
    assert_eq!(
        described(&mapping),
        [
            "user Utf8 key",
            "n Int32 key",
            "price Decimal128(9, 2) m:p bytes",
            "tags List(Utf8) d:tags json",
            "at Timestamp(µs, \"UTC\") d:at text(millis)",
            "seen Timestamp(µs, \"UTC\") timestamp",
        ]
    );
    assert_eq!(mapping.families(), ["d", "m"]);
    assert_eq!(mapping.presence(), Some("m:_"));
    assert_eq!(
        (mapping.malformed, mapping.empty),
        (Malformed::Skip, Empty::Null)
    );
    assert_eq!((scan.rows, scan.splits), (Some(1000), Some(4)));
    assert_eq!((scan.page_rows, scan.cache_blocks), (Some(50), true));
}

#[test]
fn a_mapping_survives_a_recipe() {
    let key = "hexsalt(u, 16) u '\\x00' reversed(seconds(at), 9223372036854775808, 20) time(day, '%Y%m%d')";
    let columns = [
        "u string",
        "at timestamp",
        "day date",
        "tags list(struct(a string, b int32))",
    ];
    let mapping = mapping_of(
        &columns,
        &[("key", key), ("family", "f"), ("presence", "f:p")],
    );
    let json = serde_json::to_string(&mapping).unwrap();
    assert_eq!(serde_json::from_str::<Mapping>(&json).unwrap(), mapping);
}

#[test]
fn without_a_key_one_text_column_is_the_key() {
    let family = ("family", "f");
    assert_eq!(
        described(&mapping_of(&["n int64"], &[family])),
        ["row_key Utf8 key", "n Int64 f:n text"]
    );
    assert_eq!(
        described(&mapping_of(&["n int64"], &[family, ("row_key", "id")])),
        ["id Utf8 key", "n Int64 f:n text"]
    );
    assert_eq!(
        described(&mapping_of(
            &["n int64", "x string"],
            &[family, ("row_key", "n"), ("encoding", "bytes")]
        )),
        ["n Int64 key", "x Utf8 f:x text"]
    );
}

#[test]
fn what_the_contract_needs_may_not_be_missing() {
    let mut table = table(
        &[],
        &[
            ("family", "f"),
            ("missing", "error"),
            ("row_key", "session_id"),
        ],
    );
    table.contract = Some("sessions".to_owned());
    let mapping = Definition::parse("t", &table).unwrap().mapping;
    let described = described(&mapping);
    assert!(described.contains(&"user_id Utf8 f:user_id text required".to_owned()));
    assert!(described.contains(&"city Utf8 f:city text".to_owned()));
    assert!(described.contains(&"session_id Utf8 key".to_owned()));
    let mapping = mapping_of(&["a string"], &[("family", "f"), ("missing", "error")]);
    assert!(mapping.columns[1].is_required && !mapping.columns[0].is_required);
    assert!(
        mapping
            .schema()
            .fields()
            .iter()
            .all(|field| field.is_nullable())
    );
}

#[test]
fn the_catalog_of_spark_is_read() {
    let catalog = r#"{
        "table": {"namespace": "shop", "name": "t", "tableCoder": "PrimitiveType"},
        "rowkey": "k1:k2",
        "columns": {
            "user": {"cf": "rowkey", "col": "k1", "type": "string", "length": "5"},
            "at":   {"cf": "rowkey", "col": "k2", "type": "bigint"},
            "z":    {"cf": "f", "col": "zz", "type": "double"},
            "city": {"cf": "f", "col": "city", "type": "string"},
            "n":    {"cf": "f", "col": "n", "type": "smallint"}
        }
    }"#;
    let mapping = mapping_of(&[], &[("spark_catalog", catalog)]);
    assert_eq!(
        described(&mapping),
        [
            "user Utf8 key",
            "at Int64 key",
            "z Float64 f:zz bytes(double)",
            "city Utf8 f:city text",
            "n Int16 f:n bytes(short)",
        ]
    );
    let check = |from: &str, to: &str, expected: &str| {
        let changed = catalog.replace(from, to);
        let complaint = complaint(&table(&[], &[("spark_catalog", &changed)]));
        assert!(complaint.contains(expected), "{complaint}");
    };
    check(
        r#""namespace": "shop""#,
        r#""namespace": "x""#,
        "describes the table `x:t`",
    );
    check("PrimitiveType", "Phoenix", "table coder `Phoenix`");
    check(r#", "length": "5""#, "", "needs a length");
    check("k1:k2", "k1", "does not name all columns");
    check("k1:k2", "k1:k2:k3", "rowkey names `k3`");
    check(r#""type": "double""#, r#""avro": "schema""#, "has a coder");
    check("smallint", "money", "`money` is not a column type");
    check("\"rowkey\":", "\"key\":", "missing field `rowkey`");
    let twice = complaint(&table(&["a string"], &[("spark_catalog", catalog)]));
    assert!(twice.contains("and so do columns"), "{twice}");
}

#[test]
fn the_mapping_of_hive_is_read() {
    let hive = |mapping: &str| {
        table(
            &["k int32", "a string", "n int64", "t timestamp"],
            &[("hive_columns_mapping", mapping)],
        )
    };
    let read = |mapping: &str| Definition::parse("t", &hive(mapping)).unwrap().mapping;
    assert_eq!(
        described(&read(":key#b, f:a, f:n#b,:timestamp")),
        [
            "k Int32 key",
            "a Utf8 f:a text",
            "n Int64 f:n bytes(long)",
            "t Timestamp(µs, \"UTC\") timestamp"
        ]
    );
    let check = |mapping: &str, expected: &str| {
        let complaint = complaint(&hive(mapping));
        assert!(complaint.contains(expected), "{complaint}");
    };
    check(":key,f:a", "2 entries for 4 columns");
    check("f:k,f:a,f:n,:timestamp", "has no :key");
    check(":key,f:a,:key,:timestamp", "names :key twice");
    check(":key,f:,f:n,:timestamp", "maps a whole family");
    check(":key,f:a#x,f:n,:timestamp", "unknown storage type");
    check(":key,f:a,:timestamp,f:t", "timestamp column `n`");
}

#[test]
fn mistakes_are_named() {
    let check = |columns: &[&str], options: &[(&str, &str)], expected: &[&str]| {
        let complaint = complaint(&table(columns, options));
        let complete = expected.iter().all(|part| complaint.contains(part));
        assert!(
            complete && complaint.starts_with("table `t`: "),
            "{complaint}"
        );
    };
    let family = ("family", "f");
    check(
        &["a string"],
        &[family, ("familly", "g")],
        &["`familly` is not an option", "`family`"],
    );
    check(
        &["city string"],
        &[family, ("column.citty", "f:c")],
        &["names no column", "`column.city`"],
    );
    check(
        &["a string"],
        &[family, ("key", "a"), ("column.a", "f:a")],
        &["no effect", "part of the key"],
    );
    check(
        &["a string"],
        &[family, ("key", "a"), ("row_key", "a")],
        &["`row_key` has no effect"],
    );
    check(&["a string"], &[], &["column `a` has no family"]);
    check(&[], &[family], &["it has no columns"]);
    check(
        &["a string"],
        &[("column.a", "f:a utf8")],
        &["column `a`: `utf8` is not an encoding"],
    );
    check(
        &["a string"],
        &[family, ("column.a", "json")],
        &["cannot have the encoding `json`", "column `a`"],
    );
    check(
        &["a string"],
        &[family, ("malformed", "keep")],
        &["`error` or `null` or `skip`, not `keep`"],
    );
    check(
        &["a string"],
        &[family, ("scan.splits", "0")],
        &["from 1 to 256, not `0`", "`auto`"],
    );
    check(
        &["a string"],
        &[family, ("timestamp_column", "b")],
        &["timestamp column `b` is not a column"],
    );
    check(
        &["a string"],
        &[family, ("timestamp_column", "a")],
        &["not of the type timestamp"],
    );
    check(
        &["a string", "a int32"],
        &[family],
        &["column `a` is declared twice"],
    );
    check(
        &["a string"],
        &[family, ("presence", "p")],
        &["`family:qualifier`"],
    );
    check(
        &["a string"],
        &[family, ("key", "b")],
        &["a column `b` that the table does not have"],
    );

    let mut table = table(&["a string"], &[family]);
    for (location, expected) in [
        ("hbase:t", Some("t")),
        ("hbase:default:t", Some("t")),
        ("hbase:n:t", Some("n:t")),
        ("hbase:", None),
        ("hbase:a:b:c", None),
        ("hbase:a/b", None),
        ("file:///t", None),
    ] {
        table.location = location.to_owned();
        let found = Definition::parse("t", &table).map(|d| d.mapping.table().to_owned());
        assert_eq!(found.ok().as_deref(), expected, "{location}");
    }
    assert_eq!(
        mapping_of(&["a binary"], &[family]).columns[1].data_type,
        DataType::Binary
    );
}
