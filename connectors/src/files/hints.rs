//! The types in which the columns of a Parquet file are read.
//!
//! Writers put their own types beside those of Parquet: dictionaries of numbers, decimals of 32 bits, lists as views. The engine
//! does not know them well: a decimal of 32 bits beside a whole number loses its digits after the point, floating numbers in
//! dictionaries have two zeros, and the reader panics at dictionaries of booleans. They are read as the plain types.

use std::panic::{AssertUnwindSafe, catch_unwind};

use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::parquet::arrow::{
    ARROW_SCHEMA_META_KEY, encode_arrow_schema, parquet_to_arrow_schema,
};
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder,
};

use super::types::simple_field;

/// The footer with the plain types instead of those that the engine does not know well.
pub(super) fn with_plain_types(footer: ParquetMetaData) -> ParquetMetaData {
    let file = footer.file_metadata();
    let written = file.key_value_metadata();
    if written.is_none_or(|pairs| !pairs.iter().any(is_of_types)) {
        return footer;
    }
    // What cannot be read is an error later.
    let Ok(schema) = arrow_schema(file) else {
        return footer;
    };
    let fields: Fields = schema.fields().iter().map(simple_field).collect();
    if fields == *schema.fields() {
        return footer;
    }
    let types = encode_arrow_schema(&Schema::new(fields));
    let mut pairs = written.cloned().unwrap_or_default();
    for pair in pairs.iter_mut().filter(|pair| is_of_types(pair)) {
        pair.value = Some(types.clone());
    }
    let plain = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(pairs),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let mut builder = footer.into_builder();
    ParquetMetaDataBuilder::new(plain)
        .set_row_groups(builder.take_row_groups())
        .set_column_index(builder.take_column_index())
        .set_offset_index(builder.take_offset_index())
        .build()
}

/// The columns of a file in the types of Arrow.
pub(super) fn arrow_schema(file: &FileMetaData) -> Result<Schema> {
    // A type that Arrow does not know in the schema that a writer has put beside that of Parquet: the reader panics.
    let read = || parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| {
        ParquetError::ArrowError("the Arrow schema in the footer has an unknown type".to_owned())
    })?
}

fn is_of_types(pair: &KeyValue) -> bool {
    pair.key == ARROW_SCHEMA_META_KEY
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::arrow::array::{
        ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, Int8Array, RecordBatch,
    };
    use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::arrow::arrow_reader::{
        ArrowReaderMetadata, ParquetRecordBatchReaderBuilder,
    };
    use datafusion::parquet::file::metadata::ParquetMetaDataReader;

    use super::*;

    fn written(column: ArrayRef) -> Bytes {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes.into()
    }

    fn rows(bytes: &Bytes) -> RecordBatch {
        let footer = ParquetMetaDataReader::new().parse_and_finish(bytes);
        let footer = with_plain_types(footer.unwrap());
        let metadata = ArrowReaderMetadata::try_new(Arc::new(footer), Default::default());
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata.unwrap());
        builder.build().unwrap().next().unwrap().unwrap()
    }

    #[test]
    fn dictionaries_of_booleans_are_booleans() {
        let values = Arc::new(BooleanArray::from(vec![true, false]));
        let keys = Int8Array::from(vec![Some(0), None, Some(1)]);
        let found = rows(&written(Arc::new(DictionaryArray::new(keys, values))));
        let expected = BooleanArray::from(vec![Some(true), None, Some(false)]);
        assert_eq!(found.column(0).as_ref(), &expected);
    }

    #[test]
    fn lists_of_one_length_are_lists() {
        let lists = [Some([Some(1), Some(2)]), None, Some([None, Some(3)])];
        let lists = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(lists, 2);
        let found = rows(&written(Arc::new(lists)));
        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        assert_eq!(found.column(0).data_type(), &DataType::List(item));
        assert!(found.column(0).is_null(1));
    }
}
