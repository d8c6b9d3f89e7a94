//! `opaque(value)`: the value, into which the planner does not look.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// The name of [`opaque`].
pub(crate) const OPAQUE: &str = "opaque";

/// `opaque(value)`: the value, one for each row. Plans use it where the planner would draw wrong conclusions from what the
/// value is: a key, a cast, or an item of a list.
pub(crate) fn opaque() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Opaque {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Opaque {
    signature: Signature,
}

impl ScalarUDFImpl for Opaque {
    fn name(&self) -> &'static str {
        OPAQUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(value) => Ok(value.clone()),
            None => exec_err!("opaque takes a value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields.first() {
            Some(field) => Ok(Arc::new(Field::new(
                self.name(),
                field.data_type().clone(),
                field.is_nullable(),
            ))),
            None => exec_err!("opaque takes a value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => value.into_array(args.number_rows).map(ColumnarValue::Array),
            None => exec_err!("opaque takes a value"),
        }
    }
}
