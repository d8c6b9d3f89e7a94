//! Options of a delimited table and the columns that permissive reading adds.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use emporia_core::error::{Error, Result, nearest};
use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use super::encoding::Encoding;

/// Column with the raw text of the record.
pub const RAW: &str = "_raw";
/// Column with the location of the file.
pub const SOURCE: &str = "_source";
/// Column with the byte offset of the record in the text of its file: after decompression, and after
/// decoding to UTF-8 where the file has another encoding.
pub const POSITION: &str = "_position";
/// Column with the first fault of the record: `parse:<column>`, `field_count`, `quote` or `encoding`.
pub const ERROR: &str = "_error";
/// The columns that permissive reading appends to the declared ones.
pub const META_COLUMNS: [&str; 4] = [RAW, SOURCE, POSITION, ERROR];

const KEYS: [&str; 12] = [
    "comment",
    "delimiter",
    "empty",
    "encoding",
    "escape",
    "header",
    "multiline",
    "null",
    "partitions",
    "permissive",
    "quote",
    "ragged",
];

/// What a quoted field without text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Empty {
    /// Null, as a field without text and quotes.
    Null,
    /// The empty text; in quotes, the text that means null is that text as well.
    Text,
}

/// What becomes of a record with too few fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ragged {
    /// It has the fault `field_count`.
    Error,
    /// The missing fields are null.
    Null,
}

/// Whether a quoted field may hold line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Records {
    /// It may: a record is one line or several.
    Multiline,
    /// It may not: every line is a record, so that a quote that is not closed damages its line only.
    Lines,
}

/// What an empty line is in a table of one column; with more columns it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlankLine {
    /// A row with null.
    Null,
    /// Nothing.
    Skip,
}

/// How to read a delimited table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelimitedOptions {
    /// Whether the first record of each file names the columns; they are then found by name.
    pub header: bool,
    /// The byte between fields; without it a tab in files named `.tsv` or `.tab`, else a comma.
    pub delimiter: Option<u8>,
    /// The byte around fields that may hold anything; `None` where quotes mean nothing.
    pub quote: Option<u8>,
    /// The byte that takes the next one literally, inside quotes.
    pub escape: Option<u8>,
    /// The byte at the beginning of a line that makes it a comment.
    pub comment: Option<u8>,
    /// Whether quoted fields may hold line breaks.
    pub records: Records,
    /// Whether bad fields become null with an `_error`, instead of failing the query.
    pub permissive: bool,
    /// A text that means null, besides the empty field.
    pub null: Option<String>,
    /// What `""` is.
    pub empty: Empty,
    /// What a record with too few fields is.
    pub ragged: Ragged,
    /// What an empty line is in a table of one column.
    pub blank_line: BlankLine,
    /// How the text is encoded, where no byte order mark says otherwise.
    pub encoding: Encoding,
}

impl Default for DelimitedOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: None,
            quote: Some(b'"'),
            escape: None,
            comment: None,
            records: Records::Multiline,
            permissive: false,
            null: None,
            empty: Empty::Text,
            ragged: Ragged::Error,
            blank_line: BlankLine::Null,
            encoding: Encoding::Utf8,
        }
    }
}

impl DelimitedOptions {
    /// How Emporia's own results are read: as [`super::encode`] writes them.
    pub fn of_results() -> Self {
        Self {
            delimiter: Some(b','),
            ..Self::default()
        }
    }

    /// Parses the options of a catalog table. `partitions` is not one of them: it says how a folder is
    /// read, and not a file.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown key (with the nearest one) or a bad value.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options {
            match key.as_str() {
                "header" => parsed.header = choice(key, value, &TRUTH)?,
                "permissive" => parsed.permissive = choice(key, value, &TRUTH)?,
                "multiline" => {
                    let known = [("true", Records::Multiline), ("false", Records::Lines)];
                    parsed.records = choice(key, value, &known)?;
                }
                "null" => parsed.null = Some(value.clone()),
                "empty" => {
                    let known = [("null", Empty::Null), ("text", Empty::Text)];
                    parsed.empty = choice(key, value, &known)?;
                }
                "ragged" => {
                    let known = [("error", Ragged::Error), ("null", Ragged::Null)];
                    parsed.ragged = choice(key, value, &known)?;
                }
                "encoding" => {
                    let name = value.to_ascii_lowercase();
                    parsed.encoding = choice(key, &name, &Encoding::NAMES)?;
                }
                "delimiter" => parsed.delimiter = Some(byte(key, value)?),
                "quote" => parsed.quote = byte_or_none(key, value)?,
                "escape" => parsed.escape = byte_or_none(key, value)?,
                "comment" => parsed.comment = byte_or_none(key, value)?,
                _ => {
                    let error = Error::invalid(format!("`{key}` is not an option of a csv table"));
                    return Err(match nearest(key, KEYS) {
                        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                        None => error.with_hint(format!("options are {}", KEYS.join(", "))),
                    });
                }
            }
        }
        // A doubled quote is read as one quote always.
        parsed.escape = parsed.escape.filter(|escape| Some(*escape) != parsed.quote);
        parsed.check()?;
        Ok(parsed)
    }

    /// Checks that no two options give one byte two meanings.
    fn check(&self) -> Result<()> {
        let delimiters: &[u8] = match &self.delimiter {
            Some(delimiter) => &[*delimiter],
            None => b",\t",
        };
        let mut seen: Vec<(&str, u8)> = Vec::new();
        let bytes = [
            ("quote", self.quote),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        for delimiter in delimiters {
            seen.push(("delimiter", *delimiter));
        }
        for (name, byte) in bytes {
            let Some(byte) = byte else { continue };
            if let Some((other, _)) = seen.iter().find(|(_, b)| *b == byte) {
                return Err(Error::invalid(format!(
                    "options `{other}` and `{name}` are the same character"
                )));
            }
            seen.push((name, byte));
        }
        Ok(())
    }

    /// How the text of the file is cut into records and fields.
    pub(super) fn dialect(&self, path: &str) -> Dialect {
        Dialect {
            delimiter: self.delimiter.unwrap_or_else(|| usual_delimiter(path)),
            quote: self.quote,
            escape: self.escape,
            comment: self.comment,
            records: match self.quote {
                Some(_) => self.records,
                None => Records::Lines,
            },
        }
    }

    /// The schema of the table: the declared columns of the files, those of their folders, all
    /// nullable, and the columns that permissive reading adds.
    pub fn table_schema(&self, declared: &Schema, folders: &Fields) -> SchemaRef {
        let mut fields: Vec<Field> = declared
            .fields()
            .iter()
            .chain(folders)
            .map(|f| f.as_ref().clone().with_nullable(true))
            .collect();
        if self.permissive {
            // Views share the text of the file; most queries need it of few lines.
            fields.push(Field::new(RAW, DataType::Utf8View, false));
            fields.push(Field::new(SOURCE, DataType::Utf8View, false));
            fields.push(Field::new(POSITION, DataType::Int64, false));
            fields.push(Field::new(ERROR, DataType::Utf8, true));
        }
        Arc::new(Schema::new(fields))
    }
}

const TRUTH: [(&str, bool); 2] = [("true", true), ("false", false)];

fn choice<T: Copy>(key: &str, value: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == value);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
        let (last, rest) = names
            .split_last()
            .map_or(("", &[][..]), |(l, r)| (l.as_str(), r));
        Error::invalid(format!(
            "option `{key}` must be {} or {last}, not `{value}`",
            rest.join(", ")
        ))
    })
}

/// One ASCII character, or its escape.
fn byte(key: &str, value: &str) -> Result<u8> {
    match value.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => Err(
            Error::invalid(format!("option `{key}` must be one byte, not `{value}`"))
                .with_hint("write one ASCII character, or \\t for a tab"),
        ),
    }
}

fn byte_or_none(key: &str, value: &str) -> Result<Option<u8>> {
    match value {
        "" | "none" => Ok(None),
        _ => byte(key, value).map(Some),
    }
}

/// The delimiter that the name of a file, without the endings of compressions, lets expect.
fn usual_delimiter(path: &str) -> u8 {
    let mut name = path.to_ascii_lowercase();
    for packed in [".gz", ".zst", ".zstd", ".bz2", ".xz"] {
        if let Some(inner) = name.strip_suffix(packed) {
            name.truncate(inner.len());
            break;
        }
    }
    match name.ends_with(".tsv") || name.ends_with(".tab") {
        true => b'\t',
        false => b',',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<DelimitedOptions> {
        let options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        DelimitedOptions::parse(&options.collect())
    }

    #[test]
    fn options_are_read_or_named() {
        let options = [
            ("delimiter", "\\t"),
            ("quote", "'"),
            ("escape", "\\"),
            ("comment", "#"),
            ("encoding", "Latin1"),
            ("empty", "null"),
            ("ragged", "null"),
            ("multiline", "false"),
        ];
        let parsed = parse(&options).unwrap();
        assert_eq!(parsed.delimiter, Some(b'\t'));
        assert_eq!((parsed.quote, parsed.escape), (Some(b'\''), Some(b'\\')));
        assert_eq!(parsed.comment, Some(b'#'));
        assert_eq!(parsed.encoding, Encoding::Latin1);
        assert_eq!((parsed.empty, parsed.ragged), (Empty::Null, Ragged::Null));
        assert_eq!(parsed.records, Records::Lines);
        assert_eq!(parse(&[("quote", "none")]).unwrap().quote, None);
        for (key, value, expected) in [
            ("delimiter", "||", "`delimiter` must be one byte"),
            ("delimiter", "§", "`delimiter` must be one byte"),
            ("delimiter", "\"", "`delimiter` and `quote` are the same"),
            ("comment", ",", "`delimiter` and `comment` are the same"),
            ("ragged", "skip", "must be `error` or `null`, not `skip`"),
            ("encoding", "ebcdic", "not `ebcdic`"),
            ("heder", "true", "`heder` is not an option"),
        ] {
            let error = parse(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_file_named_tsv_has_tabs_unless_the_table_says_otherwise() {
        let options = DelimitedOptions::default();
        for (path, delimiter) in [
            ("a/b.csv", b','),
            ("a/b.tsv", b'\t'),
            ("a/B.TSV.GZ", b'\t'),
            ("a.tsv/b.txt", b','),
        ] {
            assert_eq!(options.dialect(path).delimiter, delimiter, "{path}");
        }
        let chosen = parse(&[("delimiter", ";")]).unwrap();
        assert_eq!(chosen.dialect("a.tsv").delimiter, b';');
    }
}
