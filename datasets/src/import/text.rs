//! From the bytes of a source file to text: unpacked, without a byte order mark, in UTF-8.
//!
//! The public data sets travel as UTF-8 from notebooks, as Windows-1252 from Excel and most
//! downloads, and as UTF-16 from Excel's "Unicode Text". What a file is follows from its bytes; its
//! name says nothing.

use std::io::Read;
use std::path::Path;

use emporia_core::{Error, ErrorKind, Result};
use flate2::read::MultiGzDecoder;

/// A file as text.
#[derive(Debug)]
pub(super) struct TextFile {
    /// Name without its folder.
    pub(super) name: String,
    /// UTF-8, except for lines of a file that mixes encodings: those are left as they are.
    pub(super) bytes: Vec<u8>,
    /// The file was in Windows-1252, which includes ISO 8859-1.
    pub(super) was_windows_1252: bool,
}

/// Reads a file whole; `what` names its kind in errors.
///
/// # Errors
/// `NotFound` or `PermissionDenied` if it cannot be read, `Corrupt` if it cannot be unpacked,
/// `InvalidInput` for a workbook of Excel, a packed file other than gzip, or text in UTF-32.
pub(super) fn read(path: &Path, what: &str) -> Result<TextFile> {
    let failed =
        |kind, text: &str| Error::new(kind, format!("cannot {text} {what} `{}`", path.display()));
    let stored = std::fs::read(path).map_err(|e| unreadable(path, what, e))?;
    let bytes = match Packing::of(&stored) {
        Packing::Plain => stored,
        Packing::Gzip => {
            let mut plain = Vec::new();
            MultiGzDecoder::new(&stored[..])
                .read_to_end(&mut plain)
                .map_err(|e| failed(ErrorKind::Corrupt, "unpack").with_source(e))?;
            if !matches!(Packing::of(&plain), Packing::Plain) {
                let text = format!("{what} `{}` is packed twice", path.display());
                return Err(
                    Error::invalid(text).with_hint("unpack it once, and import what it holds")
                );
            }
            plain
        }
        Packing::Other(name, cure) => {
            return Err(
                Error::invalid(format!("{what} `{}` is {name}", path.display())).with_hint(cure),
            );
        }
    };
    if is_utf32(&bytes) {
        let text = format!("{what} `{}` is in UTF-32", path.display());
        return Err(Error::invalid(text).with_hint("save it as UTF-8"));
    }
    let (bytes, was_windows_1252) = to_utf8(bytes);
    Ok(TextFile {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into(),
        bytes,
        was_windows_1252,
    })
}

/// The error of a file that cannot be read; `what` names its kind.
pub(super) fn unreadable(path: &Path, what: &str, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::NotFound,
    };
    Error::new(kind, format!("cannot read {what} `{}`", path.display())).with_source(error)
}

/// How a file is packed.
enum Packing {
    Plain,
    Gzip,
    /// What it is, and what to do.
    Other(&'static str, &'static str),
}

impl Packing {
    fn of(bytes: &[u8]) -> Self {
        const UNPACK: &str = "unpack it first; only gzip is unpacked on the way";
        const EXPORT: &str = "export its sheets as CSV first";
        const SAVE: &str = "save it as .xlsx without a password, or export its sheets as CSV";
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'P', b'K', 3, 4, ..] => Self::Other("an Excel workbook or a zip archive", EXPORT),
            [0xd0, 0xcf, 0x11, 0xe0, ..] => Self::Other("an old or encrypted Excel workbook", SAVE),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Other("packed with zstd", UNPACK),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Other("packed with bzip2", UNPACK),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Other("packed with xz", UNPACK),
            _ => Self::Plain,
        }
    }
}

/// Whether text begins with a byte order mark of UTF-32; that of UTF-16 may be part of it.
fn is_utf32(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..])
}

/// The text in UTF-8, and whether it was in Windows-1252.
///
/// A file with bytes that are not UTF-8 is in Windows-1252, unless it has characters of UTF-8 as
/// well: then no single encoding fits, and nothing is changed.
fn to_utf8(bytes: Vec<u8>) -> (Vec<u8>, bool) {
    match &bytes[..] {
        [0xef, 0xbb, 0xbf, text @ ..] => return (text.to_vec(), false),
        [0xff, 0xfe, text @ ..] => return (utf16(text, u16::from_le_bytes), false),
        [0xfe, 0xff, text @ ..] => return (utf16(text, u16::from_be_bytes), false),
        // Without a mark, the zeros of two letters tell: other texts have none.
        [1..=0xff, 0, 1..=0xff, 0, ..] => return (utf16(&bytes, u16::from_le_bytes), false),
        [0, 1..=0xff, 0, 1..=0xff, ..] => return (utf16(&bytes, u16::from_be_bytes), false),
        _ => {}
    }
    let chunks = || bytes.utf8_chunks();
    let is_utf8 = chunks().all(|chunk| chunk.invalid().is_empty());
    let has_multibyte = chunks().any(|chunk| !chunk.valid().is_ascii());
    if is_utf8 || has_multibyte {
        return (bytes, false);
    }
    let text: String = bytes.iter().map(|byte| windows_1252(*byte)).collect();
    (text.into_bytes(), true)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (units, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16_lossy(&units).into_bytes()
}

/// The character of a byte, as the WHATWG encoding standard has it.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> (String, bool) {
        let (bytes, was_windows_1252) = to_utf8(bytes.to_vec());
        (
            String::from_utf8_lossy(&bytes).into_owned(),
            was_windows_1252,
        )
    }

    #[test]
    fn encodings_are_told_apart() {
        assert_eq!(text(b"plain"), ("plain".into(), false));
        assert_eq!(text("\u{feff}caf\u{e9}".as_bytes()), ("café".into(), false));
        assert_eq!(text(b"caf\xe9 \x80\xa3"), ("café €£".into(), true));
        assert_eq!(text(b"\xff\xfea\0\xe9\0"), ("aé".into(), false));
        assert_eq!(text(b"\xfe\xff\0a\0\xe9"), ("aé".into(), false));
        assert_eq!(text(b"a\0b\0\xe9\0"), ("abé".into(), false));
        assert_eq!(text(b"\0a\0b\0\xe9"), ("abé".into(), false));
        // Both encodings in one file: the bad byte stays bad.
        assert_eq!(
            text(b"caf\xc3\xa9 caf\xe9"),
            ("café caf\u{fffd}".into(), false)
        );
    }

    #[test]
    fn utf_32_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        for unit in [u32::to_le_bytes, u32::to_be_bytes] {
            let text = "\u{feff}a,b\n".chars().map(u32::from);
            let bytes: Vec<u8> = text.flat_map(unit).collect();
            std::fs::write(&file, bytes).unwrap();
            let error = read(&file, "file").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("a.csv` is in UTF-32"), "{error}");
        }
        std::fs::write(&file, b"\xff\xfea\0").unwrap();
        assert_eq!(read(&file, "file").unwrap().bytes, b"a");
    }
}
