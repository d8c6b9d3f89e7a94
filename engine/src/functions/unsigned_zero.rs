//! `unsigned_zero(x)`: a floating number to compare by where -0.0 would differ from 0.0.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ArrowNativeTypeOp, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The name of the function.
pub(crate) const UNSIGNED_ZERO: &str = "unsigned_zero";

/// `unsigned_zero(x)`: 0.0 for -0.0, else the floating number itself.
pub(crate) fn unsigned_zero() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(UnsignedZero {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct UnsignedZero {
    signature: Signature,
}

impl ScalarUDFImpl for UnsignedZero {
    fn name(&self) -> &'static str {
        UNSIGNED_ZERO
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [number] if number.is_floating() => Ok(number.clone()),
            _ => exec_err!("{UNSIGNED_ZERO} takes a floating number"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match inputs {
            [number] => number.sort_properties,
            _ => SortProperties::Unordered,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return exec_err!("{UNSIGNED_ZERO} takes a floating number");
        };
        match value {
            ColumnarValue::Array(numbers) => Ok(ColumnarValue::Array(without_signs(numbers)?)),
            ColumnarValue::Scalar(number) => {
                let number = without_signs(&number.to_array_of_size(1)?)?;
                let number = ScalarValue::try_from_array(&number, 0)?;
                Ok(ColumnarValue::Scalar(number))
            }
        }
    }
}

fn without_signs(numbers: &ArrayRef) -> Result<ArrayRef> {
    fn plus_zero<T: ArrowPrimitiveType>(numbers: &ArrayRef) -> ArrayRef {
        let numbers = numbers.as_primitive::<T>();
        let sums: PrimitiveArray<T> = numbers.unary(|number| number.add_wrapping(T::Native::ZERO));
        Arc::new(sums)
    }
    Ok(match numbers.data_type() {
        DataType::Float16 => plus_zero::<Float16Type>(numbers),
        DataType::Float32 => plus_zero::<Float32Type>(numbers),
        DataType::Float64 => plus_zero::<Float64Type>(numbers),
        other => return exec_err!("{UNSIGNED_ZERO} takes a floating number, not {other}"),
    })
}
