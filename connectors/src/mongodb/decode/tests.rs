//! What documents become in columns.

use std::str::FromStr;

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches;
use emporia_core::contract;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Decimal128, Document, RawDocumentBuf, doc};

use super::super::mapping::{Column, Stored};
use super::*;

fn column(name: &str, data_type: DataType, path: &str, stored: Stored) -> Column {
    Column::new(&Field::new(name, data_type, true), path, stored).unwrap()
}

fn decode(columns: &[Column], malformed: Malformed, documents: &[Document]) -> Result<RecordBatch> {
    let mut decoder = Decoder::new("shop.things", columns, malformed, 100)?;
    for document in documents {
        decoder.append(&RawDocumentBuf::try_from(document).unwrap())?;
    }
    Ok(decoder.finish()?.unwrap())
}

/// One column of values, as text.
fn texts(data_type: DataType, stored: Stored, values: &[Bson]) -> Vec<String> {
    let columns = [column("c", data_type, "c", stored)];
    values
        .iter()
        .map(|value| {
            let document = doc! { "_id": 7, "c": value.clone() };
            match decode(&columns, Malformed::Error, &[document]) {
                Ok(batch) => {
                    let options = FormatOptions::default();
                    let options = options.with_null("null");
                    ArrayFormatter::try_new(batch.column(0).as_ref(), &options)
                        .unwrap()
                        .value(0)
                        .to_string()
                }
                Err(_) => "error".to_owned(),
            }
        })
        .collect()
}

fn dec(text: &str) -> Bson {
    Bson::Decimal128(Decimal128::from_str(text).unwrap())
}

#[test]
fn numbers_are_exact_or_refused() {
    let values = [
        Bson::Int32(5),
        Bson::Int64(3_000_000_000),
        Bson::Double(5.0),
        Bson::Double(5.5),
        dec("5.00"),
        dec("5.01"),
        Bson::from("5"),
        Bson::from("x"),
        Bson::Boolean(true),
        Bson::Null,
    ];
    assert_eq!(
        texts(DataType::Int32, Stored::Any, &values),
        [
            "5", "error", "5", "error", "5", "error", "5", "error", "error", "null"
        ]
    );
    assert_eq!(
        texts(DataType::Int64, Stored::Native, &values),
        [
            "5",
            "3000000000",
            "5",
            "error",
            "5",
            "error",
            "error",
            "error",
            "error",
            "null"
        ]
    );
    assert_eq!(
        texts(DataType::Float64, Stored::Any, &values),
        [
            "5.0",
            "3000000000.0",
            "5.0",
            "5.5",
            "5.0",
            "5.01",
            "5.0",
            "error",
            "error",
            "null"
        ]
    );
    assert_eq!(
        texts(DataType::Decimal128(11, 1), Stored::Any, &values),
        [
            "5.0",
            "3000000000.0",
            "5.0",
            "5.5",
            "5.0",
            "error",
            "5.0",
            "error",
            "error",
            "null"
        ]
    );
    let large = [
        Bson::Int64(i64::MAX),
        dec("1E+20"),
        Bson::Double(1e300),
        dec("NaN"),
    ];
    assert_eq!(
        texts(DataType::Float64, Stored::Any, &large),
        ["error", "1e20", "1e300", "NaN"]
    );
    assert_eq!(
        texts(contract::money(), Stored::Any, &large),
        ["error", "error", "error", "error"]
    );
}

#[test]
fn times_are_dates_or_texts() {
    let values = [
        Bson::DateTime(DateTime::from_millis(1_700_000_000_123)),
        Bson::DateTime(DateTime::from_millis(86_400_000)),
        Bson::from("2024-05-06T07:08:09.123456"),
        Bson::from("2024-05-06T07:08:09+02:00"),
        Bson::from("2024-05-06T07:08:09.1234567Z"),
        Bson::from("2024-05-06"),
        Bson::from("soon"),
        Bson::Int64(5),
    ];
    assert_eq!(
        texts(contract::timestamp(), Stored::Any, &values),
        [
            "2023-11-14T22:13:20.123Z",
            "1970-01-02T00:00:00Z",
            "2024-05-06T07:08:09.123456Z",
            "2024-05-06T05:08:09Z",
            "error",
            "2024-05-06T00:00:00Z",
            "error",
            "error"
        ]
    );
    assert_eq!(
        texts(DataType::Date32, Stored::Any, &values),
        [
            "error",
            "1970-01-02",
            "error",
            "error",
            "error",
            "2024-05-06",
            "error",
            "error"
        ]
    );
    assert_eq!(
        texts(contract::timestamp(), Stored::Native, &values[1..3]),
        ["1970-01-02T00:00:00Z", "error"]
    );
}

#[test]
fn text_prints_what_it_finds_unless_it_is_native() {
    let id = ObjectId::from_str("65f000000000000000000001").unwrap();
    let values = [
        Bson::from("x"),
        Bson::ObjectId(id),
        Bson::Int32(5),
        Bson::Double(5.0),
        dec("1.50"),
        Bson::Boolean(false),
        Bson::DateTime(DateTime::from_millis(1)),
        Bson::from(doc! { "a": [1, "x", Bson::Null], "b": dec("1.5") }),
    ];
    assert_eq!(
        texts(DataType::Utf8, Stored::Any, &values),
        [
            "x",
            "65f000000000000000000001",
            "5",
            "5.0",
            "1.50",
            "false",
            "1970-01-01T00:00:00.001Z",
            r#"{"a":[1,"x",null],"b":{"$numberDecimal":"1.5"}}"#
        ]
    );
    let native = texts(DataType::Utf8, Stored::Native, &values);
    assert_eq!(native[0], "x");
    assert!(native[1..].iter().all(|t| t == "error"), "{native:?}");
    let ids = texts(DataType::Utf8, Stored::ObjectId, &values[..3]);
    assert_eq!(ids, ["x", "65f000000000000000000001", "error"]);
}

fn cart() -> DataType {
    let entry = DataType::Struct(contract::cart_entry());
    DataType::List(std::sync::Arc::new(Field::new("item", entry, true)))
}

#[test]
fn nested_values_are_decoded() -> Result<()> {
    let columns = [
        column("city", DataType::Utf8, "address.city", Stored::Any),
        column("zip", DataType::Int32, "address.place.zip", Stored::Any),
        column("cart", cart(), "cart", Stored::Any),
        column(
            "tags",
            DataType::List(std::sync::Arc::new(Field::new(
                "item",
                DataType::Utf8,
                true,
            ))),
            "tags",
            Stored::Any,
        ),
    ];
    let entry = doc! { "price": dec("9.90"), "other": 1, "product_id": "p1", "quantity": 2 };
    let documents = [
        doc! {
            "_id": 1,
            "tags": ["a", Bson::Null],
            "address": { "place": { "zip": 12 }, "city": "Rome" },
            "cart": [entry],
        },
        doc! { "_id": 2, "address": Bson::Null, "cart": [] },
        doc! { "_id": 3, "address": { "place": {} }, "cart": [Bson::Null], "tags": Bson::Null },
    ];
    let batch = decode(&columns, Malformed::Error, &documents)?;
    let expected = "\
+------+-----+-----------------------------------------------+-------+
| city | zip | cart                                          | tags  |
+------+-----+-----------------------------------------------+-------+
| Rome | 12  | [{product_id: p1, quantity: 2, price: 9.90}]  | [a, ] |
|      |     | []                                            |       |
|      |     | []                                            |       |
+------+-----+-----------------------------------------------+-------+";
    let found = pretty_format_batches(std::slice::from_ref(&batch))
        .unwrap()
        .to_string();
    let squeeze = |t: &str| {
        t.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('-', "")
    };
    assert_eq!(squeeze(&found), squeeze(expected), "\n{found}");
    assert_eq!(batch.schema(), mapping::schema_of(&columns));
    Ok(())
}

fn complaint(columns: &[Column], document: Document) -> String {
    match decode(columns, Malformed::Error, &[document]) {
        Ok(_) => "no error".to_owned(),
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Corrupt);
            e.to_string()
        }
    }
}

#[test]
fn misfits_name_document_path_and_types() {
    let columns = [
        column("price", contract::money(), "price", Stored::Any),
        column("cart", cart(), "cart", Stored::Any),
        column("city", DataType::Utf8, "address.city", Stored::Any),
    ];
    assert_eq!(
        complaint(&columns, doc! { "_id": "t-1", "price": "cheap" }),
        "document `t-1` of `shop.things` has string `cheap` at `price`; column `price` expects \
         decimal(18,2)"
    );
    let entry = doc! { "product_id": "p", "quantity": "many", "price": 1 };
    assert_eq!(
        complaint(&columns, doc! { "_id": 5, "cart": [entry] }),
        "document `5` of `shop.things` has string `many` at `cart.0.quantity`; column `cart` \
         expects int32"
    );
    let entry = doc! { "product_id": "p", "price": 1 };
    assert_eq!(
        complaint(&columns, doc! { "_id": 5, "cart": [entry] }),
        "document `5` of `shop.things` has nothing at `cart.0.quantity`; column `cart` expects \
         int32 that is never null"
    );
    assert_eq!(
        complaint(&columns, doc! { "_id": 5, "address": "Rome" }),
        "document `5` of `shop.things` has string in place of the object `address` at \
         `address.city`; column `city` expects string"
    );
    let long = "x".repeat(100);
    assert!(complaint(&columns, doc! { "_id": 5, "price": &long }).contains("xxx…`"));
}

#[test]
fn required_columns_have_values() {
    let field = Field::new("id", DataType::Utf8, false);
    let columns = [Column::new(&field, "user.id", Stored::Any).unwrap()];
    for (document, found) in [
        (doc! { "_id": 1 }, "has nothing at `user.id`"),
        (
            doc! { "_id": 1, "user": { "id": Bson::Null } },
            "has null at `user.id`",
        ),
        (
            doc! { "_id": 1, "user": Bson::Null },
            "has nothing at `user.id`",
        ),
    ] {
        let text = complaint(&columns, document);
        assert!(text.contains(found), "{text}");
    }
}

#[test]
fn malformed_values_become_null_where_that_is_asked_for() -> Result<()> {
    let mut columns = vec![
        column("price", contract::money(), "price", Stored::Any),
        column("cart", cart(), "cart", Stored::Any),
        column("city", DataType::Utf8, "address.city", Stored::Any),
    ];
    columns.iter_mut().for_each(Column::relax);
    let entry = doc! { "product_id": "p", "quantity": "many" };
    let documents = [
        doc! { "_id": 1, "price": "cheap", "cart": [entry, "x"], "address": 5 },
        doc! { "_id": 2, "price": 1.5, "cart": "none", "address": { "city": "Rome" } },
    ];
    let batch = decode(&columns, Malformed::Null, &documents)?;
    let found = pretty_format_batches(&[batch]).unwrap().to_string();
    assert!(
        found.contains("{product_id: p, quantity: , price: }"),
        "{found}"
    );
    assert!(found.contains("1.50"), "{found}");
    Ok(())
}

#[test]
fn batches_end_with_their_size() -> Result<()> {
    let columns = [column("n", DataType::Int32, "n", Stored::Any)];
    let mut decoder = Decoder::new("shop.things", &columns, Malformed::Error, 2)?;
    let mut sizes = Vec::new();
    for n in 0..5 {
        decoder.append(&RawDocumentBuf::try_from(&doc! { "n": n, "n2": 1 }).unwrap())?;
        if decoder.is_full() {
            sizes.extend(decoder.finish()?.map(|b| b.num_rows()));
        }
    }
    sizes.extend(decoder.finish()?.map(|b| b.num_rows()));
    assert_eq!(sizes, [2, 2, 1]);
    assert!(decoder.finish()?.is_none());
    Ok(())
}

#[test]
fn two_columns_may_read_one_place() -> Result<()> {
    let columns = [
        column("all", DataType::Utf8, "a", Stored::Any),
        column("part", DataType::Int32, "a.b", Stored::Any),
    ];
    let batch = decode(&columns, Malformed::Error, &[doc! { "a": { "b": 5 } }])?;
    let found = pretty_format_batches(&[batch]).unwrap().to_string();
    assert!(found.contains(r#"| {"b":5} | 5    |"#), "{found}");
    Ok(())
}

#[test]
fn struct_without_fields_of_the_document_is_no_null() -> Result<()> {
    let fields = Fields::from(vec![Field::new("x", DataType::Int32, true)]);
    let columns = [column("s", DataType::Struct(fields), "s", Stored::Any)];
    let documents = [doc! { "s": {} }, doc! {}];
    let batch = decode(&columns, Malformed::Error, &documents)?;
    assert_eq!(batch.column(0).null_count(), 1);
    Ok(())
}
