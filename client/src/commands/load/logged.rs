//! Sessions as web servers log them: one JSON object per session, with nested lists.

use emporia_core::catalog::{Catalog, TableDef, absolute_uri};
use emporia_core::error::{Error, Result};

/// Name of the table over the files.
const LOGGED: &str = "logged_sessions";

const COLUMNS: [&str; 12] = [
    "session_id string",
    "user_id string",
    "start_time string",
    "end_time string",
    "duration_seconds int32",
    "geo_data struct(city string, state string, country string, ip_address string)",
    "device_profile struct(type string, os string, browser string)",
    "viewed_products list(string)",
    "page_views list(struct(timestamp string, page_type string, product_id string, \
     category_id string, view_duration int32))",
    "cart_contents map(string, struct(quantity int32, price decimal(18,2)))",
    "conversion_status string",
    "referrer string",
];

/// Makes the files known as a table.
///
/// # Errors
/// `Unsupported` for any table but sessions.
pub(super) fn declare(catalog: &mut Catalog, table: &str, from: &str) -> Result<()> {
    if table != "sessions" {
        return Err(
            Error::invalid(format!("--from reads logged sessions, not `{table}`"))
                .with_hint("declare other files as a table of the catalog, then load that"),
        );
    }
    let mut files = TableDef::new("json", absolute_uri(from, None));
    files.columns = COLUMNS.iter().map(|c| (*c).to_owned()).collect();
    catalog.tables.insert(LOGGED.to_owned(), files);
    Ok(())
}

/// The columns of the contract's sessions, and the page views.
pub(super) fn query() -> String {
    let instant =
        |column: &str| format!("arrow_cast({column}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
    format!(
        "SELECT session_id, user_id, {start} AS start_ts, {end} AS end_ts, duration_seconds,
                geo_data['city'] AS city, geo_data['state'] AS state,
                geo_data['country'] AS country, geo_data['ip_address'] AS ip_address,
                device_profile['type'] AS device_type, device_profile['os'] AS os,
                device_profile['browser'] AS browser, viewed_products,
                array_transform(map_entries(cart_contents), e -> named_struct(
                    'product_id', e['key'], 'quantity', e['value']['quantity'],
                    'price', e['value']['price'])) AS cart,
                conversion_status, referrer, page_views
         FROM {LOGGED}",
        start = instant("start_time"),
        end = instant("end_time"),
    )
}
