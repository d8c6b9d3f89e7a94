//! Splits of a collection: ranges of a field that together hold every document exactly once.
//!
//! A comparison of MongoDB sees only values of the type that it compares with, so ranges of texts
//! hold no document whose field is a number or missing. One more split, the rest, takes whatever is
//! not at or above the lowest limit by the same comparison, so the two cannot overlap. An array
//! would be found in every range that one of its elements lies in; it belongs to the rest, too.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, RawBsonRef, doc};
use serde::{Deserialize, Serialize};

use super::decode::type_name;
use super::wire;

/// A part of the collection. Limits are documents with one value, because a value alone is no BSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Split {
    /// The collection.
    Whole,
    /// Values from `low` (inclusive) to `high` (exclusive), all of one type.
    Range {
        #[serde(with = "wire::document")]
        low: Document,
        #[serde(with = "wire::optional")]
        high: Option<Document>,
    },
    /// What is not at or above this limit.
    Rest {
        #[serde(with = "wire::document")]
        low: Document,
    },
}

/// Types of `_id` in MongoDB's order, without those that have a single value.
const ORDER: [&str; 9] = [
    "null",
    "number",
    "string",
    "object",
    "binData",
    "objectId",
    "bool",
    "date",
    "timestamp",
];

/// The first year; earlier dates are in the rest.
const FIRST_MILLIS: i64 = -62_135_596_800_000;

/// The place of the value's type in MongoDB's order.
pub(super) fn rank_of(value: RawBsonRef<'_>) -> Option<usize> {
    let kind = match type_name(value) {
        "int" | "long" | "double" | "decimal" => "number",
        other => other,
    };
    ORDER.iter().position(|k| *k == kind)
}

/// A value below all, or nearly all, that `limit` is compared with; `None` where the type has too
/// few values, or no order that is the same on all servers.
fn lowest(limit: &Bson) -> Option<Bson> {
    Some(match limit {
        Bson::String(_) => Bson::String(String::new()),
        Bson::Double(v) if v.is_nan() => return None,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => Bson::Double(f64::MIN),
        Bson::ObjectId(_) => Bson::ObjectId(ObjectId::from_bytes([0; 12])),
        Bson::DateTime(_) => Bson::DateTime(DateTime::from_millis(FIRST_MILLIS)),
        Bson::Binary(_) => Bson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes: Vec::new(),
        }),
        _ => return None,
    })
}

/// The splits at `limits`, which are values of the field in ascending order; the whole collection
/// where they are not all of one type that can be divided.
pub(super) fn at(mut limits: Vec<Bson>) -> Vec<Split> {
    limits.dedup();
    let lowest = match limits.first() {
        Some(first) => lowest(first).filter(|low| limits.iter().all(|l| lowest_is(l, low))),
        None => None,
    };
    let Some(lowest) = lowest else {
        return vec![Split::Whole];
    };
    let lowest = doc! { "": lowest };
    let mut splits = Vec::with_capacity(limits.len() + 2);
    let mut low = lowest.clone();
    for limit in limits {
        let limit = doc! { "": limit };
        splits.push(Split::Range {
            low: std::mem::replace(&mut low, limit.clone()),
            high: Some(limit),
        });
    }
    splits.push(Split::Range { low, high: None });
    splits.push(Split::Rest { low: lowest });
    splits
}

fn lowest_is(limit: &Bson, low: &Bson) -> bool {
    lowest(limit).as_ref() == Some(low)
}

impl Split {
    /// The filter that selects the split by `field`; `None` for the whole collection.
    pub(super) fn filter(&self, field: &str) -> Option<Document> {
        let value = |limit: &Document| limit.get("").cloned().unwrap_or(Bson::Null);
        let is_array = || doc! { "$type": "array" };
        match self {
            Self::Whole => None,
            Self::Range { low, high } => {
                let mut range = doc! { "$gte": value(low) };
                if let Some(high) = high {
                    range.insert("$lt", value(high));
                }
                Some(match field {
                    "_id" => doc! { field: range },
                    _ => doc! { "$and": [{ field: range }, { field: { "$not": is_array() } }] },
                })
            }
            Self::Rest { low } => {
                let below = doc! { field: { "$not": { "$gte": value(low) } } };
                Some(match field {
                    "_id" => below,
                    _ => doc! { "$or": [below, { field: is_array() }] },
                })
            }
        }
    }

    /// Whether all values are of one type.
    pub(super) fn is_of_one_type(&self) -> bool {
        matches!(self, Self::Range { .. })
    }
}

/// The filter that selects what comes after the document with the `_id` `last`, in the order of
/// `_id`; `None` where no filter can say that. Later types are left out where all ids are of one.
pub(super) fn after(last: RawBsonRef<'_>, is_of_one_type: bool) -> Option<Document> {
    let rank = rank_of(last)?;
    if matches!(last, RawBsonRef::Double(v) if v.is_nan()) {
        return None;
    }
    let later = doc! { "_id": { "$gt": Bson::try_from(last).ok()? } };
    if is_of_one_type {
        return Some(later);
    }
    // `$gt` selects values of the same type only. Other types are told by those that came already,
    // because not every server knows the names of all.
    let other = doc! { "_id": { "$not": { "$type": ORDER[..=rank].to_vec() } } };
    Some(doc! { "$or": [later, other] })
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{DateTime, RawBson};
    use proptest::prelude::*;

    use super::super::evaluate::{order, selects};
    use super::*;

    fn scalar() -> impl Strategy<Value = Bson> {
        prop_oneof![
            (-5_i32..5).prop_map(Bson::Int32),
            prop_oneof![
                Just(-2.5),
                Just(f64::NAN),
                Just(f64::INFINITY),
                Just(f64::NEG_INFINITY)
            ]
            .prop_map(Bson::Double),
            "[a-c]{0,2}".prop_map(Bson::String),
            (-3_i64..3).prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
            any::<[u8; 1]>().prop_map(|[b]| Bson::ObjectId(ObjectId::from_bytes([b; 12]))),
            any::<bool>().prop_map(Bson::Boolean),
            Just(Bson::Null),
        ]
    }

    /// Ascending limits of one type.
    fn limits() -> impl Strategy<Value = Vec<Bson>> {
        let sorted = |mut limits: Vec<Bson>| {
            limits.sort_by(|a, b| order(a, b).unwrap_or(Ordering::Equal));
            limits
        };
        let number = prop_oneof![
            (-5_i32..5).prop_map(Bson::Int32),
            Just(Bson::Double(-2.5)),
            Just(Bson::Int64(2))
        ];
        prop_oneof![
            proptest::collection::vec(number, 0..5),
            proptest::collection::vec("[a-c]{0,2}".prop_map(Bson::String), 0..5),
            proptest::collection::vec(
                (-3_i64..3).prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
                0..5
            ),
        ]
        .prop_map(sorted)
    }

    proptest! {
        #[test]
        fn every_document_is_in_exactly_one_split(
            limits in limits(),
            value in proptest::option::of(prop_oneof![
                8 => scalar(),
                2 => proptest::collection::vec(scalar(), 0..4).prop_map(Bson::Array),
            ]),
        ) {
            let splits = at(limits);
            let document = match &value {
                Some(value) => doc! { "f": value.clone() },
                None => doc! {},
            };
            let n = |field: &str, document: &Document| {
                let filters = splits.iter().map(|split| split.filter(field));
                filters.filter(|f| f.as_ref().is_none_or(|f| selects(f, document))).count()
            };
            prop_assert_eq!(n("f", &document), 1, "{:?}", splits);
            if let Some(value) = value.filter(|v| !matches!(v, Bson::Array(_))) {
                prop_assert_eq!(n("_id", &doc! { "_id": value }), 1, "{:?}", splits);
            }
        }

        #[test]
        fn going_on_after_a_document_selects_the_later_ones(
            mut values in proptest::collection::vec(scalar(), 1..20),
            at in any::<prop::sample::Index>(),
        ) {
            let rank = |v: &Bson| {
                rank_of(RawBson::try_from(v.clone()).unwrap().as_raw_bson_ref())
            };
            values.retain(|v| !matches!(v, Bson::Double(d) if d.is_nan()));
            values.sort_by(|a, b| {
                rank(a).cmp(&rank(b)).then(order(a, b).unwrap_or(Ordering::Equal))
            });
            values.dedup_by(|a, b| rank(a) == rank(b) && order(a, b).unwrap_or(Ordering::Equal).is_eq());
            if values.is_empty() {
                return Ok(());
            }
            let at = at.index(values.len());
            let last = RawBson::try_from(values[at].clone()).unwrap();
            let filter = after(last.as_raw_bson_ref(), false).unwrap();
            for (index, value) in values.iter().enumerate() {
                let is_later = selects(&filter, &doc! { "_id": value.clone() });
                prop_assert_eq!(is_later, index > at, "{} after {}", value, values[at]);
            }
        }
    }

    #[test]
    fn values_of_several_types_are_not_cut() {
        assert_eq!(at(vec![Bson::Int32(1), Bson::from("a")]), [Split::Whole]);
        assert_eq!(
            at(vec![Bson::Double(f64::NAN), Bson::Int32(1)]),
            [Split::Whole]
        );
        assert_eq!(at(vec![Bson::from(doc! { "a": 1 })]), [Split::Whole]);
        assert_eq!(at(Vec::new()), [Split::Whole]);
        assert_eq!(at(vec![Bson::Int32(1), Bson::Int32(1)]).len(), 3);
    }

    #[test]
    fn what_has_no_place_in_the_order_is_not_continued() {
        assert!(after(RawBsonRef::MinKey, true).is_none());
        assert!(after(RawBsonRef::Symbol("x"), true).is_none());
        assert!(after(RawBsonRef::Double(f64::NAN), true).is_none());
    }

    #[test]
    fn splits_survive_their_text() {
        let splits = at(vec![Bson::Int64(i64::MAX - 1), Bson::Double(f64::INFINITY)]);
        for split in splits {
            let text = serde_json::to_string(&split).unwrap();
            let back: Split = serde_json::from_str(&text).unwrap();
            assert_eq!(back, split);
        }
    }
}
