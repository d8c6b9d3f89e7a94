//! `single_row(value, n_rows)`: the value of a subquery, which may have one row only.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::max;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use emporia_connectors::error::to_datafusion;
use emporia_core::error::{Error, ErrorKind};

const SEVERAL_ROWS: &str = "a subquery that stands for one value has several rows";
const ONE_ROW: &str = "add a condition, or an aggregate such as max; `LIMIT 1` takes any one";

/// `single_row(value, n_rows)`: the value; fails where there is more than one row. Subqueries are
/// planned with it.
pub(crate) fn single_row() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(SingleRow {
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleRow {
    signature: Signature,
}

impl ScalarUDFImpl for SingleRow {
    fn name(&self) -> &'static str {
        "single_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(value) => Ok(value.clone()),
            None => exec_err!("single_row takes a value and a number of rows"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut args = args.args.into_iter();
        let (Some(value), Some(n_rows)) = (args.next(), args.next()) else {
            return exec_err!("single_row takes a value and a number of rows");
        };
        let n_rows = n_rows.cast_to(&DataType::Int64, None)?;
        let most = match &n_rows {
            ColumnarValue::Array(n_rows) => max(n_rows.as_primitive::<Int64Type>()),
            ColumnarValue::Scalar(n_rows) => match n_rows {
                datafusion::scalar::ScalarValue::Int64(n_rows) => *n_rows,
                _ => None,
            },
        };
        if most.is_some_and(|most| most > 1) {
            let error = Error::new(ErrorKind::Failed, SEVERAL_ROWS).with_hint(ONE_ROW);
            return Err(to_datafusion(error));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};
    use datafusion::arrow::datatypes::Field;
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn value_of(n_rows: Vec<Option<i64>>) -> Result<ColumnarValue> {
        let number_rows = n_rows.len();
        let values = StringArray::from(vec![Some("a"); number_rows]);
        let field = Arc::new(Field::new("value", DataType::Utf8, true));
        single_row().invoke_with_args(ScalarFunctionArgs {
            args: vec![
                ColumnarValue::Array(Arc::new(values)),
                ColumnarValue::Array(Arc::new(Int64Array::from(n_rows))),
            ],
            arg_fields: vec![Arc::clone(&field), Arc::clone(&field)],
            number_rows,
            return_field: field,
            config_options: Arc::new(ConfigOptions::new()),
        })
    }

    #[test]
    fn several_rows_are_an_error() {
        assert!(value_of(vec![Some(1), Some(0), None]).is_ok());
        let error = value_of(vec![Some(1), Some(2)]).unwrap_err();
        assert!(error.to_string().contains(SEVERAL_ROWS), "{error}");
    }
}
