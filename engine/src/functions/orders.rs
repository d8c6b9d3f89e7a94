//! Functions that have no value for some numbers, such as `acosh`, in a sort key.
//!
//! The planner asks a function whether its values are in the order of its argument. DataFusion's fail
//! there if the argument may leave their domain, and with them the query, although every row has a
//! value or NaN. Here they know of no order. `abs(abs(x))` has one where it is computed and none where it
//! is asked for, so that a sort by it fails; `abs` has none here.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::wrapped::{self, named_as_inner, typed_as_inner};

/// The functions whose domain is not all numbers, and `abs`.
const PARTIAL: [&str; 10] = [
    ABS, "acos", "acosh", "asin", "atanh", "ln", "log", "log10", "log2", "sqrt",
];
const ABS: &str = "abs";

/// Puts ours in the place of DataFusion's.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    wrapped::register(state, &PARTIAL, |inner| Partial { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Partial {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Partial {
    named_as_inner!();
    typed_as_inner!();

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        match self.inner.evaluate_bounds(inputs) {
            Ok(bounds) => Ok(bounds),
            Err(_) => {
                let data_type = inputs.first().map(|input| input.data_type());
                Interval::make_unbounded(&data_type.unwrap_or(DataType::Float64))
            }
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        if self.name() == ABS {
            return Ok(SortProperties::Unordered);
        }
        let order = self.inner.output_ordering(inputs);
        Ok(order.unwrap_or(SortProperties::Unordered))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }
}

#[cfg(test)]
mod tests {
    use crate::plain::said;

    #[tokio::test]
    async fn datafusion_loses_the_order_of_some_functions() {
        for key in ["acosh(x)", "abs(abs(x))"] {
            let query = format!(
                "CREATE TABLE t AS SELECT * FROM (VALUES (1.5), (-3.0)) AS v(x); \
                 SELECT sum(x) OVER (ORDER BY {key}) FROM t"
            );
            let said = said(&query).await;
            assert!(said.contains("SanityCheckPlan"), "right are 2 rows: {said}");
        }
    }
}
