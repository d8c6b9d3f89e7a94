//! `checked_float(number, from)` and `float_or_null(number, from)`: what a cast made of a value, unless it made an infinity of
//! a finite one.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::compute::{cast, nullif};
use datafusion::arrow::datatypes::{DataType, Float64Type};
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
        // An infinity is written in letters.
        let has_digits = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
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
            let text: String = texts.value(first).chars().take(50).collect();
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;

    use super::*;

    /// Once this fails, the functions may go.
    #[test]
    fn arrow_makes_infinities() {
        let texts = StringArray::from(vec!["1e309"]);
        let numbers = cast(&texts, &DataType::Float64).unwrap();
        assert!(numbers.as_primitive::<Float64Type>().value(0).is_infinite());
    }
}
