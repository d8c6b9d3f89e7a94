//! Sessions as web servers log them: one JSON object per session, with nested lists.

use emporia_core::catalog::{Catalog, TableDef, absolute_uri};
use emporia_core::contract;
use emporia_core::error::{Error, Result};

/// Name of the table over the files.
const LOGGED: &str = "logged_sessions";

/// Makes the lines of the files known as a table.
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
    let mut files = TableDef::new("json", absolute_uri(from, None)?);
    files.options.insert("lines".to_owned(), "text".to_owned());
    catalog.tables.insert(LOGGED.to_owned(), files);
    Ok(())
}

/// The columns of the contract's sessions, and the page views. A line that is no session is left
/// out where `rejects` says so, else the query fails at it.
pub(super) fn sessions(rejects: bool) -> String {
    let columns = contract::schema("sessions").into_iter();
    let columns = columns.flat_map(|s| {
        s.fields()
            .iter()
            .map(|f| f.name().clone())
            .collect::<Vec<_>>()
    });
    let columns = columns.chain(["page_views".to_owned()]);
    let columns: Vec<_> = columns
        .map(|name| format!("session['{name}'] AS {name}"))
        .collect();
    let (place, kept) = match rejects {
        true => ("CAST(NULL AS VARCHAR)", "WHERE session['fault'] IS NULL"),
        false => (
            "concat('the line at byte ', _position, ' of ', _source)",
            "",
        ),
    };
    let parsed = parsed(place);
    format!("SELECT {} FROM ({parsed}) {kept}", columns.join(", "))
}

/// The lines that are no session, with their place and what is wrong with them.
pub(super) fn rejected() -> String {
    let parsed = parsed("CAST(NULL AS VARCHAR)");
    format!(
        "SELECT _source AS source, _position AS position, session['fault'] AS fault, _raw AS line
         FROM ({parsed}) WHERE session['fault'] IS NOT NULL"
    )
}

/// Lines that are named in a message.
const SHOWN: usize = 3;

/// The first lines that are no session, as text.
pub(super) fn first_rejected() -> String {
    format!(
        "SELECT arrow_cast(concat('byte ', position, ' of ', source, ' (', fault, ')'), 'Utf8') AS shown
         FROM ({}) ORDER BY source, position LIMIT {SHOWN}",
        rejected()
    )
}

fn parsed(place: &str) -> String {
    format!(
        "SELECT _source, _position, _raw,
                logged_session(CASE WHEN _error IS NULL THEN _raw END, {place}) AS session
         FROM {LOGGED}"
    )
}
