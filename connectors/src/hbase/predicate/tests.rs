//! Whatever rows there are and whatever is asked: no row that the filters want is left out.
//!
//! Random rows are encoded as the writer does, random conditions are judged on the rows as SQL
//! does, and on keys and cells as HBase does.

use std::collections::BTreeMap;

use emporia_hbase::KeyRange;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::definition::mapping_of;
use super::super::escape::printable;
use super::super::mapping::{Mapping, Place};
use super::super::value::{Kind, Scalar};
use super::compare::Comparison;
use super::{CellFilter, Domain, Predicate};

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Integer(i128),
    Float(f64),
    Bytes(Vec<u8>),
}

impl Value {
    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Integer(value) => Scalar::Integer(*value),
            Self::Float(value) => Scalar::Float(*value),
            Self::Bytes(value) => Scalar::Bytes(value),
        }
    }
}

const COLUMNS: [&str; 11] = [
    "u string",
    "n int64",
    "m int32",
    "t timestamp",
    "d date",
    "b binary",
    "x float64",
    "ok bool",
    "p decimal(9,2)",
    "c string",
    "k int64",
];
/// The columns that may be in a key, and so are never null.
const N_KEY_COLUMNS: usize = 5;

const KEYS: [&str; 14] = [
    "u",
    "n",
    "u '#' n",
    "u '~' ordered_int32(m)",
    "d '/' u",
    "hexsalt(u, 4) u '#' reversed(t, 9999999999999, 13) '#' n",
    "salt(u, m, 3) u '\\x00' int32(m)",
    "salt(n, 5) int64(n) u",
    "int64(n) int16(m)",
    "reversed_int64(n) u",
    "padded(n, 4) '|' padded(seconds(t), 10)",
    "fixed(u, 2) n",
    "time(t, '%Y%m%d%H') '-' u",
    "any(1) u '#' n",
];
const STYLES: [&str; 3] = ["text", "bytes", "ordered"];

fn mapping(key: usize, style: usize) -> Mapping {
    let options = [
        ("key", KEYS[key]),
        ("family", "f"),
        ("encoding", STYLES[style]),
        ("column.k", if style == 0 { "bytes" } else { "f:it's text" }),
    ];
    mapping_of(&COLUMNS, &options)
}

fn value(column: usize) -> BoxedStrategy<Value> {
    let integers = |range: std::ops::Range<i128>| range.prop_map(Value::Integer);
    let one_of = |values: &'static [i64]| {
        prop::sample::select(values).prop_map(|value| Value::Integer(value.into()))
    };
    match column {
        0 => "[ab#~]{0,3}"
            .prop_map(|text: String| Value::Bytes(text.into_bytes()))
            .boxed(),
        1 | 10 => prop_oneof![
            integers(-3..12),
            one_of(&[i64::MIN, i64::MAX, 255, 256, 9999, 10_000, -256])
        ]
        .boxed(),
        2 => prop_oneof![
            integers(-3..12),
            one_of(&[i32::MIN as i64, i32::MAX as i64, 40_000])
        ]
        .boxed(),
        3 => prop_oneof![
            integers(-3..3),
            (-2..6_i128).prop_map(|n| Value::Integer(n * 1_000)),
            (-2..6_i128).prop_map(|n| Value::Integer(n * 3_600_000_000)),
            one_of(&[i64::MIN, i64::MAX, 1_741_790_278_123_456])
        ]
        .boxed(),
        4 => prop_oneof![
            integers(-3..3),
            one_of(&[-719_528, 2_932_896, 2_932_897, i32::MAX as i64])
        ]
        .boxed(),
        5 => vec(prop::sample::select(&[0_u8, 1, 39, 255][..]), 0..3)
            .prop_map(Value::Bytes)
            .boxed(),
        6 => prop::sample::select(
            &[
                0.0,
                -0.0,
                1.5,
                -1.5,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                1e300,
                0.1,
            ][..],
        )
        .prop_map(Value::Float)
        .boxed(),
        7 => integers(0..2).boxed(),
        8 => integers(-3..3).boxed(),
        _ => "[a']{0,2}|true|\u{e9}"
            .prop_map(|text: String| Value::Bytes(text.into_bytes()))
            .boxed(),
    }
}

type Row = Vec<Option<Value>>;

fn row() -> impl Strategy<Value = Row> {
    let columns: Vec<_> = (0..COLUMNS.len())
        .map(|column| {
            let value = value(column);
            match column {
                0..N_KEY_COLUMNS => value.prop_map(Some).boxed(),
                _ => prop::option::weighted(0.8, value).boxed(),
            }
        })
        .collect();
    columns
}

#[derive(Debug, Clone)]
enum Condition {
    Compare(usize, Comparison, Value),
    In(usize, Vec<Value>),
    Prefix(String),
    NotNull(usize),
    Unknown,
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

const COMPARISONS: [Comparison; 6] = [
    Comparison::Eq,
    Comparison::NotEq,
    Comparison::Lt,
    Comparison::LtEq,
    Comparison::Gt,
    Comparison::GtEq,
];

fn condition() -> impl Strategy<Value = Condition> {
    let compare = (0..COLUMNS.len()).prop_flat_map(|column| {
        (prop::sample::select(&COMPARISONS[..]), value(column))
            .prop_map(move |(comparison, value)| Condition::Compare(column, comparison, value))
    });
    let list = (0..COLUMNS.len()).prop_flat_map(|column| {
        vec(value(column), 1..4).prop_map(move |values| Condition::In(column, values))
    });
    let leaf = prop_oneof![
        6 => compare,
        2 => list,
        1 => "[ab#~]{0,2}".prop_map(Condition::Prefix),
        1 => (0..COLUMNS.len()).prop_map(Condition::NotNull),
        1 => Just(Condition::Unknown),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            2 => vec(inner.clone(), 1..4).prop_map(Condition::And),
            1 => vec(inner, 1..3).prop_map(Condition::Or),
        ]
    })
}

impl Condition {
    /// As the expressions of DataFusion are understood.
    fn predicate(&self, kinds: &[Kind]) -> Predicate {
        let compared = |column: usize, comparison, value: &Value| {
            Domain::compared(kinds[column], comparison, value.scalar())
                .map_or(Predicate::All, |domain| Predicate::Is(column, domain))
        };
        match self {
            Self::Compare(column, comparison, value) => compared(*column, *comparison, value),
            Self::In(column, values) => {
                Predicate::or(values.iter().map(|v| compared(*column, Comparison::Eq, v)))
            }
            Self::Prefix(prefix) => Predicate::Is(0, Domain::with_prefix(prefix.as_bytes())),
            Self::NotNull(column) => Predicate::Is(*column, Domain::all(kinds[*column])),
            Self::Unknown => Predicate::All,
            Self::And(all) => Predicate::and(all.iter().map(|c| c.predicate(kinds))),
            Self::Or(any) => Predicate::or(any.iter().map(|c| c.predicate(kinds))),
        }
    }

    /// Whether SQL says that it is true; `ieee` where floats compare as in IEEE 754 and not in the
    /// total order.
    fn holds(&self, row: &Row, ieee: bool) -> bool {
        let compare = |column: usize, comparison: Comparison, value: &Value| {
            row[column]
                .as_ref()
                .is_some_and(|found| compares(found, comparison, value, ieee))
        };
        match self {
            Self::Compare(column, comparison, value) => compare(*column, *comparison, value),
            Self::In(column, values) => values
                .iter()
                .any(|value| compare(*column, Comparison::Eq, value)),
            Self::Prefix(prefix) => match &row[0] {
                Some(Value::Bytes(text)) => text.starts_with(prefix.as_bytes()),
                _ => false,
            },
            Self::NotNull(column) => row[*column].is_some(),
            Self::Unknown => true,
            Self::And(all) => all.iter().all(|c| c.holds(row, ieee)),
            Self::Or(any) => any.iter().any(|c| c.holds(row, ieee)),
        }
    }
}

fn compares(found: &Value, comparison: Comparison, value: &Value, ieee: bool) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (found, value) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) if ieee => a.partial_cmp(b),
        (Value::Float(a), Value::Float(b)) => Some(a.total_cmp(b)),
        _ => None,
    };
    match comparison {
        Comparison::Eq => order == Some(Equal),
        Comparison::NotEq => order != Some(Equal),
        Comparison::Lt => order == Some(Less),
        Comparison::LtEq => matches!(order, Some(Less | Equal)),
        Comparison::Gt => order == Some(Greater),
        Comparison::GtEq => matches!(order, Some(Greater | Equal)),
    }
}

type Cells = BTreeMap<String, Vec<u8>>;

/// The key and the cells of a row; `None` where it cannot be written.
fn encode(mapping: &Mapping, row: &Row) -> Option<(Vec<u8>, Cells)> {
    let mut key = Vec::new();
    // A part that means nothing is some byte.
    let mut spec = mapping.clone();
    if !mapping.key.is_writable() {
        let text = KEYS[13].replace("any(1)", "'?'");
        spec.key = mapping_of(&COLUMNS, &[("key", &text), ("family", "f")]).key;
    }
    let value = |column: usize| row[column].as_ref().map(Value::scalar);
    spec.key.encode(value, &mut key).ok()?;
    let mut cells = Cells::new();
    for (column, value) in mapping.columns.iter().zip(row) {
        if let (Place::Cell { cell, encoding }, Some(value)) = (&column.place, value) {
            let mut bytes = Vec::new();
            encoding
                .encode(column.kind, value.scalar(), &mut bytes)
                .ok()?;
            cells.insert(cell.as_str().to_owned(), bytes);
        }
    }
    Some((key, cells))
}

/// What HBase makes of a filter, as far as these tests need its language.
struct Filter<'f> {
    rest: &'f [u8],
}

impl Filter<'_> {
    fn passes(filter: &[u8], cells: &Cells) -> bool {
        let mut parser = Filter { rest: filter };
        let passes = parser.expression(cells);
        assert!(parser.rest.is_empty(), "{}", printable(filter, 999));
        passes
    }

    fn take(&mut self, text: &[u8]) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expression(&mut self, cells: &Cells) -> bool {
        if !self.take(b"(") {
            return self.comparison(cells);
        }
        let mut passes = self.expression(cells);
        let mut operator = None;
        while !self.take(b")") {
            let is_and = self.take(b" AND ");
            assert!(is_and || self.take(b" OR "));
            // One pair of parentheses has operators of one sort.
            assert_eq!(*operator.get_or_insert(is_and), is_and);
            let next = self.expression(cells);
            passes = if is_and {
                passes && next
            } else {
                passes || next
            };
        }
        passes
    }

    fn comparison(&mut self, cells: &Cells) -> bool {
        assert!(
            self.take(b"SingleColumnValueFilter("),
            "{}",
            printable(self.rest, 99)
        );
        let family = self.quoted();
        assert!(self.take(b","));
        let qualifier = self.quoted();
        assert!(self.take(b","));
        type Compare = fn(&[u8], &[u8]) -> bool;
        let operators: [(&[u8], Compare); 6] = [
            (b"<=", |a, b| a <= b),
            (b">=", |a, b| a >= b),
            (b"!=", |a, b| a != b),
            (b"<", |a, b| a < b),
            (b">", |a, b| a > b),
            (b"=", |a, b| a == b),
        ];
        let operator = operators
            .iter()
            .find(|(text, _)| self.take(text))
            .unwrap()
            .1;
        assert!(self.take(b","));
        let value = self.quoted();
        assert!(self.take(b",true,true)"));
        let name = String::from_utf8([family, qualifier].join(&b':')).unwrap();
        let wanted = value.strip_prefix(b"binary:").unwrap();
        cells
            .get(&name)
            .is_some_and(|found| operator(found, wanted))
    }

    fn quoted(&mut self) -> Vec<u8> {
        assert!(self.take(b"'"));
        let mut bytes = Vec::new();
        loop {
            if self.take(b"''") {
                bytes.push(b'\'');
            } else if self.take(b"'") {
                return bytes;
            } else {
                let (first, rest) = self.rest.split_first().unwrap();
                bytes.push(*first);
                self.rest = rest;
            }
        }
    }
}

fn check(key: usize, style: usize, row: &Row, condition: &Condition) -> Result<(), TestCaseError> {
    let mapping = mapping(key, style);
    let Some((bytes, cells)) = encode(&mapping, row) else {
        return Ok(());
    };
    if !condition.holds(row, false) && !condition.holds(row, true) {
        return Ok(());
    }
    let kinds: Vec<_> = mapping.columns.iter().map(|column| column.kind).collect();
    let predicate = condition.predicate(&kinds);
    let ranges = predicate.key_ranges(&mapping.key);
    prop_assert!(
        ranges.iter().any(|range| range.contains(&bytes)),
        "{}: key {} is in none of {:?} of {:?}",
        KEYS[key],
        printable(&bytes, 99),
        ranges,
        predicate
    );
    if let Some(filter) = CellFilter::of(&predicate, &mapping) {
        prop_assert!(
            Filter::passes(&filter.bytes, &cells),
            "{:?} does not pass {}",
            cells,
            printable(&filter.bytes, 999)
        );
        // A row that has them not must not be judged by other columns.
        let names: Vec<_> = filter
            .columns
            .iter()
            .map(|i| mapping.columns[*i].name.clone())
            .collect();
        prop_assert!(!names.is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn no_wanted_row_is_left_out(
        key in 0..KEYS.len(),
        style in 0..STYLES.len(),
        row in row(),
        condition in condition(),
    ) {
        check(key, style, &row, &condition)?;
    }

    #[test]
    fn no_row_is_left_out_by_its_own_values(
        key in 0..KEYS.len(),
        style in 0..STYLES.len(),
        row in row(),
        columns in vec((0..COLUMNS.len(), prop::sample::select(&COMPARISONS[..])), 1..5),
    ) {
        // Conditions that the row itself is at the bounds of.
        let conditions = columns.into_iter().filter_map(|(column, comparison)| {
            let value = row[column].clone()?;
            Some(Condition::Compare(column, comparison, value))
        });
        let conditions: Vec<_> = conditions.filter(|c| c.holds(&row, false)).collect();
        check(key, style, &row, &Condition::And(conditions.clone()))?;
        check(key, style, &row, &Condition::Or(conditions))?;
    }
}

/// The ranges for a condition on `u`, `n` and `t`, as text.
fn ranges(key: &str, condition: &Condition) -> Vec<String> {
    let mapping = mapping_of(&COLUMNS, &[("key", key), ("family", "f")]);
    let kinds: Vec<_> = mapping.columns.iter().map(|column| column.kind).collect();
    let ranges = condition.predicate(&kinds).key_ranges(&mapping.key);
    let shown = |range: &KeyRange| {
        if range.end == emporia_hbase::after(&range.start) {
            printable(&range.start, 99)
        } else {
            format!(
                "{}..{}",
                printable(&range.start, 99),
                printable(&range.end, 99)
            )
        }
    };
    ranges.iter().map(shown).collect()
}

fn text(comparison: Comparison, value: &str) -> Condition {
    Condition::Compare(0, comparison, Value::Bytes(value.as_bytes().to_vec()))
}

fn number(column: usize, comparison: Comparison, value: i128) -> Condition {
    Condition::Compare(column, comparison, Value::Integer(value))
}

#[test]
fn a_fixed_beginning_and_a_range_behind_it_are_one_range() {
    use Comparison::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let key = "u '#' reversed(t, 9999999999999, 13)";
    let user = text(Eq, "u1");
    let check = |conditions: Vec<Condition>, expected: &[&str]| {
        assert_eq!(ranges(key, &Condition::And(conditions)), expected);
    };
    check(vec![user.clone()], &["u1#..u1$"]);
    check(
        vec![user.clone(), number(3, GtEq, 5_000)],
        &["u1#0000000000000..u1#9999999999995"],
    );
    check(
        vec![user.clone(), number(3, Lt, 5_000)],
        &["u1#9999999999995..u1#999999999999:"],
    );
    check(
        vec![user.clone(), number(3, Eq, 5_000)],
        &["u1#9999999999994"],
    );
    check(vec![user.clone(), number(3, Eq, 5_001)], &[]);
    check(vec![user.clone(), text(Eq, "u2")], &[]);
    check(vec![user.clone(), number(1, NotEq, 5)], &["u1#..u1$"]);
    check(vec![number(3, Eq, 5_000)], &[".."]);
    check(
        vec![text(GtEq, "u1"), text(LtEq, "u3"), number(3, Eq, 5)],
        &["u1..u3$"],
    );
    check(vec![text(Gt, "b"), text(Lt, "a")], &[]);
    let users = Condition::In(0, ["u9", "u1"].map(|u| Value::Bytes(u.into())).to_vec());
    check(
        vec![users, number(3, Eq, 0)],
        &["u1#9999999999999", "u9#9999999999999"],
    );
    check(vec![Condition::Prefix("u1".to_owned())], &["u1..u2"]);
    let either = |u: &str, t| Condition::And(vec![text(Eq, u), number(3, Eq, t)]);
    check(
        vec![Condition::Or(vec![either("a", 0), either("b", 1_000)])],
        &["a#9999999999999", "b#9999999999998"],
    );
    check(
        vec![
            Condition::Or(vec![either("a", 0), either("b", 0)]),
            text(Gt, "a"),
        ],
        &["b#9999999999999"],
    );
    check(
        vec![Condition::Or(vec![either("a", 0), Condition::Unknown])],
        &[".."],
    );
}

#[test]
fn a_salt_is_computed_or_all_of_them_are_read() {
    use Comparison::{Eq, GtEq};
    let key = "hexsalt(u, 4) u '#' n";
    let salted = |u: &str| format!("{:02x}{u}", emporia_core::key_hash::of_text(u) % 4);
    assert_eq!(
        ranges(key, &text(Eq, "x")),
        [format!("{}#..{}$", salted("x"), salted("x"))]
    );
    assert_eq!(
        ranges(key, &text(GtEq, "x")),
        ["00x..01", "01x..02", "02x..03", "03x..04"]
    );
    let both = Condition::And(vec![
        Condition::In(0, ["x", "y"].map(|u| Value::Bytes(u.into())).to_vec()),
        number(1, Eq, 7),
    ]);
    let mut expected = [format!("{}#7", salted("x")), format!("{}#7", salted("y"))];
    expected.sort();
    assert_eq!(ranges(key, &both), expected);
}

#[test]
fn negative_numbers_of_native_keys_come_last() {
    use Comparison::{Lt, LtEq};
    let key = "int16(m)";
    assert_eq!(
        ranges(key, &number(2, Lt, 1)),
        ["\\x00\\x00", "\\x80\\x00.."]
    );
    assert_eq!(
        ranges(key, &number(2, LtEq, -2)),
        ["\\x80\\x00..\\xFF\\xFF"]
    );
    assert_eq!(
        ranges("ordered_int16(m)", &number(2, LtEq, -2)),
        ["\\x00\\x00..\\x7F\\xFF"]
    );
}

/// The filter for a condition, as text.
fn filter(style: usize, condition: &Condition) -> Option<String> {
    let mapping = mapping(0, style);
    let kinds: Vec<_> = mapping.columns.iter().map(|column| column.kind).collect();
    CellFilter::of(&condition.predicate(&kinds), &mapping).map(|filter| {
        let text = printable(&filter.bytes, 9999);
        text.replace("SingleColumnValueFilter('f',", "(")
            .replace(",true,true)", ")")
    })
}

#[test]
fn filters_compare_where_bytes_tell_values() {
    use Comparison::{Eq, Gt, Lt, NotEq};
    let check = |style, condition: Condition, expected: Option<&str>| {
        assert_eq!(
            filter(style, &condition).as_deref(),
            expected,
            "{condition:?}"
        );
    };
    let city = |comparison, value: &str| {
        Condition::Compare(9, comparison, Value::Bytes(value.as_bytes().to_vec()))
    };
    check(0, city(Eq, "x"), Some("('c',=,'binary:x')"));
    check(0, city(NotEq, "x"), Some("('c',!=,'binary:x')"));
    check(0, city(Lt, "x"), Some("('c',<,'binary:x')"));
    check(0, city(Gt, "x"), Some("('c',>=,'binary:x\\x00')"));
    check(0, Condition::NotNull(9), Some("('c',>=,'binary:')"));
    // Texts of numbers are in no order, but each number has one.
    check(0, number(2, Eq, 7), Some("('m',=,'binary:7')"));
    check(0, number(2, NotEq, 7), Some("('m',!=,'binary:7')"));
    check(0, number(2, Lt, 7), None);
    check(0, number(8, Eq, 700), None);
    check(0, number(4, Lt, 0), Some("('d',<=,'binary:1969-12-31')"));
    check(
        1,
        number(2, Lt, 1),
        Some("(('m',<=,'binary:\\x00\\x00\\x00\\x00') OR ('m',>=,'binary:\\x80\\x00\\x00\\x00'))"),
    );
    check(
        2,
        number(2, Lt, 1),
        Some("('m',<=,'binary:\\x80\\x00\\x00\\x00')"),
    );
    check(
        1,
        number(3, Gt, 1_500),
        Some(concat!(
            r"(('t',>=,'binary:\x00\x00\x00\x00\x00\x00\x00\x01') AND ",
            r"('t',<=,'binary:\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF'))"
        )),
    );
    // One side of a disjunction alone would lose rows; one side of a conjunction does not.
    check(
        0,
        Condition::Or(vec![city(Eq, "x"), number(8, Eq, 1)]),
        None,
    );
    check(
        0,
        Condition::And(vec![city(Eq, "x"), number(8, Eq, 1)]),
        Some("('c',=,'binary:x')"),
    );
    check(0, text(Eq, "key column"), None);
}

#[test]
fn filters_are_bounded() {
    let city = |n: usize| Value::Bytes(format!("city {n}").into_bytes());
    let list = |n: usize| Condition::In(9, (0..n).map(city).collect());
    assert!(filter(0, &list(200)).is_some());
    assert!(filter(0, &list(201)).is_none());
    let long = Condition::Compare(9, Comparison::Eq, Value::Bytes(vec![b'x'; 70_000]));
    assert!(filter(0, &long).is_none());
    let short = Condition::Compare(2, Comparison::Eq, Value::Integer(7));
    assert_eq!(
        filter(0, &Condition::And(vec![long, short, list(200)])).as_deref(),
        Some("('m',=,'binary:7')")
    );
}

#[test]
fn many_values_leave_parts_of_the_key_open() {
    let users = Condition::In(
        0,
        (0..3000)
            .map(|n| Value::Bytes(format!("{n:04}").into()))
            .collect(),
    );
    assert_eq!(ranges("u '#' n", &users), [".."]);
    // All salts, which are two stretches of bytes.
    assert_eq!(ranges("hexsalt(u, 16) u", &users), ["00..0:", "0a..0g"]);
    let users = Condition::In(
        0,
        (0..100)
            .map(|n| Value::Bytes(format!("{n:02}").into()))
            .collect(),
    );
    let numbers = Condition::In(1, (0..60).map(|n| Value::Integer(n * 2)).collect());
    let both = ranges("u '#' n", &Condition::And(vec![users, numbers]));
    assert_eq!((both.len(), both[0].as_str()), (100, "00#..00$"));
}
