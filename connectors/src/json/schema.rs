//! The columns of a JSON table: those of its objects, those of its folders, and those that permissive
//! reading adds.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion_proto::protobuf;
use prost::Message as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::decoder::Output;
use super::record::Record;
use crate::base64_text;
use crate::delimited::{ERROR, POSITION, RAW, SOURCE};
use crate::files::partitions::FolderValues;

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    schema: SchemaRef,
    keys: Fields,
    folders: Fields,
    /// Whether bad values become null with an `_error`, instead of failing the query.
    pub is_permissive: bool,
}

impl Columns {
    /// The columns `keys`, all nullable, and then `folders`, whose values are names of folders.
    ///
    /// # Errors
    /// Where two columns have one name, or a type that JSON has no form for.
    pub fn try_new(keys: &Fields, folders: &[Field], is_permissive: bool) -> Result<Self> {
        let is_folder = |name: &str| folders.iter().any(|folder| folder.name() == name);
        let keys = keys.iter().filter(|key| !is_folder(key.name()));
        let keys: Fields = keys
            .map(|key| key.as_ref().clone().with_nullable(true))
            .collect();
        let folders: Fields = folders
            .iter()
            .map(|folder| folder.clone().with_nullable(true))
            .collect();
        let mut fields: Vec<_> = keys.iter().chain(&folders).cloned().collect();
        if is_permissive {
            fields.push(Arc::new(Field::new(RAW, DataType::Utf8View, false)));
            fields.push(Arc::new(Field::new(SOURCE, DataType::Utf8View, false)));
            fields.push(Arc::new(Field::new(POSITION, DataType::Int64, false)));
            fields.push(Arc::new(Field::new(ERROR, DataType::Utf8, true)));
        }
        let fields = Fields::from(fields);
        // Fails here, and not in a task.
        Record::new(&fields)?;
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            keys,
            folders,
            is_permissive,
        })
    }

    /// All columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn keys(&self) -> &Fields {
        &self.keys
    }

    /// The columns whose values are names of folders.
    pub(super) fn folders(&self) -> &Fields {
        &self.folders
    }

    /// What fills a column for a file with these values of folders.
    pub(super) fn output(&self, index: usize, values: &FolderValues) -> Result<Output> {
        if let Some(key) = self.keys.get(index) {
            return Ok(Output::Key(Arc::clone(key)));
        }
        let index = index - self.keys.len();
        if let Some(folder) = self.folders.get(index) {
            return values.value(index, folder).map(Output::Folder);
        }
        Ok(match index - self.folders.len() {
            0 => Output::Raw,
            1 => Output::Source,
            2 => Output::Position,
            _ => Output::Error,
        })
    }
}

/// Columns as they travel. Types as text lose quotes in the names of fields, so they go as Arrow's
/// own messages.
#[derive(Serialize, Deserialize)]
struct Recipe {
    #[serde(with = "base64_text")]
    keys: Vec<u8>,
    #[serde(with = "base64_text")]
    folders: Vec<u8>,
    is_permissive: bool,
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = |fields: &Fields| {
            let message = protobuf::Schema::try_from(&Schema::new(fields.clone()));
            message
                .map(|message| message.encode_to_vec())
                .map_err(serde::ser::Error::custom)
        };
        let recipe = Recipe {
            keys: bytes(&self.keys)?,
            folders: bytes(&self.folders)?,
            is_permissive: self.is_permissive,
        };
        recipe.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let recipe = Recipe::deserialize(deserializer)?;
        let fields = |bytes: &[u8]| {
            let message = protobuf::Schema::decode(bytes).map_err(serde::de::Error::custom)?;
            let schema = Schema::try_from(&message).map_err(serde::de::Error::custom)?;
            Ok::<_, D::Error>(schema.fields().clone())
        };
        let folders: Vec<Field> = fields(&recipe.folders)?
            .iter()
            .map(|folder| folder.as_ref().clone())
            .collect();
        Self::try_new(&fields(&recipe.keys)?, &folders, recipe.is_permissive)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_any_name_travel() {
        let inner = Fields::from(vec![
            Field::new("a \"quoted\" \\ name", DataType::Int64, true),
            Field::new("", DataType::new_list(DataType::Utf8, true), true),
        ]);
        let keys = Fields::from(vec![
            Field::new("it's", DataType::Struct(inner), true),
            Field::new("country", DataType::Utf8, true),
        ]);
        let folders = [Field::new("country", DataType::Int32, false)];
        let columns = Columns::try_new(&keys, &folders, true).unwrap();
        let names = columns.schema().fields().iter().map(|f| f.name().clone());
        let names = names.collect::<Vec<_>>();
        assert_eq!(names, ["it's", "country", RAW, SOURCE, POSITION, ERROR]);
        let text = serde_json::to_string(&columns).unwrap();
        assert_eq!(serde_json::from_str::<Columns>(&text).unwrap(), columns);
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let key = |name| Field::new(name, DataType::Utf8, true);
        let keys = Fields::from(vec![key("a"), key("a")]);
        assert!(Columns::try_new(&keys, &[], false).is_err());
        let keys = Fields::from(vec![key(RAW)]);
        assert!(Columns::try_new(&keys, &[], true).is_err());
        assert!(Columns::try_new(&keys, &[], false).is_ok());
    }
}
