//! Rules for the Online Retail data set: lines of invoices of a gift shop, 2010 to 2011.

use super::super::rules::{Duplicates, RuleSet, quarantine};

/// Rules that leave the sales lines of known customers.
///
/// On the complete data set: 406,829 rows have a customer; 397,884 of them are sales; 392,692 are
/// left without exact duplicates.
pub(super) static ONLINE_RETAIL: RuleSet = RuleSet {
    name: "online_retail",
    table: "online_retail",
    clean: "online_retail_clean",
    key: &[
        "invoice_no",
        "stock_code",
        "description",
        "quantity",
        "invoice_date",
        "unit_price",
        "customer_id",
    ],
    columns: &[
        "invoice_no",
        "stock_code",
        "description",
        "quantity",
        "invoice_date",
        "unit_price",
        "customer_id",
        "country",
    ],
    aliases: &[
        ("InvoiceNo", "invoice_no"),
        ("StockCode", "stock_code"),
        ("Description", "description"),
        ("Quantity", "quantity"),
        ("InvoiceDate", "invoice_date"),
        ("invoice_ts", "invoice_date"),
        ("UnitPrice", "unit_price"),
        ("CustomerID", "customer_id"),
        ("Country", "country"),
    ],
    repairable: &[],
    lookups: &[],
    rules: &[
        quarantine("invoice_no_missing", "required", "invoice_no IS NULL"),
        quarantine("invoice_date_missing", "required", "invoice_date IS NULL"),
        quarantine("customer_missing", "required", "customer_id IS NULL"),
        quarantine(
            "quantity_not_positive",
            "range: cancellations and corrections are not sales",
            "quantity IS NULL OR quantity <= 0",
        ),
        quarantine(
            "unit_price_not_positive",
            "range: gifts and bad debts are not sales",
            "unit_price IS NULL OR unit_price <= 0",
        ),
    ],
    duplicates: Duplicates {
        key: None,
        latest: None,
    },
};
