//! Writes rows as delimited text that reads back as the same rows.
//!
//! Null is a field without text and quotes, or the text that stands for it. Every other value that could
//! be taken for something else stands in quotes: an empty text, one that equals the text of null, one
//! with a delimiter, a quote or a line break, one with blanks at its ends, and one at the beginning of a
//! line that begins like a comment.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;

use super::column::Column;
use super::lines::MAX_RECORD;
use crate::error::too_long;

/// What may begin a comment in the text formats that have them, and a byte order mark.
const COMMENTS: [char; 5] = ['#', ';', '%', '!', '\u{feff}'];

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// The character between fields.
    pub delimiter: char,
    /// What stands for null.
    pub null: String,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            delimiter: ',',
            null: String::new(),
        }
    }
}

impl Style {
    /// Appends a field to a line; `None` is null.
    pub fn field(&self, line: &mut String, index: usize, value: Option<&str>) {
        if index > 0 {
            line.push(self.delimiter);
        }
        match value {
            None => line.push_str(&self.null),
            Some(value) if self.needs_quotes(value, index) => {
                line.push('"');
                for (n, piece) in value.split('"').enumerate() {
                    if n > 0 {
                        line.push_str("\"\"");
                    }
                    line.push_str(piece);
                }
                line.push('"');
            }
            Some(value) => line.push_str(value),
        }
    }

    fn needs_quotes(&self, value: &str, index: usize) -> bool {
        let is_special = |c: char| c == self.delimiter || matches!(c, '"' | '\n' | '\r');
        value == self.null
            || value.is_empty()
            || value.starts_with(char::is_whitespace)
            || value.ends_with(char::is_whitespace)
            || (index == 0 && value.starts_with(COMMENTS))
            || value.contains(is_special)
    }
}

/// The line with the names of the columns.
pub fn header(schema: &Schema, style: &Style) -> String {
    let mut line = String::new();
    for (index, field) in schema.fields().iter().enumerate() {
        style.field(&mut line, index, Some(field.name()));
    }
    line.push('\n');
    line
}

/// Checks that every column can be written as text and read again.
///
/// # Errors
/// Names the first column that cannot.
pub fn check_columns(schema: &Schema) -> Result<()> {
    for field in schema.fields() {
        if Column::new(field.data_type()).is_err() {
            return plan_err!(
                "column `{}` has the type {}, which csv files cannot hold; \
                 write parquet or json, or turn it into text or plain columns in the query",
                field.name(),
                field.data_type()
            );
        }
    }
    Ok(())
}

/// Appends the rows of `batch` to `text`.
///
/// # Errors
/// Where a value has no form as text, such as a time in a year that no calendar has, or a row is longer than what
/// is read.
pub fn encode(batch: &RecordBatch, style: &Style, text: &mut String) -> Result<()> {
    const FORMAT: FormatOptions<'_> = FormatOptions::new().with_display_error(false);
    let columns = batch
        .columns()
        .iter()
        .map(|array| Ok((array, ArrayFormatter::try_new(array.as_ref(), &FORMAT)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut value = String::new();
    for row in 0..batch.num_rows() {
        let start = text.len();
        for (index, (array, formatter)) in columns.iter().enumerate() {
            let is_null = array.is_null(row) || *array.data_type() == DataType::Null;
            if is_null || is_null_in_dictionary(array.as_ref(), row) {
                style.field(text, index, None);
                continue;
            }
            value.clear();
            formatter.value(row).write(&mut value).map_err(|e| {
                DataFusionError::Execution(format!(
                    "column `{}` has a value that cannot be written as text: {e}",
                    batch.schema().field(index).name()
                ))
            })?;
            style.field(text, index, Some(&value));
        }
        if text.len() - start > MAX_RECORD {
            return Err(too_long(MAX_RECORD, "delimited text"));
        }
        text.push('\n');
    }
    Ok(())
}

/// Whether the row refers to a null of a dictionary, which is null as well.
fn is_null_in_dictionary(array: &dyn Array, row: usize) -> bool {
    matches!(array.data_type(), DataType::Dictionary(..))
        && array
            .logical_nulls()
            .is_some_and(|nulls| nulls.is_null(row))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::csv::WriterBuilder;
    use datafusion::arrow::datatypes::Field;

    use super::*;

    fn texts() -> RecordBatch {
        let field = Field::new("a", DataType::Utf8, true);
        let column = StringArray::from(vec![Some(""), None, Some("#x"), Some("b c")]);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(column)]).unwrap()
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        let mut text = String::new();
        encode(&texts(), &Style::default(), &mut text).unwrap();
        assert_eq!(text, "\"\"\n\n\"#x\"\nb c\n");
        let style = Style {
            delimiter: ' ',
            null: "#x".to_owned(),
        };
        text.clear();
        encode(&texts(), &style, &mut text).unwrap();
        assert_eq!(text, "\"\"\n#x\n\"#x\"\n\"b c\"\n");
    }

    #[test]
    fn a_row_that_could_not_be_read_is_not_written() {
        let field = Field::new("a", DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![field]));
        for (length, is_written) in [(MAX_RECORD, true), (MAX_RECORD + 1, false)] {
            let column = StringArray::from(vec!["x".repeat(length)]);
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(column)]).unwrap();
            let written = encode(&batch, &Style::default(), &mut String::new());
            assert_eq!(written.is_ok(), is_written, "{length}");
        }
    }

    /// Once this fails, see `docs/upstream.md`.
    #[test]
    fn arrow_writes_the_empty_text_like_null() {
        let mut text = Vec::new();
        let mut writer = WriterBuilder::new().with_header(false).build(&mut text);
        writer.write(&texts().slice(0, 2)).unwrap();
        drop(writer);
        let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines[0], lines[1]);
    }
}
