//! Names of tables as names of folders.
//!
//! A table may have any name that SQL can quote; a folder has only small letters, digits, `_` and
//! `-`. Any other byte is written as `+` and two digits, so that two names never share a folder, not
//! even where a file system takes `Orders` for `orders`, and no name leads out of the warehouse.

use emporia_core::error::{Error, Result};

/// Longest name of a folder; file systems allow 255 bytes.
const MAX_BYTES: usize = 200;

/// The folder of a table.
///
/// # Errors
/// `InvalidInput` for a name that is empty or too long.
pub(super) fn folder_of(table: &str) -> Result<String> {
    if table.is_empty() {
        return Err(Error::invalid("a table has a name"));
    }
    let mut folder = String::new();
    for (index, byte) in table.bytes().enumerate() {
        // Names that begin with `_` belong to Emporia.
        let is_plain = byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || (index > 0 && (byte == b'_' || byte == b'-'));
        if is_plain {
            folder.push(char::from(byte));
        } else {
            folder.push_str(&format!("+{byte:02x}"));
        }
    }
    if folder.len() > MAX_BYTES {
        let start: String = table.chars().take(20).collect();
        return Err(
            Error::invalid(format!("the name of table `{start}…` is too long")).with_hint(format!(
                "it has at most {MAX_BYTES} bytes; any but small letters, digits, _ and - count three times"
            )),
        );
    }
    Ok(folder)
}

/// The table that a folder belongs to; `None` where it belongs to none.
pub(super) fn table_of(folder: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = folder.split('+');
    bytes.extend(parts.next()?.bytes());
    for part in parts {
        let (code, plain) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend(plain.bytes());
    }
    let table = String::from_utf8(bytes).ok()?;
    let is_ours = folder_of(&table).is_ok_and(|expected| expected == folder);
    is_ours.then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_folder_of_its_own() -> Result<()> {
        let names = [
            "orders",
            "Orders",
            "web-orders",
            "_temp",
            "a_b",
            "../x",
            "..",
            ".",
            "a/b",
            "a b",
            "größe",
            "gro\u{308}ße",
            "50%",
            "a+b",
            "a+2fb",
            "#1",
            "\"",
            "line\nbreak",
            "-",
            "+",
        ];
        let mut folders = Vec::new();
        for name in names {
            let folder = folder_of(name)?;
            let is_safe =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-+".contains(&b);
            assert!(folder.bytes().all(is_safe), "{folder}");
            assert!(!folder.starts_with('_'), "{folder}");
            assert_eq!(table_of(&folder).as_deref(), Some(name));
            assert!(!folders.contains(&folder), "{folder}");
            folders.push(folder);
        }
        Ok(())
    }

    #[test]
    fn other_folders_are_no_tables() {
        for folder in [
            "_session-1",
            "Orders",
            "a b",
            "a+4",
            "a+zz",
            "a+61",
            "+ff",
            "..",
            "",
        ] {
            assert_eq!(table_of(folder), None, "{folder}");
        }
    }

    #[test]
    fn names_without_a_folder_are_refused() {
        let complaint = |name: &str| folder_of(name).err().map(|e| e.to_string());
        assert_eq!(complaint("").as_deref(), Some("a table has a name"));
        assert_eq!(complaint(&"a".repeat(200)), None);
        let long = "the name of table `aaaaaaaaaaaaaaaaaaaa…` is too long";
        assert_eq!(complaint(&"a".repeat(201)).as_deref(), Some(long));
        assert!(complaint(&"é".repeat(40)).is_some());
    }
}
