//! Column types by the names that the catalog file and SQL have for them.

use datafusion::arrow::datatypes::{DataType, Field};

/// `string`, `decimal(18,2)`, `list<int64>`; how a value lies in memory is left out.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "binary".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, zone) => match zone.as_deref() {
            Some("UTC" | "+00:00" | "Z") => "timestamp".to_owned(),
            Some(zone) => format!("timestamp({zone})"),
            // Spark's name for a time that is no instant.
            None => "timestamp_ntz".to_owned(),
        },
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| member(field)).collect();
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => {
                let types: Vec<_> = entry.iter().map(|f| type_name(f.data_type())).collect();
                format!("map<{}>", types.join(", "))
            }
            other => format!("map<{}>", type_name(other)),
        },
        DataType::Dictionary(_, values) => type_name(values),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
        // Integers, floats, durations, intervals: Arrow's names are short.
        other => other.to_string().to_lowercase(),
    }
}

fn member(field: &Field) -> String {
    format!("{}: {}", field.name(), type_name(field.data_type()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Fields, TimeUnit};
    use emporia_core::catalog::parse_type;
    use emporia_core::contract;

    use super::*;

    #[test]
    fn names_are_those_of_the_catalog_file() {
        for name in [
            "string",
            "int32",
            "int64",
            "float64",
            "bool",
            "date",
            "timestamp",
            "decimal(18,2)",
        ] {
            let shown = parse_type(name).map(|data_type| type_name(&data_type));
            assert_eq!(shown.ok().as_deref(), Some(name));
        }
        assert_eq!(type_name(&contract::timestamp()), "timestamp");
        assert_eq!(type_name(&DataType::Utf8View), "string");
    }

    #[test]
    fn nested_types_name_their_parts() {
        let item = |data_type| Arc::new(Field::new("item", data_type, true));
        let list = DataType::List(item(DataType::Utf8View));
        assert_eq!(type_name(&list), "list<string>");
        let fields = Fields::from(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("tags", list, true),
        ]);
        assert_eq!(
            type_name(&DataType::Struct(fields)),
            "struct<id: int64, tags: list<string>>"
        );
        let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!(type_name(&words), "string");
        let local = DataType::Timestamp(TimeUnit::Nanosecond, None);
        assert_eq!(type_name(&local), "timestamp_ntz");
    }
}
