//! BSON inside a recipe: as the hexadecimal digits of its bytes, which lose nothing of any type.

use mongodb::bson::Document;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// For `#[serde(with)]` on a document.
pub(super) mod document {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        document: &Document,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = document.to_vec().map_err(S::Error::custom)?;
        serializer.collect_str(&Hex(&bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Document, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = of_hex(&text).ok_or_else(|| D::Error::custom("not hexadecimal digits"))?;
        Document::from_reader(&bytes[..]).map_err(D::Error::custom)
    }
}

/// For `#[serde(with)]` on an optional document.
pub(super) mod optional {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        found: &Option<Document>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match found {
            Some(found) => document::serialize(found, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Document>, D::Error> {
        #[derive(Deserialize)]
        struct Inner(#[serde(with = "super::document")] Document);
        Ok(Option::<Inner>::deserialize(deserializer)?.map(|inner| inner.0))
    }
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |d: u8| {
        char::from(d)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    bytes.collect()
}
