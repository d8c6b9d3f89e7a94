//! Decimals with a number of the text added, taken off, multiplied or divided with a rest.
//!
//! DataFusion takes `0.15` for a floating number and makes the price beside it one: `19.90 * 0.15` is 2.9849999999999999
//! and rounds to 2.98. Here the number has the digits that are written, and so has the result, as in Spark, PostgreSQL and
//! DuckDB.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::number::Number;

/// The most digits of a floating number that are all kept.
const KEPT_DIGITS: i32 = 15;

/// Makes a decimal of a number with a point beside a decimal, where the result has room for all digits.
///
/// This happens while the text is read, so that every step of the plan knows the type.
#[derive(Debug)]
pub(crate) struct ExactOperands;

impl ExprPlanner for ExactOperands {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let (left, right) = (
            Operand::of(&expr.left, schema),
            Operand::of(&expr.right, schema),
        );
        let number = match (left, right) {
            (Operand::Decimal(decimal), Operand::Written(number))
                if has_room(&expr.op, decimal, number) =>
            {
                (&mut expr.right, number)
            }
            (Operand::Written(number), Operand::Decimal(decimal))
                if has_room(&expr.op, decimal, number) =>
            {
                (&mut expr.left, number)
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (value, (before, behind)) = number;
        // The cast keeps the name that the column has without one.
        let (precision, scale) = ((before + behind).max(1) as u8, behind as i8);
        *value = cast(
            std::mem::take(value),
            DataType::Decimal128(precision, scale),
        );
        Ok(PlannerResult::Original(expr))
    }
}

/// Digits before and behind the point.
type Digits = (i32, i32);

enum Operand {
    Decimal(Digits),
    /// A number of the text with a point.
    Written(Digits),
    Other,
}

impl Operand {
    fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match expr.get_type(schema) {
            Ok(
                DataType::Decimal32(precision, scale)
                | DataType::Decimal64(precision, scale)
                | DataType::Decimal128(precision, scale),
            ) => {
                let behind = i32::from(scale);
                Self::Decimal((i32::from(precision) - behind, behind))
            }
            Ok(DataType::Float64) => match Number::of(expr).map(Number::digits) {
                Some((before, behind)) if before + behind <= KEPT_DIGITS => {
                    Self::Written((before, behind))
                }
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// Whether the decimal that the operator makes of two has room for all digits of any result.
fn has_room(operator: &BinaryOperator, left: Digits, right: Digits) -> bool {
    let (before, behind) = (left.0.max(right.0), left.1.max(right.1));
    let n_digits = match operator {
        BinaryOperator::Plus | BinaryOperator::Minus => before + behind + 1,
        BinaryOperator::Modulo => before + behind,
        BinaryOperator::Multiply => left.0 + left.1 + right.0 + right.1 + 1,
        _ => return false,
    };
    n_digits <= i32::from(DECIMAL128_MAX_PRECISION)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
    use datafusion::prelude::SessionContext;

    use super::*;

    /// The value of an expression of the decimals `d` (19.99) and `w` (38 digits), the whole number `n` (3) and the
    /// floating `f` (1.1), and its type.
    async fn value(expr: &str, is_exact: bool) -> (String, DataType) {
        let mut state = SessionStateBuilder::new().with_default_features().build();
        if is_exact {
            state
                .register_expr_planner(std::sync::Arc::new(ExactOperands))
                .unwrap();
        }
        let text = format!(
            "SELECT {expr} FROM (VALUES (CAST('19.99' AS DECIMAL(10, 2)), CAST('1.5' AS DECIMAL(38, 10)), 3, \
             CAST('1.1' AS DOUBLE))) AS v(d, w, n, f)"
        );
        let frame = SessionContext::new_with_state(state).sql(&text).await;
        let batches = frame.unwrap().collect().await.unwrap();
        let column = batches[0].column(0);
        let value = array_value_to_string(column, 0).unwrap();
        (value, column.data_type().clone())
    }

    #[tokio::test]
    async fn digits_are_kept() {
        for (expr, expected) in [
            ("round(d * 0.5, 2)", "10.00"),
            ("d * 0.5", "9.995"),
            ("0.5 * d", "9.995"),
            ("-0.15 * d", "-2.9985"),
            ("d * (1 - 0.25)", "14.9925"),
            ("(d + 0.01) * 1.1", "22.000"),
            ("d - 0.001", "19.989"),
            ("d % 0.1", "0.09"),
            ("d * 1.0", "19.99"),
            ("d * (0.1 + 0.2)", "5.997"),
        ] {
            let (value, data_type) = value(expr, true).await;
            assert_eq!(value, expected, "{expr}");
            assert!(data_type.is_decimal(), "{expr}: {data_type}");
        }
    }

    #[tokio::test]
    async fn other_operands_stay() {
        for expr in [
            "d * f",
            "n * 0.5",
            "f * 0.5",
            "w * 0.5",
            "d * 1e300",
            "d * 0.1234567890123456",
            "d / 0.5",
            "d * CAST('NaN' AS DOUBLE)",
        ] {
            assert_eq!(value(expr, true).await, value(expr, false).await, "{expr}");
        }
    }

    /// Once this fails, the planner may go.
    #[tokio::test]
    async fn datafusion_takes_a_floating_number() {
        assert_eq!(value("d * 0.5", false).await.1, DataType::Float64);
    }
}
