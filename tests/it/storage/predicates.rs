//! Random rows and predicates over the columns of the contract suite.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use emporia_core::contract;

/// The columns in the words of the catalog file.
pub(super) const COLUMNS: [&str; 9] = [
    "id string",
    "label string",
    "n int32",
    "big int64",
    "price decimal(18,2)",
    "flag bool",
    "day date",
    "ts timestamp",
    "ratio float64",
];

/// Texts that stores get wrong.
const TEXTS: [&str; 10] = [
    "",
    "a",
    "O'Neill",
    "it''s \"quoted\"",
    "Zürich",
    "日本",
    "a#b|c,d",
    "100%_x\\y",
    " padded ",
    "null",
];

pub(super) fn schema() -> SchemaRef {
    let optional = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        optional("label", DataType::Utf8),
        optional("n", DataType::Int32),
        optional("big", DataType::Int64),
        optional("price", contract::money()),
        optional("flag", DataType::Boolean),
        optional("day", DataType::Date32),
        optional("ts", contract::timestamp()),
        optional("ratio", DataType::Float64),
    ]))
}

/// A small random generator, so that a failing seed can be run again.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let n = self.below(of.len() as u64) as usize;
        &of[n]
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(4) > 0).then(|| value(self))
    }

    fn int(&mut self) -> i32 {
        *self.one(&[i32::MIN, -1000, -1, 0, 1, 7, 42, 1000, i32::MAX])
    }

    fn long(&mut self) -> i64 {
        *self.one(&[i64::MIN, -1, 0, 1, 1 << 53, (1 << 53) + 1, i64::MAX])
    }

    fn cents(&mut self) -> i128 {
        *self.one(&[-100, -1, 0, 1, 10, 999, 1_000, 123_456_789])
    }

    fn day(&mut self) -> i32 {
        *self.one(&[-1, 0, 1, 19_000, 20_000])
    }

    fn instant(&mut self) -> i64 {
        // Whole milliseconds: what MongoDB keeps.
        1000 * *self.one(&[-1_i64, 0, 1, 1_700_000_000_000, 1_700_000_000_001])
    }

    fn ratio(&mut self) -> f64 {
        *self.one(&[-1.5, -0.1, 0.0, 0.1, 1.0 / 3.0, 1e300])
    }
}

/// `n` rows with distinct ids, one in four values null.
pub(super) fn rows(n: usize, dice: &mut Dice) -> RecordBatch {
    // Ids of several lengths, so that one is a prefix of another, and with awkward characters.
    let ids = (0..n).map(|i| match i % 4 {
        0 => format!("k{i}"),
        1 => format!("k{}'{i}", i / 8),
        2 => format!("é{i:05}"),
        _ => format!("K-{i:03}#x"),
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.map(Some).collect::<StringArray>()),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(|d| *d.one(&TEXTS)))
                .collect::<StringArray>(),
        ),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(Dice::int))
                .collect::<Int32Array>(),
        ),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(Dice::long))
                .collect::<Int64Array>(),
        ),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(Dice::cents))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(18, 2)
                .unwrap(),
        ),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(|d| d.below(2) == 0))
                .collect::<BooleanArray>(),
        ),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(Dice::day))
                .collect::<Date32Array>(),
        ),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(Dice::instant))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(
            (0..n)
                .map(|_| dice.maybe(Dice::ratio))
                .collect::<Float64Array>(),
        ),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// A predicate in SQL.
pub(super) fn predicate(dice: &mut Dice, depth: u32) -> String {
    match dice.below(if depth == 0 { 6 } else { 9 }) {
        0..=2 => {
            let (column, literal) = comparable(dice);
            let op = *dice.one(&["=", "<>", "<", "<=", ">", ">="]);
            format!("{column} {op} {literal}")
        }
        3 => {
            let (column, first) = comparable(dice);
            let second = literal_of(column, dice);
            let not = *dice.one(&["", "NOT "]);
            format!("{column} {not}IN ({first}, {second})")
        }
        4 => {
            let column = *dice.one(&["label", "n", "price", "flag", "ts", "ratio", "day"]);
            let not = *dice.one(&["", "NOT "]);
            format!("{column} IS {not}NULL")
        }
        5 => match dice.below(3) {
            0 => {
                let (column, low) = comparable(dice);
                let high = literal_of(column, dice);
                format!("{column} BETWEEN {low} AND {high}")
            }
            1 => format!(
                "id LIKE '{}%'",
                dice.one(&["k", "k1", "é", "K-0", "", "x'".trim_end_matches('\'')])
            ),
            _ => format!("label LIKE '%{}%'", dice.one(&["a", "ü", "#", "''"])),
        },
        6 => format!(
            "({} AND {})",
            predicate(dice, depth - 1),
            predicate(dice, depth - 1)
        ),
        7 => format!(
            "({} OR {})",
            predicate(dice, depth - 1),
            predicate(dice, depth - 1)
        ),
        _ => format!("NOT ({})", predicate(dice, depth - 1)),
    }
}

fn comparable(dice: &mut Dice) -> (&'static str, String) {
    let column = *dice.one(&[
        "id", "id", "label", "n", "big", "price", "flag", "day", "ts", "ratio",
    ]);
    (column, literal_of(column, dice))
}

fn literal_of(column: &str, dice: &mut Dice) -> String {
    match column {
        "id" => {
            let n = dice.below(60);
            let text = dice
                .one(&[format!("k{n}"), format!("é{n:05}"), format!("K-{n:03}#x")])
                .clone();
            quoted(&text)
        }
        "label" => quoted(dice.one::<&str>(&TEXTS)),
        "n" => dice.int().to_string(),
        "big" => match dice.long() {
            i64::MIN => "CAST('-9223372036854775808' AS BIGINT)".to_owned(),
            value => value.to_string(),
        },
        "price" => {
            let cents = dice.cents();
            let sign = if cents < 0 { "-" } else { "" };
            let cents = cents.abs();
            format!(
                "CAST('{sign}{}.{:02}' AS DECIMAL(18,2))",
                cents / 100,
                cents % 100
            )
        }
        "flag" => (dice.below(2) == 0).to_string(),
        "day" => format!(
            "DATE '{}'",
            dice.one(&["1969-12-31", "1970-01-01", "2022-01-08"])
        ),
        "ts" => format!(
            "TIMESTAMP '{}'",
            dice.one(&[
                "1970-01-01T00:00:00Z",
                "2023-11-14T22:13:20Z",
                "2023-11-14T22:13:20.001Z"
            ])
        ),
        _ => dice.one(&["0.0", "0.1", "-0.1", "1e300"]).to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
