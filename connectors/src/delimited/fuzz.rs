//! Files of any bytes in any dialect: cut anywhere, and come in pieces of any size, they have the same
//! rows, and these rows are written so that they are read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Fields, SchemaRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::decoder::Decoder;
use super::failure::Place as PlaceOfFile;
use super::head::Head;
use super::options::{BlankLine, DelimitedOptions};
use super::reader::{DelimitedSource, Range, decode_blocks};
use super::table::DelimitedTable;
use super::text::decoded;
use super::write::{Style, encode, header};
use super::{Encoding, META_COLUMNS, lines};
use crate::compression::Compression;
use crate::files::TextFile;
use crate::fuzz::{Place, Rows, schema, shown};

/// Bytes before the file, which say how it is read.
const HEAD: usize = 6;

const COLUMNS: [&[&str]; 4] = [
    &["a string"],
    &["a string", "b string", "c string"],
    &["a string", "b int64", "c decimal(18,2)", "d timestamp"],
    &["a bool", "b date", "c float64", "d int32"],
];

/// What a file is read with.
struct Way {
    options: DelimitedOptions,
    columns: SchemaRef,
    /// As in [`DelimitedSource`].
    projection: Vec<usize>,
    name: &'static str,
}

/// The element that the number chooses.
fn pick<T: Copy>(choices: &[T], number: u8) -> Option<T> {
    choices.get(usize::from(number) % choices.len()).copied()
}

impl Way {
    /// `None` where the options contradict each other.
    fn of(marks: u8, rules: u8, form: u8) -> Option<Self> {
        let truth = |bit: u8| {
            Some(if rules >> bit & 1 == 1 {
                "true"
            } else {
                "false"
            })
        };
        let values = [
            (
                "delimiter",
                pick(&[None, Some(","), Some(";"), Some("\\t")], marks)?,
            ),
            (
                "quote",
                pick(&[None, None, Some("'"), Some("none")], marks >> 2)?,
            ),
            (
                "escape",
                pick(&[None, None, Some("\\"), Some("\"")], marks >> 4)?,
            ),
            ("comment", pick(&[None, None, None, Some("#")], marks >> 6)?),
            ("header", truth(0)),
            ("multiline", truth(1)),
            ("permissive", truth(2)),
            ("empty", pick(&[None, Some("null")], rules >> 3)?),
            ("ragged", pick(&[None, Some("null")], rules >> 4)?),
            (
                "null",
                pick(&[None, Some("-"), Some("NULL"), Some("\"")], rules >> 5)?,
            ),
            (
                "encoding",
                pick(
                    &[
                        None,
                        None,
                        None,
                        None,
                        Some("latin1"),
                        Some("cp1252"),
                        Some("utf-16le"),
                        Some("utf-16be"),
                    ],
                    form,
                )?,
            ),
        ];
        let values = values.into_iter();
        let values = values.filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
        let mut options = DelimitedOptions::parse(&values.collect::<BTreeMap<_, _>>()).ok()?;
        if rules >> 7 == 1 {
            options.blank_line = BlankLine::Skip;
        }
        let columns = schema(pick(&COLUMNS, form >> 3)?);
        let n_columns = options
            .table_schema(&columns, &Fields::empty())
            .fields()
            .len();
        let projection = match form >> 5 & 1 {
            0 => (0..n_columns).collect(),
            // The last column of the file, and what is said of the record.
            _ => (columns.fields().len() - 1..n_columns).collect(),
        };
        Some(Self {
            options,
            columns,
            projection,
            name: pick(&["t.csv", "t.tsv"], form >> 6)?,
        })
    }

    fn is_whole_row(&self) -> bool {
        self.projection.first() == Some(&0)
    }

    fn source(&self, place: &Place) -> DelimitedSource {
        DelimitedSource {
            store: place.root.clone(),
            options: self.options.clone(),
            declared: Arc::clone(&self.columns),
            folders: Fields::empty(),
            projection: self.projection.clone(),
            estimated_rows: None,
            key_filter: None,
        }
    }

    /// The rows of the file with cuts at about these places.
    fn read(&self, place: &Place, file: &TextFile, cuts: Vec<u64>) -> Result<Vec<RecordBatch>> {
        let source = self.source(place);
        let table = DelimitedTable::new(
            place.root.clone(),
            vec![file.clone()],
            self.options.clone(),
            Arc::clone(&self.columns),
            Fields::empty(),
        );
        let ranges = place.wait(table.ranges(&place.store, file, cuts))?;
        let splits = ranges.iter().map(serde_json::to_string);
        let splits = splits.collect::<Result<Vec<_>, _>>();
        let splits = splits.map_err(|e| DataFusionError::External(Box::new(e)))?;
        place.read(&source, &splits)
    }

    /// The rows of the file, whose text comes in pieces of `size` bytes.
    fn read_pieces(
        &self,
        place: &Place,
        file: &TextFile,
        bytes: &Bytes,
        size: usize,
    ) -> Result<Vec<RecordBatch>> {
        place.wait(async {
            let head = Head::read(file.pinned(&place.store)?, &self.options).await?;
            let range = Range {
                file: file.clone(),
                start: 0,
                end: file.size(),
            };
            let source = self.source(place);
            let decoder = Decoder::try_new(&source, &range, head.names.as_ref(), 3)?;
            let stored = pieces(bytes, size);
            let text = match head.text.is_plain {
                true => stored,
                false => decoded(stored, self.options.encoding, Path::from(self.name)),
            };
            let text: Vec<_> = text.try_collect().await?;
            let text = Bytes::from(text.concat());
            let start = usize::try_from(head.start).unwrap_or_default();
            let rest = pieces(&text.slice(start.min(text.len())..), size);
            let dialect = self.options.dialect(&file.path);
            let blocks = lines::all_records(rest, dialect, head.start);
            let file = PlaceOfFile {
                text: head.text,
                file: format!("{}{}", place.root.as_str(), self.name),
            };
            decode_blocks(blocks, decoder, file, None)
                .try_collect()
                .await
        })
    }
}

fn pieces(bytes: &Bytes, size: usize) -> BoxStream<'static, Result<Bytes>> {
    let bytes = bytes.clone();
    let starts = (0..bytes.len()).step_by(size);
    let pieces = starts.map(move |at| Ok(bytes.slice(at..bytes.len().min(at + size))));
    futures::stream::iter(pieces).boxed()
}

/// Reads a file. The bytes before it say how: the marks of the dialect, its rules, encoding and columns,
/// two places to cut at, and the size of pieces. Tells whether it was read.
pub fn fuzz(data: &[u8]) -> bool {
    let Some(([marks, rules, form, first, second, size], text)) = data.split_first_chunk::<HEAD>()
    else {
        return false;
    };
    let Some(way) = Way::of(*marks, *rules, *form) else {
        return false;
    };
    Place::with(|place| {
        let bytes = Bytes::copy_from_slice(text);
        let Ok(file) = place.put(way.name, bytes.clone()) else {
            return false;
        };
        let whole = way.read(place, &file, Vec::new());
        let batches = whole.as_ref().map(Clone::clone).unwrap_or_default();
        let whole = shown(whole);
        let place_of = |part: &u8| u64::from(*part) * file.size() / 256;
        let mut cuts = vec![place_of(first), place_of(second)];
        cuts.sort_unstable();
        let cut = shown(way.read(place, &file, cuts.clone()));
        assert_eq!(cut, whole, "cut at {cuts:?}, {:?}", way.options);
        let size = usize::from(*size).max(1);
        if Compression::of(text).is_ok_and(|c| c == Compression::None) {
            let pieces = shown(way.read_pieces(place, &file, &bytes, size));
            // Of several mistakes, the one that is met first depends on how far the text is looked through before.
            let are_wrong = pieces.is_err() && whole.is_err();
            assert!(
                pieces == whole || are_wrong,
                "in pieces of {size}, {:?}: {pieces:?}, not {whole:?}",
                way.options
            );
        }
        let Ok(rows) = whole else {
            return false;
        };
        if way.options.permissive {
            check_places(&way, &rows, text);
        }
        if way.is_whole_row() {
            check_written(place, &way, &batches);
        }
        true
    })
}

/// A record stands where its row says.
fn check_places(way: &Way, rows: &Rows, text: &[u8]) {
    let n_meta = META_COLUMNS.len();
    let (encoding, _) = way.options.encoding.marked(text);
    let is_packed = !Compression::of(text).is_ok_and(|c| c == Compression::None);
    let is_plain = encoding == Encoding::Utf8 && !is_packed;
    for row in rows {
        let [raw, _, position, error] = &row[row.len() - n_meta..] else {
            continue;
        };
        let raw = raw.as_deref().unwrap_or_default();
        if is_plain && error.as_deref() != Some("encoding") {
            let at: usize = position
                .as_deref()
                .unwrap_or_default()
                .parse()
                .unwrap_or(usize::MAX);
            let found = text.get(at..at + raw.len());
            assert_eq!(found, Some(raw.as_bytes()), "{row:?}");
        }
    }
}

/// The columns of the file are written and read as they were.
fn check_written(place: &Place, way: &Way, batches: &[RecordBatch]) {
    let n_columns = way.columns.fields().len();
    let indices: Vec<_> = (0..n_columns).collect();
    let batches = batches
        .iter()
        .map(|batch| batch.project(&indices).map_err(Into::into));
    let batches = batches.collect::<Result<Vec<_>>>();
    let style = Style::default();
    let mut text = header(&way.columns, &style);
    for batch in batches.as_deref().unwrap_or_default() {
        // A day or time in a year that no calendar has.
        if encode(batch, &style, &mut text).is_err() {
            return;
        }
    }
    let again = Way {
        options: DelimitedOptions::of_results(),
        columns: Arc::clone(&way.columns),
        projection: indices,
        name: "written.csv",
    };
    let file = place.put(again.name, Bytes::from(text.clone()));
    let rows = file.and_then(|file| again.read(place, &file, Vec::new()));
    assert_eq!(shown(rows), shown(batches), "{text:?}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn changed_files_are_read_or_refused() {
        let outcome = emporia_fuzz::run("delimited", 3_000, super::fuzz);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }
}
