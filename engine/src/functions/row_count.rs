//! `row_count(n)`: the number of rows that LIMIT or OFFSET asks for by a subquery.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::min;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `row_count(n)`: the whole number; fails where it is negative. LIMIT is planned with it.
pub(crate) fn row_count() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(RowCount {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowCount {
    signature: Signature,
}

impl ScalarUDFImpl for RowCount {
    fn name(&self) -> &'static str {
        "row_count"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let n_rows = args.number_rows;
        let [value] = args.args.as_slice() else {
            return exec_err!("row_count takes a number");
        };
        let value = value.cast_to(&DataType::Int64, None)?;
        let numbers = value.to_array(n_rows)?;
        if let Some(least) = min(numbers.as_primitive::<Int64Type>())
            && least < 0
        {
            return exec_err!("LIMIT and OFFSET take no negative number such as {least}");
        }
        Ok(value)
    }
}
