//! What the beginning of a file tells: how it is packed and encoded, and the names of its columns.

use bytes::Bytes;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::dialect::{Dialect, Scanner};
use super::encoding::Encoding;
use super::fields::{self, Form};
use super::options::DelimitedOptions;
use super::text::TextOfFile;
use crate::compression::{Compression, in_file};
use crate::files::PinnedFile;

/// Bytes of a file that are read to know it.
const FIRST_BYTES: u64 = 64 * 1024;
/// Bytes at the start of a file that must hold its header.
const MAX_HEADER: usize = 256 * 1024;

/// The names of a header, and how they are written.
pub(super) type Names = Vec<(String, Form)>;

/// The beginning of a file.
pub(super) struct Head {
    pub(super) text: TextOfFile,
    /// The names of the columns; `None` where the files have none, or this one has no record at all.
    pub(super) names: Option<Names>,
    /// Where the first record stands that is data.
    pub(super) start: u64,
}

impl Head {
    /// Reads the beginning of the file.
    ///
    /// # Errors
    /// Those of the store; where the file is packed in a way that cannot be read, or the header is no
    /// text, has a wrong quote, or is too long.
    pub(super) async fn read(file: PinnedFile, options: &DelimitedOptions) -> Result<Self> {
        let size = file.size();
        let first = file.read_one(0..size.min(FIRST_BYTES)).await?;
        let compression = Compression::of(&first).map_err(|e| in_file(file.path(), e))?;
        let (encoding, _) = options.encoding.marked(&first);
        let text = TextOfFile {
            file,
            compression,
            encoding: options.encoding,
            is_plain: compression == Compression::None && encoding == Encoding::Utf8,
            first: first.clone(),
        };
        let n_known = first.len() as u64;
        let (known, rest) = match text.is_plain {
            true if n_known == size => (first, stream::empty().boxed()),
            true => (first, text.chunks(n_known, n_known)),
            false => (Bytes::new(), text.chunks(0, u64::MAX)),
        };
        let (names, start) = Self::find(known, rest, &text, options).await?;
        Ok(Self { text, names, start })
    }

    /// The names, and where what follows them begins, in a text that begins with `known`.
    async fn find(
        known: Bytes,
        mut rest: BoxStream<'static, Result<Bytes>>,
        text: &TextOfFile,
        options: &DelimitedOptions,
    ) -> Result<(Option<Names>, u64)> {
        let path = text.file.path();
        let dialect = options.dialect(path.as_ref());
        let mut found = known.to_vec();
        let mut is_whole = false;
        loop {
            let mark = if found.starts_with(b"\xef\xbb\xbf") {
                3
            } else {
                0
            };
            let is_mark_known = is_whole || found.len() >= 3;
            if is_mark_known && !options.header {
                return Ok((None, mark as u64));
            }
            let record = match is_mark_known {
                true => first_record(&found, mark, &dialect, is_whole),
                false => None,
            };
            match record {
                Some((start, end)) => {
                    let names = names(&found[start..end], &dialect, path)?;
                    // The line break of the last line may be missing.
                    let next = (end + 1).min(found.len());
                    return Ok((Some(names), next as u64));
                }
                // The text ends without a record: there is nothing to read.
                None if is_whole => return Ok((None, found.len() as u64)),
                None if found.len() >= MAX_HEADER => {
                    return Err(DataFusionError::Execution(format!(
                        "the header of `/{path}` is longer than {MAX_HEADER} bytes; \
                         is a quote not closed, or is this not a text file?"
                    )));
                }
                None => match rest.try_next().await? {
                    Some(chunk) => found.extend_from_slice(&chunk),
                    None => is_whole = true,
                },
            }
        }
    }
}

/// Start and end of the first record of `text` at or after `at`, without its line break; `None` where
/// it does not end in the text, which may go on if it is not the `whole` one.
fn first_record(
    text: &[u8],
    mut at: usize,
    dialect: &Dialect,
    is_whole: bool,
) -> Option<(usize, usize)> {
    loop {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let line = memchr::memchr(b'\n', rest);
        let is_comment = dialect.comment == Some(rest[0]);
        let is_blank = rest[..line.unwrap_or(rest.len())]
            .iter()
            .all(u8::is_ascii_whitespace);
        // A line of tabs is a record of a file with tabs.
        let is_blank = is_blank && !rest.starts_with(&[dialect.delimiter]);
        match line {
            Some(line) if is_comment || is_blank => at += line + 1,
            None if is_comment || is_blank => return None,
            _ => {
                let mut scanner = Scanner::new(*dialect);
                scanner.scan(rest);
                let end = scanner.first_break(rest, 0);
                let end = end.or_else(|| is_whole.then_some(rest.len()))?;
                return Some((at, at + end));
            }
        }
    }
}

fn names(record: &[u8], dialect: &Dialect, path: &Path) -> Result<Names> {
    let text = std::str::from_utf8(record).map_err(|_| {
        DataFusionError::Execution(format!(
            "the header of `/{path}` is not UTF-8 text; \
             if the file has another encoding, set the table option encoding, as in \"latin1\""
        ))
    })?;
    fields::texts(text, dialect).ok_or_else(|| {
        DataFusionError::Execution(format!(
            "the header of `/{path}` has a quote that is not closed, or text behind one that is"
        ))
    })
}

/// Maps the declared columns to field positions by the names of the header.
///
/// # Errors
/// When a declared column is missing or stands there twice, naming the file and what it has.
pub(super) fn map_header(names: &Names, declared: &Schema, path: &str) -> Result<Vec<usize>> {
    let shown = || {
        let names: Vec<_> = names.iter().map(|(name, _)| name.trim()).collect();
        names.join(", ")
    };
    let position = |wanted: &str| {
        let exact = |(name, _): &(String, Form)| name == wanted;
        let trimmed = |(name, form): &(String, Form)| *form == Form::Plain && name.trim() == wanted;
        let found: Vec<_> = (0..names.len())
            .filter(|n| exact(&names[*n]) || trimmed(&names[*n]))
            .collect();
        match found[..] {
            [position] => Ok(position),
            [] => Err(DataFusionError::Execution(format!(
                "file `/{path}` has no column `{wanted}`; its header names {}",
                shown()
            ))),
            _ => Err(DataFusionError::Execution(format!(
                "file `/{path}` has the column `{wanted}` {} times; its header names {}",
                found.len(),
                shown()
            ))),
        }
    };
    declared
        .fields()
        .iter()
        .map(|field| position(field.name()))
        .collect()
}
