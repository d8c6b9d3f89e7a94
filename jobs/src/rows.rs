//! Values of collected batches, by column name.

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type};
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::{Error, Result};

/// A column of a batch as the type that the caller reads.
fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef> {
    let array = batch
        .column_by_name(name)
        .ok_or_else(|| Error::internal(format!("a result has no column `{name}`")))?;
    cast(array, data_type)
        .map_err(|e| Error::internal(format!("cannot read column `{name}`")).with_source(e))
}

/// All values of an integer column over the batches.
pub(crate) fn integers(batches: &[RecordBatch], name: &str) -> Result<Vec<Option<i64>>> {
    let mut values = Vec::new();
    for batch in batches {
        let array = column(batch, name, &DataType::Int64)?;
        values.extend(array.as_primitive::<Int64Type>().iter());
    }
    Ok(values)
}

/// All values of an unsigned column over the batches.
pub(crate) fn unsigned(batches: &[RecordBatch], name: &str) -> Result<Vec<Option<u64>>> {
    let mut values = Vec::new();
    for batch in batches {
        let array = column(batch, name, &DataType::UInt64)?;
        values.extend(array.as_primitive::<UInt64Type>().iter());
    }
    Ok(values)
}

/// All values of a decimal column of scale zero over the batches.
pub(crate) fn whole_decimals(batches: &[RecordBatch], name: &str) -> Result<Vec<Option<i128>>> {
    let mut values = Vec::new();
    for batch in batches {
        let array = column(batch, name, &DataType::Decimal128(38, 0))?;
        values.extend(array.as_primitive::<Decimal128Type>().iter());
    }
    Ok(values)
}

/// All values of a text column over the batches.
pub(crate) fn texts(batches: &[RecordBatch], name: &str) -> Result<Vec<Option<String>>> {
    let mut values = Vec::new();
    for batch in batches {
        let array = column(batch, name, &DataType::Utf8)?;
        let array = array.as_string::<i32>();
        values.extend(array.iter().map(|v| v.map(str::to_owned)));
    }
    Ok(values)
}
