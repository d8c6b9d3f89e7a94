//! Reading `emporia.toml` into single values, each with its line.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result, nearest};

/// A top-level section that other code reads.
const CATALOG_SECTION: &str = "tables";
/// A top-level key that the catalog reads.
const WAREHOUSE: &str = "warehouse";

/// One `name = value` of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) name: String,
    /// The value as text, or the name of the type where it is no single value.
    pub(super) text: Result<String, &'static str>,
    pub(super) line: usize,
}

/// Reads the entries of the sections named in `sections`; `[tables.*]` is left to the catalog.
pub(super) fn entries(path: &Path, text: &str, sections: &[&str]) -> Result<Vec<Entry>> {
    let line_at = |offset: usize| 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count();
    let document = DeTable::parse(text).map_err(|e| {
        let line = line_at(e.span().map_or(0, |span| span.start));
        Error::invalid(format!("{}:{line}: {}", path.display(), e.message().trim()))
    })?;
    let mut entries = Vec::new();
    for (section, body) in document.get_ref() {
        let name = section.get_ref().as_ref();
        if name == CATALOG_SECTION || name == WAREHOUSE {
            continue;
        }
        let place = format!("{}:{}", path.display(), line_at(section.span().start));
        if !sections.contains(&name) {
            let error = Error::invalid(format!("{place}: unknown section `{name}`"));
            let known = sections.iter().copied().chain([CATALOG_SECTION]);
            return Err(error.with_hint(match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("sections are {} and {CATALOG_SECTION}", sections.join(", ")),
            }));
        }
        let DeValue::Table(body) = body.get_ref() else {
            return Err(
                Error::invalid(format!("{place}: `{name}` is not a section"))
                    .with_hint(format!("write `[{name}]` above its keys")),
            );
        };
        entries.extend(body.iter().map(|(key, value)| Entry {
            section: name.to_owned(),
            name: key.get_ref().to_string(),
            text: scalar(value.get_ref()),
            line: line_at(key.span().start),
        }));
    }
    Ok(entries)
}

fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        DeValue::Datetime(datetime) => Ok(datetime.to_string()),
        DeValue::Array(_) => Err("an array"),
        DeValue::Table(_) => Err("a table"),
    }
}
