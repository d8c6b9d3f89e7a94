//! Entries of the catalog for tables that a command wrote: they go to standard output, so that they can be
//! appended to the catalog file.

use std::collections::BTreeMap;

use emporia_connectors::codec::schema_from_names;
use emporia_core::catalog::{Catalog, TABLE_SCHEMES, TableDef, type_name};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::OutputSpec;
use emporia_engine::publish::TableReport;

use crate::console::Console;

/// The option with the columns that make up the key.
const KEY: &str = "key";

/// Prints the entries of tables that a store holds.
pub(super) fn print(tables: BTreeMap<String, TableDef>) -> Result<()> {
    let entries = Catalog {
        tables,
        ..Catalog::default()
    };
    crate::output::print_line(entries.to_toml()?.trim_end())
}

/// Refuses a name that the catalog has: a file with two tables of one name cannot be read.
pub(super) fn check_new(catalog: &Catalog, name: &str) -> Result<()> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        let error = Error::invalid(format!("`{name}` is not a name of a table"));
        return Err(error.with_hint("use letters, digits and `_`"));
    }
    if !catalog.tables.contains_key(name) {
        return Ok(());
    }
    let text = format!("the catalog already has a table `{name}`");
    Err(Error::new(ErrorKind::AlreadyExists, text).with_hint("choose another name"))
}

/// Says that an entry of this name cannot be appended to the catalog, where that is so.
pub(super) fn note_taken(console: Console, catalog: &Catalog, name: &str, way_out: &str) {
    if catalog.tables.contains_key(name) {
        console.say(format!(
            "note: the catalog already has a table `{name}`; {way_out}"
        ));
    }
}

/// The tables of a published result by the names of their places: `hbase:shop` is `shop`,
/// `mongodb:data.shop` too.
pub(super) fn of_result(
    tables: &[TableReport],
    specs: &[OutputSpec],
) -> Result<BTreeMap<String, TableDef>> {
    let entries = tables.iter().filter_map(|table| {
        let scheme = TABLE_SCHEMES
            .iter()
            .find(|scheme| table.place.starts_with(**scheme))?;
        Some((table, scheme.trim_end_matches(':')))
    });
    let entries = entries.map(|(table, connector)| {
        let key = specs.iter().find(|spec| spec.name == table.name);
        let key = key.map(|spec| spec.key.join(", ")).unwrap_or_default();
        let mut entry = TableDef::new(connector, table.place.as_str());
        // A table of HBase says itself what its columns are.
        if connector == "mongodb" {
            entry.columns = columns(&table.columns)?;
            if !key.is_empty() {
                entry.options.insert(KEY.to_owned(), key);
            }
        }
        Ok((name_of(&table.place), entry))
    });
    entries.collect()
}

/// The columns of a table in the words of the catalog.
fn columns(columns: &[(String, String)]) -> Result<Vec<String>> {
    let schema = schema_from_names(columns).map_err(emporia_engine::query_error)?;
    let columns = schema.fields().iter();
    let columns = columns.map(|f| Ok(format!("{} {}", f.name(), type_name(f.data_type())?)));
    columns.collect()
}

/// What a table of the catalog may be called whose place is this.
pub(super) fn name_of(place: &str) -> String {
    let name = match place.split_once(':') {
        Some(("mongodb", place)) => place.split_once('.').map_or(place, |(_, name)| name),
        Some((_, name)) => name,
        None => place,
    };
    let word = |c: char| match c.is_ascii_alphanumeric() {
        true => c,
        false => '_',
    };
    name.chars().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, place: &str) -> TableReport {
        TableReport {
            name: name.to_owned(),
            place: place.to_owned(),
            columns: vec![
                ("month".to_owned(), "Utf8".to_owned()),
                ("total".to_owned(), "Decimal128(18, 2)".to_owned()),
            ],
            rows: 1,
            bytes: 1,
            files: 0,
        }
    }

    #[test]
    fn names_come_from_places() {
        for (place, name) in [
            ("hbase:sales", "sales"),
            ("hbase:shop:sales.rejects", "shop_sales_rejects"),
            ("mongodb:shop.sales", "sales"),
            ("mongodb:shop.sales.rejects", "sales_rejects"),
        ] {
            assert_eq!(name_of(place), name, "{place}");
        }
    }

    #[test]
    fn a_result_has_the_entries_that_read_it() -> Result<()> {
        let specs = [OutputSpec {
            name: "sales".into(),
            key: vec!["month".into(), "currency".into()],
        }];
        let tables = [
            report("sales", "hbase:sales"),
            report("sales", "mongodb:shop.by_month"),
            report("sales", "file:///out/sales"),
        ];
        let entries = of_result(&tables, &specs)?;
        assert_eq!(entries.len(), 2);
        assert_eq!(entries["sales"], TableDef::new("hbase", "hbase:sales"));
        let collection = &entries["by_month"];
        assert_eq!(collection.columns, ["month string", "total decimal(18,2)"]);
        assert_eq!(collection.options["key"], "month, currency");
        let catalog = Catalog {
            tables: entries,
            ..Catalog::default()
        };
        assert!(catalog.to_toml()?.contains("[tables.by_month]"));
        Ok(())
    }

    #[test]
    fn a_name_that_is_taken_is_refused() {
        let mut catalog = Catalog::default();
        let table = TableDef::new("csv", "file:///t/");
        catalog.tables.insert("sessions".to_owned(), table);
        let kind = |name: &str| check_new(&catalog, name).err().map(|e| e.kind());
        assert_eq!(kind("sessions"), Some(ErrorKind::AlreadyExists));
        assert_eq!(kind("a.b"), Some(ErrorKind::InvalidInput));
        assert_eq!(kind("hbase_sessions"), None);
    }
}
