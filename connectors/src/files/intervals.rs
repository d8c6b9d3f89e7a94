//! Files with intervals of months, days and time, of which Arrow reads the days and the time only.

use datafusion::parquet::basic::ConvertedType;
use datafusion::parquet::file::metadata::ParquetMetaData;
use emporia_core::error::{Error, Result};

/// The key under which programs that are built on Arrow say which of its types a column has: they wrote no months beside
/// days.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// Refuses a file that may have such intervals: `shown` is its place, `name` that of the table.
///
/// # Errors
/// `InvalidInput` that names the column.
pub(super) fn check(name: &str, shown: &str, footer: &ParquetMetaData) -> Result<()> {
    let file = footer.file_metadata();
    let marks = file.key_value_metadata();
    if marks.is_some_and(|marks| marks.iter().any(|mark| mark.key == ARROW_SCHEMA)) {
        return Ok(());
    }
    let columns = file.schema_descr().columns();
    let mut intervals = columns
        .iter()
        .filter(|column| column.converted_type() == ConvertedType::INTERVAL);
    let Some(column) = intervals.next() else {
        return Ok(());
    };
    let text = format!(
        "table `{name}`: column `{}` of `{shown}` is an interval, whose months would be lost",
        column.path().string()
    );
    Err(Error::invalid(text)
        .with_hint("write it as text, or as numbers of months, days and seconds"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType};
    use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
    use datafusion::parquet::file::properties::WriterProperties;
    use datafusion::parquet::file::writer::SerializedFileWriter;
    use datafusion::parquet::schema::parser::parse_message_type;

    use super::*;

    fn footer(kind: &str, key: Option<&str>) -> ParquetMetaData {
        let schema = format!("message m {{ required fixed_len_byte_array(12) iv{kind}; }}");
        let keys = key.map(|key| vec![KeyValue::new(key.to_owned(), String::new())]);
        let properties = WriterProperties::builder().set_key_value_metadata(keys);
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(
            &mut bytes,
            Arc::new(parse_message_type(&schema).unwrap()),
            Arc::new(properties.build()),
        )
        .unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let value = FixedLenByteArray::from(vec![1_u8; 12]);
        column
            .typed::<FixedLenByteArrayType>()
            .write_batch(&[value], None, None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        ParquetMetaDataReader::new()
            .parse_and_finish(&Bytes::from(bytes))
            .unwrap()
    }

    #[test]
    fn intervals_of_other_programs_are_refused() {
        let error = check("t", "/t/f", &footer(" (INTERVAL)", None)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`iv` of `/t/f` is an interval"), "{text}");
        assert!(check("t", "/t/f", &footer(" (INTERVAL)", Some(ARROW_SCHEMA))).is_ok());
        assert!(check("t", "/t/f", &footer("", None)).is_ok());
    }
}
