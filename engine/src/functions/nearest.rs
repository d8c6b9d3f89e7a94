//! `nearest_double(decimal)` and `nearest_float(decimal)`: the floating number that is nearest to a decimal.
//!
//! Arrow rounds twice, the digits first and then their quotient by a power of ten, and so misses the nearest number where
//! the digits have no floating number of their own.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray,
};
use datafusion::arrow::datatypes::{
    ArrowNativeType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Field, FieldRef, Float32Type, Float64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// `nearest_double(decimal)`.
pub(crate) fn nearest_double() -> Arc<ScalarUDF> {
    function("nearest_double", DataType::Float64)
}

/// `nearest_float(decimal)`.
pub(crate) fn nearest_float() -> Arc<ScalarUDF> {
    function("nearest_float", DataType::Float32)
}

fn function(name: &'static str, result: DataType) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Nearest {
        name,
        result,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Nearest {
    name: &'static str,
    result: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Nearest {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.name, self.result.clone(), is_nullable);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return exec_err!("{} takes a decimal", self.name);
        };
        match value {
            ColumnarValue::Array(decimals) => Ok(ColumnarValue::Array(self.of(decimals)?)),
            ColumnarValue::Scalar(decimal) => {
                let number = self.of(&decimal.to_array_of_size(1)?)?;
                let number = ScalarValue::try_from_array(&number, 0)?;
                Ok(ColumnarValue::Scalar(number))
            }
        }
    }
}

/// The floating numbers of the type `to` that are nearest to decimals; `None` for other types.
///
/// # Errors
/// Where the text of a decimal is not read as a number.
pub(crate) fn as_nearest(decimals: &ArrayRef, to: &DataType) -> Result<Option<ArrayRef>> {
    if !decimals.data_type().is_decimal() || !matches!(to, DataType::Float64 | DataType::Float32) {
        return Ok(None);
    }
    let nearest = match to {
        DataType::Float32 => numbers::<Float32Type>(decimals),
        _ => numbers::<Float64Type>(decimals),
    };
    nearest.map(Some)
}

fn numbers<F: Floating>(decimals: &ArrayRef) -> Result<ArrayRef> {
    Ok(match decimals.data_type() {
        DataType::Decimal32(_, scale) => Arc::new(nearest::<Decimal32Type, F>(
            decimals.as_primitive(),
            *scale,
        )?),
        DataType::Decimal64(_, scale) => Arc::new(nearest::<Decimal64Type, F>(
            decimals.as_primitive(),
            *scale,
        )?),
        DataType::Decimal128(_, scale) => Arc::new(nearest::<Decimal128Type, F>(
            decimals.as_primitive(),
            *scale,
        )?),
        DataType::Decimal256(_, scale) => Arc::new(nearest::<Decimal256Type, F>(
            decimals.as_primitive(),
            *scale,
        )?),
        other => return exec_err!("a decimal was expected, not {other}"),
    })
}

impl Nearest {
    fn of(&self, decimals: &ArrayRef) -> Result<ArrayRef> {
        match as_nearest(decimals, &self.result)? {
            Some(numbers) => Ok(numbers),
            None => exec_err!(
                "{} takes a decimal and no {}",
                self.name,
                decimals.data_type()
            ),
        }
    }
}

/// Floating numbers of a type.
trait Floating: ArrowPrimitiveType<Native: FromStr> {
    /// Whole numbers up to this one are all numbers of the type.
    const MOST_WHOLE: u64;
    /// The powers of ten that are numbers of the type.
    const POWERS: &'static [Self::Native];

    /// A whole number of at most `MOST_WHOLE`.
    fn whole(value: i64) -> Self::Native;
}

impl Floating for Float64Type {
    const MOST_WHOLE: u64 = 1 << f64::MANTISSA_DIGITS;
    const POWERS: &'static [f64] = &[
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];

    fn whole(value: i64) -> f64 {
        value as f64
    }
}

impl Floating for Float32Type {
    const MOST_WHOLE: u64 = 1 << f32::MANTISSA_DIGITS;
    const POWERS: &'static [f32] = &[1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

    fn whole(value: i64) -> f32 {
        value as f32
    }
}

/// The numbers that are nearest to decimals with `scale` digits behind the point.
fn nearest<D, F>(decimals: &PrimitiveArray<D>, scale: i8) -> Result<PrimitiveArray<F>>
where
    D: DecimalType + ArrowPrimitiveType<Native: Display>,
    F: Floating,
{
    let power = usize::try_from(scale).ok();
    let power = power.and_then(|scale| F::POWERS.get(scale).copied());
    let exponent = -i32::from(scale);
    decimals.try_unary(|digits| {
        let whole = digits.to_i64();
        let whole = whole.filter(|whole| whole.unsigned_abs() <= F::MOST_WHOLE);
        if let (Some(whole), Some(power)) = (whole, power) {
            // Both are exact, so that only the quotient is rounded.
            return Ok(F::whole(whole).div_wrapping(power));
        }
        // The library reads the nearest number.
        let text = format!("{digits}e{exponent}");
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => exec_err!("`{text}` is no number"),
        }
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Decimal128Array, Decimal256Array};
    use datafusion::arrow::compute::cast;
    use datafusion::arrow::datatypes::i256;

    use super::*;

    fn decimals(digits: i128, scale: i8) -> Decimal128Array {
        let column = Decimal128Array::from(vec![digits]);
        column.with_precision_and_scale(38, scale).unwrap()
    }

    #[test]
    fn the_nearest_number_is_that_of_the_text() {
        let samples = (0..2000_i128).map(|at| at * 1_234_567_890_123_456_789_012_345_677 / 13);
        let near = [
            0,
            1,
            (1 << 53) - 1,
            1 << 53,
            (1 << 53) + 1,
            1_234_567_890_123_456_789,
        ];
        for digits in samples.chain(near) {
            for digits in [digits, -digits] {
                for scale in [0, 2, 10, 22, 23, 38] {
                    let column = decimals(digits, scale);
                    let text = format!("{digits}e-{scale}");
                    let double = nearest::<_, Float64Type>(&column, scale).unwrap();
                    assert_eq!(Ok(double.value(0)), text.parse::<f64>(), "{text}");
                    let float = nearest::<_, Float32Type>(&column, scale).unwrap();
                    assert_eq!(Ok(float.value(0)), text.parse::<f32>(), "{text}");
                }
            }
        }
    }

    #[test]
    fn long_decimals_and_zeros_before_the_point_are_read() {
        let digits = i256::from_string("1234567890123456789012345678901234567890").unwrap();
        let column = Decimal256Array::from(vec![Some(digits), None]);
        let column = column.with_precision_and_scale(76, 20).unwrap();
        let found = nearest::<_, Float64Type>(&column, 20).unwrap();
        assert_eq!(found.value(0), 12345678901234567890.123456789012345678);
        assert!(found.is_null(1));
        let column = Decimal128Array::from(vec![123]);
        let found = nearest::<_, Float64Type>(&column, -3).unwrap();
        assert_eq!(found.value(0), 123_000.0);
    }

    /// Once this fails, the functions may go.
    #[test]
    fn arrow_rounds_twice() {
        let column = decimals(1_234_567_890_123_456_789_000_000, 10);
        let numbers = cast(&column, &DataType::Float64).unwrap();
        let number = numbers.as_primitive::<Float64Type>().value(0);
        assert_ne!(number, 123_456_789_012_345.67);
    }
}
