//! Rules for the three tables of the small shop: customers, products and orders, with a tenth of
//! all fields dirty.
//!
//! A value of -1 stands for "missing" in these files. It is never turned into its absolute value,
//! and a missing number is never turned into zero: it stays null, and the row says so in its flags.

use super::super::rules::{Duplicates, Lookup, RuleSet, quarantine, repair};

/// Rules for `shop_customers`.
pub(super) static CUSTOMERS: RuleSet = RuleSet {
    name: "shop_customers",
    table: "shop_customers",
    clean: "shop_customers_clean",
    key: &["customer_id"],
    columns: &[
        "customer_id",
        "name",
        "email",
        "phone",
        "age",
        "gender",
        "location",
    ],
    aliases: &[],
    repairable: &["phone", "age"],
    lookups: &[],
    rules: &[
        repair(
            "age_out_of_range",
            "an age that nobody has is unknown, not 0",
            "age < 0 OR age > 120",
            "age",
            "CAST(NULL AS INT)",
        ),
        repair(
            "phone_invalid",
            "a phone number has ten digits",
            "phone < 1000000000 OR phone > 9999999999",
            "phone",
            "CAST(NULL AS BIGINT)",
        ),
        repair(
            "name_missing",
            "a customer without name is Unnamed",
            "name IS NULL OR trim(name) IN ('', 'None')",
            "name",
            "'Unnamed'",
        ),
        repair(
            "email_invalid",
            "an address without @ is Unknown",
            "email IS NULL OR (email NOT LIKE '%_@_%' AND email <> 'Unknown')",
            "email",
            "'Unknown'",
        ),
        repair(
            "gender_unknown",
            "anything but M, F and O is O",
            "gender IS NULL OR gender NOT IN ('M', 'F', 'O')",
            "gender",
            "'O'",
        ),
        repair(
            "location_missing",
            "a missing location is Unknown",
            "location IS NULL OR trim(location) IN ('', 'None')",
            "location",
            "'Unknown'",
        ),
        quarantine("customer_id_missing", "required", "customer_id IS NULL"),
        quarantine("customer_id_not_positive", "range", "customer_id <= 0"),
    ],
    duplicates: Duplicates {
        key: Some("customer_id"),
        latest: None,
    },
};

/// Rules for `shop_products`.
pub(super) static PRODUCTS: RuleSet = RuleSet {
    name: "shop_products",
    table: "shop_products",
    clean: "shop_products_clean",
    key: &["product_id"],
    columns: &[
        "product_id",
        "product_name",
        "category",
        "price",
        "stock_quantity",
    ],
    aliases: &[],
    repairable: &["price", "stock_quantity"],
    lookups: &[],
    rules: &[
        repair(
            "price_invalid",
            "a price that is not positive is unknown",
            "price <= 0",
            "price",
            "CAST(NULL AS DECIMAL(18, 2))",
        ),
        repair(
            "stock_invalid",
            "a negative stock is unknown",
            "stock_quantity < 0",
            "stock_quantity",
            "CAST(NULL AS INT)",
        ),
        quarantine("product_id_missing", "required", "product_id IS NULL"),
        quarantine("product_id_not_positive", "range", "product_id <= 0"),
    ],
    duplicates: Duplicates {
        key: Some("product_id"),
        latest: None,
    },
};

/// Rules for `shop_orders`.
///
/// Quantity and amount can be told from each other and the price of the product; where that is
/// impossible, the order is quarantined.
pub(super) static ORDERS: RuleSet = RuleSet {
    name: "shop_orders",
    table: "shop_orders",
    clean: "shop_orders_clean",
    key: &["order_id"],
    columns: &[
        "order_id",
        "customer_id",
        "product_id",
        "quantity",
        "total_amount",
        "transaction_date",
        "payment_method",
    ],
    aliases: &[],
    repairable: &["quantity", "total_amount"],
    lookups: &[
        Lookup {
            name: "product",
            tables: &["shop_products_clean", "shop_products"],
            on: ("product_id", "product_id"),
            value: Some("price"),
        },
        Lookup {
            name: "customer",
            tables: &["shop_customers_clean", "shop_customers"],
            on: ("customer_id", "customer_id"),
            value: None,
        },
    ],
    rules: &[
        repair(
            "quantity_from_amount",
            "a missing quantity is the amount by the price, rounded up",
            "coalesce(quantity, -1) <= 0 AND total_amount > 0 AND _product_value > 0",
            "quantity",
            "CAST(ceil(CAST(total_amount AS DOUBLE) / CAST(_product_value AS DOUBLE)) AS INT)",
        ),
        repair(
            "amount_from_quantity",
            "a missing amount is quantity times price",
            "coalesce(total_amount, -1) <= 0 AND quantity > 0 AND _product_value > 0",
            "total_amount",
            "CAST(quantity * _product_value AS DECIMAL(18, 2))",
        ),
        repair(
            "payment_defaulted",
            "a missing method of payment is Cash",
            "payment_method IS NULL OR trim(payment_method) IN ('', 'None')",
            "payment_method",
            "'Cash'",
        ),
        quarantine("order_id_missing", "required", "order_id IS NULL"),
        quarantine("order_id_not_positive", "range", "order_id <= 0"),
        quarantine("customer_id_missing", "required", "customer_id IS NULL"),
        quarantine("product_id_missing", "required", "product_id IS NULL"),
        quarantine(
            "transaction_date_missing",
            "required",
            "transaction_date IS NULL",
        ),
        quarantine("customer_unknown", "referential", "_customer_found IS NULL"),
        quarantine("product_unknown", "referential", "_product_found IS NULL"),
        quarantine(
            "quantity_missing",
            "required",
            "quantity IS NULL OR quantity <= 0",
        ),
        quarantine(
            "amount_missing",
            "required",
            "total_amount IS NULL OR total_amount <= 0",
        ),
        quarantine(
            "payment_method_unknown",
            "enum",
            "payment_method NOT IN ('Credit Card', 'Debit Card', 'PayPal', 'Cash')",
        ),
    ],
    duplicates: Duplicates {
        key: Some("order_id"),
        latest: None,
    },
};
