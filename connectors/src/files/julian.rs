//! Files in which Spark counted old days by the Julian calendar.
//!
//! With `datetimeRebaseModeInWrite=LEGACY` Spark writes the day that the Julian calendar had before 15 October 1582, and times
//! before 1900 by the clock of a place, and says so in the footer. Read as any other file has them, 1 June 1500 is ten
//! days later.

use datafusion::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::statistics::Statistics;
use emporia_core::error::{Error, Result};

/// What Spark puts into the footer: for dates and times, and for times of 96 bits.
const KEYS: [&str; 2] = [
    "org.apache.spark.legacyDateTime",
    "org.apache.spark.legacyINT96",
];

/// 15 October 1582, in days since 1970.
const FIRST_DAY: i64 = -141_427;

/// 1 January 1900, in seconds since 1970.
const FIRST_SECOND: i64 = -2_208_988_800;

/// Refuses a file that may have such days or times: `shown` is its place, `name` that of the table.
///
/// # Errors
/// `InvalidInput` that names the column.
pub(super) fn check(name: &str, shown: &str, footer: &ParquetMetaData) -> Result<()> {
    let marks = footer.file_metadata().key_value_metadata();
    let has = |key: &str| marks.is_some_and(|marks| marks.iter().any(|mark| mark.key == key));
    let [has_old, has_old_96] = KEYS.map(has);
    if !has_old && !has_old_96 {
        return Ok(());
    }
    let columns = footer.row_groups().iter().flat_map(|group| group.columns());
    let mut old = columns.filter(|column| match column.column_type() {
        Type::INT96 => has_old_96,
        _ => has_old && may_be_old(column),
    });
    let Some(column) = old.next() else {
        return Ok(());
    };
    let text = format!(
        "table `{name}`: column `{}` of `{shown}` may have days of the Julian calendar, which Spark wrote in its LEGACY mode",
        column.column_path().string()
    );
    Err(Error::invalid(text).with_hint(
        "write the file again with spark.sql.parquet.datetimeRebaseModeInWrite and int96RebaseModeInWrite set to CORRECTED",
    ))
}

/// Whether a part of a column of dates or times may hold an old one.
fn may_be_old(column: &ColumnChunkMetaData) -> bool {
    let Some(first) = first_of(column) else {
        return false;
    };
    let smallest = match column.statistics() {
        Some(Statistics::Int32(values)) => values.min_opt().map(|v| i64::from(*v)),
        Some(Statistics::Int64(values)) => values.min_opt().copied(),
        _ => None,
    };
    let n_nulls = column.statistics().and_then(Statistics::null_count_opt);
    let is_empty = u64::try_from(column.num_values()).is_ok_and(|n| n_nulls == Some(n));
    match smallest {
        Some(smallest) => smallest < first,
        None => !is_empty,
    }
}

/// The first value that is the same in both calendars; `None` for other types.
fn first_of(column: &ColumnChunkMetaData) -> Option<i64> {
    let described = column.column_descr();
    match (described.logical_type_ref(), described.converted_type()) {
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => Some(FIRST_DAY),
        (Some(LogicalType::Timestamp(kind)), _) => Some(match kind.unit {
            TimeUnit::MILLIS => FIRST_SECOND * 1_000,
            TimeUnit::MICROS => FIRST_SECOND * 1_000_000,
            TimeUnit::NANOS => FIRST_SECOND * 1_000_000_000,
        }),
        (None, ConvertedType::TIMESTAMP_MILLIS) => Some(FIRST_SECOND * 1_000),
        (None, ConvertedType::TIMESTAMP_MICROS) => Some(FIRST_SECOND * 1_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::arrow::array::{ArrayRef, Date32Array, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
    use datafusion::parquet::file::properties::WriterProperties;

    use super::*;

    fn footer(day: i32, key: Option<&str>) -> ParquetMetaData {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), Some(day), None]));
        let batch = RecordBatch::try_from_iter([("day", days)]).unwrap();
        let keys = key.map(|key| vec![KeyValue::new(key.to_owned(), String::new())]);
        let properties = WriterProperties::builder()
            .set_key_value_metadata(keys)
            .build();
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        ParquetMetaDataReader::new()
            .parse_and_finish(&Bytes::from(bytes))
            .unwrap()
    }

    #[test]
    fn old_days_of_legacy_files_are_refused() {
        let refused = |day, key| {
            check("t", "/t/f", &footer(day, key))
                .err()
                .map(|e| e.to_string())
        };
        let text = refused(-171_497, Some(KEYS[0])).unwrap_or_default();
        assert!(
            text.contains("column `day` of `/t/f` may have days"),
            "{text}"
        );
        assert_eq!(refused(-141_427, Some(KEYS[0])), None);
        assert_eq!(refused(-171_497, None), None);
        assert_eq!(refused(-171_497, Some(KEYS[1])), None);
    }
}
