//! The text of single values, the same in every text form.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use emporia_connectors::json::encoder_options;
use emporia_core::error::Result;

use super::not_text;

const FORMAT: FormatOptions<'_> = FormatOptions::new().with_display_error(true);

/// What the encoders of a batch refer to.
pub(super) struct Prepared {
    options: EncoderOptions,
    fields: Vec<FieldRef>,
}

impl Prepared {
    pub(super) fn new(batch: &RecordBatch) -> Self {
        Self {
            options: encoder_options(),
            fields: batch.schema().fields().iter().map(Arc::clone).collect(),
        }
    }

    /// The columns of `batch`, which is the one that this was made of.
    pub(super) fn columns<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<Column<'a>>> {
        batch
            .columns()
            .iter()
            .zip(&self.fields)
            .map(|(array, field)| Column::new(array.as_ref(), field, &self.options))
            .collect()
    }
}

/// A column whose values can be read as text.
pub(super) struct Column<'a> {
    array: &'a dyn Array,
    text: Text<'a>,
    scratch: Vec<u8>,
}

enum Text<'a> {
    /// Decimals exact, times in ISO 8601.
    Plain(ArrayFormatter<'a>),
    /// Lists, structs and maps as JSON.
    Json(NullableEncoder<'a>),
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array, field: &'a FieldRef, options: &'a EncoderOptions) -> Result<Self> {
        let text = if is_nested(array.data_type()) {
            Text::Json(make_encoder(field, array, options).map_err(not_text)?)
        } else {
            Text::Plain(ArrayFormatter::try_new(array, &FORMAT).map_err(not_text)?)
        };
        Ok(Self {
            array,
            text,
            scratch: Vec::new(),
        })
    }

    /// The text of a value, `None` for null.
    pub(super) fn value(&mut self, row: usize) -> Result<Option<String>> {
        if self.array.is_null(row) || *self.array.data_type() == DataType::Null {
            return Ok(None);
        }
        Ok(Some(match &mut self.text {
            Text::Plain(formatter) => formatter.value(row).try_to_string().map_err(not_text)?,
            Text::Json(encoder) => {
                self.scratch.clear();
                encoder.encode(row, &mut self.scratch);
                String::from_utf8_lossy(&self.scratch).into_owned()
            }
        }))
    }
}

fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nested(values),
        other => other.is_nested(),
    }
}

/// Whether values of the field are aligned by their last digit.
pub(super) fn is_number(field: &Field) -> bool {
    field.data_type().is_numeric()
}
