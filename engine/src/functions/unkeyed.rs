//! `unkeyed(value)`: the value, of which the planner does not know that it was a key.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// `unkeyed(value)`: the value. Plans use it where the planner would draw wrong conclusions from a
/// key.
pub(crate) fn unkeyed() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Unkeyed {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Unkeyed {
    signature: Signature,
}

impl ScalarUDFImpl for Unkeyed {
    fn name(&self) -> &'static str {
        "unkeyed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(value) => Ok(value.clone()),
            None => exec_err!("unkeyed takes a value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields.first() {
            Some(field) => Ok(Arc::new(Field::new(
                self.name(),
                field.data_type().clone(),
                field.is_nullable(),
            ))),
            None => exec_err!("unkeyed takes a value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => exec_err!("unkeyed takes a value"),
        }
    }
}
