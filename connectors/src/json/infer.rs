//! The columns of files that declare none, from every value in them.
//!
//! A type is chosen that has every value of a column exactly; where none but text does, the column
//! is text, and holds what is no text as it is written.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields};

use super::column::{Fault, special};
use super::syntax::{Cursor, Value};
use crate::exact_numbers::{self as number, Exact};

/// Lists and structs in each other that become a type; what lies deeper is text.
const MAX_NESTING: usize = 12;
/// Different keys of all objects: more are data and not names.
const MAX_KEYS: usize = 10_000;
/// Digits of a number that any float64 keeps.
const SAFE_DIGITS: usize = 15;
/// Digits of a decimal.
const MAX_PRECISION: i64 = 38;

/// What was seen of the values in one place.
#[derive(Debug, Clone, Default)]
struct Shape {
    has_bool: bool,
    has_text: bool,
    /// A text that stands for a float without a number.
    has_special: bool,
    numbers: Option<Numbers>,
    items: Option<Box<Self>>,
    object: Option<Keys>,
}

/// What was seen of numbers.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    is_whole: bool,
    is_int64: bool,
    is_float: bool,
    n_whole: i64,
    n_decimals: i64,
}

/// The keys of objects, in the order in which they appear.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    names: Vec<String>,
    places: HashMap<String, usize>,
    shapes: Vec<Shape>,
}

impl Keys {
    /// Looks at the object in a line.
    ///
    /// # Errors
    /// If the line is not an object.
    pub(super) fn observe(&mut self, line: &str) -> Result<(), Fault> {
        let mut cursor = Cursor::new(line);
        if cursor.value()? != Value::Object {
            return Err(not_an_object(line));
        }
        self.observe_fields(&mut cursor, 0)?;
        Ok(cursor.end()?)
    }

    fn observe_fields(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Fault> {
        let (mut is_first, mut expected) = (true, 0);
        while let Some(key) = cursor.key(is_first)? {
            is_first = false;
            let place = match self.names.get(expected) {
                Some(name) if *name == key => expected,
                _ => self.place(&key),
            };
            self.shapes[place].observe(cursor, depth)?;
            expected = place + 1;
        }
        Ok(())
    }

    fn place(&mut self, key: &str) -> usize {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let place = self.names.len();
        self.names.push(key.to_owned());
        self.places.insert(key.to_owned(), place);
        self.shapes.push(Shape::default());
        place
    }

    /// Adds what was seen later.
    pub(super) fn merge(&mut self, later: Self) {
        for (name, shape) in later.names.into_iter().zip(later.shapes) {
            let place = self.place(&name);
            self.shapes[place].merge(shape);
        }
    }

    /// Whether there are more keys than a table can have.
    pub(super) fn are_too_many(&self) -> bool {
        self.count() > MAX_KEYS
    }

    fn count(&self) -> usize {
        self.names.len() + self.shapes.iter().map(Shape::count).sum::<usize>()
    }

    /// The columns.
    pub(super) fn fields(&self) -> Fields {
        let fields = self.names.iter().zip(&self.shapes);
        fields
            .map(|(name, shape)| Field::new(name, shape.data_type(), true))
            .collect()
    }
}

/// The fault of a line that holds another value.
pub(super) fn not_an_object(line: &str) -> Fault {
    let line = super::column::shown(line.trim());
    Fault::Value(format!("{line} is not a JSON object"))
}

impl Shape {
    fn observe(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Fault> {
        let start = cursor.clone();
        match cursor.value()? {
            Value::Null => {}
            Value::Bool(_) => self.has_bool = true,
            Value::Number(text) => {
                let seen = Numbers::of(text);
                self.numbers = Some(self.numbers.map_or(seen, |numbers| numbers.and(seen)));
            }
            Value::Text(text) => match special(&text) {
                Some(_) => self.has_special = true,
                None => self.has_text = true,
            },
            Value::List | Value::Object if depth == MAX_NESTING => {
                *cursor = start;
                cursor.skip()?;
                self.has_text = true;
            }
            Value::List => {
                let items = self.items.get_or_insert_default();
                let mut is_first = true;
                while cursor.item(is_first)? {
                    is_first = false;
                    items.observe(cursor, depth + 1)?;
                }
            }
            Value::Object => {
                let keys = self.object.get_or_insert_default();
                keys.observe_fields(cursor, depth + 1)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, later: Self) {
        self.has_bool |= later.has_bool;
        self.has_text |= later.has_text;
        self.has_special |= later.has_special;
        self.numbers = match (self.numbers, later.numbers) {
            (Some(numbers), Some(more)) => Some(numbers.and(more)),
            (numbers, more) => numbers.or(more),
        };
        match (&mut self.items, later.items) {
            (Some(items), Some(more)) => items.merge(*more),
            (items, more) => *items = items.take().or(more),
        }
        match (&mut self.object, later.object) {
            (Some(keys), Some(more)) => keys.merge(more),
            (keys, more) => *keys = keys.take().or(more),
        }
    }

    fn count(&self) -> usize {
        let items = self.items.as_ref().map_or(0, |items| items.count());
        items + self.object.as_ref().map_or(0, Keys::count)
    }

    /// The type that has all values: text where there are none, or different kinds of them.
    fn data_type(&self) -> DataType {
        match self {
            Self { has_text: true, .. } => DataType::Utf8,
            Self {
                has_bool: true,
                has_special: false,
                numbers: None,
                items: None,
                object: None,
                ..
            } => DataType::Boolean,
            Self {
                has_bool: false,
                has_special,
                numbers: Some(numbers),
                items: None,
                object: None,
                ..
            } => match has_special {
                false => numbers.data_type(),
                true if numbers.is_float => DataType::Float64,
                true => DataType::Utf8,
            },
            Self {
                has_bool: false,
                has_special: false,
                numbers: None,
                items: Some(items),
                object: None,
                ..
            } => DataType::List(Arc::new(Field::new("item", items.data_type(), true))),
            Self {
                has_bool: false,
                has_special: false,
                numbers: None,
                items: None,
                object: Some(keys),
                ..
            } if !keys.names.is_empty() => DataType::Struct(keys.fields()),
            _ => DataType::Utf8,
        }
    }
}

impl Numbers {
    fn of(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_whole = number::is_whole(text);
        let has_exponent = digits.contains(['e', 'E']);
        if digits.len() <= SAFE_DIGITS && !has_exponent {
            let n_whole = digits.find('.').unwrap_or(digits.len());
            let n_decimals = digits.len().saturating_sub(n_whole + 1);
            return Self {
                is_whole,
                is_int64: is_whole,
                is_float: true,
                n_whole: n_whole as i64,
                n_decimals: n_decimals as i64,
            };
        }
        let (n_whole, n_decimals) = Exact::of(text).widths();
        Self {
            is_whole,
            is_int64: is_whole && number::integer(text).is_some(),
            is_float: number::fits_float(text),
            n_whole,
            n_decimals,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            is_whole: self.is_whole && other.is_whole,
            is_int64: self.is_int64 && other.is_int64,
            is_float: self.is_float && other.is_float,
            n_whole: self.n_whole.max(other.n_whole),
            n_decimals: self.n_decimals.max(other.n_decimals),
        }
    }

    fn data_type(self) -> DataType {
        let is_decimal = self.n_whole.saturating_add(self.n_decimals) <= MAX_PRECISION;
        match self {
            Self { is_int64: true, .. } => DataType::Int64,
            Self {
                is_whole: false,
                is_float: true,
                ..
            } => DataType::Float64,
            _ if is_decimal => DataType::Decimal128(
                MAX_PRECISION as u8,
                i8::try_from(self.n_decimals).unwrap_or(0),
            ),
            _ if self.is_float => DataType::Float64,
            _ => DataType::Utf8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(lines: &[&str]) -> Keys {
        let mut keys = Keys::default();
        for line in lines {
            keys.observe(line).unwrap();
        }
        keys
    }

    fn column(values: &[&str]) -> String {
        let lines: Vec<_> = values.iter().map(|v| format!("{{\"c\": {v}}}")).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let whole = seen(&lines).fields();
        // In whatever pieces the lines are seen, the columns are the same.
        let mut pieces = Keys::default();
        for line in &lines {
            pieces.merge(seen(&[line]));
        }
        assert_eq!(pieces.fields(), whole);
        whole[0].data_type().to_string()
    }

    #[test]
    fn a_column_has_the_type_that_keeps_every_value() {
        for (values, expected) in [
            (&["1", "-9223372036854775808"][..], "Int64"),
            (&["1", "10.75"], "Float64"),
            (&["1", "1e3"], "Float64"),
            (&["9007199254740993", "1"], "Int64"),
            (&["9007199254740992", "0.5"], "Float64"),
            (&["9007199254740993", "0.5"], "Decimal128(38, 1)"),
            (&["1234567890123456.78"], "Decimal128(38, 2)"),
            (&["18446744073709551615", "1"], "Decimal128(38, 0)"),
            (&["123456789012345678901234567890123456789"], "Utf8"),
            (&["1e40", "12345678901234567.25"], "Utf8"),
            (&["1e400"], "Utf8"),
            (&["0.30000000000000004", "1"], "Float64"),
            (&["1.5", "\"NaN\""], "Float64"),
            (&["\"NaN\""], "Utf8"),
            (&["1", "\"x\""], "Utf8"),
            (&["1", "true"], "Utf8"),
            (&["true", "null", "false"], "Boolean"),
            (&["null", "null"], "Utf8"),
            (&["[]", "null"], "List(Utf8)"),
            (&["[]", "[null, 1]", "[2.5]"], "List(Float64)"),
            (&["[1]", "2"], "Utf8"),
            (&["{}"], "Utf8"),
            (&["{}", "{\"a\": 1}"], "Struct(\"a\": Int64)"),
            (
                &["{\"a\": 1}", "{\"b\": [true], \"a\": null}"],
                "Struct(\"a\": Int64, \"b\": List(Boolean))",
            ),
            (&["{\"a\": 1}", "[1]"], "Utf8"),
        ] {
            assert_eq!(column(values), expected, "{values:?}");
        }
    }

    #[test]
    fn deep_values_are_text_and_too_many_keys_are_seen() {
        let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
        let expected = format!("{}Utf8{}", "List(".repeat(12), ")".repeat(12));
        assert_eq!(column(&[&deep]), expected);
        let mut keys = Keys::default();
        for n in 0..MAX_KEYS {
            assert!(!keys.are_too_many());
            keys.observe(&format!("{{\"prices\": {{\"{n}\": 1}}}}"))
                .unwrap();
        }
        assert!(keys.are_too_many());
    }

    #[test]
    fn a_line_that_is_no_object_is_a_fault() {
        for line in ["1", "[{}]", "\"x\"", "{} x", "{\"a\": }"] {
            assert!(Keys::default().observe(line).is_err(), "{line}");
        }
    }
}
