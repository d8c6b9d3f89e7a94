//! The values of a column as BSON.

use std::sync::Arc;

use chrono::SecondsFormat;
use datafusion::arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, GenericListArray, PrimitiveArray, StringArray,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use emporia_core::error::{Error, Result};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, RawArrayBuf, RawBson, RawDocumentBuf};

use super::super::decimal;
use super::super::mapping::Stored;
use super::Refusal;

const NANOS_PER_MILLI: i128 = 1_000_000;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// The type that values are cast to, without loss, before they become BSON; `None` where they have
/// no form in BSON.
pub(super) fn canonical(data_type: &DataType) -> Option<DataType> {
    let list = |item: &Field| {
        let inner = canonical(item.data_type())?;
        Some(DataType::List(Arc::new(item.clone().with_data_type(inner))))
    };
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int32,
        DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Boolean | DataType::Date32 | DataType::Null => data_type.clone(),
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, None),
        DataType::Decimal128(..) => data_type.clone(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            list(item)?
        }
        DataType::Struct(fields) => {
            let field = |f: &Arc<Field>| {
                // Else the document would have a name that cannot be written.
                CString::try_from(f.name().as_str()).ok()?;
                let inner = canonical(f.data_type())?;
                Some(f.as_ref().clone().with_data_type(inner))
            };
            DataType::Struct(fields.iter().map(field).collect::<Option<Vec<_>>>()?.into())
        }
        DataType::Dictionary(_, value) => canonical(value)?,
        _ => return None,
    })
}

/// A column of a canonical type.
pub(crate) struct Values<'a> {
    array: &'a dyn Array,
    stored: Stored,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Null,
    Text(&'a StringArray),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Bool(&'a BooleanArray),
    Date(&'a PrimitiveArray<Date32Type>),
    /// The values and how many nanoseconds one has.
    Time(TimeValues<'a>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, i8),
    Binary(&'a BinaryArray),
    List(&'a GenericListArray<i32>, Box<Values<'a>>),
    Struct(Vec<(CString, Values<'a>)>),
}

enum TimeValues<'a> {
    Seconds(&'a PrimitiveArray<TimestampSecondType>),
    Millis(&'a PrimitiveArray<TimestampMillisecondType>),
    Micros(&'a PrimitiveArray<TimestampMicrosecondType>),
    Nanos(&'a PrimitiveArray<TimestampNanosecondType>),
}

impl TimeValues<'_> {
    fn nanos(&self, row: usize) -> i128 {
        match self {
            Self::Seconds(a) => i128::from(a.value(row)) * 1_000_000_000,
            Self::Millis(a) => i128::from(a.value(row)) * NANOS_PER_MILLI,
            Self::Micros(a) => i128::from(a.value(row)) * 1000,
            Self::Nanos(a) => i128::from(a.value(row)),
        }
    }
}

impl<'a> Values<'a> {
    /// The values of `array`.
    ///
    /// # Errors
    /// `Internal` where the type is not canonical.
    pub(super) fn of(array: &'a dyn Array, stored: Stored) -> Result<Self> {
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Utf8 => Kind::Text(array.as_string()),
            DataType::Int32 => Kind::Int32(array.as_primitive()),
            DataType::Int64 => Kind::Int64(array.as_primitive()),
            DataType::Float64 => Kind::Double(array.as_primitive()),
            DataType::Boolean => Kind::Bool(array.as_boolean()),
            DataType::Date32 => Kind::Date(array.as_primitive()),
            DataType::Timestamp(unit, _) => Kind::Time(match unit {
                TimeUnit::Second => TimeValues::Seconds(array.as_primitive()),
                TimeUnit::Millisecond => TimeValues::Millis(array.as_primitive()),
                TimeUnit::Microsecond => TimeValues::Micros(array.as_primitive()),
                TimeUnit::Nanosecond => TimeValues::Nanos(array.as_primitive()),
            }),
            DataType::Decimal128(_, scale) => Kind::Decimal(array.as_primitive(), *scale),
            DataType::Binary => Kind::Binary(array.as_binary()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let items = Self::of(list.values().as_ref(), stored)?;
                Kind::List(list, Box::new(items))
            }
            DataType::Struct(fields) => {
                let record = array.as_struct();
                let named = fields.iter().zip(record.columns()).map(|(field, column)| {
                    let name = CString::try_from(field.name().as_str()).map_err(|e| {
                        Error::internal("a name that BSON cannot hold").with_source(e)
                    })?;
                    Ok((name, Self::of(column.as_ref(), stored)?))
                });
                Kind::Struct(named.collect::<Result<_>>()?)
            }
            other => {
                return Err(Error::internal(format!(
                    "{other} is not a type of BSON values"
                )));
            }
        };
        Ok(Self {
            array,
            stored,
            kind,
        })
    }

    /// The value of the row; `None` for null.
    pub(super) fn get(&self, row: usize) -> Result<Option<RawBson>, Refusal> {
        if self.array.is_null(row) {
            return Ok(None);
        }
        let is_text = self.stored == Stored::Text;
        Ok(Some(match &self.kind {
            Kind::Null => return Ok(None),
            Kind::Text(a) if self.stored == Stored::ObjectId => object_id(a.value(row))?,
            Kind::Text(a) => RawBson::String(a.value(row).to_owned()),
            Kind::Bool(a) => RawBson::Boolean(a.value(row)),
            Kind::Int32(a) if !is_text => RawBson::Int32(a.value(row)),
            Kind::Int64(a) if !is_text => RawBson::Int64(a.value(row)),
            Kind::Double(a) if !is_text => RawBson::Double(a.value(row)),
            Kind::Date(a) if !is_text => {
                let millis = i64::from(a.value(row)) * MILLIS_PER_DAY;
                RawBson::DateTime(DateTime::from_millis(millis))
            }
            Kind::Time(times) if !is_text => date(times.nanos(row))?,
            Kind::Decimal(a, scale) if !is_text => decimal128(a.value(row), *scale)?,
            Kind::Binary(a) => RawBson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes: a.value(row).to_vec(),
            }),
            Kind::List(a, items) => {
                let mut array = RawArrayBuf::new();
                let offsets = a.value_offsets();
                for index in offsets[row]..offsets[row + 1] {
                    let index = usize::try_from(index).unwrap_or_default();
                    array.push(items.get(index)?.unwrap_or(RawBson::Null));
                }
                RawBson::Array(array)
            }
            Kind::Struct(fields) => {
                let mut document = RawDocumentBuf::new();
                for (name, values) in fields {
                    if let Some(value) = values.get(row)? {
                        document.append(name, value);
                    }
                }
                RawBson::Document(document)
            }
            _ => RawBson::String(self.text(row).unwrap_or_default()),
        }))
    }

    /// The value as text; `None` for null and for what is no scalar.
    pub(crate) fn text(&self, row: usize) -> Option<String> {
        if self.array.is_null(row) {
            return None;
        }
        Some(match &self.kind {
            Kind::Text(a) => a.value(row).to_owned(),
            Kind::Int32(a) => a.value(row).to_string(),
            Kind::Int64(a) => a.value(row).to_string(),
            Kind::Double(a) => format!("{:?}", a.value(row)),
            Kind::Bool(a) => a.value(row).to_string(),
            Kind::Date(a) => {
                let seconds = i64::from(a.value(row)) * MILLIS_PER_DAY / 1000;
                let time = chrono::DateTime::from_timestamp(seconds, 0)?;
                time.date_naive().to_string()
            }
            Kind::Time(times) => time_text(times.nanos(row))?,
            Kind::Decimal(a, scale) => decimal::to_text(a.value(row), *scale),
            Kind::Null | Kind::Binary(_) | Kind::List(..) | Kind::Struct(..) => return None,
        })
    }
}

fn object_id(text: &str) -> Result<RawBson, Refusal> {
    ObjectId::parse_str(text)
        .map(RawBson::ObjectId)
        .map_err(|_| Refusal {
            text: format!("`{text}` is not an ObjectId"),
            hint: "an ObjectId is written with 24 hexadecimal digits",
        })
}

fn date(nanos: i128) -> Result<RawBson, Refusal> {
    let millis = i64::try_from(nanos.div_euclid(NANOS_PER_MILLI)).ok();
    match millis.filter(|_| nanos.rem_euclid(NANOS_PER_MILLI) == 0) {
        Some(millis) => Ok(RawBson::DateTime(DateTime::from_millis(millis))),
        None => Err(Refusal {
            text: format!(
                "a date of MongoDB has milliseconds, {} has more digits",
                time_text(nanos).unwrap_or_default()
            ),
            hint: "round it with date_trunc('millisecond', …), or set stored.COLUMN = \"text\"",
        }),
    }
}

fn decimal128(value: i128, scale: i8) -> Result<RawBson, Refusal> {
    match decimal::to_decimal128(value, scale) {
        Some(value) => Ok(RawBson::Decimal128(value)),
        None => Err(Refusal {
            text: format!(
                "a decimal of MongoDB has 34 digits, {} has more",
                decimal::to_text(value, scale)
            ),
            hint: "round it, or set stored.COLUMN = \"text\"",
        }),
    }
}

/// ISO 8601, in UTC, with as many digits as there are.
fn time_text(nanos: i128) -> Option<String> {
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
    let time = chrono::DateTime::from_timestamp(seconds, rest)?;
    Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}
