//! `lpad` and `rpad` to a length below zero that is a column: the empty text, as where it is written out. DataFusion's
//! take it for a length of 2^64 and panic.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::wrapped::{self, named_as_inner, typed_as_inner};

/// Puts ours in the place of DataFusion's.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    wrapped::register(state, &["lpad", "rpad"], |inner| Padded { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Padded {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Padded {
    named_as_inner!();
    typed_as_inner!();

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(length) = args.args.get_mut(1)
            && length.data_type().is_integer()
        {
            let is_one = matches!(length, ColumnarValue::Scalar(_));
            let lengths = length.to_array(if is_one { 1 } else { args.number_rows })?;
            let lengths = cast(&lengths, &DataType::Int64)?;
            let lengths = lengths.as_primitive::<Int64Type>();
            if lengths.iter().flatten().any(|length| length < 0) {
                let lengths = lengths.unary::<_, Int64Type>(|length| length.max(0));
                *length = match is_one {
                    true => ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?),
                    false => ColumnarValue::Array(Arc::new(lengths)),
                };
            }
        }
        self.inner.invoke_with_args(args)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    /// Once this fails, the functions may go.
    #[tokio::test]
    async fn a_length_below_zero_is_a_panic() {
        let query = "SELECT lpad('abc', n) FROM (VALUES (-1), (2)) AS v(n)";
        let rows = SessionContext::new().sql(query).await.unwrap();
        let result = tokio::spawn(rows.collect()).await;
        assert!(
            result.is_err() || result.is_ok_and(|rows| rows.is_err()),
            "right is ''"
        );
    }
}
