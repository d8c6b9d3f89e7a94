//! From the definition of a table in the catalog to its mapping.
//!
//! The location is `hbase:TABLE` or `hbase:NAMESPACE:TABLE`; `docs/store-options.md` has the options.
//! Those that begin with `write.` belong to writing and are not looked at here.

mod columns;
mod hive;
mod options;
mod spark;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::mapping_of;

use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::mapping::{CellName, Mapping, Place};
use super::value::Kind;
use options::Options;

/// What a catalog says about a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    pub(super) mapping: Mapping,
    pub(super) scan: ScanOptions,
}

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScanOptions {
    /// Rows of a page; `None` for as many as make a good size.
    pub(super) page_rows: Option<usize>,
    /// Pieces of each region; `None` where it is not said.
    pub(super) splits: Option<usize>,
    /// Whether region servers cache the blocks.
    pub(super) cache_blocks: bool,
    /// About how many rows there are.
    pub(super) rows: Option<usize>,
}

impl ScanOptions {
    /// The options of a table whose columns are known from elsewhere.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong value.
    pub(super) fn of(table: &TableDef) -> Result<Self> {
        Self::read(&mut Options::new(&table.options))
    }

    fn read(options: &mut Options<'_>) -> Result<Self> {
        Ok(Self {
            page_rows: options.number("scan.page_rows", 1, 100_000)?,
            splits: options.splits()?,
            cache_blocks: options
                .choice("scan.cache_blocks", [("false", false), ("true", true)])?,
            rows: options.number("rows", 0, usize::MAX)?,
        })
    }
}

impl Definition {
    /// Reads the definition of the table `name`.
    ///
    /// # Errors
    /// `InvalidInput` that names the table and says what is wrong.
    pub(super) fn parse(name: &str, table: &TableDef) -> Result<Self> {
        Self::parse_unnamed(table).map_err(|e| {
            let error = Error::new(e.kind(), format!("table `{name}`: {}", e.message()));
            match e.hint() {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    fn parse_unnamed(table: &TableDef) -> Result<Self> {
        let hbase_table = table_of_location(&table.location)?;
        let mut options = Options::new(&table.options);
        let scan = ScanOptions::read(&mut options)?;
        let spark = options.text("spark_catalog");
        let hive = options.text("hive_columns_mapping");
        let columns = match (spark, hive) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "the options spark_catalog and hive_columns_mapping exclude each other",
                ));
            }
            (Some(catalog), None) => spark::columns(catalog, &hbase_table, table, &mut options)?,
            (None, Some(mapping)) => hive::columns(mapping, table, &mut options)?,
            (None, None) => columns::columns(table, &mut options)?,
        };
        let presence = options.text("presence").map(CellName::parse).transpose()?;
        let mapping = Mapping {
            table: hbase_table,
            columns: columns.columns,
            key: columns.key,
            presence,
            malformed: options.malformed()?,
            empty: options.empty()?,
        };
        options.finish(&mapping)?;
        check(&mapping)?;
        Ok(Self { mapping, scan })
    }
}

/// `TABLE` or `NAMESPACE:TABLE`, without the namespace `default`.
///
/// # Errors
/// `InvalidInput` for any other text.
pub(super) fn table_of_location(location: &str) -> Result<String> {
    let wrong = || {
        Error::invalid(format!(
            "`{location}` is not the location of an HBase table"
        ))
        .with_hint("its form is hbase:TABLE or hbase:NAMESPACE:TABLE")
    };
    let name = location.strip_prefix("hbase:").ok_or_else(wrong)?;
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    match name.split_once(':') {
        Some(("default", table)) if is_word(table) => Ok(table.to_owned()),
        Some((namespace, table)) if is_word(namespace) && is_word(table) => Ok(name.to_owned()),
        None if is_word(name) => Ok(name.to_owned()),
        _ => Err(wrong()),
    }
}

/// Checks what concerns several columns.
fn check(mapping: &Mapping) -> Result<()> {
    for (index, column) in mapping.columns.iter().enumerate() {
        if mapping.columns[..index]
            .iter()
            .any(|other| other.name == column.name)
        {
            return Err(Error::invalid(format!(
                "column `{}` is declared twice",
                column.name
            )));
        }
        if column.place == Place::Timestamp && column.kind != Kind::Timestamp {
            return Err(Error::invalid(format!(
                "the timestamp column `{}` is not of the type timestamp",
                column.name
            )));
        }
    }
    Ok(())
}
