//! `opaque(value)`: the value, into which the planner does not look.

use std::sync::Arc;

use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::typed_as_argument;

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

    typed_as_argument!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => value.into_array(args.number_rows).map(ColumnarValue::Array),
            None => exec_err!("opaque takes a value"),
        }
    }
}
