//! Rules for the flat orders file: sixteen columns, one row per order.

use super::super::rules::{Duplicates, RuleSet, quarantine, repair};

/// Rules for `orders_raw`.
pub(super) static FLAT_ORDERS: RuleSet = RuleSet {
    name: "flat_orders",
    table: "orders_raw",
    clean: "orders",
    key: &["order_id"],
    columns: &[
        "order_id",
        "customer_id",
        "product_id",
        "category",
        "price",
        "quantity",
        "timestamp",
        "payment_method",
        "status",
        "discount",
        "delivery_time",
        "user_rating",
        "currency",
    ],
    aliases: &[],
    repairable: &["user_rating", "delivery_time"],
    lookups: &[],
    rules: &[
        repair(
            "rating_out_of_range",
            "a rating that is not 1 to 5 is no rating",
            "user_rating < 1 OR user_rating > 5",
            "user_rating",
            "CAST(NULL AS INT)",
        ),
        repair(
            "delivery_time_negative",
            "a negative delivery time is none",
            "delivery_time < 0",
            "delivery_time",
            "CAST(NULL AS INT)",
        ),
        quarantine("order_id_missing", "required", "order_id IS NULL"),
        quarantine("customer_id_missing", "required", "customer_id IS NULL"),
        quarantine("product_id_missing", "required", "product_id IS NULL"),
        quarantine("timestamp_missing", "required", "\"timestamp\" IS NULL"),
        quarantine("price_missing", "required", "price IS NULL"),
        quarantine("quantity_missing", "required", "quantity IS NULL"),
        quarantine("currency_missing", "required", "currency IS NULL"),
        quarantine("status_missing", "required", "status IS NULL"),
        quarantine("price_not_positive", "range", "price <= 0"),
        quarantine("quantity_not_positive", "range", "quantity <= 0"),
        quarantine("discount_negative", "range", "discount < 0"),
        quarantine("customer_id_not_positive", "range", "customer_id <= 0"),
        quarantine("product_id_not_positive", "range", "product_id <= 0"),
        quarantine(
            "timestamp_out_of_range",
            "range: from 2000 to 2100",
            "\"timestamp\" < to_timestamp_micros('2000-01-01T00:00:00Z') \
             OR \"timestamp\" >= to_timestamp_micros('2100-01-01T00:00:00Z')",
        ),
        quarantine(
            "category_unknown",
            "enum",
            "category NOT IN ('Electronics', 'Clothing', 'Books', 'Home & Kitchen', 'Toys')",
        ),
        quarantine(
            "payment_method_unknown",
            "enum",
            "payment_method NOT IN ('Credit Card', 'Debit Card', 'PayPal', 'Cash on Delivery')",
        ),
        quarantine(
            "status_unknown",
            "enum",
            "status NOT IN ('Shipped', 'Delivered', 'Pending', 'Canceled')",
        ),
        quarantine(
            "currency_unknown",
            "enum",
            "currency NOT IN ('USD', 'EUR', 'GBP', 'INR')",
        ),
    ],
    duplicates: Duplicates {
        key: Some("order_id"),
        latest: Some("timestamp"),
    },
};
