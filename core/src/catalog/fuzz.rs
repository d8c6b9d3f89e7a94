//! Catalogs and types of any text: they are parsed or refused, and what is parsed is written so that it
//! is parsed as the same.

use std::path::Path;

use super::{Catalog, TableDef, parse_type, type_name};
use crate::error::ErrorKind;

/// Parses a catalog file; whether it is one.
pub fn fuzz(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    match Catalog::parse(&text, Some(Path::new("/shop/data"))) {
        Ok(catalog) => {
            for table in catalog.tables.values() {
                assert!(table.declared_schema().is_ok(), "{table:?}");
            }
            let written = catalog.to_toml().map_err(|e| e.to_string());
            let again = written.and_then(|text| {
                let again = Catalog::parse(&text, None);
                again.map_err(|e| format!("{e} in {text}"))
            });
            assert_eq!(again, Ok(catalog));
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            false
        }
    }
}

/// Parses the type of a column; whether it is one.
pub fn fuzz_types(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let mut table = TableDef::new("csv", "t.csv");
    table.columns = vec![format!("c {text}")];
    let is_column = table.declared_schema().is_ok();
    let data_type = match parse_type(&text) {
        Ok(data_type) => data_type,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            return false;
        }
    };
    assert!(is_column, "{text}");
    match type_name(&data_type) {
        Ok(name) => {
            let again = parse_type(&name).map_err(|e| e.to_string());
            assert_eq!(again, Ok(data_type), "{text} is {name}");
        }
        // Maps can be declared, but no table that Emporia writes has one.
        Err(error) => assert!(text.to_lowercase().contains("map("), "{text}: {error}"),
    }
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn changed_catalogs_are_parsed_or_refused() {
        let outcome = emporia_fuzz::run("catalogs", 10_000, super::fuzz);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }

    #[test]
    fn changed_types_are_parsed_or_refused() {
        let outcome = emporia_fuzz::run("types", 30_000, super::fuzz_types);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }
}
