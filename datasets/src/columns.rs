//! Columns of the contract from plain values.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, SchemaRef};
use emporia_core::{Error, Result, contract};

/// A batch of a table of the contract.
pub(crate) fn batch(table: &str, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let schema = contract::schema(table)
        .ok_or_else(|| Error::internal(format!("table `{table}` is not in the contract")))?;
    batch_of(&schema, columns)
}

/// A batch of any schema.
pub(crate) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|e| Error::internal(format!("cannot make rows of {schema}")).with_source(e))
}

/// Text that is never null.
pub(crate) fn text<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Text with nulls.
pub(crate) fn optional_text<T: AsRef<str>>(
    values: impl IntoIterator<Item = Option<T>>,
) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// A column without values.
pub(crate) fn nulls(data_type: &DataType, rows: usize) -> ArrayRef {
    arrow::array::new_null_array(data_type, rows)
}

/// Large whole numbers.
pub(crate) fn int64(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Whole numbers.
pub(crate) fn int32(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

/// Times from seconds since 1970.
pub(crate) fn times(seconds: impl IntoIterator<Item = i64>) -> ArrayRef {
    let micros = seconds.into_iter().map(|second| second * 1_000_000);
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

/// Money from cents.
pub(crate) fn cents(values: impl IntoIterator<Item = i64>) -> Result<ArrayRef> {
    decimal(
        values.into_iter().map(i128::from),
        18,
        contract::MONEY_SCALE,
    )
}

/// Decimals from their digits.
pub(crate) fn decimal(
    values: impl IntoIterator<Item = i128>,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef> {
    Decimal128Array::from_iter_values(values)
        .with_precision_and_scale(precision, scale)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|e| Error::internal("cannot make a decimal column").with_source(e))
}

/// Lists of text.
pub(crate) fn lists(lengths: &[usize], values: &[String]) -> Result<ArrayRef> {
    list_of(lengths, Arc::new(StringArray::from_iter_values(values)))
}

/// Carts: lists of product, quantity and price.
pub(crate) fn carts(
    lengths: &[usize],
    products: &[String],
    quantities: Vec<i32>,
    prices: Vec<i64>,
) -> Result<ArrayRef> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(products)),
        Arc::new(Int32Array::from(quantities)),
        cents(prices)?,
    ];
    let entries = StructArray::try_new(contract::cart_entry(), columns, None)
        .map_err(|e| Error::internal("cannot make cart entries").with_source(e))?;
    list_of(lengths, Arc::new(entries))
}

fn list_of(lengths: &[usize], values: ArrayRef) -> Result<ArrayRef> {
    let item: DataType = values.data_type().clone();
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    ListArray::try_new(
        Arc::new(Field::new("item", item, true)),
        offsets,
        values,
        None,
    )
    .map(|array| Arc::new(array) as ArrayRef)
    .map_err(|e| Error::internal("cannot make a list column").with_source(e))
}
