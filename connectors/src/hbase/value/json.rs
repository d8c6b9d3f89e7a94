//! Lists and structs as JSON text in one cell.
//!
//! Reading is strict about types and lenient about two habits of applications: a decimal may be a
//! number or a text, and where a list of structs is expected, an object stands for the list of its
//! values, the first field of each being its name. So `{"p1": {"quantity": 2}}` is a cart of one
//! entry whose first field is `p1`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, NullBufferBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use serde_json::{Map, Number, Value};

use super::builder::LeafBuilder;
use super::{Kind, Scalar, ValueArray, text};

/// Digits of a decimal that survive being a number in JSON, for readers that take it as a double.
const EXACT_DIGITS: u32 = 15;

/// A list or struct column under construction.
#[derive(Debug)]
pub(super) struct NestedBuilder {
    node: Node,
}

impl NestedBuilder {
    /// A builder for `data_type`; `None` where the connector has no such columns.
    pub(super) fn new(data_type: &DataType) -> Option<Self> {
        Node::new(data_type).map(|node| Self { node })
    }

    /// Appends what the JSON text says; `false`, and nothing is appended, where it is no JSON or
    /// none of the column.
    #[must_use]
    pub(super) fn append_json(&mut self, json: &[u8]) -> bool {
        match serde_json::from_slice(json) {
            Ok(value) if self.node.fits(&value, true) => {
                self.node.append(&value);
                true
            }
            _ => false,
        }
    }

    /// Appends null.
    pub(super) fn append_null(&mut self) {
        self.node.append(&Value::Null);
    }

    /// The finished column; the builder is empty afterwards.
    ///
    /// # Errors
    /// Where a list got too large for its offsets.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.node.finish()
    }
}

#[derive(Debug)]
enum Node {
    Leaf {
        kind: Kind,
        builder: LeafBuilder,
    },
    List {
        item: FieldRef,
        /// Number of items of each list.
        lengths: Vec<usize>,
        nulls: NullBufferBuilder,
        items: Box<Self>,
    },
    Struct {
        fields: Fields,
        nulls: NullBufferBuilder,
        children: Vec<Self>,
    },
}

impl Node {
    fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::List(item) => Self::List {
                item: Arc::clone(item),
                lengths: Vec::new(),
                nulls: NullBufferBuilder::new(0),
                items: Box::new(Self::new(item.data_type())?),
            },
            DataType::Struct(fields) => Self::Struct {
                fields: fields.clone(),
                nulls: NullBufferBuilder::new(0),
                children: fields
                    .iter()
                    .map(|field| Self::new(field.data_type()))
                    .collect::<Option<_>>()?,
            },
            _ => Self::Leaf {
                kind: Kind::of(data_type)?,
                builder: LeafBuilder::new(data_type)?,
            },
        })
    }

    /// Whether the value can be appended; asked before, so that appending cannot stop halfway.
    fn fits(&self, value: &Value, nullable: bool) -> bool {
        match (self, value) {
            (_, Value::Null) => nullable,
            (Self::Leaf { kind, .. }, value) => with_scalar(*kind, value, |_| ()).is_some(),
            (Self::List { item, items, .. }, Value::Array(values)) => values
                .iter()
                .all(|value| items.fits(value, item.is_nullable())),
            (Self::List { items, .. }, Value::Object(entries)) => {
                items.takes_names()
                    && entries
                        .iter()
                        .all(|(name, value)| items.fits_object(value, Some(name)))
            }
            (Self::Struct { .. }, value) => self.fits_object(value, None),
            (Self::List { .. }, _) => false,
        }
    }

    /// Whether the node is a struct whose first field is text.
    fn takes_names(&self) -> bool {
        match self {
            Self::Struct { children, .. } => matches!(
                children.first(),
                Some(Self::Leaf {
                    kind: Kind::Text,
                    ..
                })
            ),
            _ => false,
        }
    }

    fn fits_object(&self, value: &Value, name: Option<&str>) -> bool {
        let (
            Self::Struct {
                fields, children, ..
            },
            Value::Object(entries),
        ) = (self, value)
        else {
            return false;
        };
        let named = usize::from(name.is_some());
        fields
            .iter()
            .zip(children)
            .skip(named)
            .all(|(field, child)| {
                let value = entries.get(field.name()).unwrap_or(&Value::Null);
                child.fits(value, field.is_nullable())
            })
    }

    /// Appends a value that fits, or null.
    fn append(&mut self, value: &Value) {
        match (self, value) {
            (Self::Leaf { kind, builder }, value) => {
                let appended = with_scalar(*kind, value, |scalar| builder.append(scalar));
                if appended != Some(true) {
                    builder.append_null();
                }
            }
            (
                Self::List {
                    lengths,
                    nulls,
                    items,
                    ..
                },
                value,
            ) => {
                nulls.append(!value.is_null());
                lengths.push(match value {
                    Value::Array(values) => {
                        values.iter().for_each(|value| items.append(value));
                        values.len()
                    }
                    Value::Object(entries) => {
                        for (name, value) in entries {
                            items.append_object(value, Some(name));
                        }
                        entries.len()
                    }
                    _ => 0,
                });
            }
            (this @ Self::Struct { .. }, value) => this.append_object(value, None),
        }
    }

    fn append_object(&mut self, value: &Value, name: Option<&str>) {
        let Self::Struct {
            fields,
            nulls,
            children,
        } = self
        else {
            return;
        };
        nulls.append(!value.is_null());
        for (index, (field, child)) in fields.iter().zip(children).enumerate() {
            match (index, name) {
                (0, Some(name)) => child.append(&Value::String(name.to_owned())),
                _ => child.append(value.get(field.name()).unwrap_or(&Value::Null)),
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Leaf { builder, .. } => builder.finish(),
            Self::List {
                item,
                lengths,
                nulls,
                items,
            } => {
                let mut offsets = vec![0_i32];
                let mut end = 0_i32;
                for length in lengths.drain(..) {
                    end = i32::try_from(length)
                        .ok()
                        .and_then(|length| end.checked_add(length))
                        .ok_or(ArrowError::OffsetOverflowError(length))?;
                    offsets.push(end);
                }
                Arc::new(ListArray::try_new(
                    Arc::clone(item),
                    OffsetBuffer::new(ScalarBuffer::from(offsets)),
                    items.finish()?,
                    nulls.finish(),
                )?)
            }
            Self::Struct {
                fields,
                nulls,
                children,
            } => {
                let length = nulls.len();
                let columns = children
                    .iter_mut()
                    .map(Self::finish)
                    .collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    columns,
                    nulls.finish(),
                    length,
                )?)
            }
        })
    }
}

/// Hands the scalar of `kind` that the JSON value is to `take`; `None` where it is none.
fn with_scalar<T>(kind: Kind, value: &Value, take: impl FnOnce(Scalar<'_>) -> T) -> Option<T> {
    let integer = match (kind, value) {
        (Kind::Text, Value::String(text)) => return Some(take(Scalar::Bytes(text.as_bytes()))),
        (Kind::Float64, Value::Number(number)) => {
            return number.as_f64().map(|v| take(Scalar::Float(v)));
        }
        (Kind::Float32, Value::Number(number)) => {
            let value = f64::from(number.as_f64()? as f32);
            return Some(take(Scalar::Float(value)));
        }
        (Kind::Boolean, Value::Bool(truth)) => i128::from(*truth),
        (Kind::Integer(_), Value::Number(number)) => i128::from(number.as_i64()?),
        (Kind::Decimal { scale, .. }, Value::Number(number)) => {
            text::parse_decimal(number.to_string().as_bytes(), scale)?
        }
        (Kind::Decimal { scale, .. }, Value::String(text)) => {
            text::parse_decimal(text.as_bytes(), scale)?
        }
        (Kind::Date, Value::String(text)) => text::parse_date(text.as_bytes())?,
        (Kind::Timestamp, Value::String(text)) => text::parse_timestamp(text)?,
        _ => return None,
    };
    kind.holds(integer).then(|| take(Scalar::Integer(integer)))
}

/// The JSON text of a row of a list or struct column of the type `wanted`, `None` for null.
///
/// # Errors
/// What is wrong with the value, where JSON cannot say it or it would not be read back.
pub(in super::super) fn row_to_json(
    array: &ArrayRef,
    row: usize,
    wanted: &DataType,
) -> Result<Option<String>, &'static str> {
    Ok(match to_json(array, row, wanted, true)? {
        Value::Null => None,
        value => Some(value.to_string()),
    })
}

fn to_json(
    array: &ArrayRef,
    row: usize,
    wanted: &DataType,
    nullable: bool,
) -> Result<Value, &'static str> {
    if array.is_null(row) {
        return nullable
            .then_some(Value::Null)
            .ok_or("a field of it is null that is never null");
    }
    match wanted {
        DataType::List(item) => {
            let list = array.as_list_opt::<i32>().ok_or(NO_SUCH_TYPE)?;
            let items = list.value(row);
            let values = (0..items.len())
                .map(|index| to_json(&items, index, item.data_type(), item.is_nullable()));
            values.collect::<Result<_, _>>().map(Value::Array)
        }
        DataType::Struct(fields) => {
            let parent = array.as_struct_opt().ok_or(NO_SUCH_TYPE)?;
            let entries = fields.iter().zip(parent.columns()).map(|(field, column)| {
                let value = to_json(column, row, field.data_type(), field.is_nullable())?;
                Ok((field.name().clone(), value))
            });
            entries.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        // Texts come in several layouts.
        DataType::Utf8 if array.data_type() == &DataType::Utf8View => {
            let texts = array.as_string_view_opt().ok_or(NO_SUCH_TYPE)?;
            Ok(Value::String(texts.value(row).to_owned()))
        }
        DataType::Utf8 if array.data_type() == &DataType::LargeUtf8 => {
            let texts = array.as_string_opt::<i64>().ok_or(NO_SUCH_TYPE)?;
            Ok(Value::String(texts.value(row).to_owned()))
        }
        _ => {
            let kind = Kind::of(array.data_type()).ok_or(NO_SUCH_TYPE)?;
            let values = ValueArray::of(array).ok_or(NO_SUCH_TYPE)?;
            leaf_to_json(kind, values.value(row))
        }
    }
}

const NO_SUCH_TYPE: &str = "JSON has no values of its type";

fn leaf_to_json(kind: Kind, value: Option<Scalar<'_>>) -> Result<Value, &'static str> {
    let written = |write: &dyn Fn(&mut Vec<u8>) -> bool| {
        let mut out = Vec::new();
        let complete = write(&mut out);
        String::from_utf8(out)
            .ok()
            .filter(|_| complete)
            .ok_or("its year does not have four digits")
    };
    match (kind, value) {
        (_, None) => Ok(Value::Null),
        (Kind::Text, Some(Scalar::Bytes(bytes))) => {
            Ok(Value::String(String::from_utf8_lossy(bytes).into_owned()))
        }
        (Kind::Boolean, Some(Scalar::Integer(value))) => Ok(Value::Bool(value != 0)),
        (Kind::Integer(_), Some(Scalar::Integer(value))) => i64::try_from(value)
            .map(|value| Value::Number(value.into()))
            .map_err(|_| "it does not fit into 8 bytes"),
        (Kind::Decimal { scale, .. }, Some(Scalar::Integer(value))) => {
            let text = written(&|out| {
                text::write_decimal(value, scale, out);
                true
            })?;
            let is_short = value.unsigned_abs() < 10_u128.pow(EXACT_DIGITS);
            let number = is_short.then(|| text.parse().ok().and_then(Number::from_f64));
            // A number only where it says the same decimal when it is read.
            let number = number.flatten().filter(|number| {
                text::parse_decimal(number.to_string().as_bytes(), scale) == Some(value)
            });
            Ok(number.map_or(Value::String(text), Value::Number))
        }
        (Kind::Date, Some(Scalar::Integer(value))) => {
            written(&|out| text::write_date(value, out)).map(Value::String)
        }
        (Kind::Timestamp, Some(Scalar::Integer(value))) => {
            written(&|out| text::write_timestamp(value, out)).map(Value::String)
        }
        (_, Some(Scalar::Float(value))) => Number::from_f64(value)
            .map(Value::Number)
            .ok_or("JSON has neither infinity nor NaN"),
        _ => Err(NO_SUCH_TYPE),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    fn cart() -> DataType {
        DataType::List(Arc::new(Field::new(
            "item",
            DataType::Struct(Fields::from(vec![
                Field::new("product_id", DataType::Utf8, false),
                Field::new("quantity", DataType::Int32, false),
                Field::new("price", DataType::Decimal128(18, 2), false),
                Field::new(
                    "added",
                    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                    true,
                ),
            ])),
            true,
        )))
    }

    /// What comes back as JSON after reading the texts; `None` for a text that is refused.
    fn there_and_back(data_type: &DataType, texts: &[&str]) -> Vec<Option<String>> {
        let mut builder = NestedBuilder::new(data_type).unwrap();
        let taken: Vec<bool> = texts
            .iter()
            .map(|text| builder.append_json(text.as_bytes()))
            .collect();
        let array = builder.finish().unwrap();
        assert_eq!(array.data_type(), data_type);
        assert_eq!(array.len(), taken.iter().filter(|taken| **taken).count());
        let mut row = 0;
        taken
            .into_iter()
            .map(|taken| {
                taken.then(|| {
                    row += 1;
                    row_to_json(&array, row - 1, data_type)
                        .unwrap()
                        .unwrap_or_else(|| "null".to_owned())
                })
            })
            .collect()
    }

    fn check(data_type: &DataType, text: &str, expected: Option<&str>) {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let actual = there_and_back(data_type, &[text]).remove(0);
        assert_eq!(actual.as_deref().map(value), expected.map(value), "{text}");
    }

    #[test]
    fn carts_come_back() {
        let whole =
            r#"[{"product_id":"p1","quantity":2,"price":129.99,"added":"2025-01-02T03:04:05Z"}]"#;
        check(&cart(), whole, Some(whole));
        check(&cart(), "[]", Some("[]"));
        check(&cart(), "null", Some("null"));
        check(
            &cart(),
            r#"{"p1":{"quantity":1,"price":"0.10"},"p2":{"quantity":3,"price":7,"x":1}}"#,
            Some(
                r#"[{"added":null,"price":0.1,"product_id":"p1","quantity":1},{"added":null,"price":7.0,"product_id":"p2","quantity":3}]"#,
            ),
        );
    }

    #[test]
    fn what_is_not_of_the_column_is_refused_whole() {
        for text in [
            "",
            "[",
            "7",
            "\"[]\"",
            r#"[{"product_id":"p1","quantity":2}]"#,
            r#"[{"product_id":"p1","quantity":2.5,"price":1}]"#,
            r#"[{"product_id":"p1","quantity":2,"price":1.005}]"#,
            r#"[{"product_id":"p1","quantity":3000000000,"price":1}]"#,
            r#"{"p1":7}"#,
            r#"[{"product_id":"p1","quantity":1,"price":1},{}]"#,
        ] {
            check(&cart(), text, None);
        }
        let texts = [
            "[]",
            "[{}]",
            r#"{"p":{"quantity":1,"price":2}}"#,
            "x",
            "null",
        ];
        let taken = there_and_back(&cart(), &texts);
        let taken: Vec<bool> = taken.iter().map(Option::is_some).collect();
        assert_eq!(taken, [true, false, true, false, true]);
    }

    #[test]
    fn lists_of_text_and_large_decimals_come_back() {
        let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        check(
            &texts,
            r#"["a",null,"ü\"\n"]"#,
            Some(r#"["a",null,"ü\"\n"]"#),
        );
        check(&texts, r#"{"a":1}"#, None);
        let money = DataType::Struct(Fields::from(vec![Field::new(
            "m",
            DataType::Decimal128(38, 4),
            true,
        )]));
        let large = r#"{"m":"12345678901234567890.1234"}"#;
        check(&money, large, Some(large));
        check(
            &money,
            r#"{"m":123456789.1234}"#,
            Some(r#"{"m":123456789.1234}"#),
        );
        check(&money, r#"{"m":null}"#, Some(r#"{"m":null}"#));
        check(&money, "{}", Some(r#"{"m":null}"#));
    }
}
