//! `array_has`, `array_has_all` and `array_has_any`, in the place of DataFusion's.
//!
//! `array_has` of a constant list becomes `IN`, which is unknown where the list has a NULL and not the value; of any other
//! list it is false then. `array_has_all(list, NULL)` of two constants is true. Here it does not matter what is constant.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::wrapped::{self, named_as_inner, typed_as_inner};

/// Puts ours in the place of DataFusion's.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    let names = ["array_has", "array_has_all", "array_has_any"];
    wrapped::register(state, &names, |inner| Contained { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Contained {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Contained {
    named_as_inner!();
    typed_as_inner!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_null = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(value) if value.is_null());
        match args.args.iter().any(is_null) {
            true => Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None))),
            false => self.inner.invoke_with_args(args),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match args.first() {
            Some(Expr::Literal(list, _)) if has_no_null(list) => self.inner.simplify(args, info),
            _ => Ok(ExprSimplifyResult::Original(args)),
        }
    }
}

/// Whether it is a list without a NULL in it.
fn has_no_null(list: &ScalarValue) -> bool {
    match list {
        ScalarValue::List(list) => list.values().logical_null_count() == 0,
        ScalarValue::LargeList(list) => list.values().logical_null_count() == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::prelude::SessionContext;

    /// Once this fails, the functions may go.
    #[tokio::test]
    async fn a_constant_list_is_another_one() {
        let query = "SELECT array_has([1, NULL], x), array_has(l, x), array_has_all([1], CAST(NULL AS BIGINT[])) \
                     FROM (VALUES (2, [1, NULL])) AS v(x, l)";
        let rows = SessionContext::new().sql(query).await.unwrap();
        let rows = rows.collect().await.unwrap();
        assert_eq!(rows[0].column(0).null_count(), 1, "right is false");
        assert_eq!(rows[0].column(1).null_count(), 0);
        assert!(rows[0].column(2).as_boolean().value(0), "right is NULL");
    }
}
