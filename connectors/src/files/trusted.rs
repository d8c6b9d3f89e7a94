//! The footer of a Parquet file, without what it says of values in a way that cannot be relied on.
//!
//! DataFusion takes minima, maxima and counts of nulls as they stand in the file, whoever wrote it,
//! and leaves out row groups and pages by them. What is not certain is taken out here, before it looks:
//!
//! - floating point values: writers leave NaN out of minima and maxima and disagree on zeros, while
//!   DataFusion takes NaN for the greatest value of all;
//! - bytes and unsigned numbers in files that do not say in which order they were compared (older
//!   writers compared signed bytes), and all of `INT96`;
//! - a minimum that is greater than the maximum;
//! - everything of a column whose nulls were not counted: DataFusion takes that for no nulls.

use datafusion::parquet::basic::{
    ColumnOrder, ConvertedType, LogicalType, SortOrder, Type as Physical,
};
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::schema::types::ColumnDescriptor;

/// How the minima and maxima of a column can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// By anyone.
    Certain,
    /// By nobody.
    Unknown,
}

/// The footer with what is certain only.
pub(super) fn trusted(metadata: ParquetMetaData) -> Result<ParquetMetaData> {
    let file = metadata.file_metadata();
    let orders = file.column_orders();
    let bounds: Vec<_> = file
        .schema_descr()
        .columns()
        .iter()
        .enumerate()
        .map(|(index, column)| bounds_of(column, orders.and_then(|o| o.get(index)).copied()))
        .collect();
    let mut builder = metadata.into_builder();
    let mut groups = Vec::new();
    for group in builder.take_row_groups() {
        groups.push(trusted_group(group, &bounds)?);
    }
    let pages = builder.take_column_index().map(|mut groups| {
        for columns in &mut groups {
            for (column, bounds) in columns.iter_mut().zip(&bounds) {
                if *bounds == Bounds::Unknown {
                    *column = ColumnIndexMetaData::NONE;
                }
            }
        }
        groups
    });
    Ok(builder
        .set_row_groups(groups)
        .set_column_index(pages)
        .build())
}

fn trusted_group(group: RowGroupMetaData, bounds: &[Bounds]) -> Result<RowGroupMetaData> {
    let mut builder = group.into_builder();
    let columns = builder.take_columns().into_iter().zip(bounds);
    let columns = columns.map(|(column, bounds)| trusted_column(column, *bounds));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    builder.set_column_metadata(columns).build()
}

fn trusted_column(column: ColumnChunkMetaData, bounds: Bounds) -> Result<ColumnChunkMetaData> {
    let statistics = column
        .statistics()
        .and_then(|found| trusted_statistics(found, &column, bounds));
    let mut builder = column.into_builder();
    builder = match statistics {
        Some(statistics) => builder.set_statistics(statistics),
        None => builder.clear_statistics(),
    };
    if bounds == Bounds::Unknown {
        builder = builder
            .set_column_index_offset(None)
            .set_column_index_length(None)
            .set_bloom_filter_offset(None);
    }
    builder.build()
}

/// What is certain of the statistics; `None` where that is nothing.
fn trusted_statistics(
    found: &Statistics,
    column: &ColumnChunkMetaData,
    bounds: Bounds,
) -> Option<Statistics> {
    let descriptor = column.column_descr();
    let n_nulls = match found.null_count_opt() {
        // A column that has no room for nulls has none.
        None if descriptor.max_def_level() == 0 => 0,
        counted => counted?,
    };
    let n_values = u64::try_from(column.num_values()).unwrap_or(0);
    if n_nulls > n_values {
        return None;
    }
    // Comparing bytes as signed was the rule of the fields that the format has given up.
    let is_old = found.is_min_max_deprecated() && !is_signed_number(descriptor);
    let is_reversed = is_signed_number(descriptor) && is_reversed(found);
    if bounds == Bounds::Unknown || is_old || is_reversed {
        return Some(counts_only(found, n_nulls));
    }
    match found.null_count_opt() {
        Some(_) => Some(found.clone()),
        None => Some(with_null_count(found, n_nulls)),
    }
}

/// Whether the minimum is greater than the maximum, of signed numbers.
fn is_reversed(statistics: &Statistics) -> bool {
    match statistics {
        Statistics::Int32(s) => s.min_opt() > s.max_opt() && s.max_opt().is_some(),
        Statistics::Int64(s) => s.min_opt() > s.max_opt() && s.max_opt().is_some(),
        _ => false,
    }
}

/// Statistics that say how many nulls there are, and nothing else.
fn counts_only(statistics: &Statistics, n_nulls: u64) -> Statistics {
    let nulls = Some(n_nulls);
    match statistics.physical_type() {
        Physical::BOOLEAN => Statistics::boolean(None, None, None, nulls, false),
        Physical::INT32 => Statistics::int32(None, None, None, nulls, false),
        Physical::INT64 => Statistics::int64(None, None, None, nulls, false),
        Physical::INT96 => Statistics::int96(None, None, None, nulls, false),
        Physical::FLOAT => Statistics::float(None, None, None, nulls, false),
        Physical::DOUBLE => Statistics::double(None, None, None, nulls, false),
        Physical::BYTE_ARRAY => Statistics::byte_array(None, None, None, nulls, false),
        Physical::FIXED_LEN_BYTE_ARRAY => {
            Statistics::fixed_len_byte_array(None, None, None, nulls, false)
        }
    }
}

/// The statistics with the count of nulls; for the types whose bounds may be certain.
fn with_null_count(statistics: &Statistics, n_nulls: u64) -> Statistics {
    let nulls = Some(n_nulls);
    match statistics {
        Statistics::Boolean(s) => Statistics::boolean(
            s.min_opt().copied(),
            s.max_opt().copied(),
            None,
            nulls,
            false,
        ),
        Statistics::Int32(s) => Statistics::int32(
            s.min_opt().copied(),
            s.max_opt().copied(),
            None,
            nulls,
            false,
        ),
        Statistics::Int64(s) => Statistics::int64(
            s.min_opt().copied(),
            s.max_opt().copied(),
            None,
            nulls,
            false,
        ),
        Statistics::ByteArray(s) => Statistics::byte_array(
            s.min_opt().cloned(),
            s.max_opt().cloned(),
            None,
            nulls,
            false,
        ),
        Statistics::FixedLenByteArray(s) => {
            let (min, max) = (s.min_opt().cloned(), s.max_opt().cloned());
            Statistics::fixed_len_byte_array(min, max, None, nulls, false)
        }
        other => counts_only(other, n_nulls),
    }
}

/// Whether minima and maxima of the column follow the order in which DataFusion compares.
fn bounds_of(column: &ColumnDescriptor, order: Option<ColumnOrder>) -> Bounds {
    let says = |wanted: SortOrder| match order {
        Some(ColumnOrder::TYPE_DEFINED_ORDER(found)) if found == wanted => Bounds::Certain,
        _ => Bounds::Unknown,
    };
    match column.physical_type() {
        Physical::FLOAT | Physical::DOUBLE | Physical::INT96 => Bounds::Unknown,
        Physical::BOOLEAN => Bounds::Certain,
        Physical::INT32 | Physical::INT64 if is_signed_number(column) => Bounds::Certain,
        Physical::INT32 | Physical::INT64 => says(SortOrder::UNSIGNED),
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => {
            match (column.logical_type_ref(), column.converted_type()) {
                (Some(LogicalType::Float16), _) | (_, ConvertedType::INTERVAL) => Bounds::Unknown,
                (Some(LogicalType::Decimal(_)), _) | (_, ConvertedType::DECIMAL) => {
                    says(SortOrder::SIGNED)
                }
                _ => says(SortOrder::UNSIGNED),
            }
        }
    }
}

/// Whether the column holds numbers, days or times that are compared as signed numbers.
fn is_signed_number(column: &ColumnDescriptor) -> bool {
    let is_number = matches!(
        column.physical_type(),
        Physical::BOOLEAN | Physical::INT32 | Physical::INT64
    );
    let is_unsigned = match column.logical_type_ref() {
        Some(LogicalType::Integer(number)) => !number.is_signed,
        _ => matches!(
            column.converted_type(),
            ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64
        ),
    };
    is_number && !is_unsigned
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringArray,
        UInt64Array,
    };
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

    use super::*;

    /// The footer, with its page index, of a file of the columns.
    fn footer(columns: Vec<(&str, ArrayRef)>) -> ParquetMetaData {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&bytes::Bytes::from(bytes))
            .unwrap()
    }

    fn has_bounds(footer: &ParquetMetaData, column: usize) -> bool {
        let found = footer.row_group(0).column(column).statistics().unwrap();
        assert!(found.null_count_opt().is_some());
        found.min_bytes_opt().is_some() || found.max_bytes_opt().is_some()
    }

    #[test]
    fn bounds_that_are_certain_stay() {
        let decimals = Decimal128Array::from(vec![-5, 7]);
        let decimals = decimals.with_precision_and_scale(38, 2).unwrap();
        let footer = trusted(footer(vec![
            ("number", Arc::new(Int32Array::from(vec![1, 2]))),
            ("unsigned", Arc::new(UInt64Array::from(vec![1, u64::MAX]))),
            ("text", Arc::new(StringArray::from(vec!["a", "é"]))),
            (
                "bytes",
                Arc::new(BinaryArray::from(vec![&b"a"[..], b"\xff"])),
            ),
            ("decimal", Arc::new(decimals)),
            ("float", Arc::new(Float64Array::from(vec![1.0, f64::NAN]))),
        ]))
        .unwrap();
        let found: Vec<_> = (0..6).map(|column| has_bounds(&footer, column)).collect();
        assert_eq!(found, [true, true, true, true, true, false]);
        let pages = footer.column_index().unwrap();
        let found = pages[0]
            .iter()
            .map(|c| !matches!(c, ColumnIndexMetaData::NONE));
        let found: Vec<_> = found.collect();
        assert_eq!(found, [true, true, true, true, true, false]);
        let float = footer.row_group(0).column(5);
        assert_eq!(float.column_index_offset(), None);
    }

    /// What is left of the statistics of the first column.
    fn left(columns: Vec<(&str, ArrayRef)>, statistics: Statistics) -> Option<Statistics> {
        let mut builder = footer(columns).into_builder();
        let group = builder.take_row_groups().remove(0);
        let mut group = group.into_builder();
        let mut columns = group.take_columns();
        let column = columns.remove(0).into_builder().set_statistics(statistics);
        columns.insert(0, column.build().unwrap());
        let group = group.set_column_metadata(columns).build().unwrap();
        let footer = trusted(builder.set_row_groups(vec![group]).build()).unwrap();
        footer.row_group(0).column(0).statistics().cloned()
    }

    #[test]
    fn bounds_that_are_not_certain_go() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        let nullable = || vec![("n", Arc::clone(&numbers))];
        let counts = |nulls| Statistics::int32(None, None, None, Some(nulls), false);
        let of = |min, max, nulls| Statistics::int32(Some(min), Some(max), None, nulls, false);
        assert_eq!(left(nullable(), of(1, 1, Some(1))), Some(of(1, 1, Some(1))));
        assert_eq!(left(nullable(), of(2, 1, Some(1))), Some(counts(1)));
        assert_eq!(left(nullable(), of(1, 1, None)), None);
        assert_eq!(left(nullable(), of(1, 1, Some(3))), None);
        // A column without room for nulls has none.
        let required: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert_eq!(
            left(vec![("n", required)], of(1, 1, None)),
            Some(of(1, 1, Some(0)))
        );
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let old = Statistics::byte_array(Some("a".into()), Some("a".into()), None, Some(0), true);
        let none = Statistics::byte_array(None, None, None, Some(0), false);
        assert_eq!(left(vec![("s", texts)], old), Some(none));
    }
}
