//! What the footers of the files say of a table as a whole.
//!
//! The number of rows is certain. The rest chooses sides of joins and nothing more: it is marked as
//! inexact, so that no query is answered by it, and it is with the plan, not with the files, so that no
//! file is left out by it. DataFusion 55.2 does both with bounds of some of the row groups.

use datafusion::arrow::array::{Array, ArrayRef, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::file::metadata::ParquetMetaData;

/// The statistics of one file for the columns of its table, which are those of the files and then
/// `n_partitions` more. `schema` is that of the file itself.
pub(super) fn of_file(
    footer: &ParquetMetaData,
    schema: &Schema,
    table: &Schema,
    n_partitions: usize,
) -> Statistics {
    let n_rows: i64 = footer.row_groups().iter().map(|g| g.num_rows()).sum();
    let n_rows = usize::try_from(n_rows).unwrap_or(0);
    let columns = table.fields().iter();
    let columns = columns.map(|f| of_column(footer, schema, f.name(), f.data_type(), n_rows));
    let mut column_statistics: Vec<_> = columns.collect();
    column_statistics.resize(
        column_statistics.len() + n_partitions,
        ColumnStatistics::new_unknown(),
    );
    Statistics {
        num_rows: Precision::Exact(n_rows),
        total_byte_size: Precision::Absent,
        column_statistics,
    }
}

fn of_column(
    footer: &ParquetMetaData,
    schema: &Schema,
    name: &str,
    data_type: &DataType,
    n_rows: usize,
) -> ColumnStatistics {
    let mut found = ColumnStatistics::new_unknown();
    if let Some(width) = data_type.primitive_width() {
        found.byte_size = Precision::Inexact(width.saturating_mul(n_rows));
    }
    let descriptor = footer.file_metadata().schema_descr();
    let Ok(converter) = StatisticsConverter::try_new(name, schema, descriptor) else {
        return found;
    };
    let groups = footer.row_groups();
    if let (Precision::Absent, Some(index)) = (&found.byte_size, converter.parquet_column_index()) {
        let columns = groups.iter().filter_map(|g| g.columns().get(index));
        let bytes: i64 = columns.map(|c| c.uncompressed_size()).sum();
        found.byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(0));
    }
    let converter = converter.with_missing_null_counts_as_zero(false);
    let nulls = converter.row_group_null_counts(groups);
    if let Some(nulls) = nulls.ok().as_ref().and_then(total) {
        found.null_count = Precision::Inexact(nulls);
    }
    let is_same = schema
        .field_with_name(name)
        .is_ok_and(|f| f.data_type() == data_type);
    if is_same {
        let least = converter.row_group_mins(groups).ok();
        let greatest = converter.row_group_maxes(groups).ok();
        found.min_value = inexact(least.and_then(|all| extreme(&all, lesser)));
        found.max_value = inexact(greatest.and_then(|all| extreme(&all, greater)));
    }
    found
}

/// The statistics of all files together.
pub(super) fn of_files<'a>(
    files: impl Iterator<Item = &'a Statistics>,
    schema: &Schema,
) -> Statistics {
    let mut total = Statistics {
        num_rows: Precision::Exact(0),
        total_byte_size: Precision::Absent,
        column_statistics: Vec::new(),
    };
    for file in files {
        total.num_rows = total.num_rows.add(&file.num_rows);
        if total.column_statistics.is_empty() {
            total.column_statistics.clone_from(&file.column_statistics);
            continue;
        }
        let columns = total
            .column_statistics
            .iter_mut()
            .zip(&file.column_statistics);
        for (column, other) in columns {
            column.byte_size = column.byte_size.add(&other.byte_size);
            column.null_count = column.null_count.add(&other.null_count);
            column.min_value = merged(&column.min_value, &other.min_value, lesser);
            column.max_value = merged(&column.max_value, &other.max_value, greater);
        }
    }
    if total.column_statistics.len() != schema.fields().len() {
        return Statistics::new_unknown(schema);
    }
    total.calculate_total_byte_size(schema);
    total
}

/// Those of a table of which only files with so many rows are left.
pub(super) fn of_part(table: &Statistics, n_rows: usize, schema: &Schema) -> Statistics {
    let mut part = table.clone();
    let all = table.num_rows.get_value().copied().unwrap_or(n_rows);
    part.num_rows = Precision::Exact(n_rows);
    if all != n_rows && all > 0 {
        let share = |count: &Precision<usize>| match count.get_value() {
            Some(count) => {
                Precision::Inexact((*count as f64 * n_rows as f64 / all as f64) as usize)
            }
            None => Precision::Absent,
        };
        for column in &mut part.column_statistics {
            column.byte_size = share(&column.byte_size);
            column.null_count = share(&column.null_count);
        }
        part.calculate_total_byte_size(schema);
    }
    part
}

fn total(counts: &UInt64Array) -> Option<usize> {
    let counts: Option<Vec<_>> = counts.iter().collect();
    usize::try_from(counts?.into_iter().sum::<u64>()).ok()
}

type Choice = fn(ScalarValue, ScalarValue) -> Option<ScalarValue>;

fn lesser(a: ScalarValue, b: ScalarValue) -> Option<ScalarValue> {
    let order = a.partial_cmp(&b)?;
    Some(if order.is_le() { a } else { b })
}

fn greater(a: ScalarValue, b: ScalarValue) -> Option<ScalarValue> {
    let order = a.partial_cmp(&b)?;
    Some(if order.is_ge() { a } else { b })
}

/// The least or greatest of the bounds; `None` where a row group has none.
fn extreme(bounds: &ArrayRef, choice: Choice) -> Option<ScalarValue> {
    if bounds.null_count() > 0 {
        return None;
    }
    let mut bounds = (0..bounds.len()).map(|row| ScalarValue::try_from_array(bounds, row).ok());
    let first = bounds.next()??;
    bounds.try_fold(first, |found, next| choice(found, next?))
}

fn merged(
    a: &Precision<ScalarValue>,
    b: &Precision<ScalarValue>,
    choice: Choice,
) -> Precision<ScalarValue> {
    let both = a.get_value().cloned().zip(b.get_value().cloned());
    inexact(both.and_then(|(a, b)| choice(a, b)))
}

fn inexact(value: Option<ScalarValue>) -> Precision<ScalarValue> {
    value.map_or(Precision::Absent, Precision::Inexact)
}
