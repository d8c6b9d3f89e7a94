//! `ranged(value, NULL)`: the value, which may be any of the type of the NULL.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};

/// The name of [`ranged`].
pub(crate) const RANGED: &str = "ranged";

/// `ranged(value, NULL)`: the value. The planner asks it for its range and gets that of its type, where it gets one
/// without a type from most functions.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Ranged {
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

/// The value of the type, with its range.
///
/// # Errors
/// A type that has no NULL.
pub(crate) fn ranged(value: Expr, data_type: &DataType) -> Result<Expr> {
    let null = ScalarValue::try_new_null(data_type)?;
    Ok(function().call(vec![value, lit(null)]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ranged {
    signature: Signature,
}

impl ScalarUDFImpl for Ranged {
    fn name(&self) -> &'static str {
        RANGED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, _] => Ok(value.clone()),
            _ => exec_err!("{RANGED} takes a value and a NULL"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [value, _] => Ok(Arc::new(value.as_ref().clone().with_name(RANGED))),
            _ => exec_err!("{RANGED} takes a value and a NULL"),
        }
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        match inputs {
            [_, null] => Interval::make_unbounded(&null.data_type()),
            _ => exec_err!("{RANGED} takes a value and a NULL"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => exec_err!("{RANGED} takes a value and a NULL"),
        }
    }
}
