//! Filters must select every document that the SQL condition holds for.

use std::str::FromStr;

use datafusion::arrow::array::{
    Array, AsArray, BooleanArray, Datum, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    Scalar, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::kernels::cmp;
use datafusion::arrow::datatypes::{DataType, Field};
use emporia_core::contract;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Decimal128, RawDocumentBuf};
use proptest::prelude::*;

use super::super::decode::Decoder;
use super::super::evaluate::selects;
use super::*;

const COMPARISONS: [Comparison; 5] = [
    Comparison::Equal,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

/// The values of a column in a document, among them those at the edges of types.
fn value() -> impl Strategy<Value = Bson> {
    let number = prop_oneof![
        (-4_i32..4).prop_map(Bson::Int32),
        (-4_i64..4).prop_map(Bson::Int64),
        prop_oneof![
            Just(9_007_199_254_740_992_i64),
            Just(9_007_199_254_740_993),
            Just(i64::MAX)
        ]
        .prop_map(Bson::Int64),
        prop_oneof![
            Just(-2.5),
            Just(19.99),
            Just(-0.0),
            Just(0.0),
            Just(3.0),
            Just(0.1),
            Just(f64::NAN),
            Just(-f64::NAN),
            Just(f64::INFINITY),
            Just(9_007_199_254_740_992.0),
        ]
        .prop_map(Bson::Double),
        prop_oneof![
            Just("19.99"),
            Just("19.990"),
            Just("3"),
            Just("0.1"),
            Just("-2.50"),
            Just("9007199254740993")
        ]
        .prop_map(|text| Bson::Decimal128(Decimal128::from_str(text).unwrap())),
    ];
    let text = prop_oneof![
        Just(""),
        Just("a"),
        Just("ab"),
        Just("a.b"),
        Just("b"),
        Just("3"),
        Just("19.99"),
        Just("true"),
        Just("65f000000000000000000001"),
        Just("1970-01-01T00:00:00.002Z"),
        Just("[1]"),
    ]
    .prop_map(Bson::from);
    let scalar = prop_oneof![
        4 => number,
        4 => text,
        2 => (-3_i64..3).prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
        1 => any::<bool>().prop_map(Bson::Boolean),
        1 => Just(Bson::ObjectId(ObjectId::from_str("65f000000000000000000001").unwrap())),
        1 => Just(Bson::Null),
    ];
    let array = proptest::collection::vec(scalar.clone(), 0..3).prop_map(Bson::Array);
    prop_oneof![12 => scalar, 1 => array]
}

/// A column with the constants that it is compared with.
#[derive(Debug, Clone)]
struct Case {
    data_type: DataType,
    literals: Vec<Literal>,
}

fn cases() -> Vec<Case> {
    let texts = [
        "",
        "a",
        "ab",
        "3",
        "3.0",
        "19.99",
        "true",
        "65f000000000000000000001",
        "[1]",
    ];
    let texts = texts.iter().chain(&["1970-01-01T00:00:00.002Z", "NaN"]);
    let case = |data_type: DataType, literals: Vec<Literal>| Case {
        data_type,
        literals,
    };
    vec![
        case(
            DataType::Utf8,
            texts.map(|t| Literal::Text((*t).to_owned())).collect(),
        ),
        case(
            DataType::Int64,
            [
                -1,
                0,
                3,
                9_007_199_254_740_992,
                9_007_199_254_740_993,
                i64::MAX,
            ]
            .map(Literal::Integer)
            .to_vec(),
        ),
        case(
            DataType::Float64,
            [
                -2.5,
                -0.0,
                0.0,
                3.0,
                19.99,
                0.1,
                9_007_199_254_740_992.0,
                f64::INFINITY,
                f64::NAN,
            ]
            .map(Literal::Double)
            .to_vec(),
        ),
        case(
            DataType::Decimal128(20, 2),
            [-250, 0, 300, 1999, 1998, 2000, 10, 900_719_925_474_099_300]
                .map(|value| Literal::Decimal { value, scale: 2 })
                .to_vec(),
        ),
        case(
            DataType::Boolean,
            vec![Literal::Bool(true), Literal::Bool(false)],
        ),
        case(
            contract::timestamp(),
            [-1001, -1000, 0, 999, 1000, 1001, 2000]
                .map(Literal::Time)
                .to_vec(),
        ),
    ]
}

/// What the table says the column of `document` is; `None` where it cannot be read.
fn decoded(column: &Column, malformed: Malformed, document: &Document) -> Option<RecordBatch> {
    let raw = RawDocumentBuf::try_from(document).unwrap();
    let columns = std::slice::from_ref(column);
    let mut decoder = Decoder::new("shop.things", columns, malformed, 10).unwrap();
    decoder.append(&raw).ok()?;
    decoder.finish().unwrap()
}

fn constant(literal: &Literal) -> Scalar<std::sync::Arc<dyn Array>> {
    let array: std::sync::Arc<dyn Array> = match literal {
        Literal::Text(v) => std::sync::Arc::new(StringArray::from(vec![v.clone()])),
        Literal::Integer(v) => std::sync::Arc::new(Int64Array::from(vec![*v])),
        Literal::Double(v) => std::sync::Arc::new(Float64Array::from(vec![*v])),
        Literal::Decimal { value, scale } => std::sync::Arc::new(
            Decimal128Array::from(vec![*value])
                .with_precision_and_scale(20, *scale)
                .unwrap(),
        ),
        Literal::Bool(v) => std::sync::Arc::new(BooleanArray::from(vec![*v])),
        Literal::Time(v) => std::sync::Arc::new(
            TimestampMicrosecondArray::from(vec![*v]).with_data_type(contract::timestamp()),
        ),
    };
    Scalar::new(array)
}

/// Whether the condition holds by Arrow's rules, which are DataFusion's.
fn holds(predicate: &Predicate, row: &dyn Array) -> bool {
    let compare = |comparison: Comparison, literal: &Literal| {
        let constant = constant(literal);
        let (row, constant): (&dyn Datum, &dyn Datum) = (&row, &constant);
        let result = match comparison {
            Comparison::Equal => cmp::eq(row, constant),
            Comparison::Less => cmp::lt(row, constant),
            Comparison::LessOrEqual => cmp::lt_eq(row, constant),
            Comparison::Greater => cmp::gt(row, constant),
            Comparison::GreaterOrEqual => cmp::gt_eq(row, constant),
        }
        .unwrap();
        result.is_valid(0) && result.value(0)
    };
    match predicate {
        Predicate::All(parts) => parts.iter().all(|part| holds(part, row)),
        Predicate::Any(parts) => parts.iter().any(|part| holds(part, row)),
        Predicate::Compare(_, comparison, literal) => compare(*comparison, literal),
        Predicate::OneOf(_, literals) => literals.iter().any(|l| compare(Comparison::Equal, l)),
        Predicate::StartsWith(_, prefix) => {
            row.is_valid(0) && row.as_string::<i32>().value(0).starts_with(prefix)
        }
        Predicate::IsNull(_) => row.is_null(0),
        Predicate::IsNotNull(_) => row.is_valid(0),
    }
}

fn predicate(literals: &[Literal], is_text: bool) -> BoxedStrategy<Predicate> {
    let literal = proptest::sample::select(literals.to_vec());
    let compare = (
        proptest::sample::select(COMPARISONS.to_vec()),
        literal.clone(),
    )
        .prop_map(|(comparison, literal)| Predicate::Compare(0, comparison, literal));
    let one_of = proptest::collection::vec(literal, 1..4).prop_map(|l| Predicate::OneOf(0, l));
    let prefix = proptest::sample::select(vec!["", "a", "a.", "3", "19"])
        .prop_map(|prefix| Predicate::StartsWith(0, prefix.to_owned()));
    let leaf = prop_oneof![
        6 => compare,
        2 => one_of,
        u32::from(is_text) * 2 + 1 => if is_text { prefix.boxed() } else { Just(Predicate::IsNull(0)).boxed() },
        1 => Just(Predicate::IsNull(0)),
        1 => Just(Predicate::IsNotNull(0)),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let parts = proptest::collection::vec(inner, 1..3);
        prop_oneof![
            parts.clone().prop_map(Predicate::All),
            parts.prop_map(Predicate::Any)
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_row_that_the_condition_holds_for_is_left_out(
        (case, predicate) in proptest::sample::select(cases()).prop_flat_map(|case| {
            let predicate = predicate(&case.literals, case.data_type == DataType::Utf8);
            (Just(case), predicate)
        }),
        value in proptest::option::weighted(0.95, value()),
        is_nested in any::<bool>(),
        stored in proptest::sample::select(vec![Stored::Any, Stored::Native, Stored::Text, Stored::ObjectId]),
        malformed in proptest::sample::select(vec![Malformed::Error, Malformed::Null]),
    ) {
        if stored == Stored::ObjectId && case.data_type != DataType::Utf8 {
            return Ok(());
        }
        let path = if is_nested { "a.b" } else { "a" };
        let field = Field::new("c", case.data_type, true);
        let column = Column::new(&field, path, stored).unwrap();
        let document = match (value, is_nested) {
            (None, _) => doc! {},
            (Some(value), false) => doc! { "a": value },
            (Some(value), true) => doc! { "a": { "b": value } },
        };
        // Documents that cannot be read are an error wherever they are met.
        let Some(batch) = decoded(&column, malformed, &document) else {
            return Ok(());
        };
        let filter = predicate.to_filter(std::slice::from_ref(&column), malformed);
        let is_selected = filter.as_ref().is_none_or(|filter| selects(filter, &document));
        let is_wanted = holds(&predicate, batch.column(0).as_ref());
        prop_assert!(is_selected || !is_wanted, "{:?} does not select {document}", filter);
    }
}

fn column(data_type: DataType, stored: Stored) -> Column {
    Column::new(&Field::new("c", data_type, true), "c", stored).unwrap()
}

fn filter(column: &Column, predicate: &Predicate) -> String {
    let filter = predicate.to_filter(std::slice::from_ref(column), Malformed::Error);
    filter.map_or_else(|| "everything".to_owned(), |f| f.to_string())
}

fn compare(comparison: Comparison, literal: Literal) -> Predicate {
    Predicate::Compare(0, comparison, literal)
}

#[test]
fn a_plain_word_is_looked_up_directly() {
    let word = compare(Comparison::Equal, Literal::Text("Berlin".to_owned()));
    for stored in [Stored::Any, Stored::Native, Stored::Text, Stored::ObjectId] {
        let text = column(DataType::Utf8, stored);
        assert_eq!(filter(&text, &word), r#"{ "c": "Berlin" }"#, "{stored:?}");
    }
    let number = compare(Comparison::Equal, Literal::Text("12".to_owned()));
    assert_eq!(
        filter(&column(DataType::Utf8, Stored::Any), &number),
        r#"{ "$or": [{ "c": "12" }, { "c": { "$type": "number" } }] }"#
    );
}

#[test]
fn values_of_other_types_are_let_pass_unless_excluded() {
    let later = compare(Comparison::Greater, Literal::Time(5000));
    let native = column(contract::timestamp(), Stored::Native);
    assert!(!filter(&native, &later).contains("string"));
    let any = column(contract::timestamp(), Stored::Any);
    assert!(filter(&any, &later).contains(r#"{ "c": { "$type": "string" } }"#));
    let text = column(contract::timestamp(), Stored::Text);
    assert_eq!(filter(&text, &later), r#"{ "c": { "$ne": null } }"#);
}

#[test]
fn lists_are_not_compared() {
    let item = std::sync::Arc::new(Field::new("item", DataType::Utf8, true));
    let list = column(DataType::List(item), Stored::Any);
    assert_eq!(filter(&list, &Predicate::IsNotNull(0)), "everything");
    let equal = compare(Comparison::Equal, Literal::Text("x".to_owned()));
    assert_eq!(filter(&list, &equal), "everything");
}
