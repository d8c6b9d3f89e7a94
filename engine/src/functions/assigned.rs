//! `assigned(value, type, column, required)`: a value as an INSERT stores it.
//!
//! A CAST cuts 2.9 to 2 and rounds 1.239 to 1.24. Nobody asked an INSERT to do that, so a value that its
//! column cannot hold is an error here. It runs with the query, on the executors.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::kernels::cmp::not_distinct;
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use emporia_core::catalog::type_name;
use emporia_core::text::lowercase_first;

use super::as_nearest;

/// Parts of its size by which a floating number may miss a decimal or integer: what sums lose.
const NOISE: f64 = 8.0 * f64::EPSILON;

/// The function.
pub(crate) fn assigned() -> ScalarUDF {
    ScalarUDF::from(Assigned {
        signature: Signature::any(4, Volatility::Immutable),
    })
}

/// The expression that stores `value` in `column`.
///
/// # Errors
/// For a type that has no null.
pub(crate) fn assigned_expr(value: Expr, column: &Field) -> Result<Expr> {
    let null = ScalarValue::try_new_null(column.data_type())?;
    let required = !column.is_nullable();
    let arguments = vec![value, lit(null), lit(column.name().as_str()), lit(required)];
    Ok(assigned().call(arguments))
}

/// Whether values of one type can be stored in a column of another at all. A CAST turns dates into
/// numbers and numbers into truth, which an INSERT should not.
pub(crate) fn is_assignable(from: &DataType, to: &DataType) -> bool {
    use Family::{Binary, Bool, Nested, Number, Span, Temporal, Text, Time};
    if from == to || matches!(from, DataType::Null) {
        return true;
    }
    let (Some(from_family), Some(to_family)) = (Family::of(from), Family::of(to)) else {
        return false;
    };
    let is_kind = match (from_family, to_family) {
        (Text, Number | Temporal | Time | Bool | Binary | Span) => true,
        (Number | Temporal | Time | Bool, Text) => true,
        (Nested, Nested) => {
            std::mem::discriminant(from) == std::mem::discriminant(to)
                || (is_list(from) && is_list(to))
        }
        (from, to) => from == to,
    };
    is_kind && can_cast_types(from, to)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Temporal,
    Time,
    Bool,
    Binary,
    Span,
    Nested,
}

impl Family {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Self::Temporal,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Boolean => Self::Bool,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Self::Binary,
            DataType::Interval(_) | DataType::Duration(_) => Self::Span,
            DataType::Dictionary(_, values) => return Self::of(values),
            other if other.is_numeric() => Self::Number,
            other if other.is_nested() => Self::Nested,
            _ => return None,
        })
    }
}

/// The values as a column of the type `to` stores them.
///
/// # Errors
/// At the first value that the column cannot hold, and at a null in a column that takes none.
pub(crate) fn assign(
    values: &ArrayRef,
    to: &DataType,
    column: &str,
    required: bool,
) -> Result<ArrayRef> {
    if required && values.logical_null_count() > 0 {
        return exec_err!("column `{column}` takes no null");
    }
    let from = values.data_type();
    if from == to {
        return Ok(Arc::clone(values));
    }
    let refused = |error: ArrowError| {
        let reason = match &error {
            ArrowError::CastError(text)
            | ArrowError::ParseError(text)
            | ArrowError::InvalidArgumentError(text)
            | ArrowError::ComputeError(text) => text.clone(),
            other => other.to_string(),
        };
        let name = shown(to);
        let reason = lowercase_first(&reason);
        DataFusionError::Execution(format!("column `{column}` ({name}): {reason}"))
    };
    let stored = match as_nearest(values, to)? {
        Some(numbers) => numbers,
        None => cast_with_options(values, to, &strict()).map_err(refused)?,
    };
    let kept = match kept(values, &stored)? {
        Some(kept) => kept,
        None => return Ok(stored),
    };
    let lost = (0..kept.len()).find(|row| kept.is_null(*row) || !kept.value(*row));
    match lost {
        None => Ok(stored),
        Some(row) => {
            let formatter = ArrayFormatter::try_new(values, &FormatOptions::default())?;
            let (value, name) = (formatter.value(row).to_string(), shown(to));
            exec_err!(
                "column `{column}` ({name}) cannot hold the value {value}; ROUND or CAST makes one that fits"
            )
        }
    }
}

fn strict() -> CastOptions<'static> {
    CastOptions {
        safe: false,
        ..CastOptions::default()
    }
}

fn lenient(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(cast_with_options(values, to, &CastOptions::default())?)
}

/// For each row, whether the stored value is the given one; `None` where all must be, because the
/// cast refuses what it cannot keep.
fn kept(values: &ArrayRef, stored: &ArrayRef) -> Result<Option<BooleanArray>> {
    let (from, to) = (values.data_type(), stored.data_type());
    let (Some(from_family), Some(to_family)) = (Family::of(from), Family::of(to)) else {
        return same_nulls(values, stored).map(Some);
    };
    if !can_cast_types(to, from) {
        // A list of nothing but nulls.
        return same_nulls(values, stored).map(Some);
    }
    let finest = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let kept = match (from_family, to_family) {
        (Family::Number, Family::Number) if is_float(from) => {
            if matches!(to, DataType::Float32 | DataType::Float16) {
                float_pairs(values, stored, |given, stored| {
                    stored.is_finite() || !given.is_finite()
                })?
            } else {
                float_pairs(values, stored, |given, stored| {
                    let is_same = given == stored || (given.is_nan() && stored.is_nan());
                    is_same || (given - stored).abs() <= NOISE * given.abs()
                })?
            }
        }
        (Family::Text, Family::Number) if is_decimal(to) => {
            let widest = DataType::Decimal256(76, 38);
            not_distinct(&lenient(values, &widest)?, &lenient(stored, &widest)?)?
        }
        (Family::Text, Family::Number) if is_float(to) => {
            let texts = lenient(values, &DataType::Utf8)?;
            let numbers = lenient(stored, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            let rows = texts.as_string::<i32>().iter().zip(numbers.iter());
            // `inf` is a number, `1e400` is none that the column has.
            let kept = rows.map(|(text, number)| match (text, number) {
                (Some(text), Some(number)) => {
                    number.is_finite() || !text.bytes().any(|byte| byte.is_ascii_digit())
                }
                (text, number) => text.is_none() && number.is_none(),
            });
            kept.map(Some).collect()
        }
        (Family::Text, Family::Temporal) => {
            // Times out of the range of nanoseconds are compared with nothing.
            let given = lenient(values, &finest)?;
            let stored = lenient(stored, &finest)?;
            let same = not_distinct(&given, &stored)?;
            let rows = (0..same.len())
                .map(|row| same.value(row) || given.is_null(row) || stored.is_null(row));
            rows.map(Some).collect()
        }
        (Family::Number, Family::Number)
        | (Family::Temporal, Family::Temporal)
        | (Family::Time, Family::Time)
        | (Family::Span, Family::Span) => not_distinct(&lenient(stored, from)?, values)?,
        (Family::Nested, Family::Nested) => {
            let is_same = lenient(stored, from)?.as_ref() == values.as_ref();
            let is_kept = is_same || items_kept(values, stored)?;
            BooleanArray::from(vec![is_kept; values.len()])
        }
        _ => same_nulls(values, stored)?,
    };
    Ok(Some(kept))
}

/// Whether the items of lists and structs are stored as columns of their types would store them: a
/// floating number of fewer digits is the same number.
fn items_kept(values: &ArrayRef, stored: &ArrayRef) -> Result<bool> {
    if values.data_type() == stored.data_type() {
        return Ok(values.as_ref() == stored.as_ref());
    }
    let has_same_nulls = || {
        let same = same_nulls(values, stored)?;
        Ok::<_, DataFusionError>(same.true_count() == same.len())
    };
    match (values.data_type(), stored.data_type()) {
        (DataType::Struct(from), DataType::Struct(to)) => {
            let (given, stored) = (values.as_struct(), stored.as_struct());
            if from.len() != to.len() || !has_same_nulls()? {
                return Ok(false);
            }
            for (name, stored) in stored.column_names().iter().zip(stored.columns()) {
                match given.column_by_name(name) {
                    Some(given) if items_kept(given, stored)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (DataType::List(_), DataType::List(_)) => {
            let (given, stored) = (values.as_list::<i32>(), stored.as_list::<i32>());
            let is_alike = given.offsets() == stored.offsets() && has_same_nulls()?;
            Ok(is_alike && items_kept(given.values(), stored.values())?)
        }
        (from, to) if from.is_nested() || to.is_nested() => Ok(false),
        _ => match kept(values, stored)? {
            Some(kept) => Ok(kept.true_count() == kept.len()),
            None => Ok(true),
        },
    }
}

/// A cast that is strict makes no null of a value; this makes sure.
fn same_nulls(values: &ArrayRef, stored: &ArrayRef) -> Result<BooleanArray> {
    let (given, stored) = (values.logical_nulls(), stored.logical_nulls());
    let is_null = |nulls: &Option<NullBuffer>, row: usize| {
        nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    };
    let rows = (0..values.len()).map(|row| Some(is_null(&given, row) == is_null(&stored, row)));
    Ok(rows.collect())
}

fn float_pairs(
    values: &ArrayRef,
    stored: &ArrayRef,
    is_kept: impl Fn(f64, f64) -> bool,
) -> Result<BooleanArray> {
    let given = lenient(values, &DataType::Float64)?;
    let stored = lenient(stored, &DataType::Float64)?;
    let (given, stored) = (
        given.as_primitive::<Float64Type>(),
        stored.as_primitive::<Float64Type>(),
    );
    let rows = given.iter().zip(stored.iter()).map(|pair| match pair {
        (Some(given), Some(stored)) => is_kept(given, stored),
        (given, stored) => given.is_none() && stored.is_none(),
    });
    Ok(rows.map(Some).collect())
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
    )
}

fn is_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_float(values),
        other => other.is_floating(),
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

/// The name of a type in messages.
pub(crate) fn shown(data_type: &DataType) -> String {
    type_name(data_type).unwrap_or_else(|_| data_type.to_string())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Assigned {
    signature: Signature,
}

impl ScalarUDFImpl for Assigned {
    fn name(&self) -> &str {
        "assigned"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type is that of the second argument")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [value, to, ..] = args.arg_fields else {
            return internal_err!("assigned takes four arguments");
        };
        let is_required = matches!(
            args.scalar_arguments.get(3),
            Some(Some(ScalarValue::Boolean(Some(true))))
        );
        let is_nullable = value.is_nullable() && !is_required;
        let data_type = to.data_type().clone();
        Ok(Arc::new(Field::new(self.name(), data_type, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type().clone();
        let mut arguments = args.args.into_iter();
        let (Some(value), Some(_), Some(column), Some(required)) = (
            arguments.next(),
            arguments.next(),
            arguments.next(),
            arguments.next(),
        ) else {
            return internal_err!("assigned takes four arguments");
        };
        let (
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(column))),
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(required))),
        ) = (column, required)
        else {
            return internal_err!("assigned takes the name of a column");
        };
        match value {
            ColumnarValue::Array(values) => {
                assign(&values, &to, &column, required).map(ColumnarValue::Array)
            }
            ColumnarValue::Scalar(value) => {
                let stored = assign(&value.to_array()?, &to, &column, required)?;
                let stored = ScalarValue::try_from_array(&stored, 0)?;
                Ok(ColumnarValue::Scalar(stored))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
        ListArray, StringArray, StructArray, TimestampMicrosecondArray, new_null_array,
    };
    use datafusion::arrow::datatypes::Decimal128Type;

    use super::*;

    fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
        let array = Decimal128Array::from(vec![Some(value), None]);
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
    }

    fn check(values: impl Array + 'static, to: DataType, expected: &str) {
        let values: ArrayRef = Arc::new(values);
        assert!(is_assignable(values.data_type(), &to), "{values:?} {to}");
        let said = match assign(&values, &to, "c", false) {
            Ok(stored) => {
                assert_eq!(stored.data_type(), &to);
                let formatter = ArrayFormatter::try_new(&stored, &FormatOptions::default());
                formatter.unwrap().value(0).to_string()
            }
            Err(error) => error.message().into_owned(),
        };
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn decimals_are_stored_as_the_nearest_number() {
        for (digits, expected) in [(1, "1e-30"), (7, "7e-30")] {
            let decimals = decimal(digits, 38, 30)
                .as_primitive::<Decimal128Type>()
                .clone();
            check(decimals, DataType::Float64, expected);
        }
    }

    #[test]
    fn values_that_fit_are_stored_as_they_are() {
        check(
            Float64Array::from(vec![19.99]),
            DataType::Decimal128(18, 2),
            "19.99",
        );
        check(
            Float64Array::from(vec![0.1 + 0.2]),
            DataType::Decimal128(18, 2),
            "0.30",
        );
        check(Float64Array::from(vec![3.0]), DataType::Int32, "3");
        check(Float64Array::from(vec![0.1]), DataType::Float32, "0.1");
        check(
            Int64Array::from(vec![7]),
            DataType::Decimal128(5, 2),
            "7.00",
        );
        check(
            Int64Array::from(vec![1_i64 << 53]),
            DataType::Float64,
            "9007199254740992",
        );
        check(
            StringArray::from(vec!["1.50"]),
            DataType::Decimal128(5, 2),
            "1.50",
        );
        check(
            StringArray::from(vec!["2024-02-29"]),
            DataType::Date32,
            "2024-02-29",
        );
        check(Int32Array::from(vec![5]), DataType::Utf8, "5");
        check(
            Date32Array::from(vec![1]),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            "1970-01-02T00:00:00",
        );
        let wide = decimal(1230, 10, 3);
        check(wide, DataType::Decimal128(10, 2), "1.23");
        let nothing = new_null_array(&DataType::new_list(DataType::Null, true), 1);
        check(nothing, DataType::new_list(DataType::Int32, true), "");
        check(StringArray::from(vec![None::<&str>]), DataType::Int64, "");
    }

    #[test]
    fn items_are_stored_as_columns_of_their_types() {
        let struct_of = |data_type: DataType| {
            let fields = vec![
                Field::new("a", data_type, true),
                Field::new("b", DataType::Int32, true),
            ];
            DataType::Struct(fields.into())
        };
        let pair = |a: f64| {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("b", Arc::new(Int64Array::from(vec![7]))),
                ("a", Arc::new(Float64Array::from(vec![a]))),
            ];
            StructArray::try_from(columns).unwrap()
        };
        check(pair(1.1), struct_of(DataType::Float32), "{a: 1.1, b: 7}");
        check(pair(2.0), struct_of(DataType::Int32), "{a: 2, b: 7}");
        check(
            pair(1.1),
            struct_of(DataType::Int32),
            "column `c` (struct(a int32, b int32)) cannot hold the value",
        );
        let list = |values: Vec<f64>| {
            let values = values.into_iter().map(Some);
            ListArray::from_iter_primitive::<Float64Type, _, _>([Some(values)])
        };
        let floats = DataType::new_list(DataType::Float32, true);
        check(list(vec![2.3, 0.5]), floats, "[2.3, 0.5]");
        let two = DataType::new_fixed_size_list(DataType::Float64, 2, true);
        check(list(vec![2.3, 0.5]), two.clone(), "[2.3, 0.5]");
        check(list(vec![2.3]), two, "column `c`");
    }

    #[test]
    fn values_that_would_become_others_are_refused() {
        let refused = |name: &str, value: &str| {
            format!("column `c` ({name}) cannot hold the value {value}; ROUND")
        };
        let money = DataType::Decimal128(18, 2);
        check(
            Float64Array::from(vec![2.9]),
            DataType::Int32,
            &refused("int32", "2.9"),
        );
        check(
            Float64Array::from(vec![1.239]),
            money.clone(),
            &refused("decimal(18,2)", "1.239"),
        );
        check(
            decimal(1239, 10, 3),
            money.clone(),
            &refused("decimal(18,2)", "1.239"),
        );
        check(
            decimal(29, 10, 1),
            DataType::Int64,
            &refused("int64", "2.9"),
        );
        check(
            StringArray::from(vec!["1.239"]),
            money,
            &refused("decimal(18,2)", "1.239"),
        );
        check(
            Int64Array::from(vec![(1_i64 << 53) + 1]),
            DataType::Float64,
            &refused("float64", "9007199254740993"),
        );
        check(
            TimestampMicrosecondArray::from(vec![86_400_000_001]),
            DataType::Date32,
            &refused("date", "1970-01-02T00:00:00.000001"),
        );
        check(
            StringArray::from(vec!["2024-02-29 10:00:00"]),
            DataType::Date32,
            "column `c` (date)",
        );
        check(
            Float64Array::from(vec![1e300]),
            DataType::Float32,
            &refused("float64", "1e300"),
        );
        check(
            Int64Array::from(vec![3_000_000_000]),
            DataType::Int32,
            "column `c` (int32): ",
        );
        check(
            StringArray::from(vec!["x"]),
            DataType::Int32,
            "column `c` (int32): ",
        );
        check(
            Float64Array::from(vec![f64::NAN]),
            DataType::Int32,
            "column `c` (int32): ",
        );
    }

    #[test]
    fn a_required_column_takes_no_null() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        let error = assign(&values, &DataType::Int32, "c", true).unwrap_err();
        assert_eq!(error.message(), "column `c` takes no null");
        assert!(assign(&values, &DataType::Int64, "c", false).is_ok());
    }

    #[test]
    fn types_of_other_kinds_are_not_assignable() {
        let truth = BooleanArray::from(vec![true]);
        assert!(!is_assignable(truth.data_type(), &DataType::Int32));
        assert!(!is_assignable(&DataType::Date32, &DataType::Int32));
        assert!(!is_assignable(&DataType::Int32, &DataType::Boolean));
        let list = DataType::new_list(DataType::Int64, true);
        assert!(!is_assignable(&list, &DataType::Int64));
        assert!(is_assignable(
            &list,
            &DataType::new_list(DataType::Int32, true)
        ));
        assert!(is_assignable(&DataType::Null, &list));
    }
}
