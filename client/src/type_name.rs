//! Column types as they are shown: by the names that the catalog file has for them, where it has
//! one that says all.

use datafusion::arrow::datatypes::DataType;
use emporia_core::catalog;

/// `string`, `decimal(18,2)`, `list(int64)`; how a value lies in memory is left out.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(_, zone) => match zone.as_deref() {
            Some("UTC" | "+00:00" | "Z") => "timestamp".to_owned(),
            Some(zone) => format!("timestamp({zone})"),
            // Spark's name for a time that is no instant.
            None => "timestamp_ntz".to_owned(),
        },
        DataType::Dictionary(_, values) => type_name(values),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
        // The catalog has one name for integers and floats of different width.
        DataType::Int8 | DataType::Int16 | DataType::Float32 => {
            data_type.to_string().to_lowercase()
        }
        other => catalog::type_name(other).unwrap_or_else(|_| other.to_string().to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Field, Fields, TimeUnit};
    use emporia_core::contract;

    use super::*;

    #[test]
    fn a_name_says_all_of_a_type() {
        let item = |data_type| Arc::new(Field::new("item", data_type, true));
        let list = DataType::List(item(DataType::Utf8View));
        let fields = Fields::from(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("tags", list, true),
        ]);
        for (data_type, name) in [
            (DataType::Utf8View, "string"),
            (contract::money(), "decimal(18,2)"),
            (contract::timestamp(), "timestamp"),
            (
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                "timestamp_ntz",
            ),
            (DataType::Int16, "int16"),
            (DataType::UInt64, "uint64"),
            (
                DataType::Struct(fields),
                "struct(id int64, tags list(string))",
            ),
            (
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                "string",
            ),
        ] {
            assert_eq!(type_name(&data_type), name);
        }
    }
}
