//! Text that is not UTF-8 becomes UTF-8 on its way in, chunk by chunk.

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};

/// How a text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// UTF-8, which is read as it is.
    Utf8,
    /// ISO 8859-1: a byte is the code point of its character.
    Latin1,
    /// The code page of Western Windows.
    Windows1252,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-16, big-endian.
    Utf16Be,
}

/// The characters of the bytes from 0x80 to 0x9f in Windows-1252; the five that it does not assign are
/// control characters, as browsers read them.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

impl Encoding {
    /// The names in options.
    pub(super) const NAMES: [(&'static str, Self); 10] = [
        ("utf-8", Self::Utf8),
        ("utf8", Self::Utf8),
        ("latin1", Self::Latin1),
        ("iso-8859-1", Self::Latin1),
        ("windows-1252", Self::Windows1252),
        ("cp1252", Self::Windows1252),
        ("utf-16", Self::Utf16Le),
        ("utf-16le", Self::Utf16Le),
        ("utf-16be", Self::Utf16Be),
        ("utf16", Self::Utf16Le),
    ];

    /// The encoding that the byte order mark at the beginning of a text tells, and its length; without
    /// one the encoding as it is.
    pub(super) fn marked(self, head: &[u8]) -> (Self, usize) {
        match head {
            [0xef, 0xbb, 0xbf, ..] => (Self::Utf8, 3),
            [0xff, 0xfe, ..] => (Self::Utf16Le, 2),
            [0xfe, 0xff, ..] => (Self::Utf16Be, 2),
            _ => (self, 0),
        }
    }
}

/// Decodes one text.
#[derive(Debug)]
pub(super) struct TextDecoder {
    encoding: Encoding,
    /// Bytes of the text that were decoded.
    n_read: u64,
    /// Bytes of a character that goes on in the next chunk.
    rest: Vec<u8>,
    /// Whether what follows the text that was decoded is no text.
    is_damaged: bool,
}

impl TextDecoder {
    /// A decoder of a text whose byte order mark is taken off.
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            n_read: 0,
            rest: Vec::new(),
            is_damaged: false,
        }
    }

    /// The text of the next bytes, up to the first that are no text in the encoding: a mistake before them is found
    /// first, however the bytes come.
    ///
    /// # Errors
    /// Where the next bytes are no text.
    pub(super) fn decode(&mut self, bytes: Bytes) -> Result<Bytes> {
        if self.is_damaged {
            return Err(self.damaged());
        }
        match self.encoding {
            Encoding::Utf8 => Ok(bytes),
            Encoding::Latin1 => Ok(chars(&bytes, char::from)),
            Encoding::Windows1252 => Ok(chars(&bytes, |byte| match byte {
                0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
                _ => char::from(byte),
            })),
            Encoding::Utf16Le => self.decode_units(&bytes, u16::from_le_bytes),
            Encoding::Utf16Be => self.decode_units(&bytes, u16::from_be_bytes),
        }
    }

    /// Checks that the text does not end inside of a character.
    ///
    /// # Errors
    /// Where it does.
    pub(super) fn finish(&self) -> Result<()> {
        match self.rest.is_empty() && !self.is_damaged {
            true => Ok(()),
            false => Err(self.damaged()),
        }
    }

    fn decode_units(&mut self, bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Result<Bytes> {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let (units, _) = all.as_chunks::<2>();
        if self.n_read == 0 && units.first().is_some_and(|first| unit(*first) == 0) {
            return Err(DataFusionError::Execution(
                "the text begins with a zero, as UTF-32 does, which cannot be read; write it as UTF-8".to_owned(),
            ));
        }
        let mut n_used = units.len() * 2;
        // A pair whose second half is in the next chunk waits for it.
        if let Some(last) = units.last().map(|last| unit(*last))
            && (0xd800..0xdc00).contains(&last)
        {
            n_used -= 2;
        }
        let mut text = String::with_capacity(n_used);
        for found in char::decode_utf16(units[..n_used / 2].iter().map(|u| unit(*u))) {
            match found {
                Ok(c) => {
                    text.push(c);
                    self.n_read += 2 * c.len_utf16() as u64;
                }
                Err(_) if text.is_empty() => return Err(self.damaged()),
                Err(_) => {
                    self.is_damaged = true;
                    return Ok(text.into());
                }
            }
        }
        self.rest = all.split_off(n_used);
        Ok(text.into())
    }

    fn damaged(&self) -> DataFusionError {
        DataFusionError::Execution(format!(
            "the text is not UTF-16 at its byte {}",
            self.n_read
        ))
    }
}

fn chars(bytes: &[u8], char_of: impl Fn(u8) -> char) -> Bytes {
    bytes
        .iter()
        .map(|byte| char_of(*byte))
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_before_damage() {
        let mut decoder = TextDecoder::new(Encoding::Utf16Be);
        let decoded = decoder
            .decode(Bytes::from_static(b"\0a\0b\xdc\0\0c"))
            .unwrap();
        assert_eq!(decoded, "ab");
        assert!(decoder.finish().is_err());
        assert!(decoder.decode(Bytes::from_static(b"\0d")).is_err());
    }

    #[test]
    fn utf_32_is_not_taken_for_utf_16() {
        let (encoding, mark) = Encoding::Utf8.marked(b"\xff\xfe\0\0a\0\0\0");
        let mut decoder = TextDecoder::new(encoding);
        let text = Bytes::from_static(&b"\xff\xfe\0\0a\0\0\0"[2..]);
        assert_eq!(mark, 2);
        let error = decoder.decode(text).unwrap_err().to_string();
        assert!(error.contains("UTF-32"), "{error}");
    }

    fn decoded(encoding: Encoding, bytes: &[u8], size: usize) -> Result<String> {
        let mut decoder = TextDecoder::new(encoding);
        let mut text = Vec::new();
        for chunk in bytes.chunks(size) {
            text.extend_from_slice(&decoder.decode(Bytes::copy_from_slice(chunk))?);
        }
        decoder.finish()?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn every_encoding_is_decoded_in_chunks_of_any_size() {
        let text = "id;Grüße;😀;\n";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|u| u.to_be_bytes()).collect();
        for size in 1..6 {
            assert_eq!(decoded(Encoding::Utf16Le, &little, size).unwrap(), text);
            assert_eq!(decoded(Encoding::Utf16Be, &big, size).unwrap(), text);
            let western = b"caf\xe9 5\x80";
            assert_eq!(
                decoded(Encoding::Latin1, western, size).unwrap(),
                "café 5\u{80}"
            );
            assert_eq!(
                decoded(Encoding::Windows1252, western, size).unwrap(),
                "café 5€"
            );
        }
        assert!(decoded(Encoding::Utf16Le, &little[..little.len() - 1], 4).is_err());
        assert!(decoded(Encoding::Utf16Le, &[0, 0xdc, b'a', 0], 2).is_err());
    }

    #[test]
    fn a_byte_order_mark_decides() {
        assert_eq!(
            Encoding::Latin1.marked(b"\xef\xbb\xbfid"),
            (Encoding::Utf8, 3)
        );
        assert_eq!(
            Encoding::Utf8.marked(b"\xff\xfei\0"),
            (Encoding::Utf16Le, 2)
        );
        assert_eq!(
            Encoding::Utf16Le.marked(b"\xfe\xff\0i"),
            (Encoding::Utf16Be, 2)
        );
        assert_eq!(Encoding::Latin1.marked(b"id"), (Encoding::Latin1, 0));
    }
}
