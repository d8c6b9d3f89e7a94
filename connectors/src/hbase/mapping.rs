//! How the cells of an HBase table are the columns of a table.
//!
//! A mapping travels in recipes: it is all that a task needs to know of a table's definition.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use emporia_core::error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::key::KeySpec;
use super::value::{Encoding, Kind};

/// How the cells of an HBase table are the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Name in HBase, with its namespace where that is not the default one.
    pub(super) table: String,
    /// The columns, in the order of the table's schema.
    pub(super) columns: Vec<ColumnMapping>,
    /// How rows are found.
    pub(super) key: KeySpec,
    /// The cell that every row has; a row without it is none.
    pub(super) presence: Option<CellName>,
    /// What cells that are no values become.
    pub(super) malformed: Malformed,
    /// What cells without bytes are.
    pub(super) empty: Empty,
}

/// One column of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ColumnMapping {
    /// Its name.
    pub(super) name: String,
    /// Its type.
    #[serde(with = "crate::type_text")]
    pub(super) data_type: DataType,
    /// What its values are.
    pub(super) kind: Kind,
    /// Whether a row without it fails the query.
    pub(super) is_required: bool,
    /// Where its values are.
    pub(super) place: Place,
}

/// Where the values of a column are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// In the key of the row.
    Key,
    /// In a cell.
    Cell {
        /// The cell.
        cell: CellName,
        /// How the value is its bytes.
        encoding: Encoding,
    },
    /// It is the timestamp of the presence cell or, without one, the latest of the row's cells.
    Timestamp,
}

/// What a cell becomes whose bytes are no value of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Malformed {
    /// An error that ends the query.
    #[default]
    Error,
    /// Null.
    Null,
    /// Nothing: the row is left out, and counted.
    Skip,
}

/// What a cell without bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Empty {
    /// A value: the empty text; malformed in a column that has no such value.
    #[default]
    Value,
    /// Null.
    Null,
}

/// A cell of a row: `family:qualifier`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct CellName {
    name: String,
    family_length: usize,
}

impl CellName {
    /// The cell of these names.
    ///
    /// # Errors
    /// `InvalidInput` where the family is empty or has a colon.
    pub(super) fn new(family: &str, qualifier: &str) -> Result<Self> {
        if family.is_empty() || family.contains(':') {
            return Err(Error::invalid(format!(
                "`{family}` is not the name of a column family"
            )));
        }
        Ok(Self {
            name: format!("{family}:{qualifier}"),
            family_length: family.len(),
        })
    }

    /// Parses `family:qualifier`; the qualifier may contain colons or be empty.
    ///
    /// # Errors
    /// `InvalidInput` where there is no colon.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (family, qualifier) = text.split_once(':').ok_or_else(|| {
            Error::invalid(format!("`{text}` is not of the form `family:qualifier`"))
        })?;
        Self::new(family, qualifier)
    }

    /// `family:qualifier`
    pub(super) fn as_str(&self) -> &str {
        &self.name
    }

    /// The family.
    pub(super) fn family(&self) -> &str {
        &self.name[..self.family_length]
    }

    /// The qualifier.
    pub(super) fn qualifier(&self) -> &str {
        &self.name[self.family_length + 1..]
    }
}

impl fmt::Display for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Mapping {
    /// Name in HBase, with its namespace where that is not the default one.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The families that hold columns, sorted and each once.
    pub fn families(&self) -> Vec<String> {
        let mut families: Vec<String> = self
            .columns
            .iter()
            .filter_map(ColumnMapping::cell)
            .chain(&self.presence)
            .map(|cell| cell.family().to_owned())
            .collect();
        families.sort_unstable();
        families.dedup();
        families
    }

    /// The cell that every row has, `family:qualifier`.
    pub fn presence(&self) -> Option<&str> {
        self.presence.as_ref().map(CellName::as_str)
    }

    /// The schema of the table. All columns are nullable: HBase keeps no promise about any cell.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| Field::new(&column.name, column.data_type.clone(), true))
            .collect();
        Arc::new(Schema::new(fields))
    }
}

impl ColumnMapping {
    /// The cell that holds the column.
    pub(super) fn cell(&self) -> Option<&CellName> {
        match &self.place {
            Place::Cell { cell, .. } => Some(cell),
            Place::Key | Place::Timestamp => None,
        }
    }

    /// The encoding of the column's cells; text for a column that is in none.
    pub(super) fn encoding(&self) -> Encoding {
        match &self.place {
            Place::Cell { encoding, .. } => *encoding,
            Place::Key | Place::Timestamp => Encoding::Text,
        }
    }
}

/// A mapping that is shared by what is made of the recipe.
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Mapping;

    pub(in super::super) fn serialize<S: Serializer>(
        mapping: &Arc<Mapping>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        mapping.as_ref().serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Mapping>, D::Error> {
        Mapping::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_family_and_qualifier() {
        let cell = CellName::parse("d:type:x").unwrap();
        assert_eq!((cell.family(), cell.qualifier()), ("d", "type:x"));
        assert_eq!(CellName::parse("d:").unwrap().qualifier(), "");
        assert!(CellName::parse("dtype").is_err());
        assert!(CellName::parse(":x").is_err());
    }

    #[test]
    fn types_of_the_contract_survive_a_recipe() {
        #[derive(PartialEq, Debug, Serialize, Deserialize)]
        struct Typed(#[serde(with = "crate::type_text")] DataType);
        for table in emporia_core::contract::TABLES {
            let schema = emporia_core::contract::schema(table).unwrap();
            for field in schema.fields() {
                let typed = Typed(field.data_type().clone());
                let text = serde_json::to_string(&typed).unwrap();
                assert_eq!(serde_json::from_str::<Typed>(&text).unwrap(), typed);
            }
        }
    }
}
