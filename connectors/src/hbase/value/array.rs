//! Arrow columns, value by value.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};

use super::{Kind, Scalar};

/// An array of a column that is not nested, typed once for all its rows.
#[derive(Debug)]
pub(in super::super) enum ValueArray<'a> {
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Boolean(&'a BooleanArray),
    Int8(&'a Int8Array),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
}

impl<'a> ValueArray<'a> {
    /// The array as what its type says; `None` for nested and unknown types.
    pub(in super::super) fn of(array: &'a ArrayRef) -> Option<Self> {
        Some(match Kind::of(array.data_type())? {
            Kind::Text => Self::Text(array.as_string_opt()?),
            Kind::Binary => Self::Binary(array.as_binary_opt()?),
            Kind::Boolean => Self::Boolean(array.as_boolean_opt()?),
            Kind::Integer(1) => Self::Int8(array.as_primitive_opt::<Int8Type>()?),
            Kind::Integer(2) => Self::Int16(array.as_primitive_opt::<Int16Type>()?),
            Kind::Integer(4) => Self::Int32(array.as_primitive_opt::<Int32Type>()?),
            Kind::Integer(_) => Self::Int64(array.as_primitive_opt::<Int64Type>()?),
            Kind::Float32 => Self::Float32(array.as_primitive_opt::<Float32Type>()?),
            Kind::Float64 => Self::Float64(array.as_primitive_opt::<Float64Type>()?),
            Kind::Decimal { .. } => Self::Decimal(array.as_primitive_opt::<Decimal128Type>()?),
            Kind::Date => Self::Date(array.as_primitive_opt::<Date32Type>()?),
            Kind::Timestamp => {
                Self::Timestamp(array.as_primitive_opt::<TimestampMicrosecondType>()?)
            }
            Kind::Nested => return None,
        })
    }

    /// The value of a row, `None` for null.
    pub(in super::super) fn value(&self, row: usize) -> Option<Scalar<'a>> {
        // The value unless it is null, as the given variant.
        macro_rules! value {
            ($array:ident, $scalar:expr) => {
                (!$array.is_null(row)).then(|| $scalar($array.value(row)))
            };
        }
        let integer = |value: i64| Scalar::Integer(value.into());
        match self {
            Self::Text(array) => value!(array, |v: &'a str| Scalar::Bytes(v.as_bytes())),
            Self::Binary(array) => value!(array, Scalar::Bytes),
            Self::Boolean(array) => value!(array, |v: bool| integer(v.into())),
            Self::Int8(array) => value!(array, |v: i8| integer(v.into())),
            Self::Int16(array) => value!(array, |v: i16| integer(v.into())),
            Self::Int32(array) => value!(array, |v: i32| integer(v.into())),
            Self::Date(array) => value!(array, |v: i32| integer(v.into())),
            Self::Int64(array) => value!(array, integer),
            Self::Float32(array) => value!(array, |v: f32| Scalar::Float(v.into())),
            Self::Float64(array) => value!(array, Scalar::Float),
            Self::Decimal(array) => value!(array, Scalar::Integer),
            Self::Timestamp(array) => value!(array, integer),
        }
    }
}
