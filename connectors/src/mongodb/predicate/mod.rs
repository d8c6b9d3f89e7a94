//! From a condition on columns to a filter of MongoDB that selects at least the same documents.
//!
//! The two languages differ, and a filter that selects too little loses rows silently:
//!
//! * A comparison of MongoDB sees only values of the type that it compares with. Where a column also
//!   reads values of another type (`Stored::Any`), those are let pass.
//! * `{a: {$ne: 5}}` selects null and missing values, which SQL's `a <> 5` does not.
//! * SQL's order of doubles has NaN above all numbers; for MongoDB NaN compares with nothing.
//! * A condition on a path selects a document if any element of an array does; the decoder refuses
//!   arrays in place of scalars, so this only selects more.
//! * Numbers compare across types, so bounds are sent as integers or as doubles a little beyond the
//!   bound. Decimals are never sent, because not every server that speaks the protocol has them.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, Regex, doc};

use super::decimal::{self, Number};
use super::mapping::{Column, Malformed, Stored, ValueType};

/// Types besides text whose values a text column prints.
const PRINTED: [&str; 7] = [
    "array", "binData", "bool", "date", "number", "object", "objectId",
];

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn is_lower_bound(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    fn operator(self) -> &'static str {
        match self {
            Self::Equal => "$eq",
            Self::Less => "$lt",
            Self::LessOrEqual => "$lte",
            Self::Greater => "$gt",
            Self::GreaterOrEqual => "$gte",
        }
    }
}

/// A constant that a column is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Integer(i64),
    Double(f64),
    Decimal {
        value: i128,
        scale: i8,
    },
    Bool(bool),
    /// Microseconds since the epoch.
    Time(i64),
}

/// A condition; a column is an index into the table's columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Compare(usize, Comparison, Literal),
    OneOf(usize, Vec<Literal>),
    StartsWith(usize, String),
    IsNull(usize),
    IsNotNull(usize),
}

impl Predicate {
    /// The filter, or `None` where it would select everything.
    pub(super) fn to_filter(&self, columns: &[Column], malformed: Malformed) -> Option<Document> {
        match self {
            Self::All(parts) => {
                let parts = parts.iter().filter_map(|p| p.to_filter(columns, malformed));
                conjunction(parts.collect())
            }
            Self::Any(parts) => {
                let parts = parts.iter().map(|p| p.to_filter(columns, malformed));
                disjunction(parts.collect::<Option<Vec<_>>>()?)
            }
            Self::Compare(index, comparison, literal) => {
                let column = columns.get(*index)?;
                match comparison {
                    Comparison::Equal => one_of(column, std::slice::from_ref(literal)),
                    _ => bound(column, *comparison, literal),
                }
                .or_else(|| not_null(column))
            }
            Self::OneOf(index, literals) => {
                let column = columns.get(*index)?;
                one_of(column, literals).or_else(|| not_null(column))
            }
            Self::StartsWith(index, prefix) => {
                let column = columns.get(*index)?;
                starts_with(column, prefix).or_else(|| not_null(column))
            }
            // Malformed values become null, and MongoDB cannot tell which those are.
            Self::IsNull(index) => match malformed {
                Malformed::Error => Some(doc! { &columns.get(*index)?.path: Bson::Null }),
                Malformed::Null => None,
            },
            Self::IsNotNull(index) => not_null(columns.get(*index)?),
        }
    }
}

/// The documents that all of `parts` select.
pub(super) fn conjunction(mut parts: Vec<Document>) -> Option<Document> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(doc! { "$and": parts }),
    }
}

fn disjunction(mut parts: Vec<Document>) -> Option<Document> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(doc! { "$or": parts }),
    }
}

/// Lets pass the values of these types besides what `parts` select.
fn or_of_types(
    column: &Column,
    mut parts: Vec<Document>,
    types: &BTreeSet<&'static str>,
) -> Option<Document> {
    match types.len() {
        0 => {}
        1 => parts.extend(types.iter().map(|t| doc! { &column.path: { "$type": t } })),
        _ => {
            let types: Vec<&str> = types.iter().copied().collect();
            parts.push(doc! { &column.path: { "$type": types } });
        }
    }
    disjunction(parts)
}

fn not_null(column: &Column) -> Option<Document> {
    let filter = doc! { &column.path: { "$ne": Bson::Null } };
    match (&column.value, column.stored) {
        // `$ne` also looks into arrays, and one that holds null is not null itself.
        (ValueType::List(_), _) => None,
        (ValueType::Text, Stored::Any) => {
            or_of_types(column, vec![filter], &BTreeSet::from(["array"]))
        }
        _ => Some(filter),
    }
}

/// Types whose values the column decodes besides its own, apart from texts in a text column.
fn other_types(column: &Column) -> BTreeSet<&'static str> {
    match (&column.value, column.stored) {
        (ValueType::Text, Stored::Any) => PRINTED.into(),
        (_, Stored::Any) => BTreeSet::from(["string"]),
        _ => BTreeSet::new(),
    }
}

/// Whether the column's values are compared by the server at all.
fn is_comparable(column: &Column) -> bool {
    column.value == ValueType::Text || column.stored != Stored::Text
}

/// The documents whose value is one of `literals`.
fn one_of(column: &Column, literals: &[Literal]) -> Option<Document> {
    if !is_comparable(column) {
        return None;
    }
    let mut values = Vec::with_capacity(literals.len());
    let mut parts = Vec::new();
    let mut types = BTreeSet::new();
    for literal in literals {
        match (&column.value, literal) {
            (ValueType::Text, Literal::Text(text)) => {
                if matches!(column.stored, Stored::Any | Stored::ObjectId) {
                    values.extend(ObjectId::parse_str(text).ok().map(Bson::ObjectId));
                }
                if column.stored == Stored::Any {
                    types.extend(types_that_print(text));
                }
                values.push(Bson::String(text.clone()));
            }
            (ValueType::Bool, Literal::Bool(truth)) => values.push(Bson::Boolean(*truth)),
            (ValueType::Date | ValueType::Timestamp { .. }, Literal::Time(micros)) => {
                // A date of MongoDB has milliseconds; a finer time equals none.
                values.push(Bson::DateTime(DateTime::from_millis(
                    micros.div_euclid(1000),
                )));
                types.extend(other_types(column));
            }
            (
                ValueType::Int32 | ValueType::Int64 | ValueType::Double | ValueType::Decimal { .. },
                _,
            ) => {
                types.extend(other_types(column));
                match exact_integer(literal) {
                    Some(integer) => values.push(Bson::Int64(integer)),
                    None => {
                        let (low, high) = around(literal)?;
                        parts.push(doc! { &column.path: { "$gte": low, "$lte": high } });
                    }
                }
            }
            _ => return None,
        }
    }
    match values.len() {
        0 => {}
        1 => parts.extend(values.pop().map(|v| doc! { &column.path: v })),
        _ => parts.push(doc! { &column.path: { "$in": values } }),
    }
    or_of_types(column, parts, &types)
}

/// The documents whose value is on the right side of `literal`.
fn bound(column: &Column, comparison: Comparison, literal: &Literal) -> Option<Document> {
    if !is_comparable(column) {
        return None;
    }
    let is_lower = comparison.is_lower_bound();
    let operator = comparison.operator();
    let filter = match (&column.value, literal) {
        // Object ids print in their order, but a text that is no object id has no place among them.
        (ValueType::Text, Literal::Text(text)) if column.stored != Stored::ObjectId => {
            doc! { &column.path: { operator: text } }
        }
        (ValueType::Date | ValueType::Timestamp { .. }, Literal::Time(micros)) => {
            let millis = micros.div_euclid(1000);
            if micros % 1000 == 0 {
                doc! { &column.path: { operator: DateTime::from_millis(millis) } }
            } else if is_lower {
                doc! { &column.path: { "$gte": DateTime::from_millis(millis) } }
            } else {
                doc! { &column.path: { "$lte": DateTime::from_millis(millis.checked_add(1)?) } }
            }
        }
        // The other way round, so that NaN is selected too.
        (ValueType::Double, _) => {
            let (low, high) = around(literal)?;
            let beyond = if is_lower {
                doc! { "$lt": low }
            } else {
                doc! { "$gt": high }
            };
            doc! { &column.path: { "$type": "number", "$not": beyond } }
        }
        (ValueType::Int32 | ValueType::Int64 | ValueType::Decimal { .. }, _) => {
            match (exact_integer(literal), is_lower) {
                (Some(integer), _) => doc! { &column.path: { operator: integer } },
                (None, true) => doc! { &column.path: { "$gte": around(literal)?.0 } },
                (None, false) => doc! { &column.path: { "$lte": around(literal)?.1 } },
            }
        }
        _ => return None,
    };
    or_of_types(column, vec![filter], &other_types(column))
}

fn starts_with(column: &Column, prefix: &str) -> Option<Document> {
    let is_text = column.value == ValueType::Text && column.stored != Stored::ObjectId;
    if !is_text || prefix.is_empty() {
        return None;
    }
    let mut pattern = String::with_capacity(prefix.len() + 2);
    pattern.push('^');
    for c in prefix.chars() {
        if c.is_ascii_punctuation() {
            pattern.push('\\');
        } else if c.is_ascii_control() {
            return None;
        }
        pattern.push(c);
    }
    let pattern = pattern.try_into().ok()?;
    let options = String::new().try_into().ok()?;
    let regex = Bson::RegularExpression(Regex { pattern, options });
    or_of_types(
        column,
        vec![doc! { &column.path: regex }],
        &other_types(column),
    )
}

/// The integer that the literal is, which all numeric types compare with exactly.
fn exact_integer(literal: &Literal) -> Option<i64> {
    match literal {
        Literal::Integer(integer) => Some(*integer),
        Literal::Decimal { value, scale } => {
            let power = 10_i128.checked_pow(u32::try_from(*scale).ok()?)?;
            (value % power == 0)
                .then(|| i64::try_from(value / power).ok())
                .flatten()
        }
        _ => None,
    }
}

/// Doubles just below and above the literal.
///
/// Whatever number is on one side of the literal, and whatever double prints as such a number, is
/// on the same side of the double beyond it.
fn around(literal: &Literal) -> Option<(f64, f64)> {
    let value = match literal {
        Literal::Double(value) => *value,
        Literal::Integer(value) => *value as f64,
        Literal::Decimal { value, scale } => decimal::to_text(*value, *scale).parse().ok()?,
        _ => return None,
    };
    value
        .is_finite()
        .then(|| (value.next_down(), value.next_up()))
}

/// Types with a value that prints as `text`.
fn types_that_print(text: &str) -> Vec<&'static str> {
    let first = text.chars().next().unwrap_or(' ');
    let is_uuid = text.len() == 36 && text.as_bytes().get(8) == Some(&b'-');
    let mut types = Vec::new();
    if Number::of_text(text).is_some()
        || ["NaN", "inf", "-inf", "Infinity", "-Infinity"].contains(&text)
    {
        types.push("number");
    }
    if ["true", "false"].contains(&text) {
        types.push("bool");
    }
    if text.ends_with('Z') && (first.is_ascii_digit() || ['+', '-'].contains(&first)) {
        types.push("date");
    }
    if is_uuid {
        types.push("binData");
    }
    match first {
        '{' => types.push("object"),
        '[' => types.push("array"),
        _ => {}
    }
    types
}
