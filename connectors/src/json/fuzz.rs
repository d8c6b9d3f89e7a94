//! Files of any bytes: cut anywhere, they have the same rows; columns that were found in a file have all
//! its values; rows are written so that they are read again; and a line is JSON where another library
//! says so.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use serde_json::{Map, Value};

use super::encode::writer_builder;
use super::reader::{JsonFile, JsonSource, Range};
use super::schema::Columns;
use super::survey::survey;
use super::syntax::check_line;
use crate::files::TextFile;
use crate::fuzz::{Place, schema, shown};

/// Bytes before the file, which say how it is read.
const HEAD: usize = 3;

/// The columns to read; none are those of the file.
const COLUMNS: [&[&str]; 4] = [
    &[],
    &["a string", "b int64", "c float64", "d bool"],
    &["a decimal(20,3)", "b timestamp", "c date", "d binary"],
    &[
        "a list(struct(x int64, y string))",
        "b struct(z list(float64), w decimal(38,10))",
        "c map(string, int32)",
    ],
];

/// Reads a file. The bytes before it say with which columns, and at which two places it is cut. Tells
/// whether it was read.
pub fn fuzz(data: &[u8]) -> bool {
    let Some(([form, first, second], text)) = data.split_first_chunk::<HEAD>() else {
        return false;
    };
    for line in text.split(|byte| *byte == b'\n') {
        check_judged(line);
    }
    Place::with(|place| {
        let Ok(file) = place.put("t.json", Bytes::copy_from_slice(text)) else {
            return false;
        };
        let is_permissive = form & 4 != 0;
        let declared = COLUMNS
            .get(usize::from(form & 3))
            .copied()
            .unwrap_or_default();
        let Ok((file, columns)) = columns(place, file, declared, is_permissive) else {
            return false;
        };
        if columns.keys().is_empty() {
            return false;
        }
        let place_of = |part: &u8| u64::from(*part) * file.file.size() / 256;
        let mut cuts = vec![place_of(first), place_of(second)];
        cuts.sort_unstable();
        if file.is_one_piece {
            cuts.clear();
        }
        let whole = read(place, &file, &columns, &[]);
        let batches = whole.as_ref().map(Clone::clone).unwrap_or_default();
        let whole = shown(whole);
        let cut = shown(read(place, &file, &columns, &cuts));
        let at_byte = |error: String| match error.split_once("at byte ") {
            Some((_, rest)) => rest.replacen(") of `", " of `", 1),
            None => error,
        };
        let cut = cut.map_err(at_byte);
        assert_eq!(cut, whole.clone().map_err(at_byte), "cut at {cuts:?}");
        if let Err(error) = &whole {
            let is_found = declared.is_empty() && !error.contains("occurs twice");
            assert!(!is_found, "with the columns of the file: {error}");
            return false;
        }
        if !is_permissive {
            check_written(place, &columns, &batches);
        }
        true
    })
}

/// The columns to read, and the file with what is known of it.
fn columns(
    place: &Place,
    file: TextFile,
    declared: &[&str],
    is_permissive: bool,
) -> Result<(JsonFile, Columns)> {
    let mut file = JsonFile {
        file,
        is_one_piece: false,
    };
    file.is_one_piece = place.wait(file.source(&place.store)?.is_one_piece())?;
    let fields = match declared.is_empty() {
        true => {
            let files = [file.clone()];
            let found = survey(&place.store, place.root.as_str(), &files, is_permissive);
            place.wait(found)?.fields
        }
        false => schema(declared).fields().clone(),
    };
    Ok((file, Columns::try_new(&fields, &[], is_permissive)?))
}

/// The rows of the file, cut at these places.
fn read(
    place: &Place,
    file: &JsonFile,
    columns: &Columns,
    cuts: &[u64],
) -> Result<Vec<RecordBatch>> {
    let source = JsonSource {
        store: place.root.clone(),
        columns: columns.clone(),
        projection: (0..columns.schema().fields().len()).collect(),
        estimated_rows: None,
    };
    let (mut splits, mut start) = (Vec::new(), 0);
    for end in cuts.iter().copied().chain([file.file.size()]) {
        let range = Range {
            file: file.clone(),
            start,
            end,
        };
        if start < end {
            let split = serde_json::to_string(&range);
            splits.push(split.map_err(|e| DataFusionError::External(Box::new(e)))?);
        }
        start = end;
    }
    place.read(&source, &splits)
}

/// The rows are written and read as they were.
fn check_written(place: &Place, columns: &Columns, batches: &[RecordBatch]) {
    let mut writer = writer_builder().build::<_, LineDelimited>(Vec::new());
    for batch in batches {
        // A day or time in a year that no calendar has.
        if writer.write(batch).is_err() {
            return;
        }
    }
    assert!(writer.finish().is_ok());
    let text = Bytes::from(writer.into_inner());
    let file = place.put("written.json", text.clone());
    let rows = file.and_then(|file| {
        let file = JsonFile {
            file,
            is_one_piece: false,
        };
        read(place, &file, columns, &[])
    });
    assert_eq!(shown(rows), shown(Ok(batches.to_vec())), "{text:?}");
}

/// A line is an object where another library says so.
fn check_judged(line: &[u8]) {
    if line.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    let ours = check_line(line);
    match (serde_json::from_slice::<Map<String, Value>>(line), ours) {
        (Ok(_), Err(ours)) => assert!(ours.contains("deeper than"), "{ours}"),
        // It knows no number beyond a float.
        (Err(theirs), Ok(())) => {
            assert!(theirs.to_string().contains("out of range"), "{theirs}");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn changed_files_are_read_or_refused() {
        let outcome = emporia_fuzz::run("json", 3_000, super::fuzz);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }
}
