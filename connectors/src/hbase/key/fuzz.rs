//! Keys of any form: a row comes back from its key, and a key from its row.

use super::super::value::{Kind, Scalar};
use super::{KeyColumn, KeySpec};

const COLUMNS: [(&str, Kind); 6] = [
    ("u", Kind::Text),
    ("n", Kind::Integer(8)),
    ("m", Kind::Integer(4)),
    ("t", Kind::Timestamp),
    ("d", Kind::Date),
    ("b", Kind::Binary),
];

/// Longest text of an error.
const MAX_ERROR: usize = 10_000;

/// Reads the form of a key up to the first line break. What follows is the values of a row, and a key.
/// Whether the form is one.
pub fn fuzz(data: &[u8]) -> bool {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let bytes = parts.next().unwrap_or_default();
    let columns = COLUMNS.iter().enumerate();
    let columns: Vec<_> = columns
        .map(|(index, (name, kind))| KeyColumn {
            name,
            index,
            kind: *kind,
        })
        .collect();
    let key = match KeySpec::parse(&text, &columns) {
        Ok(key) => key,
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < MAX_ERROR, "{told}");
            return false;
        }
    };
    let recipe = serde_json::to_string(&key).map_err(|e| e.to_string());
    let again = recipe.and_then(|recipe| serde_json::from_str(&recipe).map_err(|e| e.to_string()));
    assert_eq!(again.as_ref(), Ok(&key), "{text}");
    check_row(&key, &text, bytes);
    check_key(&key, &text, bytes);
    true
}

/// A row that has a key comes back from it.
fn check_row(key: &KeySpec, text: &str, bytes: &[u8]) {
    let mut rest = bytes;
    let mut integer = |width: usize| {
        let (first, behind) = rest.split_at(width.min(rest.len()));
        rest = behind;
        let sign = first.first().map_or(0, |byte| -i128::from(byte >> 7));
        let shifted = |value: i128, byte: &u8| value << 8 | i128::from(*byte);
        first.iter().fold(sign, shifted)
    };
    let integers = [integer(8), integer(4), integer(8), integer(4)];
    let (first, binary) = rest.split_at(rest.len() / 2);
    let user = String::from_utf8_lossy(first);
    let value = |column: usize| {
        Some(match column {
            0 => Scalar::Bytes(user.as_bytes()),
            5 => Scalar::Bytes(binary),
            n => Scalar::Integer(integers.get(n - 1).copied()?),
        })
    };
    let mut made = Vec::new();
    if key.encode(value, &mut made).is_err() {
        return;
    }
    assert!(key.is_writable(), "{text}");
    let mut values = Vec::new();
    assert!(key.decode(&made, &mut values), "{text} {made:?}");
    let expected: Vec<_> = key.columns().map(|c| (c, value(c))).collect();
    let found: Vec<_> = values.into_iter().map(|(c, v)| (c, Some(v))).collect();
    assert_eq!(found, expected, "{text} {made:?}");
}

/// A key that can be read is the one that its row has.
fn check_key(key: &KeySpec, text: &str, bytes: &[u8]) {
    let mut values = Vec::new();
    if !key.decode(bytes, &mut values) || !key.is_writable() || bytes.is_empty() {
        return;
    }
    let value = |column| {
        let found = values.iter().find(|(index, _)| *index == column);
        found.map(|(_, value)| *value)
    };
    let mut made = Vec::new();
    assert_eq!(key.encode(value, &mut made), Ok(()), "{text} {bytes:?}");
    assert_eq!(made, bytes, "{text}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn changed_keys_are_read_or_refused() {
        let outcome = emporia_fuzz::run("keys", 50_000, super::fuzz);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }
}
