//! Bytes as text: for people, and for recipes.

/// The bytes as readable text of at most about `max_chars` characters: what is printable UTF-8
/// stands for itself, anything else as `\xNN`, as in HBase's shell.
pub(super) fn printable(bytes: &[u8], max_chars: usize) -> String {
    let mut text = String::new();
    let mut n_chars = 0;
    let escape = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if n_chars >= max_chars {
                return cut_short(text, bytes.len());
            }
            n_chars += 1;
            if character.is_control() || character == '\\' {
                escape(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(character);
            }
        }
        if n_chars >= max_chars && !chunk.invalid().is_empty() {
            return cut_short(text, bytes.len());
        }
        escape(&mut text, chunk.invalid());
        n_chars += chunk.invalid().len();
    }
    text
}

fn cut_short(text: String, n_bytes: usize) -> String {
    text + &format!("… ({n_bytes} bytes)")
}

/// Serialises bytes as text of the characters U+0000 to U+00FF, so that ASCII keys stay readable
/// in recipes and are not three times as long.
pub(super) mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        serializer.serialize_str(&text)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
        bytes
            .collect::<Result<_, _>>()
            .map_err(|_| de::Error::custom("text is not made of bytes"))
    }
}

/// Like [`as_text`], for lists.
pub(super) mod list_as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Bytes(#[serde(with = "super::as_text")] Vec<u8>);

    pub(in super::super) fn serialize<S: Serializer>(
        list: &[Vec<u8>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|bytes| Bytes(bytes.clone())))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let list = Vec::<Bytes>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|bytes| bytes.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[test]
    fn bytes_are_shown_readably_and_bounded() {
        assert_eq!(
            printable(b"user_1#\x00\xff\\", 99),
            "user_1#\\x00\\xFF\\x5C"
        );
        assert_eq!(printable("zoë\n".as_bytes(), 99), "zoë\\x0A");
        assert_eq!(printable(b"abcdef", 4), "abcd… (6 bytes)");
        assert_eq!(printable(&[0xff; 9], 2), "\\xFF\\xFF… (9 bytes)");
    }

    #[test]
    fn all_bytes_survive_a_recipe() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Both {
            #[serde(with = "as_text")]
            one: Vec<u8>,
            #[serde(with = "list_as_text")]
            many: Vec<Vec<u8>>,
        }
        let one: Vec<u8> = (0..=255).collect();
        let many = vec![Vec::new(), b"abc".to_vec(), vec![0xff, 0]];
        let both = Both { one, many };
        let text = serde_json::to_string(&both).unwrap();
        assert!(text.contains("abc"));
        assert_eq!(serde_json::from_str::<Both>(&text).unwrap(), both);
        assert!(serde_json::from_str::<Both>(r#"{"one":"€","many":[]}"#).is_err());
    }
}
