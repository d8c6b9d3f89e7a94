//! The text of a column's type wherever Emporia keeps one: in manifests of results, in marker rows and in the
//! recipes of plans.
//!
//! It is Arrow's text of the type. Where Arrow does not read its own text as the same type, for example
//! because the name of a field has quotes in it, it is `proto:` and DataFusion's message of a schema with one
//! column, in base 64.

use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion_proto::protobuf;
use prost::Message as _;
use serde::{Deserialize, Deserializer, Serializer, de};

/// What the text of a type begins with that is not Arrow's.
const ENCODED: &str = "proto:";

/// The text of a type.
pub(crate) fn write(data_type: &DataType) -> String {
    let text = data_type.to_string();
    if DataType::from_str(&text).is_ok_and(|read| read == *data_type) {
        return text;
    }
    let schema = Schema::new(vec![Field::new("", data_type.clone(), true)]);
    match protobuf::Schema::try_from(&schema) {
        Ok(message) => format!(
            "{ENCODED}{}",
            BASE64_STANDARD.encode(message.encode_to_vec())
        ),
        Err(_) => text,
    }
}

/// The type that has this text.
///
/// # Errors
/// When it is the text of no type.
pub(crate) fn read(text: &str) -> Result<DataType> {
    let Some(encoded) = text.strip_prefix(ENCODED) else {
        return Ok(DataType::from_str(text)?);
    };
    let bytes = BASE64_STANDARD
        .decode(encoded)
        .map_err(|e| DataFusionError::External(Box::new(e)))?;
    let message = protobuf::Schema::decode(bytes.as_slice())
        .map_err(|e| DataFusionError::External(Box::new(e)))?;
    match Schema::try_from(&message)?.fields().first() {
        Some(field) => Ok(field.data_type().clone()),
        None => plan_err!("`{text}` is not a type"),
    }
}

/// For `#[serde(with = "type_text")]`.
///
/// # Errors
/// As of the serializer.
pub(crate) fn serialize<S: Serializer>(
    data_type: &DataType,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&write(data_type))
}

/// For `#[serde(with = "type_text")]`.
///
/// # Errors
/// As of [`read`] and of the deserializer.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<DataType, D::Error> {
    read(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{IntervalUnit, TimeUnit};
    use proptest::prelude::*;

    use super::*;

    fn scalar() -> impl Strategy<Value = DataType> {
        use DataType::*;
        let unit = prop_oneof![
            Just(TimeUnit::Second),
            Just(TimeUnit::Millisecond),
            Just(TimeUnit::Microsecond),
            Just(TimeUnit::Nanosecond),
        ];
        let zone = prop_oneof![
            Just(None),
            Just(Some("UTC")),
            Just(Some("+05:30")),
            Just(Some("Europe/Oslo")),
            Just(Some("\"odd\", zone)")),
        ];
        let plain = vec![
            Boolean,
            Int8,
            Int16,
            Int32,
            Int64,
            UInt8,
            UInt16,
            UInt32,
            UInt64,
            Float16,
            Float32,
            Float64,
            Utf8,
            LargeUtf8,
            Utf8View,
            Binary,
            LargeBinary,
            BinaryView,
            Date32,
            Date64,
            Time32(TimeUnit::Second),
            Time32(TimeUnit::Millisecond),
            Time64(TimeUnit::Microsecond),
            Time64(TimeUnit::Nanosecond),
            FixedSizeBinary(16),
            Interval(IntervalUnit::MonthDayNano),
            Null,
        ];
        prop_oneof![
            4 => proptest::sample::select(plain),
            1 => (unit.clone(), zone).prop_map(|(unit, zone)| Timestamp(unit, zone.map(Into::into))),
            1 => unit.prop_map(Duration),
            1 => (1_u8..=38, 0_i8..=20).prop_map(|(p, s)| Decimal128(p, s.min(p as i8))),
            1 => (1_u8..=76, -3_i8..=20).prop_map(|(p, s)| Decimal256(p, s.min(p as i8))),
        ]
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("item".to_owned()),
            "[a-z]{0,6}",
            "[a-zA-Zö \"\\\\',;:()<>{}\n\t%]{0,12}",
        ]
    }

    fn any_type() -> impl Strategy<Value = DataType> {
        scalar().prop_recursive(4, 24, 4, |inner| {
            let field = (name(), inner, any::<bool>())
                .prop_map(|(name, data_type, is_nullable)| Field::new(name, data_type, is_nullable))
                .boxed();
            prop_oneof![
                field.clone().prop_map(|f| DataType::List(Arc::new(f))),
                field.clone().prop_map(|f| DataType::LargeList(Arc::new(f))),
                (field.clone(), 1..9).prop_map(|(f, n)| DataType::FixedSizeList(Arc::new(f), n)),
                proptest::collection::vec(field.clone(), 1..4)
                    .prop_map(|fields| DataType::Struct(fields.into())),
                (name(), field, any::<bool>()).prop_map(|(key, value, is_sorted)| {
                    let key = Field::new(key, DataType::Utf8, false);
                    let entries = DataType::Struct(vec![key, value].into());
                    DataType::Map(Arc::new(Field::new("entries", entries, false)), is_sorted)
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn every_type_is_read_from_its_text(data_type in any_type()) {
            let text = write(&data_type);
            prop_assert_eq!(read(&text).unwrap(), data_type, "{}", text);
        }

        #[test]
        fn any_text_is_a_type_or_an_error(text in "(proto:)?[A-Za-z0-9(), :\"+=/]{0,40}") {
            if let Ok(data_type) = read(&text) {
                prop_assert_eq!(read(&write(&data_type)).unwrap(), data_type);
            }
        }
    }

    /// Manifests and marker rows have these texts.
    #[test]
    fn texts_stay_what_they_are() {
        let item = |name: &str| Arc::new(Field::new(name, DataType::Int64, true));
        let quoted = DataType::Struct(vec![Field::new("\"q\"", DataType::Int64, true)].into());
        let stored = include_str!("testdata/types.txt");
        let types = [
            DataType::Int64,
            DataType::Utf8,
            DataType::Decimal128(18, 2),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Date32,
            DataType::List(item("item")),
            DataType::Struct(vec![item("a")].into()),
            quoted,
        ];
        let texts: Vec<_> = types.iter().map(write).collect();
        assert_eq!(stored.lines().collect::<Vec<_>>(), texts);
        for (text, data_type) in stored.lines().zip(types) {
            assert_eq!(read(text).unwrap(), data_type);
        }
    }
}
