//! The definition of the table that is loaded into.

use datafusion::arrow::datatypes::{DataType, Schema};
use emporia_core::catalog::{TABLE_SCHEMES, TableDef, type_name};
use emporia_core::contract;
use emporia_core::error::{Error, Result};

use crate::args::LoadArgs;

/// Options of the table of sessions in HBase. Rows of one user lie together, the newest first.
/// Families split what is read together: facts, device, place, and the long lists, which a scan of
/// the facts never touches. Every session has a duration, so that cell says that the row exists, and
/// no further one has to be written and read.
const SESSIONS: [(&str, &str); 16] = [
    (
        "key",
        "user_id '#' reversed(start_ts, 9999999999999, 13) '#' session_id",
    ),
    ("family", "s"),
    ("presence", "s:dur"),
    ("column.end_ts", "s:end"),
    ("column.duration_seconds", "s:dur"),
    ("column.conversion_status", "s:conv"),
    ("column.referrer", "s:ref"),
    ("column.device_type", "d:type"),
    ("column.os", "d:os"),
    ("column.browser", "d:browser"),
    ("column.city", "g:city"),
    ("column.state", "g:state"),
    ("column.country", "g:country"),
    ("column.ip_address", "g:ip"),
    ("column.viewed_products", "a:viewed json"),
    ("column.cart", "a:cart json"),
];
const PAGE_VIEWS: (&str, &str) = ("column.page_views", "a:views json");

/// Columns that identify a row.
pub(super) fn key(args: &LoadArgs) -> Vec<String> {
    if !args.key.is_empty() {
        return args.key.clone();
    }
    contract::key(&args.table)
        .iter()
        .map(|c| (*c).to_owned())
        .collect()
}

/// A definition for rows of `schema` at the location that the arguments name.
///
/// # Errors
/// `InvalidInput` where the target or a column cannot be.
pub(super) fn definition(args: &LoadArgs, schema: &Schema) -> Result<TableDef> {
    let Some(scheme) = TABLE_SCHEMES.iter().find(|s| args.to.starts_with(*s)) else {
        return Err(Error::invalid(format!("cannot load into `{}`", args.to))
            .with_hint("name hbase:TABLE, mongodb:DATABASE.COLLECTION or a table of the catalog"));
    };
    let connector = scheme.trim_end_matches(':');
    let key = key(args);
    if key.is_empty() {
        return Err(Error::invalid(format!(
            "rows of `{}` have no key that is known",
            args.table
        ))
        .with_hint("pass --key with the columns that tell them apart"));
    }
    let mut table = TableDef::new(connector, args.to.as_str());
    table.columns = schema
        .fields()
        .iter()
        .map(|f| Ok(format!("{} {}", f.name(), type_name(f.data_type())?)))
        .collect::<Result<_>>()?;
    let mut set = |name: &str, value: &str| {
        table.options.insert(name.to_owned(), value.to_owned());
    };
    if connector == "hbase" && args.table == "sessions" && args.key.is_empty() {
        SESSIONS.iter().for_each(|(name, value)| set(name, value));
        if schema.field_with_name("page_views").is_ok() {
            set(PAGE_VIEWS.0, PAGE_VIEWS.1);
        }
    } else if connector == "hbase" {
        set("key", &key.join(" '|' "));
        set("family", "f");
        set("presence", "f:_");
        let nested = schema.fields().iter().filter(|f| is_nested(f.data_type()));
        for field in nested {
            let name = field.name();
            set(&format!("column.{name}"), &format!("f:{name} json"));
        }
    } else {
        set("key", &key.join(", "));
    }
    for (name, value) in &args.options {
        set(name, value);
    }
    Ok(table)
}

fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::Struct(_))
}
