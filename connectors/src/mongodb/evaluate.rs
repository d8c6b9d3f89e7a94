//! MongoDB's rules for filters, as far as this module uses them; what tests compare with.
//!
//! From the manual: comparisons see values of their own type only, numbers are one type, NaN equals
//! itself and is neither less nor greater, a path leads into the documents of an array, and a
//! condition holds for an array if it holds for the array or one of its elements.

use std::cmp::Ordering;

use mongodb::bson::{Bson, Document};

/// Whether `filter` selects `document`.
pub(super) fn selects(filter: &Document, document: &Document) -> bool {
    filter.iter().all(|(key, condition)| match key.as_str() {
        "$and" => parts(condition).all(|part| selects(part, document)),
        "$or" => parts(condition).any(|part| selects(part, document)),
        path => field_matches(&at(document, path), condition),
    })
}

fn parts(condition: &Bson) -> impl Iterator<Item = &Document> {
    let parts = condition.as_array().unwrap();
    parts.iter().map(|part| part.as_document().unwrap())
}

/// The values at a path: several, where it leads through an array; none, where it is missing.
fn at(document: &Document, path: &str) -> Vec<Bson> {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    match (document.get(first), rest) {
        (None, _) => Vec::new(),
        (Some(value), None) => vec![value.clone()],
        (Some(Bson::Document(inner)), Some(rest)) => at(inner, rest),
        (Some(Bson::Array(items)), Some(rest)) => {
            let inner = items.iter().filter_map(Bson::as_document);
            inner.flat_map(|inner| at(inner, rest)).collect()
        }
        _ => Vec::new(),
    }
}

fn field_matches(values: &[Bson], condition: &Bson) -> bool {
    let operators = match condition {
        Bson::Document(d) if d.keys().next().is_some_and(|k| k.starts_with('$')) => d,
        other => return any(values, &|v| equal(v, other)),
    };
    operators
        .iter()
        .all(|(operator, operand)| match operator.as_str() {
            "$eq" => any(values, &|v| equal(v, operand)),
            "$ne" => !any(values, &|v| equal(v, operand)),
            "$in" => operand
                .as_array()
                .unwrap()
                .iter()
                .any(|o| any(values, &|v| equal(v, o))),
            "$lt" => any(values, &|v| order(v, operand) == Some(Ordering::Less)),
            "$gt" => any(values, &|v| order(v, operand) == Some(Ordering::Greater)),
            "$lte" => any(values, &|v| order(v, operand).is_some_and(Ordering::is_le)),
            "$gte" => any(values, &|v| order(v, operand).is_some_and(Ordering::is_ge)),
            "$type" => {
                let names = match operand {
                    Bson::Array(names) => names.clone(),
                    name => vec![name.clone()],
                };
                // A missing field has no type, not even that of null.
                values.iter().any(|value| {
                    let mut all = vec![value.clone()];
                    all.extend(value.as_array().into_iter().flatten().cloned());
                    all.iter()
                        .any(|v| names.iter().any(|n| has_type(v, n.as_str().unwrap())))
                })
            }
            "$not" => !field_matches(values, operand),
            other => panic!("{other}"),
        })
}

/// Whether a value, or an element of one that is an array, passes; a missing field counts as null.
fn any(values: &[Bson], test: &dyn Fn(&Bson) -> bool) -> bool {
    if values.is_empty() {
        return test(&Bson::Null);
    }
    values
        .iter()
        .any(|value| test(value) || matches!(value, Bson::Array(items) if items.iter().any(test)))
}

fn equal(value: &Bson, operand: &Bson) -> bool {
    match operand {
        Bson::RegularExpression(regex) => {
            let pattern = regex.pattern.as_str().strip_prefix('^').unwrap();
            let prefix: String = {
                let mut is_escaped = false;
                pattern
                    .chars()
                    .filter(|c| {
                        let keep = is_escaped || *c != '\\';
                        is_escaped = !is_escaped && *c == '\\';
                        keep
                    })
                    .collect()
            };
            value.as_str().is_some_and(|text| text.starts_with(&prefix))
        }
        Bson::Null => matches!(value, Bson::Null),
        _ => order(value, operand) == Some(Ordering::Equal),
    }
}

/// The order of two values of one type; `None` where they are not compared.
pub(super) fn order(a: &Bson, b: &Bson) -> Option<Ordering> {
    match (a, b) {
        (Bson::String(a), Bson::String(b)) => Some(a.cmp(b)),
        (Bson::Boolean(a), Bson::Boolean(b)) => Some(a.cmp(b)),
        (Bson::DateTime(a), Bson::DateTime(b)) => Some(a.cmp(b)),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => Some(a.cmp(b)),
        _ => {
            let (a, b) = (number(a)?, number(b)?);
            match (a.is_nan(), b.is_nan()) {
                (true, true) => Some(Ordering::Equal),
                (false, false) => Some(a.cmp(&b)),
                _ => None,
            }
        }
    }
}

/// An exact number, so that types are compared without rounding.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exact {
    NaN,
    Lowest,
    Low,
    /// Whole part and 38 digits after the point, of numbers that are not huge.
    Finite(i128, u128),
    High,
    Highest,
}

impl Exact {
    fn is_nan(&self) -> bool {
        matches!(self, Self::NaN)
    }
}

fn number(value: &Bson) -> Option<Exact> {
    match value {
        Bson::Int32(v) => Some(Exact::Finite(i128::from(*v), 0)),
        Bson::Int64(v) => Some(Exact::Finite(i128::from(*v), 0)),
        Bson::Double(v) if v.is_nan() => Some(Exact::NaN),
        Bson::Double(f64::INFINITY) => Some(Exact::Highest),
        Bson::Double(f64::NEG_INFINITY) => Some(Exact::Lowest),
        Bson::Double(v) if *v >= 1e30 => Some(Exact::High),
        Bson::Double(v) if *v <= -1e30 => Some(Exact::Low),
        // Rust writes out the exact binary value.
        Bson::Double(v) => Some(written(&format!("{v:.1100}"))),
        Bson::Decimal128(v) => match v.to_string().as_str() {
            "NaN" => Some(Exact::NaN),
            "Infinity" => Some(Exact::Highest),
            "-Infinity" => Some(Exact::Lowest),
            text => {
                assert!(!text.contains('E'), "tests use plain decimals");
                Some(written(text))
            }
        },
        _ => None,
    }
}

fn written(text: &str) -> Exact {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i128 = whole.parse().unwrap();
    // Digits after the 38th only matter as being there.
    let kept: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(37)
        .collect();
    let has_more = fraction.chars().skip(37).any(|c| c != '0');
    let fraction: u128 = kept.parse::<u128>().unwrap() * 10 + u128::from(has_more);
    const ONE: u128 = 10_u128.pow(38);
    match (is_negative, fraction) {
        (false, _) => Exact::Finite(whole, fraction),
        (true, 0) => Exact::Finite(-whole, 0),
        (true, _) => Exact::Finite(-whole - 1, ONE - fraction),
    }
}

fn has_type(value: &Bson, name: &str) -> bool {
    match value {
        Bson::Double(_) => name == "double" || name == "number",
        Bson::Int32(_) => name == "int" || name == "number",
        Bson::Int64(_) => name == "long" || name == "number",
        Bson::Decimal128(_) => name == "decimal" || name == "number",
        Bson::String(_) => name == "string",
        Bson::Boolean(_) => name == "bool",
        Bson::DateTime(_) => name == "date",
        Bson::ObjectId(_) => name == "objectId",
        Bson::Array(_) => name == "array",
        Bson::Document(_) => name == "object",
        Bson::Null => name == "null",
        Bson::Binary(_) => name == "binData",
        other => panic!("{other}"),
    }
}
