//! The columns of an object: a row of the table, or a struct in it.

use std::collections::HashMap;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::Fields;
use datafusion::common::Result;
use datafusion::error::DataFusionError;

use super::column::{Column, Fault};
use super::syntax::Cursor;

/// Columns that are filled from objects, found by their keys.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) fields: Fields,
    places: HashMap<String, usize>,
    pub(super) columns: Vec<Column>,
}

impl Record {
    /// Empty columns for `fields`.
    ///
    /// # Errors
    /// `NotImplemented` for a type that JSON has no form for, `Plan` for two fields of one name.
    pub(super) fn new(fields: &Fields) -> Result<Self> {
        let mut places = HashMap::new();
        for (place, field) in fields.iter().enumerate() {
            if places.insert(field.name().clone(), place).is_some() {
                let name = field.name();
                return Err(DataFusionError::Plan(format!(
                    "two columns are called `{name}`, which no object of JSON can have"
                )));
            }
        }
        let columns = fields.iter().map(|field| Column::new(field));
        Ok(Self {
            fields: fields.clone(),
            places,
            columns: columns.collect::<Result<_>>()?,
        })
    }

    /// The column of `key`; most objects have their keys in the order of the columns.
    pub(super) fn place(&self, key: &str, expected: usize) -> Option<usize> {
        match self.fields.get(expected) {
            Some(field) if field.name() == key => Some(expected),
            _ => self.places.get(key).copied(),
        }
    }

    /// Takes the fields of the object that was entered.
    pub(super) fn append(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let n = self.columns.first().map_or(0, Column::len);
        let (mut is_first, mut expected) = (true, 0);
        while let Some(key) = cursor.key(is_first)? {
            is_first = false;
            let Some(place) = self.place(&key, expected) else {
                cursor.skip()?;
                continue;
            };
            expected = place + 1;
            if self.columns[place].len() > n {
                return Err(twice(&key));
            }
            self.columns[place]
                .append(cursor)
                .map_err(|fault| inside(fault, &key))?;
        }
        for (column, field) in self.columns.iter_mut().zip(&self.fields) {
            if column.len() == n {
                column
                    .append_missing()
                    .map_err(|fault| inside(fault, field.name()))?;
            }
        }
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        for column in &mut self.columns {
            column.push_null();
        }
    }

    pub(super) fn truncate(&mut self, n: usize) {
        for column in &mut self.columns {
            column.truncate(n);
        }
    }

    /// The columns, after which they are empty.
    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.columns.iter_mut().map(Column::finish).collect()
    }
}

/// The fault of a key that an object has twice: readers differ in which of them counts.
pub(super) fn twice(key: &str) -> Fault {
    Fault::Value(format!("the key `{key}` occurs twice"))
}

fn inside(fault: Fault, field: &str) -> Fault {
    match fault {
        Fault::Value(text) => Fault::Value(format!("{text} (field `{field}`)")),
        syntax => syntax,
    }
}
