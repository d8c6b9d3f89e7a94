//! From rows to documents.

mod values;

#[cfg(test)]
mod tests;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Schema};
use emporia_core::error::{Error, ErrorKind, Result};
use mongodb::bson::raw::{CStr, CString};
use mongodb::bson::{RawBson, RawDocumentBuf};

use self::values::{Values, canonical};
use super::mapping::Stored;
use super::target::CollectionTarget;

/// Largest document that MongoDB stores.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// Makes documents of rows with one schema.
#[derive(Debug)]
pub(super) struct Encoder {
    collection: String,
    /// Indices of the columns that form `_id`.
    key: Vec<usize>,
    root: Level,
    columns: Vec<ColumnPlan>,
}

#[derive(Debug)]
struct ColumnPlan {
    name: String,
    /// The type that the column is cast to first.
    cast: DataType,
    stored: Stored,
}

/// The names at one depth of a document, in the order of the columns.
#[derive(Debug, Default)]
struct Level {
    names: Vec<(CString, Place)>,
}

#[derive(Debug)]
enum Place {
    Column(usize),
    Below(Level),
}

/// A row as a document.
#[derive(Debug)]
pub(super) struct Encoded {
    /// `{_id: …}`, the query that finds the document.
    pub(super) query: RawDocumentBuf,
    /// The whole document.
    pub(super) document: RawDocumentBuf,
}

/// Checks that values of this type have a form in BSON.
pub(super) fn check_type(column: &str, data_type: &DataType) -> Result<()> {
    cast_type(column, data_type).map(|_| ())
}

fn cast_type(column: &str, data_type: &DataType) -> Result<DataType> {
    canonical(data_type).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("column `{column}` of the type {data_type} cannot be stored in MongoDB"),
        )
        .with_hint("cast it to another type")
    })
}

impl Encoder {
    /// An encoder for rows of `schema`.
    ///
    /// # Errors
    /// As of [`CollectionTarget::check`].
    pub(super) fn new(target: &CollectionTarget, schema: &Schema) -> Result<Self> {
        target.check(schema)?;
        let mut root = Level::default();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            // `_id` is made of the key.
            let path = target.path_of(field.name());
            if path != "_id" {
                root.insert(path, index)?;
            }
            columns.push(ColumnPlan {
                name: field.name().clone(),
                cast: cast_type(field.name(), field.data_type())?,
                stored: target.stored_of(field.name()),
            });
        }
        let key = target.key.iter().map(|column| {
            schema
                .index_of(column)
                .map_err(|e| Error::internal("a key column vanished").with_source(e))
        });
        Ok(Self {
            collection: target.namespace.to_string(),
            key: key.collect::<Result<_>>()?,
            root,
            columns,
        })
    }

    /// Whether a decimal of MongoDB is among the values.
    pub(super) fn has_decimals(&self) -> bool {
        fn is_decimal(data_type: &DataType) -> bool {
            match data_type {
                DataType::Decimal128(..) => true,
                DataType::List(item) => is_decimal(item.data_type()),
                DataType::Struct(fields) => fields.iter().any(|f| is_decimal(f.data_type())),
                _ => false,
            }
        }
        let is_native = |plan: &&ColumnPlan| plan.stored != Stored::Text;
        self.columns
            .iter()
            .filter(is_native)
            .any(|plan| is_decimal(&plan.cast))
    }

    /// The documents of the rows.
    ///
    /// # Errors
    /// `InvalidInput` where a value cannot be stored exactly or a key is null.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Vec<Encoded>> {
        let arrays = batch
            .columns()
            .iter()
            .zip(&self.columns)
            .map(|(array, plan)| plan.cast(array))
            .collect::<Result<Vec<_>>>()?;
        let values = arrays
            .iter()
            .zip(&self.columns)
            .map(|(array, plan)| Values::of(array.as_ref(), plan.stored))
            .collect::<Result<Vec<_>>>()?;
        (0..batch.num_rows())
            .map(|row| self.document(&values, row))
            .collect()
    }

    fn document(&self, values: &[Values<'_>], row: usize) -> Result<Encoded> {
        let id = self.id(values, row)?;
        let mut query = RawDocumentBuf::new();
        query.append(ID, id);
        let mut document = query.clone();
        self.append(&self.root, values, row, &mut document)?;
        if document.as_bytes().len() > MAX_DOCUMENT {
            return Err(Error::invalid(format!(
                "the row with the key {} is too large for a document of `{}`: {} bytes",
                self.key_text(values, row),
                self.collection,
                document.as_bytes().len()
            )));
        }
        Ok(Encoded { query, document })
    }

    /// Appends the row's values; leaves null out. Whether anything was appended.
    fn append(
        &self,
        level: &Level,
        values: &[Values<'_>],
        row: usize,
        document: &mut RawDocumentBuf,
    ) -> Result<bool> {
        let mut has_any = false;
        for (name, place) in &level.names {
            match place {
                Place::Column(index) => {
                    let value = values[*index].get(row);
                    if let Some(value) = value.map_err(|e| self.refused(*index, values, row, e))? {
                        document.append(name, value);
                        has_any = true;
                    }
                }
                Place::Below(below) => {
                    let mut inner = RawDocumentBuf::new();
                    if self.append(below, values, row, &mut inner)? {
                        document.append(name, inner);
                        has_any = true;
                    }
                }
            }
        }
        Ok(has_any)
    }

    fn id(&self, values: &[Values<'_>], row: usize) -> Result<RawBson> {
        if let [index] = &self.key[..] {
            let value = values[*index].get(row);
            return match value.map_err(|e| self.refused(*index, values, row, e))? {
                Some(value) => Ok(value),
                None => Err(self.null_key(*index)),
            };
        }
        let mut joined = String::new();
        for (position, index) in self.key.iter().enumerate() {
            let Some(text) = values[*index].text(row) else {
                return Err(self.null_key(*index));
            };
            if position > 0 {
                joined.push('|');
            }
            // Else ("a|", "b") and ("a", "|b") would be one key.
            for c in text.chars() {
                if matches!(c, '|' | '\\') {
                    joined.push('\\');
                }
                joined.push(c);
            }
        }
        Ok(RawBson::String(joined))
    }

    fn null_key(&self, column: usize) -> Error {
        Error::invalid(format!(
            "cannot write `{}`: the key column `{}` is null in a row",
            self.collection, self.columns[column].name
        ))
        .with_hint("filter such rows out, or name other columns in the option `key`")
    }

    /// The key's values, for messages.
    pub(super) fn key_text(&self, values: &[Values<'_>], row: usize) -> String {
        let part = |index: &usize| values[*index].text(row);
        let parts: Vec<_> = self.key.iter().filter_map(part).collect();
        format!("`{}`", parts.join(", "))
    }

    fn refused(&self, column: usize, values: &[Values<'_>], row: usize, why: Refusal) -> Error {
        Error::invalid(format!(
            "column `{}` of the row with the key {} cannot be written to `{}`: {}",
            self.columns[column].name,
            self.key_text(values, row),
            self.collection,
            why.text
        ))
        .with_hint(why.hint)
    }
}

/// The name of the key in a document.
const ID: &CStr = mongodb::bson::raw::cstr!("_id");

/// Why a value has no form in BSON.
#[derive(Debug)]
struct Refusal {
    text: String,
    hint: &'static str,
}

impl ColumnPlan {
    fn cast(&self, array: &ArrayRef) -> Result<ArrayRef> {
        if array.data_type() == &self.cast {
            return Ok(ArrayRef::clone(array));
        }
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(array.as_ref(), &self.cast, &options).map_err(|e| {
            Error::invalid(format!(
                "column `{}` has a value that MongoDB cannot store",
                self.name
            ))
            .with_source(e)
        })
    }
}

impl Level {
    fn insert(&mut self, path: &str, column: usize) -> Result<()> {
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let name = CString::try_from(first)
            .map_err(|e| Error::invalid(format!("`{path}` is not a path")).with_source(e))?;
        let Some(rest) = rest else {
            self.names.push((name, Place::Column(column)));
            return Ok(());
        };
        let known = self.names.iter_mut().find_map(|(n, place)| match place {
            Place::Below(below) if n.as_str() == first => Some(below),
            _ => None,
        });
        if let Some(below) = known {
            return below.insert(rest, column);
        }
        let mut below = Self::default();
        below.insert(rest, column)?;
        self.names.push((name, Place::Below(below)));
        Ok(())
    }
}
