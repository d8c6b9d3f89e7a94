//! What rows become in documents.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Int32Array, ListArray, ListBuilder, NullArray,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use emporia_core::catalog::TableDef;
use emporia_core::contract;
use mongodb::bson::Document;

use super::super::decode::Decoder;
use super::super::mapping::{Column, Malformed};
use super::*;

fn target(options: &[(&str, &str)]) -> CollectionTarget {
    let mut table = TableDef::new("mongodb", "mongodb:shop.things");
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    table.options = options.iter().map(owned).collect();
    CollectionTarget::of(&table).unwrap()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

fn documents(options: &[(&str, &str)], batch: &RecordBatch) -> Result<Vec<Document>> {
    let encoder = Encoder::new(&target(options), &batch.schema())?;
    let encoded = encoder.encode(batch)?;
    Ok(encoded
        .iter()
        .map(|row| Document::try_from(row.document.clone()).unwrap())
        .collect())
}

fn texts(options: &[(&str, &str)], batch: &RecordBatch) -> Vec<String> {
    let documents = documents(options, batch).unwrap();
    documents.iter().map(ToString::to_string).collect()
}

fn complaint(options: &[(&str, &str)], batch: &RecordBatch) -> String {
    match documents(options, batch) {
        Ok(documents) => format!("{documents:?}"),
        Err(e) => format!("{e}; {}", e.hint().unwrap_or("no hint")),
    }
}

fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn times(micros: &[i64]) -> ArrayRef {
    let array = TimestampMicrosecondArray::from(micros.to_vec());
    Arc::new(array.with_data_type(contract::timestamp()))
}

fn money(cents: &[i128]) -> ArrayRef {
    let array = Decimal128Array::from(cents.to_vec());
    Arc::new(array.with_precision_and_scale(18, 2).unwrap())
}

#[test]
fn rows_become_documents_without_null() {
    let rows = batch(vec![
        ("user_id", strings(&[Some("u1"), Some("u2")])),
        ("city", strings(&[Some("Rome"), None])),
        ("zip", Arc::new(Int32Array::from(vec![Some(12), None]))),
        ("spent", money(&[1999, 0])),
        ("ts", times(&[1_000_000, 2_000])),
    ]);
    let options = [
        ("key", "user_id"),
        ("column.city", "address.city"),
        ("column.zip", "address.zip"),
    ];
    assert_eq!(
        texts(&options, &rows),
        [
            "{ \"_id\": \"u1\", \"address\": { \"city\": \"Rome\", \"zip\": 12 }, \"spent\": 19.99, \
             \"ts\": DateTime(\"1970-01-01 0:00:01.0 +00:00:00\") }",
            "{ \"_id\": \"u2\", \"spent\": 0.00, \
             \"ts\": DateTime(\"1970-01-01 0:00:00.002 +00:00:00\") }"
        ]
    );
}

#[test]
fn several_key_columns_are_joined_unambiguously() {
    let rows = batch(vec![
        ("a", strings(&[Some("x|y"), Some("x"), Some(r"x\")])),
        ("b", Arc::new(Int32Array::from(vec![1, 2, 3]))),
        ("c", strings(&[Some("z"), Some("y|z"), Some("|")])),
    ]);
    let documents = documents(&[("key", "a, c, b")], &rows).unwrap();
    let ids: Vec<_> = documents
        .iter()
        .map(|d| d.get_str("_id").unwrap())
        .collect();
    assert_eq!(ids, [r"x\|y|z|1", r"x|y\|z|2", r"x\\|\||3"]);
    assert_eq!(documents[1].get_i32("b").unwrap(), 2);
}

#[test]
fn values_are_stored_as_text_or_object_ids_where_that_is_asked_for() {
    let rows = batch(vec![
        ("_id", strings(&[Some("65f000000000000000000001")])),
        ("price", money(&[-5])),
        ("ts", times(&[1_234_567])),
    ]);
    let options = [
        ("stored._id", "objectid"),
        ("stored.price", "text"),
        ("stored.ts", "text"),
    ];
    assert_eq!(
        texts(&options, &rows),
        [
            "{ \"_id\": ObjectId(\"65f000000000000000000001\"), \"price\": \"-0.05\", \
          \"ts\": \"1970-01-01T00:00:01.234567Z\" }"
        ]
    );
    let wrong = batch(vec![("_id", strings(&[Some("u1")]))]);
    assert!(complaint(&options[..1], &wrong).contains("`u1` is not an ObjectId"));
}

#[test]
fn what_would_be_lost_is_refused() {
    let id = || ("_id", strings(&[Some("r1")]));
    let check = |column: ArrayRef, expected: &str| {
        let text = complaint(&[], &batch(vec![id(), ("x", column)]));
        assert!(text.contains(expected), "{text}");
    };
    check(
        times(&[1_500]),
        "column `x` of the row with the key `r1` cannot be written to `shop.things`: a date of \
         MongoDB has milliseconds, 1970-01-01T00:00:00.001500Z has more digits; round it",
    );
    let nanos = Arc::new(TimestampNanosecondArray::from(vec![1]));
    check(nanos, "has more digits");
    let wide = Decimal128Array::from(vec![10_i128.pow(37) + 1]);
    let wide = wide.with_precision_and_scale(38, 0).unwrap();
    check(Arc::new(wide), "a decimal of MongoDB has 34 digits");
    check(
        Arc::new(UInt64Array::from(vec![u64::MAX])),
        "MongoDB cannot store",
    );
    let text = complaint(&[], &batch(vec![("_id", strings(&[None]))]));
    assert!(
        text.contains("the key column `_id` is null in a row"),
        "{text}"
    );
}

#[test]
fn types_of_queries_are_stored_as_plain_ones() {
    let keys = Int32Array::from(vec![0]);
    let words = DictionaryArray::<Int32Type>::try_new(keys, strings(&[Some("x")])).unwrap();
    let rows = batch(vec![
        ("_id", Arc::new(UInt64Array::from(vec![7]))),
        ("word", Arc::new(words)),
        ("nothing", Arc::new(NullArray::new(1))),
    ]);
    assert_eq!(texts(&[], &rows), [r#"{ "_id": 7, "word": "x" }"#]);
}

/// A list of carts: one entry, none, null, one entry that is null.
fn carts() -> ArrayRef {
    let fields = contract::cart_entry();
    let entries = StructArray::new(
        fields.clone(),
        vec![
            strings(&[Some("p1"), None]),
            Arc::new(Int32Array::from(vec![Some(2), None])),
            Arc::new(
                Decimal128Array::from(vec![Some(990), None])
                    .with_precision_and_scale(18, 2)
                    .unwrap(),
            ),
        ],
        Some(vec![true, false].into()),
    );
    let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
    let offsets = OffsetBuffer::new(vec![0, 1, 1, 1, 2].into());
    let nulls = Some(vec![true, true, false, true].into());
    Arc::new(ListArray::new(item, offsets, Arc::new(entries), nulls))
}

#[test]
fn documents_are_read_back_as_the_same_rows() {
    let list = |values: Vec<Option<Vec<Option<&str>>>>| {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for value in values {
            match value {
                Some(items) => {
                    items
                        .iter()
                        .for_each(|i| builder.values().append_option(*i));
                    builder.append(true);
                }
                None => builder.append(false),
            }
        }
        Arc::new(builder.finish()) as ArrayRef
    };
    let rows = batch(vec![
        ("id", strings(&[Some("a"), Some("b"), Some("c"), Some("d")])),
        ("price", money(&[1, -1999, 0, 99_999_999_999_999_999])),
        (
            "ts",
            times(&[0, -1000, 1_700_000_000_123_000, 253_402_300_799_999_000]),
        ),
        (
            "n",
            Arc::new(Int32Array::from(vec![
                Some(1),
                None,
                Some(i32::MIN),
                Some(i32::MAX),
            ])),
        ),
        ("cart", carts()),
        (
            "tags",
            list(vec![
                Some(vec![Some("x"), None]),
                None,
                Some(vec![]),
                Some(vec![Some("")]),
            ]),
        ),
    ]);
    let options = [("key", "id"), ("column.n", "deep.er.n")];
    for stored in ["any", "native"] {
        let options = [&options[..], &[("stored", stored)]].concat();
        let target = target(&options);
        let encoder = Encoder::new(&target, &rows.schema()).unwrap();
        let columns: Vec<_> = rows
            .schema()
            .fields()
            .iter()
            .map(|f| Column::new(f, target.path_of(f.name()), target.stored_of(f.name())).unwrap())
            .collect();
        let mut decoder = Decoder::new("shop.things", &columns, Malformed::Error, 100).unwrap();
        for row in encoder.encode(&rows).unwrap() {
            decoder.append(&row.document).unwrap();
        }
        assert_eq!(decoder.finish().unwrap().as_ref(), Some(&rows));
    }
}

#[test]
fn decimals_are_seen_inside_too() {
    let rows = batch(vec![("_id", strings(&[Some("a"); 4])), ("cart", carts())]);
    let has = |options: &[(&str, &str)]| {
        let encoder = Encoder::new(&target(options), &rows.schema()).unwrap();
        encoder.has_decimals()
    };
    assert!(has(&[]));
    assert!(!has(&[("stored.cart", "text")]));
}
