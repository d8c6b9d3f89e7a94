//! `checked_float(number, from)` and `float_or_null(number, from)`: what a cast made of a value, unless it made an infinity of
//! a finite one.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::{cast, filter, is_not_null, nullif};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::shown;

/// The name of the function that fails.
pub(crate) const CHECKED_FLOAT: &str = "checked_float";
/// The name of the function that yields NULL.
pub(crate) const FLOAT_OR_NULL: &str = "float_or_null";

/// `checked_float(number, from)`: `number`, a cast of `from` to a floating type. Fails where it is infinite, although `from`
/// has digits.
pub(crate) fn checked_float() -> Arc<ScalarUDF> {
    function(CHECKED_FLOAT)
}

/// `float_or_null(number, from)`: as [`checked_float`], but NULL where that fails.
pub(crate) fn float_or_null() -> Arc<ScalarUDF> {
    function(FLOAT_OR_NULL)
}

fn function(name: &'static str) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Finite {
        name,
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Finite {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Finite {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [number, _] => Ok(number.clone()),
            _ => exec_err!("{} takes a number and what it was made from", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number, from] = args.args.as_slice() else {
            return exec_err!("{} takes a number and what it was made from", self.name);
        };
        let is_one = matches!(number, ColumnarValue::Scalar(_));
        let n_rows = if is_one { 1 } else { args.number_rows };
        let numbers = number.to_array(n_rows)?;
        if numbers.data_type().is_nested() {
            let Some(text) = first_beyond(&from.to_array(n_rows)?, numbers.data_type())? else {
                return Ok(number.clone());
            };
            return exec_err!("`{text}` does not fit in a {}", shown(numbers.data_type()));
        }
        let is_infinite: BooleanArray = cast(&numbers, &DataType::Float64)?
            .as_primitive::<Float64Type>()
            .iter()
            .map(|number| Some(number.is_some_and(f64::is_infinite)))
            .collect();
        if is_infinite.true_count() == 0 {
            return Ok(number.clone());
        }
        let texts = cast(&from.to_array(n_rows)?, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let is_beyond: BooleanArray = is_infinite
            .values()
            .iter()
            .zip(texts)
            .map(|(is_infinite, text)| Some(is_infinite && text.is_some_and(has_digits)))
            .collect();
        let Some(first) = is_beyond.values().set_indices().next() else {
            return Ok(number.clone());
        };
        if self.name == CHECKED_FLOAT {
            let text = cut(texts.value(first));
            return exec_err!("`{text}` does not fit in a {}", shown(numbers.data_type()));
        }
        let finite = nullif(&numbers, &is_beyond)?;
        Ok(match is_one {
            true => {
                ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&finite, 0)?)
            }
            false => ColumnarValue::Array(finite),
        })
    }
}

/// Whether a finite value of one type may be too large for the other, which is a floating one or has some within.
pub(crate) fn may_be_infinite(from: &DataType, to: &DataType) -> bool {
    let from = match from {
        DataType::Dictionary(_, values) => values,
        other => other,
    };
    match (from, to) {
        (from, DataType::Float64) => from.is_string(),
        (from, DataType::Float32) => {
            from.is_string() || matches!(from, DataType::Float64 | DataType::Decimal256(..))
        }
        (from, DataType::Float16) => from.is_string() || from.is_numeric(),
        (DataType::Struct(from), DataType::Struct(to)) => {
            to.iter().enumerate().any(|(at, field)| {
                let named = from.iter().find(|other| other.name() == field.name());
                named
                    .or(from.get(at))
                    .is_some_and(|other| may_be_infinite(other.data_type(), field.data_type()))
            })
        }
        (from, to) => match (item(from), item(to)) {
            (Some(from), Some(to)) => may_be_infinite(from, to),
            _ => false,
        },
    }
}

/// The type of the items of a list, or of the entries of a map.
fn item(list: &DataType) -> Option<&DataType> {
    match list {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => Some(item.data_type()),
        _ => None,
    }
}

/// The first finite number within the values that is infinite as the type.
fn first_beyond(values: &ArrayRef, to: &DataType) -> Result<Option<String>> {
    if !may_be_infinite(values.data_type(), to) {
        return Ok(None);
    }
    // What is hidden below NULL is no value.
    let values = filter(values, &is_not_null(values)?)?;
    if let (DataType::Struct(fields), Some(columns)) = (to, values.as_struct_opt()) {
        for (at, field) in fields.iter().enumerate() {
            let named = columns.column_by_name(field.name());
            let column = named.or(columns.columns().get(at));
            let first = column.map(|column| first_beyond(column, field.data_type()));
            if let Some(first) = first.transpose()?.flatten() {
                return Ok(Some(first));
            }
        }
        return Ok(None);
    }
    if let Some(to) = item(to) {
        return first_beyond(&items(&values)?, to);
    }
    let numbers = cast(&cast(&values, to)?, &DataType::Float64)?;
    let texts = cast(&values, &DataType::Utf8)?;
    let numbers = numbers.as_primitive::<Float64Type>().iter();
    let mut both = numbers.zip(texts.as_string::<i32>());
    Ok(both.find_map(|(number, text)| {
        let text = text.filter(|text| has_digits(text))?;
        number?.is_infinite().then(|| cut(text))
    }))
}

/// The items of all lists, or the entries of all maps.
fn items(lists: &ArrayRef) -> Result<ArrayRef> {
    if let Some(maps) = lists.as_map_opt() {
        let (first, last) = (maps.value_offsets()[0], maps.value_offsets()[maps.len()]);
        let entries: ArrayRef = Arc::new(maps.entries().clone());
        return Ok(entries.slice(first as usize, (last - first) as usize));
    }
    let Some(item) = item(lists.data_type()) else {
        return exec_err!("a {} has no items", shown(lists.data_type()));
    };
    let item = Arc::new(Field::new_list_field(item.clone(), true));
    let lists = cast(lists, &DataType::LargeList(item))?;
    let lists = lists.as_list::<i64>();
    let (first, last) = (lists.value_offsets()[0], lists.value_offsets()[lists.len()]);
    Ok(lists
        .values()
        .slice(first as usize, (last - first) as usize))
}

/// Whether the text is a finite number: an infinity is written in letters.
fn has_digits(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// The beginning of the text, for a message.
fn cut(text: &str) -> String {
    text.chars().take(50).collect()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;

    use super::*;

    #[test]
    fn casts_to_narrow_types_are_checked() {
        for (from, to, expected) in [
            (DataType::Utf8, DataType::Float64, true),
            (DataType::Utf8View, DataType::Float32, true),
            (DataType::Float64, DataType::Float32, true),
            (DataType::Float32, DataType::Float64, false),
            (DataType::Decimal128(38, 0), DataType::Float32, false),
            (DataType::Int64, DataType::Float64, false),
            (DataType::Utf8, DataType::Int64, false),
        ] {
            assert_eq!(may_be_infinite(&from, &to), expected, "{from} to {to}");
        }
    }

    /// Once this fails, the functions may go.
    #[test]
    fn arrow_makes_infinities() {
        let texts = StringArray::from(vec!["1e309"]);
        let numbers = cast(&texts, &DataType::Float64).unwrap();
        assert!(numbers.as_primitive::<Float64Type>().value(0).is_infinite());
    }
}
