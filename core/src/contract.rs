//! The data contract: the Arrow schema of every table that Emporia's generator, imports and jobs
//! share.
//!
//! Money is `Decimal128(18, 2)`, never a float; the Online Retail import keeps scale 3 because its
//! source has prices of a tenth of a cent, so jobs take the scale from the column. Time is
//! `Timestamp(µs, "UTC")`. Identifiers are text as in the source systems.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// Scale of money columns in generated data: cents.
pub const MONEY_SCALE: i8 = 2;

/// The type of a money column.
pub fn money() -> DataType {
    DataType::Decimal128(18, MONEY_SCALE)
}

/// The type of a time column: microseconds since the epoch, UTC.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Fields of one entry of a session's cart.
pub fn cart_entry() -> Fields {
    Fields::from(vec![
        Field::new("product_id", DataType::Utf8, false),
        Field::new("quantity", DataType::Int32, false),
        Field::new("price", money(), false),
    ])
}

/// Names of all tables of the contract, in the order in which they depend on each other.
pub const TABLES: [&str; 16] = [
    "users",
    "categories",
    "subcategories",
    "products",
    "price_history",
    "transactions",
    "transaction_items",
    "sessions",
    "page_views",
    "orders_raw",
    "orders_labels",
    "events",
    "shop_customers",
    "shop_products",
    "shop_orders",
    "rejects",
];

/// Columns that identify a row of a table of the contract; none where rows may be alike.
pub fn key(table: &str) -> &'static [&'static str] {
    match table {
        "users" => &["user_id"],
        "categories" => &["category_id"],
        "subcategories" => &["subcategory_id"],
        "products" => &["product_id"],
        "price_history" => &["product_id", "ts"],
        "transactions" => &["transaction_id"],
        "transaction_items" => &["transaction_id", "line_no"],
        "sessions" => &["session_id"],
        "page_views" => &["session_id", "seq"],
        "orders_labels" => &["row_no"],
        "events" => &["event_id"],
        _ => &[],
    }
}

/// The schema of a table of the contract, `None` for any other name.
pub fn schema(table: &str) -> Option<SchemaRef> {
    use DataType::{Boolean, Date32, Int32, Int64, Utf8};
    let required = |name: &str, data_type: DataType| Field::new(name, data_type, false);
    let optional = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    let fields = match table {
        "users" => vec![
            required("user_id", Utf8),
            required("registration_ts", timestamp()),
            required("last_active_ts", timestamp()),
            optional("city", Utf8),
            optional("state", Utf8),
            optional("country", Utf8),
        ],
        "categories" => vec![required("category_id", Utf8), required("name", Utf8)],
        "subcategories" => vec![
            required("subcategory_id", Utf8),
            required("category_id", Utf8),
            required("name", Utf8),
            required("profit_margin", DataType::Decimal128(5, 4)),
        ],
        "products" => vec![
            required("product_id", Utf8),
            required("name", Utf8),
            optional("category_id", Utf8),
            optional("subcategory_id", Utf8),
            optional("base_price", money()),
            optional("current_stock", Int32),
            optional("is_active", Boolean),
            optional("creation_ts", timestamp()),
        ],
        "price_history" => vec![
            required("product_id", Utf8),
            required("ts", timestamp()),
            required("price", money()),
        ],
        "transactions" => vec![
            required("transaction_id", Utf8),
            optional("session_id", Utf8),
            // A guest order has no user.
            optional("user_id", Utf8),
            required("ts", timestamp()),
            required("subtotal", money()),
            required("discount", money()),
            required("total", money()),
            optional("payment_method", Utf8),
            required("status", Utf8),
            required("currency", Utf8),
        ],
        "transaction_items" => vec![
            required("transaction_id", Utf8),
            required("line_no", Int32),
            required("product_id", Utf8),
            // Category as of the sale, so that a later re-classification changes no history.
            optional("category_id", Utf8),
            required("quantity", Int32),
            required("unit_price", money()),
            required("subtotal", money()),
        ],
        "sessions" => vec![
            required("session_id", Utf8),
            required("user_id", Utf8),
            required("start_ts", timestamp()),
            required("end_ts", timestamp()),
            required("duration_seconds", Int32),
            optional("city", Utf8),
            optional("state", Utf8),
            optional("country", Utf8),
            optional("ip_address", Utf8),
            optional("device_type", Utf8),
            optional("os", Utf8),
            optional("browser", Utf8),
            optional("viewed_products", list(Utf8)),
            optional("cart", list(DataType::Struct(cart_entry()))),
            required("conversion_status", Utf8),
            optional("referrer", Utf8),
        ],
        "page_views" => vec![
            required("session_id", Utf8),
            required("seq", Int32),
            required("ts", timestamp()),
            required("page_type", Utf8),
            optional("product_id", Utf8),
            optional("category_id", Utf8),
            required("view_duration", Int32),
        ],
        "orders_raw" => vec![
            optional("order_id", Utf8),
            optional("customer_id", Int64),
            optional("product_id", Int64),
            optional("category", Utf8),
            optional("price", money()),
            optional("quantity", Int32),
            optional("timestamp", timestamp()),
            optional("location", Utf8),
            optional("payment_method", Utf8),
            optional("status", Utf8),
            optional("discount", money()),
            optional("delivery_time", Int32),
            optional("user_rating", Int32),
            optional("is_prime", Boolean),
            optional("currency", Utf8),
            optional("seller_id", Int32),
        ],
        "orders_labels" => vec![
            // Zero-based data row in the generated file and the fault that was put into it.
            required("row_no", Int64),
            required("order_id", Utf8),
            required("fault", Utf8),
        ],
        "events" => vec![
            required("event_id", Int64),
            required("event_time", timestamp()),
            required("event_type", Utf8),
            required("product_id", Utf8),
            optional("category_id", Utf8),
            optional("category_code", Utf8),
            optional("brand", Utf8),
            optional("price", money()),
            required("user_id", Utf8),
            required("user_session", Utf8),
        ],
        "shop_customers" => vec![
            optional("customer_id", Int64),
            optional("name", Utf8),
            optional("email", Utf8),
            optional("phone", Int64),
            optional("age", Int32),
            optional("gender", Utf8),
            optional("location", Utf8),
        ],
        "shop_products" => vec![
            optional("product_id", Int64),
            optional("product_name", Utf8),
            optional("category", Utf8),
            optional("price", money()),
            optional("stock_quantity", Int32),
        ],
        "shop_orders" => vec![
            optional("order_id", Int64),
            optional("customer_id", Int64),
            optional("product_id", Int64),
            optional("quantity", Int32),
            optional("total_amount", money()),
            optional("transaction_date", Date32),
            optional("payment_method", Utf8),
        ],
        "rejects" => vec![
            required("table_name", Utf8),
            required("rule_id", Utf8),
            required("raw", Utf8),
            optional("source", Utf8),
            optional("position", Int64),
        ],
        _ => return None,
    };
    Some(Arc::new(Schema::new(fields)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every field of every table, those inside lists and structs too.
    fn fields() -> Vec<(String, DataType)> {
        fn add(place: &str, fields: &Fields, all: &mut Vec<(String, DataType)>) {
            for field in fields {
                let place = format!("{place}.{}", field.name());
                match field.data_type() {
                    DataType::Struct(inner) => add(&place, inner, all),
                    DataType::List(item) => add(&place, &Fields::from([Arc::clone(item)]), all),
                    other => all.push((place, other.clone())),
                }
            }
        }
        let mut all = Vec::new();
        for table in TABLES {
            schema(table)
                .iter()
                .for_each(|schema| add(table, schema.fields(), &mut all));
        }
        all
    }

    #[test]
    fn every_table_has_a_schema_with_distinct_columns() {
        assert_eq!(TABLES.iter().collect::<BTreeSet<_>>().len(), TABLES.len());
        for table in TABLES {
            let schema = schema(table);
            let names: Vec<_> = schema
                .iter()
                .flat_map(|s| s.fields().iter().map(|f| f.name().clone()))
                .collect();
            assert!(!names.is_empty(), "{table}");
            for column in key(table) {
                assert!(names.iter().any(|name| name == column), "{table}.{column}");
            }
            assert_eq!(
                names.iter().collect::<BTreeSet<_>>().len(),
                names.len(),
                "{table}"
            );
        }
        assert!(schema("no_such_table").is_none());
    }

    #[test]
    fn money_is_decimal_and_nothing_is_a_float() {
        const MONEY: [&str; 7] = [
            "price",
            "base_price",
            "unit_price",
            "subtotal",
            "discount",
            "total",
            "total_amount",
        ];
        let mut n_money = 0;
        for (place, data_type) in fields() {
            assert!(!data_type.is_floating(), "{place}");
            if MONEY
                .iter()
                .any(|name| place.ends_with(&format!(".{name}")))
            {
                assert_eq!(data_type, DataType::Decimal128(18, MONEY_SCALE), "{place}");
                n_money += 1;
            }
        }
        assert_eq!(n_money, 13);
    }

    #[test]
    fn time_is_microseconds_in_utc() {
        for (place, data_type) in fields() {
            if matches!(data_type, DataType::Timestamp(..)) {
                assert_eq!(data_type, timestamp(), "{place}");
            }
            assert!(
                !place.ends_with("_ts") || data_type == timestamp(),
                "{place}"
            );
        }
    }
}
