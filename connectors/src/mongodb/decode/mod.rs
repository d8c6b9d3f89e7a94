//! Turns raw documents into record batches, without building a document in between.

mod column;
mod scalar;

#[cfg(test)]
mod tests;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use emporia_core::error::{Error, ErrorKind, Result};
use mongodb::bson::{RawBsonRef, RawDocument};

use self::column::{Misfit, Reading};
use super::mapping::{self, Malformed};

pub(super) use self::scalar::type_name;

/// Bytes of documents after which a batch is handed out, however few rows it has.
const BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Collects documents into batches.
#[derive(Debug)]
pub(super) struct Decoder {
    collection: String,
    schema: SchemaRef,
    malformed: Malformed,
    root: Level,
    slots: Vec<Slot>,
    batch_size: usize,
    n_rows: usize,
    n_bytes: usize,
}

/// A column of the batch.
#[derive(Debug)]
struct Slot {
    name: String,
    path: String,
    is_required: bool,
    column: column::Column,
    /// Whether the document at hand had a value.
    is_filled: bool,
}

/// The names that are wanted at one depth of a document.
#[derive(Debug, Default)]
struct Level {
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    text: String,
    slots: Vec<usize>,
    below: Level,
}

impl Level {
    fn insert(&mut self, path: &str, slot: usize) {
        let (text, rest) = match path.split_once('.') {
            Some((text, rest)) => (text, Some(rest)),
            None => (path, None),
        };
        let index = self.names.iter().position(|n| n.text == text);
        let index = index.unwrap_or_else(|| {
            self.names.push(Name {
                text: text.to_owned(),
                slots: Vec::new(),
                below: Self::default(),
            });
            self.names.len() - 1
        });
        let name = &mut self.names[index];
        match rest {
            Some(rest) => name.below.insert(rest, slot),
            None => name.slots.push(slot),
        }
    }
}

impl Decoder {
    /// A decoder of `columns`, whose batches have `batch_size` rows.
    ///
    /// # Errors
    /// When a type of a column is impossible.
    pub(super) fn new(
        collection: &str,
        columns: &[mapping::Column],
        malformed: Malformed,
        batch_size: usize,
    ) -> Result<Self> {
        let mut root = Level::default();
        let mut slots = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let reading = Reading {
                stored: column.stored,
                malformed,
            };
            root.insert(&column.path, index);
            slots.push(Slot {
                name: column.name.clone(),
                path: column.path.clone(),
                is_required: column.required,
                column: column::Column::new(&column.value, reading, batch_size)
                    .map_err(impossible)?,
                is_filled: false,
            });
        }
        Ok(Self {
            collection: collection.to_owned(),
            schema: mapping::schema_of(columns),
            malformed,
            root,
            slots,
            batch_size,
            n_rows: 0,
            n_bytes: 0,
        })
    }

    /// Appends a document as a row.
    ///
    /// # Errors
    /// `Corrupt`, with the collection, the document's `_id`, the path, what was found there and what
    /// is expected. The decoder is of no more use then.
    pub(super) fn append(&mut self, document: &RawDocument) -> Result<()> {
        match walk(document, &self.root, &mut self.slots, self.malformed) {
            Ok(()) => {}
            Err((index, misfit)) => return Err(self.failure(document, index, &misfit)),
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if std::mem::take(&mut slot.is_filled) {
                continue;
            }
            if slot.is_required {
                let misfit = Misfit::absent("nothing", slot.column.value_type());
                return Err(self.failure(document, Some(index), &misfit));
            }
            slot.column.append_null();
        }
        self.n_rows += 1;
        self.n_bytes += document.as_bytes().len();
        Ok(())
    }

    /// Whether it is time to [`Decoder::finish`] the batch.
    pub(super) fn is_full(&self) -> bool {
        self.n_rows >= self.batch_size || self.n_bytes >= BATCH_BYTES
    }

    /// The rows so far; `None` where there are none.
    ///
    /// # Errors
    /// `Internal` when the columns do not form a batch.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.n_rows == 0 {
            return Ok(None);
        }
        let arrays = self
            .slots
            .iter_mut()
            .map(|slot| slot.column.finish())
            .collect::<Result<Vec<_>, _>>()
            .map_err(impossible)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.n_rows));
        self.n_rows = 0;
        self.n_bytes = 0;
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(impossible)
    }

    fn failure(&self, document: &RawDocument, slot: Option<usize>, misfit: &Misfit) -> Error {
        let id = match document.get("_id") {
            Ok(Some(id)) => scalar::excerpt(id),
            _ => "unknown".to_owned(),
        };
        let Some(slot) = slot.and_then(|index| self.slots.get(index)) else {
            return Error::new(
                ErrorKind::Corrupt,
                format!(
                    "document `{id}` of `{}` is not valid BSON: {}",
                    self.collection, misfit.found
                ),
            );
        };
        let below = misfit.below.iter().rev().map(String::as_str);
        let path = [slot.path.as_str()].into_iter().chain(below);
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "document `{id}` of `{}` has {} at `{}`; column `{}` expects {}",
                self.collection,
                misfit.found,
                path.collect::<Vec<_>>().join("."),
                slot.name,
                misfit.expected
            ),
        )
        .with_hint(
            "declare another type for the column, or set the table option malformed = \"null\"",
        )
    }
}

/// A misfit and the slot it belongs to; without one the document itself is broken.
type Failure = (Option<usize>, Box<Misfit>);

fn walk(
    document: &RawDocument,
    level: &Level,
    slots: &mut [Slot],
    malformed: Malformed,
) -> std::result::Result<(), Failure> {
    // Documents of a collection mostly have their fields in the same order.
    let n_names = level.names.len();
    let mut next = 0;
    for element in document.iter_elements() {
        let element = element.map_err(|e| (None, Box::new(column::broken(&e))))?;
        let key = element.key().as_str();
        let found = (0..n_names)
            .map(|i| (next + i) % n_names)
            .find(|i| level.names[*i].text == key);
        let Some(index) = found else {
            continue;
        };
        next = index + 1;
        let name = &level.names[index];
        let value = element
            .value()
            .map_err(|e| (None, Box::new(column::broken(&e))))?;
        for index in &name.slots {
            let slot = &mut slots[*index];
            // Of a name that a document has twice, the first value counts.
            if std::mem::replace(&mut slot.is_filled, true) {
                continue;
            }
            if slot.is_required && matches!(value, RawBsonRef::Null) {
                let misfit = Misfit::absent("null", slot.column.value_type());
                return Err((Some(*index), Box::new(misfit)));
            }
            slot.column
                .append(value)
                .map_err(|misfit| (Some(*index), misfit))?;
        }
        if name.below.names.is_empty() {
            continue;
        }
        match (value, malformed) {
            (RawBsonRef::Document(inner), _) => walk(inner, &name.below, slots, malformed)?,
            (RawBsonRef::Null, _) | (_, Malformed::Null) => {}
            (_, Malformed::Error) => {
                let slot = name.below.first_slot();
                let misfit = Misfit {
                    below: Vec::new(),
                    found: format!("{} in place of the object `{key}`", type_name(value)),
                    expected: slot
                        .and_then(|index| slots.get(index))
                        .map_or_else(String::new, |s| s.column.value_type().to_string()),
                };
                return Err((slot, Box::new(misfit)));
            }
        }
    }
    Ok(())
}

impl Level {
    fn first_slot(&self) -> Option<usize> {
        let name = self.names.first()?;
        name.slots
            .first()
            .copied()
            .or_else(|| name.below.first_slot())
    }
}

fn impossible(error: ArrowError) -> Error {
    Error::internal("cannot form a batch of documents").with_source(error)
}
