//! Finds a schema that the documents of a sample have in common.

use emporia_core::error::{Error, Result};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawBsonRef, RawDocument};

use super::decimal::Number;
use super::decode::type_name;
use super::mapping::{Column, NamedType, Stored, ValueType};
use super::options::{CollectionOptions, Mixed};

/// An object with more fields than this is a map rather than a record; it becomes JSON text.
const MAX_FIELDS: usize = 200;
/// Deeper nesting becomes JSON text.
const MAX_DEPTH: usize = 12;
/// Digits of the widest decimal type.
const MAX_PRECISION: u32 = 38;

/// What was seen at one path.
#[derive(Debug, Default)]
struct Shape {
    /// Names of the BSON types, without null, in the order of their appearance.
    types: Vec<&'static str>,
    /// Digits before and after the point of the widest decimal.
    width: (u32, u32),
    /// A decimal that is no finite number, or binary data that is a UUID.
    is_odd: bool,
    fields: Vec<(String, Shape)>,
    item: Option<Box<Shape>>,
}

/// Documents seen so far.
#[derive(Debug, Default)]
pub(super) struct Sample {
    root: Shape,
    n_documents: usize,
}

impl Sample {
    /// Takes in a document.
    ///
    /// # Errors
    /// `Corrupt` where it is not valid BSON.
    pub(super) fn add(&mut self, document: &RawDocument) -> Result<()> {
        self.n_documents += 1;
        self.root
            .add_fields(document, 0)
            .map_err(|e| super::broken_bson().with_source(e))
    }

    /// Number of documents.
    pub(super) fn len(&self) -> usize {
        self.n_documents
    }

    /// The columns: one for each field of the documents.
    ///
    /// # Errors
    /// `InvalidInput` where the values of a field have no common type.
    pub(super) fn columns(&self, options: &CollectionOptions) -> Result<Vec<Column>> {
        let mut columns = Vec::with_capacity(self.root.fields.len());
        for (name, shape) in &self.root.fields {
            if name.is_empty() || name.contains('.') || name.starts_with('$') {
                tracing::warn!(field = name, "a field whose name is no path is left out");
                continue;
            }
            let stored = match (options.stored_columns.get(name), shape.types.as_slice()) {
                (Some(stored), _) => *stored,
                (None, ["objectId"]) => Stored::ObjectId,
                (None, _) => options.stored,
            };
            columns.push(Column {
                name: name.clone(),
                path: options.path_of(name),
                value: shape.value_type(name, options.mixed)?,
                required: false,
                stored,
            });
        }
        Ok(columns)
    }
}

impl Shape {
    fn add_fields(
        &mut self,
        document: &RawDocument,
        depth: usize,
    ) -> mongodb::bson::error::Result<()> {
        for element in document.iter_elements() {
            let element = element?;
            let key = element.key().as_str();
            let index = self.fields.iter().position(|(name, _)| name == key);
            let index = match index {
                Some(index) => index,
                // One more than allowed shows that there are too many.
                None if self.fields.len() > MAX_FIELDS && depth > 0 => continue,
                None => {
                    self.fields.push((key.to_owned(), Self::default()));
                    self.fields.len() - 1
                }
            };
            self.fields[index].1.add(element.value()?, depth + 1)?;
        }
        Ok(())
    }

    fn add(&mut self, value: RawBsonRef<'_>, depth: usize) -> mongodb::bson::error::Result<()> {
        if matches!(value, RawBsonRef::Null | RawBsonRef::Undefined) {
            return Ok(());
        }
        let name = type_name(value);
        if !self.types.contains(&name) {
            self.types.push(name);
        }
        match value {
            RawBsonRef::Decimal128(v) => match Number::of_decimal128(v) {
                Some(number) => {
                    let (whole, fraction) = number.width();
                    self.width = (self.width.0.max(whole), self.width.1.max(fraction));
                }
                None => self.is_odd = true,
            },
            RawBsonRef::Binary(v) if v.subtype == BinarySubtype::Uuid => self.is_odd = true,
            RawBsonRef::Document(v) if depth < MAX_DEPTH => self.add_fields(v, depth)?,
            RawBsonRef::Array(v) if depth < MAX_DEPTH => {
                let item = self.item.get_or_insert_default();
                for value in v {
                    item.add(value?, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn value_type(&self, path: &str, mixed: Mixed) -> Result<ValueType> {
        let all = |names: &[&str]| self.types.iter().all(|t| names.contains(t));
        let has = |name: &str| self.types.contains(&name);
        Ok(if all(&["string", "symbol", "objectId"]) {
            // This is also the type of a field that is always null.
            ValueType::Text
        } else if all(&["int"]) {
            ValueType::Int32
        } else if all(&["int", "long"]) {
            ValueType::Int64
        } else if all(&["int", "long", "double"]) {
            ValueType::Double
        } else if all(&["int", "long", "decimal"]) {
            self.decimal()
        } else if all(&["bool"]) {
            ValueType::Bool
        } else if all(&["date"]) {
            ValueType::Timestamp {
                zone: Some("UTC".to_owned()),
            }
        } else if all(&["binData"]) {
            if self.is_odd {
                ValueType::Text
            } else {
                ValueType::Binary
            }
        } else if all(&["array"]) {
            self.list(path, mixed)?
        } else if all(&["object"]) {
            self.record(path, mixed)?
        } else if self.types.len() == 1 {
            return Err(Error::invalid(format!(
                "field `{path}` holds values of the type {}, which no column can have",
                self.types.join("")
            ))
            .with_hint("declare the columns to be read in `columns`"));
        } else if mixed == Mixed::Text && !has("regex") && !has("timestamp") {
            ValueType::Text
        } else {
            return Err(Error::invalid(format!(
                "field `{path}` holds values of several types in the sampled documents: {}",
                self.types.join(", ")
            ))
            .with_hint(
                "declare the columns and their types in `columns`, or set the table option \
                 mixed = \"text\" to read such fields as text",
            ));
        })
    }

    fn decimal(&self) -> ValueType {
        let (whole, fraction) = self.width;
        match i8::try_from(fraction) {
            // Integers of the sample have up to 19 digits.
            Ok(scale) if !self.is_odd && whole.max(19) + fraction <= MAX_PRECISION => {
                ValueType::Decimal {
                    precision: 38,
                    scale,
                }
            }
            _ => ValueType::Text,
        }
    }

    fn list(&self, path: &str, mixed: Mixed) -> Result<ValueType> {
        let Some(item) = &self.item else {
            return Ok(ValueType::Text);
        };
        Ok(ValueType::List(Box::new(NamedType {
            name: "item".to_owned(),
            value: item.value_type(&format!("{path}.[]"), mixed)?,
            required: false,
        })))
    }

    fn record(&self, path: &str, mixed: Mixed) -> Result<ValueType> {
        if self.fields.is_empty() || self.fields.len() > MAX_FIELDS {
            return Ok(ValueType::Text);
        }
        let fields = self.fields.iter().map(|(name, shape)| {
            Ok(NamedType {
                name: name.clone(),
                value: shape.value_type(&format!("{path}.{name}"), mixed)?,
                required: false,
            })
        });
        Ok(ValueType::Struct(fields.collect::<Result<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{Bson, DateTime, Decimal128, Document, RawDocumentBuf, doc};

    use super::*;

    fn columns(documents: &[Document], options: &CollectionOptions) -> Result<Vec<Column>> {
        let mut sample = Sample::default();
        for document in documents {
            let raw = RawDocumentBuf::try_from(document);
            sample.add(&raw.map_err(|e| Error::internal("bad test").with_source(e))?)?;
        }
        assert_eq!(sample.len(), documents.len());
        sample.columns(options)
    }

    fn type_of(values: &[Bson]) -> String {
        let documents: Vec<_> = values.iter().map(|v| doc! { "f": v.clone() }).collect();
        match columns(&documents, &CollectionOptions::default()) {
            Ok(columns) => columns
                .iter()
                .map(|c| c.value.to_arrow().to_string())
                .collect(),
            Err(e) => format!("{e}"),
        }
    }

    fn decimal(text: &str) -> Bson {
        Bson::Decimal128(Decimal128::from_str(text).unwrap())
    }

    #[test]
    fn types_are_merged() {
        let check = |values: &[Bson], expected: &str| {
            assert_eq!(type_of(values), expected);
            let reversed: Vec<_> = values.iter().rev().cloned().collect();
            assert_eq!(type_of(&reversed), expected);
        };
        check(&[Bson::Int32(1), Bson::Null], "Int32");
        check(&[Bson::Int32(1), Bson::Int64(2)], "Int64");
        check(&[Bson::Int32(1), Bson::Double(2.5)], "Float64");
        check(&[decimal("1.5"), decimal("10.25")], "Decimal128(38, 2)");
        check(&[decimal("1.5"), Bson::Int64(3)], "Decimal128(38, 1)");
        check(&[decimal("1E-30"), decimal("1E+9")], "Utf8");
        check(&[decimal("NaN")], "Utf8");
        check(&[Bson::Boolean(true)], "Boolean");
        check(&[Bson::Null], "Utf8");
        check(&[Bson::ObjectId(ObjectId::new()), Bson::from("x")], "Utf8");
        check(
            &[Bson::DateTime(DateTime::from_millis(5))],
            "Timestamp(µs, \"UTC\")",
        );
    }

    #[test]
    fn nested_values_become_structs_and_lists() {
        let values = [
            Bson::from(doc! { "a": 1, "tags": ["x", Bson::Null] }),
            Bson::from(doc! { "a": 5_i64, "b": { "c": true } }),
        ];
        assert_eq!(
            type_of(&values),
            "Struct(\"a\": Int64, \"tags\": List(Utf8), \"b\": Struct(\"c\": Boolean))"
        );
        assert_eq!(type_of(&[Bson::Array(Vec::new())]), "List(Utf8)");
        assert_eq!(type_of(&[Bson::from(doc! {})]), "Utf8");
        let map: Document = (0..300)
            .map(|i| (format!("k{i}"), Bson::Int32(i)))
            .collect();
        assert_eq!(type_of(&[Bson::from(map)]), "Utf8");
    }

    #[test]
    fn mixed_values_are_an_error_or_text() -> Result<()> {
        let values = [Bson::Int32(1), Bson::from("x")];
        let text = type_of(&values);
        assert!(
            text.contains("field `f`") && text.contains("int, string"),
            "{text}"
        );

        let documents: Vec<_> = values.iter().map(|v| doc! { "f": v.clone() }).collect();
        let options = CollectionOptions {
            mixed: Mixed::Text,
            ..CollectionOptions::default()
        };
        let columns = columns(&documents, &options)?;
        assert_eq!(columns[0].value, ValueType::Text);
        assert_eq!(columns[0].stored, Stored::Any);
        Ok(())
    }

    #[test]
    fn columns_keep_order_and_know_object_ids() -> Result<()> {
        let documents = [
            doc! { "_id": ObjectId::new(), "b": 1 },
            doc! { "_id": ObjectId::new(), "a": 1, "b": 1, "x.y": 1 },
        ];
        let columns = columns(&documents, &CollectionOptions::default())?;
        let names: Vec<_> = columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["_id", "b", "a"]);
        assert_eq!(columns[0].stored, Stored::ObjectId);
        Ok(())
    }
}
