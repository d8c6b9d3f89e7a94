//! `within_precision(d)`: a decimal that has no more digits than its type.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The name of the function.
pub(crate) const WITHIN_PRECISION: &str = "within_precision";

/// `within_precision(d)`: the decimal; fails where it has more digits than its type says.
pub(crate) fn within_precision() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(WithinPrecision {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithinPrecision {
    signature: Signature,
}

impl ScalarUDFImpl for WithinPrecision {
    fn name(&self) -> &'static str {
        WITHIN_PRECISION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [decimal] => Ok(decimal.clone()),
            _ => exec_err!("within_precision takes a decimal"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return exec_err!("within_precision takes a decimal");
        };
        let decimals = value.to_array(args.number_rows)?;
        match decimals.data_type() {
            DataType::Decimal128(precision, _) => decimals
                .as_primitive::<Decimal128Type>()
                .validate_decimal_precision(*precision)?,
            DataType::Decimal256(precision, _) => decimals
                .as_primitive::<Decimal256Type>()
                .validate_decimal_precision(*precision)?,
            _ => {}
        }
        Ok(value.clone())
    }
}
