//! `quotient(a, b)`: the division of decimals, rounded. Arrow cuts what comes behind the last digit: 2 / 3 is
//! 0.6666. It also fails where the dividend with the digits of the result leaves 128 bits, although the quotient
//! does not.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, new_empty_array,
};
use datafusion::arrow::compute::kernels::arity::{try_binary, try_unary};
use datafusion::arrow::compute::kernels::cast::DecimalCast;
use datafusion::arrow::compute::kernels::numeric::div;
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, i256,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::totals::rounded;

/// The name of the function.
pub(crate) const QUOTIENT: &str = "quotient";

/// `quotient(a, b)` of two decimals, of the type that `a / b` has; a half is rounded away from zero. Fails where `b`
/// is zero and where the quotient has more digits than its type.
pub(crate) fn quotient() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Quotient {
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &'static str {
        QUOTIENT
    }

    // Columns keep the names that they have with the operator.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("{} / {}", left.schema_name(), right.schema_name())),
            _ => plan_err!("{QUOTIENT} takes two decimals"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] if left.is_decimal() && right.is_decimal() => {
                let (left, right) = (new_empty_array(left), new_empty_array(right));
                Ok(div(&left, &right)?.data_type().clone())
            }
            _ => plan_err!("{QUOTIENT} takes two decimals"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &args.args[..] else {
            return exec_err!("{QUOTIENT} takes two decimals");
        };
        let result = args.return_field.data_type();
        let quotients = match left.data_type() {
            DataType::Decimal32(..) => divided::<Decimal32Type>(left, right, result),
            DataType::Decimal64(..) => divided::<Decimal64Type>(left, right, result),
            DataType::Decimal128(..) => divided::<Decimal128Type>(left, right, result),
            _ => divided::<Decimal256Type>(left, right, result),
        }?;
        match (left, right) {
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => {
                let value = ScalarValue::try_from_array(&quotients, 0)?;
                Ok(ColumnarValue::Scalar(value))
            }
            _ => Ok(ColumnarValue::Array(quotients)),
        }
    }
}

fn divided<T>(left: &ColumnarValue, right: &ColumnarValue, result: &DataType) -> Result<ArrayRef>
where
    T: DecimalType + ArrowPrimitiveType<Native: DecimalCast>,
{
    let n_rows = match (left, right) {
        (ColumnarValue::Array(column), _) | (_, ColumnarValue::Array(column)) => column.len(),
        _ => 1,
    };
    let division = Division::of(&left.data_type(), &right.data_type(), result)?;
    let dividends = left.to_array(n_rows)?;
    let dividends = decimals::<T>(&dividends)?;
    let quotient = |dividend, divisor| division.quotient::<T>(dividend, divisor);
    let quotients: PrimitiveArray<T> = match right {
        ColumnarValue::Scalar(divisor) if divisor.is_null() => PrimitiveArray::new_null(n_rows),
        ColumnarValue::Scalar(divisor) => {
            let divisor = divisor.to_array_of_size(1)?;
            let divisor = decimals::<T>(&divisor)?.value(0);
            try_unary(dividends, |dividend| quotient(dividend, divisor))?
        }
        ColumnarValue::Array(divisors) => {
            try_binary(dividends, decimals::<T>(divisors)?, quotient)?
        }
    };
    Ok(Arc::new(quotients.with_data_type(result.clone())))
}

fn decimals<T: DecimalType>(column: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    match column.as_primitive_opt() {
        Some(decimals) => Ok(decimals),
        None => exec_err!(
            "{QUOTIENT} takes decimals of one kind, not {}",
            column.data_type()
        ),
    }
}

/// How many digits dividend or divisor get before whole numbers are divided.
struct Division<'a> {
    dividend_factor: i256,
    divisor_factor: i256,
    /// The first one in 128 bits, where it is for them.
    factor: Option<i128>,
    precision: u8,
    result: &'a DataType,
}

impl<'a> Division<'a> {
    fn of(left: &DataType, right: &DataType, result: &'a DataType) -> Result<Self> {
        let (Some((_, left)), Some((_, right)), Some((precision, scale))) =
            (digits(left), digits(right), digits(result))
        else {
            return exec_err!("{QUOTIENT} takes two decimals");
        };
        let n_digits = i32::from(scale) - i32::from(left) + i32::from(right);
        let power = |n: i32| {
            let n = u32::try_from(n).unwrap_or(0);
            let power = i256::from(10).checked_pow(n);
            power.ok_or_else(|| ArrowError::ArithmeticOverflow(format!("10 to the {n}")))
        };
        let factor = match n_digits {
            0.. => power(n_digits)?.to_i128(),
            _ => None,
        };
        Ok(Self {
            dividend_factor: power(n_digits)?,
            divisor_factor: power(-n_digits)?,
            factor,
            precision,
            result,
        })
    }

    fn quotient<T>(&self, dividend: T::Native, divisor: T::Native) -> Result<T::Native, ArrowError>
    where
        T: DecimalType + ArrowPrimitiveType<Native: DecimalCast>,
    {
        let quotient = match self.narrow(dividend, divisor) {
            Some(quotient) => T::Native::from_decimal(quotient),
            None => self
                .wide(dividend, divisor)?
                .and_then(T::Native::from_decimal),
        };
        quotient
            .filter(|quotient| T::is_valid_decimal_precision(*quotient, self.precision))
            .ok_or_else(|| {
                ArrowError::ArithmeticOverflow(format!(
                    "the quotient does not fit into {}; divide DOUBLE or values of fewer digits instead",
                    self.result
                ))
            })
    }

    /// The quotient where 128 bits are enough.
    fn narrow(&self, dividend: impl DecimalCast, divisor: impl DecimalCast) -> Option<i128> {
        let dividend = dividend.to_i128()?.checked_mul(self.factor?)?;
        rounded(dividend, divisor.to_i128()?)
    }

    fn wide(
        &self,
        dividend: impl DecimalCast,
        divisor: impl DecimalCast,
    ) -> Result<Option<i256>, ArrowError> {
        let (Some(dividend), Some(divisor)) = (dividend.to_i256(), divisor.to_i256()) else {
            return Ok(None);
        };
        if divisor == i256::ZERO {
            return Err(ArrowError::DivideByZero);
        }
        let dividend = dividend.checked_mul(self.dividend_factor);
        let divisor = divisor.checked_mul(self.divisor_factor);
        Ok(dividend.zip(divisor).and_then(|(a, b)| rounded(a, b)))
    }
}

fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}
